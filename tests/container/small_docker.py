"""Small Docker images, written by the standard library in the layouts that engines write."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.container.small_base import FILES, FOLDERS, LINKS, add_file, add_other

Add = Callable[[tarfile.TarFile], None]

ENV = ["PATH=/opt/conda/bin:/usr/local/bin:/usr/bin:/bin", "GREETING=it's me"]


def sha256(data: bytes) -> str:
    """Return the hexadecimal digest."""
    return hashlib.sha256(data).hexdigest()


def layer(add: Add) -> bytes:
    """Return a layer with what `add` adds."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        add(tar)
    return buffer.getvalue()


def system(replacing: Mapping[str, bytes | None] | None = None) -> bytes:
    """Return a layer that is a root file system with sshd; None in `replacing` leaves one out."""
    files: dict[str, bytes | None] = {**FILES, "usr/bin/ssh-keygen": b"keygen"}
    files |= dict(replacing or {})

    def add(tar: tarfile.TarFile) -> None:
        for folder in FOLDERS:
            add_other(tar, folder, tarfile.DIRTYPE, mode=0o700 if folder == "root" else 0o755)
        for link, target in LINKS.items():
            add_other(tar, link, tarfile.SYMTYPE, linkname=target)
        for name, data in files.items():
            if data is not None:
                mode = 0o640 if name == "etc/shadow" else 0o755
                add_file(tar, name, data, mode=mode, uid=0, gid=42 if mode == 0o640 else 0)

    return layer(add)


def files_layer(files: Mapping[str, bytes]) -> bytes:
    """Return a layer of files alone."""
    return layer(lambda tar: [add_file(tar, name, data) for name, data in files.items()])  # type: ignore[func-returns-value]


def configuration(layers: Sequence[bytes], **changes: Any) -> dict[str, Any]:
    """Return the configuration of an image of these layers."""
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-05-06T07:08:09.5Z",
        "config": {"Env": ENV, "Cmd": ["bash"], "User": "me", "ExposedPorts": {"8888/tcp": {}}},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(data)}" for data in layers]},
        "history": [{"created_by": "test"}],
        **changes,
    }


def write_archive(path: Path, files: Sequence[tuple[str, bytes | str]]) -> Path:
    """Write an archive of files; a text is the target of a symbolic link."""
    mode = "w:gz" if path.suffix == ".gz" else "w"
    with tarfile.open(path, mode) as tar:
        for name, data in files:
            if isinstance(data, str):
                add_other(tar, name, tarfile.SYMTYPE, linkname=data)
            else:
                add_file(tar, name, data)
    return path


def legacy(layers: Sequence[bytes], **changes: Any) -> list[tuple[str, bytes | str]]:
    """Return the files that engines before 25 save: a layer that is there twice is a link."""
    config = json.dumps(configuration(layers, **changes)).encode()
    files: list[tuple[str, bytes | str]] = []
    names: list[str] = []
    first: dict[bytes, str] = {}
    for number, data in enumerate(layers):
        name = sha256(f"{number}".encode())
        files += [(f"{name}/VERSION", b"1.0"), (f"{name}/json", b'{"id": "x"}')]
        link = f"../{first[data]}/layer.tar" if data in first else None
        files.append((f"{name}/layer.tar", data if link is None else link))
        first.setdefault(data, name)
        names.append(f"{name}/layer.tar")
    manifest = [{"Config": f"{sha256(config)}.json", "RepoTags": ["base:1"], "Layers": names}]
    files.append((f"{sha256(config)}.json", config))
    files.append(("manifest.json", json.dumps(manifest).encode()))
    files.append(("repositories", b'{"base": {"1": "x"}}'))
    return files


def oci(
    layers: Sequence[bytes], *, compress: bool = False, docker: bool = True, **changes: Any
) -> list[tuple[str, bytes | str]]:
    """Return the files of an OCI layout; `docker`: with the manifest.json of newer engines."""
    config = json.dumps(configuration(layers, **changes)).encode()
    stored = [gzip.compress(data, mtime=0) if compress else data for data in layers]
    name = "application/vnd.oci.image"

    def described(data: bytes, kind: str) -> dict[str, Any]:
        digest = f"sha256:{sha256(data)}"
        return {"mediaType": f"{name}.{kind}", "digest": digest, "size": len(data)}

    kind = "layer.v1.tar+gzip" if compress else "layer.v1.tar"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "config": described(config, "config.v1+json"),
            "layers": [described(data, kind) for data in stored],
        }
    ).encode()
    attestation = {
        **described(b"{}", "manifest.v1+json"),
        "platform": {"os": "unknown", "architecture": "unknown"},
    }
    ours = {
        **described(manifest, "manifest.v1+json"),
        "platform": {"os": "linux", "architecture": "amd64"},
        "annotations": {"org.opencontainers.image.ref.name": "base:1"},
    }
    index = json.dumps({"schemaVersion": 2, "manifests": [ours, attestation]}).encode()
    blobs = {f"blobs/sha256/{sha256(data)}": data for data in (*stored, config, manifest, b"{}")}
    files: list[tuple[str, bytes | str]] = [*sorted(blobs.items())]
    files += [("index.json", index), ("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')]
    if docker:
        listed = [f"blobs/sha256/{sha256(data)}" for data in stored]
        entry = {
            "Config": f"blobs/sha256/{sha256(config)}", "RepoTags": ["base:1"], "Layers": listed
        }  # fmt: skip
        files.append(("manifest.json", json.dumps([entry]).encode()))
    return files
