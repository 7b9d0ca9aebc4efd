"""The JSON documents of a Docker image: its configuration, and what names its parts."""

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

__all__ = ["ENTRYPOINT", "Blob", "created_s", "image_config", "index_documents", "render"]

ENTRYPOINT = ("/usr/sbin/sshd", "-D")
"""What Colosseum starts in every container of a GPU node, whatever the image says."""

_OCI = "application/vnd.oci.image"
# Of a container that once ran, and of services that the base was for.
_OF_A_CONTAINER = ("container", "container_config", "docker_version", "id", "parent", "throwaway")
_OF_A_SERVICE = ("Cmd", "Healthcheck", "OnBuild", "User", "ArgsEscaped", "Hostname", "Image")


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A part of an image.

    Attributes:
        digest: SHA-256 of its bytes.
        size: Of them.
        media_type: As OCI names it.
    """

    digest: str
    size: int
    media_type: str

    @classmethod
    def of_layer(cls, digest: str, size: int, *, is_compressed: bool) -> "Blob":
        """Return a layer."""
        kind = "tar+gzip" if is_compressed else "tar"
        return cls(digest=digest, size=size, media_type=f"{_OCI}.layer.v1.{kind}")

    @property
    def member(self) -> str:
        """Its name in the archive."""
        return f"blobs/sha256/{self.digest}"

    @property
    def descriptor(self) -> dict[str, Any]:
        """What an OCI document says of it."""
        return {
            "mediaType": self.media_type,
            "digest": f"sha256:{self.digest}",
            "size": self.size,
        }


def created_s(config: Mapping[str, Any]) -> int:
    """Return when an image was made, by its configuration [s since 1970]; 0 where it says nothing.

    >>> created_s({"created": "2024-05-06T07:08:09.123456789Z"})
    1714979289
    """
    text = str(config.get("created", ""))[:19]
    try:
        return max(0, int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()))
    except ValueError:
        return 0


def image_config(base: Mapping[str, Any], *, diff_id: str, created_by: str, time_s: int) -> bytes:
    """Return the configuration of an image that runs sshd.

    Args:
        base: The base's configuration.
        diff_id: SHA-256 of the layer that is added, not compressed.
        created_by: What the history says of it.
        time_s: When it was made [s since 1970].
    """
    config = copy.deepcopy({key: base[key] for key in base if key not in _OF_A_CONTAINER})
    created = datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    run = {key: value for key, value in (config.get("config") or {}).items()}
    for key in _OF_A_SERVICE:
        run.pop(key, None)
    run["Entrypoint"] = list(ENTRYPOINT)
    run["ExposedPorts"] = {**(run.get("ExposedPorts") or {}), "22/tcp": {}}
    config["config"] = run
    config["created"] = created
    config["rootfs"]["diff_ids"].append(f"sha256:{diff_id}")
    config["history"] = [
        *(config.get("history") or ()),
        {"created": created, "created_by": created_by},
    ]
    return render(config)


def index_documents(config: bytes, layers: Sequence[Blob], *, repository: str) -> dict[str, bytes]:
    """Return the documents of an archive by name: those of OCI, and `manifest.json`.

    Engines before 25 read `manifest.json` alone, newer ones may read either.

    Args:
        config: The configuration.
        layers: The lowest first.
        repository: Name of the image; its tag is `latest`.
    """
    config_blob = Blob(
        digest=hashlib.sha256(config).hexdigest(),
        size=len(config),
        media_type=f"{_OCI}.config.v1+json",
    )
    media_type = f"{_OCI}.manifest.v1+json"
    manifest = render(
        {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": config_blob.descriptor,
            "layers": [layer.descriptor for layer in layers],
        }
    )
    manifest_blob = Blob(
        digest=hashlib.sha256(manifest).hexdigest(), size=len(manifest), media_type=media_type
    )
    index = {
        "schemaVersion": 2,
        "mediaType": f"{_OCI}.index.v1+json",
        "manifests": [
            {
                **manifest_blob.descriptor,
                "annotations": {
                    "io.containerd.image.name": f"docker.io/library/{repository}:latest",
                    "org.opencontainers.image.ref.name": "latest",
                },
            }
        ],
    }
    docker = [
        {
            "Config": config_blob.member,
            "RepoTags": [f"{repository}:latest"],
            "Layers": [layer.member for layer in layers],
        }
    ]
    return {
        "oci-layout": render({"imageLayoutVersion": "1.0.0"}),
        "index.json": render(index),
        "manifest.json": render(docker),
        config_blob.member: config,
        manifest_blob.member: manifest,
    }


def render(document: Any) -> bytes:
    """Return a document as JSON, equal for equal ones."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
