"""Small root file systems as archives, with all that a base must have and little more."""

import tarfile
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.container.small_base import (
    FILES,
    FOLDERS,
    LINKS,
    METADATA,
    add_file,
    add_other,
    make_wheel,
)

Add = Callable[[tarfile.TarFile], None]


@pytest.fixture
def make_base(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a base.

    `more` adds further entries, below the same prefix; `without` leaves files out; `replacing`
    are files with other content, or other files.
    """

    def make(
        *,
        name: str = "base.tar.gz",
        unified: bool = True,
        more: Add | None = None,
        without: Iterable[str] = (),
        replacing: Mapping[str, bytes] | None = None,
        metadata: bytes | None = METADATA,
        links: Mapping[str, str] = LINKS,
        format: int = tarfile.PAX_FORMAT,
        dotted: bool = False,
    ) -> Path:
        path = tmp_path / name
        mode = {"gz": "w:gz", "xz": "w:xz", "tar": "w"}[name.rpartition(".")[2]]
        prefix = "rootfs/" if unified else "./" if dotted else ""
        with tarfile.open(path, mode, format=format) as tar:
            if unified and metadata is not None:
                add_file(tar, "metadata.yaml", metadata)
                add_other(tar, "templates", tarfile.DIRTYPE)
                add_file(tar, "templates/hostname.tpl", b"{{ container.name }}\n")
            if unified or dotted:
                add_other(tar, prefix.rstrip("/"), tarfile.DIRTYPE)
            gone = set(without)
            for folder in FOLDERS:
                if folder not in gone:
                    add_other(tar, prefix + folder, tarfile.DIRTYPE)
            for link, target in links.items():
                add_other(tar, prefix + link, tarfile.SYMTYPE, linkname=target)
            for file, data in {**FILES, **(replacing or {})}.items():
                if file not in gone:
                    mode_bits = 0o640 if file == "etc/shadow" else 0o755
                    add_file(tar, prefix + file, data, mode=mode_bits, uid=0, gid=42)
            if more is not None:
                more(tar)
        return path

    return make


@pytest.fixture
def public_key(tmp_path: Path) -> Path:
    """Return a file with a public key."""
    path = tmp_path / "id.pub"
    path.write_text(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@here\n"
    )
    return path


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Path:
    """Return a folder of tiny wheels: all that phyemu needs, and one in phyemu's own place."""
    folder = tmp_path / "wheels"
    needed = [text for text in requires("phyemu") or () if Requirement(text).marker is None]
    for text in needed:
        make_wheel(folder, canonicalize_name(Requirement(text).name))
    make_wheel(folder, "phyemu", "0.0.1", requirements=needed)
    return folder
