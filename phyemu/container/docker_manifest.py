"""Which files of an archive are an image: `manifest.json` of `docker save`, or an OCI index."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phyemu.errors import ImageError

__all__ = ["ImageNames", "find_image"]

_MOST_INDEXES = 4  # an index may name an index


@dataclass(frozen=True, slots=True)
class ImageNames:
    """Names in the archive.

    Attributes:
        config: Of the configuration.
        layers: The lowest first.
        tags: Repository tags.
    """

    config: str
    layers: tuple[str, ...]
    tags: tuple[str, ...]


def find_image(texts: Mapping[str, bytes], path: Path) -> ImageNames:
    """Return the one image of an archive.

    Args:
        texts: JSON files, by name.
        path: Of the archive, for messages.

    Raises:
        ImageError: There is none, or there are several, or the files that name it are damaged.
    """
    try:
        if "manifest.json" in texts:
            return _of_docker(json.loads(texts["manifest.json"]), path)
        if "index.json" in texts:
            return _of_index(texts, path)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise ImageError(
            f"{path}: the files that name its image are damaged ({exc}); save it again"
        ) from exc
    raise ImageError(
        f"{path}: has neither manifest.json nor index.json, so it is no archive of docker save "
        "(docker export writes something else); LXD images are --kind srn"
    )


def _of_docker(images: Any, path: Path) -> ImageNames:
    if not isinstance(images, list):
        raise TypeError("manifest.json is no list")
    if len(images) != 1:
        tags = ", ".join(str(tag) for image in images for tag in image["RepoTags"] or ["untagged"])
        raise ImageError(f"{path}: holds {len(images)} images ({tags}); docker save one of them")
    (image,) = images
    return ImageNames(
        _text(image["Config"]),
        tuple(_text(layer) for layer in image["Layers"]),
        tuple(_text(tag) for tag in image.get("RepoTags") or ()),
    )


def _of_index(texts: Mapping[str, bytes], path: Path) -> ImageNames:
    index = json.loads(texts["index.json"])
    tags: tuple[str, ...] = ()
    for _ in range(_MOST_INDEXES):
        candidates = [item for item in index["manifests"] if _is_for_us(item.get("platform"))]
        if len(candidates) != 1:
            found = [_platform(item.get("platform")) for item in index["manifests"]]
            raise ImageError(
                f"{path}: holds {len(candidates)} images for linux/amd64 (all: "
                f"{', '.join(found) or 'none'}); save one of them"
            )
        name = (candidates[0].get("annotations") or {}).get("org.opencontainers.image.ref.name")
        tags = (_text(name),) if name else tags
        manifest = json.loads(_blob(texts, candidates[0]))
        if "layers" in manifest:
            return ImageNames(
                _blob_name(manifest["config"]),
                tuple(_blob_name(layer) for layer in manifest["layers"]),
                tags,
            )
        index = manifest
    raise ImageError(f"{path}: its indexes name only indexes; save the image again")


def _is_for_us(platform: Any) -> bool:
    # Attestations are for "unknown"; an index of a single image may name no platform at all.
    return platform is None or (platform["os"], platform["architecture"]) == ("linux", "amd64")


def _platform(platform: Any) -> str:
    return "any" if platform is None else f"{platform['os']}/{platform['architecture']}"


def _blob(texts: Mapping[str, bytes], descriptor: Any) -> bytes:
    return texts[_blob_name(descriptor)]


def _blob_name(descriptor: Any) -> str:
    algorithm, _, digest = _text(descriptor["digest"]).partition(":")
    return f"blobs/{algorithm}/{digest}"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} where a name must be")
    return value
