"""`metadata.yaml` of an LXD image.

As LXD's documentation of the image format has it: `architecture` and `creation_date` (seconds
since 1970) are mandatory; `properties` are names with texts; `templates` say which files are made
anew when a container is created, copied or started, from the texts in `templates/`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from phyemu.errors import ImageError

__all__ = ["ARCHITECTURE", "BARE_TEMPLATES", "bare_metadata", "parse_metadata", "render_metadata"]

ARCHITECTURE = "x86_64"

_ALIASES = {"x86_64", "amd64"}

BARE_TEMPLATES = {
    "hostname.tpl": "{{ container.name }}\n",
    "hosts.tpl": "127.0.0.1 localhost\n127.0.1.1 {{ container.name }}\n\n"
    "::1 localhost ip6-localhost ip6-loopback\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n",
}
"""Templates of an image whose base is a root file system alone, by name in `templates/`."""


def parse_metadata(content: bytes, name: Path) -> dict[str, Any]:
    """Return the metadata of a unified image.

    Raises:
        ImageError: It is no YAML mapping, a mandatory field is missing, or the architecture is not
            x86_64.
    """
    where = f"{name}: metadata.yaml"
    try:
        metadata = yaml.safe_load(content.decode("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        raise ImageError(f"{where}: is no YAML ({exc})") from exc
    if not isinstance(metadata, dict):
        raise ImageError(f"{where}: must be a mapping, is {type(metadata).__name__}")
    architecture, created = metadata.get("architecture"), metadata.get("creation_date")
    if architecture not in _ALIASES:
        raise ImageError(
            f"{where}: the architecture is {architecture!r}, but Colosseum's nodes are x86_64; "
            "take a base for it"
        )
    if not isinstance(created, int) or isinstance(created, bool) or created < 0:
        raise ImageError(f"{where}: creation_date must be seconds since 1970, is {created!r}")
    for key in ("properties", "templates"):
        if not isinstance(metadata.get(key) or {}, dict):
            raise ImageError(f"{where}: {key} must be a mapping")
    return metadata


def bare_metadata(created_s: int, *, os_release: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata for a base that has none.

    Args:
        created_s: When the image was created [s since 1970].
        os_release: Of the base, `os-release(5)`.
    """
    templates = {
        f"/etc/{name.removesuffix('.tpl')}": {
            "when": ["create", "copy"],
            "template": name,
            "properties": {},
        }
        for name in BARE_TEMPLATES
    }
    os_name, release = os_release.get("ID", "linux"), os_release.get("VERSION_CODENAME", "unknown")
    return {
        "architecture": ARCHITECTURE,
        "creation_date": created_s,
        "properties": {"architecture": "amd64", "os": os_name, "release": release},
        "templates": templates,
    }


def render_metadata(
    base: Mapping[str, Any], *, name: str, description: str, created_s: int
) -> bytes:
    """Return `metadata.yaml` of an image: the base's, with its own name, description and date."""
    properties = {**(base.get("properties") or {}), "name": name, "description": description}
    metadata = {**base, "creation_date": created_s, "properties": properties}
    text: str = yaml.safe_dump(metadata, sort_keys=True, allow_unicode=True)
    return text.encode()
