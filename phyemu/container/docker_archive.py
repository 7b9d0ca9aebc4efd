"""An archive of `docker save`: read once to its end, checked, and refused unless it is an image.

Two layouts are in use. Engines before 25 write `ID/layer.tar` and `ID.json`, named by
`manifest.json`; newer ones write an OCI layout (`index.json`, `blobs/sha256/DIGEST`) with a
`manifest.json` beside it. Other tools write the OCI layout alone. Which file is a layer is told
by names that may come behind it, so every file that is a tar archive is read as one.
"""

import gzip
import hashlib
import json
import posixpath
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard, cast

from phyemu.errors import ImageError
from phyemu.progress import ProgressCallback, no_progress

from .archive_file import ArchiveFile
from .base_tree import BaseTree
from .docker_manifest import ImageNames, find_image
from .layer_stack import Layer, LayerStack, read_layer, stack_layers
from .tar_reader import TarReader

__all__ = ["DockerBase", "DockerLayer", "survey_docker_archive"]

_MAX_TEXT = 16 << 20
_GZIP = b"\x1f\x8b"
_OTHERS = {b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
_MAGIC = slice(257, 262)


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerLayer:
    """A layer as the archive has it.

    Attributes:
        member: Its name in the archive.
        digest: SHA-256 of its bytes there.
        size: Of them.
        diff_id: SHA-256 of the tar archive, not compressed.
        is_compressed: By gzip.
        content_size: Of the tar archive, not compressed [bytes].
    """

    member: str
    digest: str
    size: int
    diff_id: str
    is_compressed: bool
    content_size: int


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class DockerBase:
    """What is known of a base.

    Attributes:
        path: The archive.
        sha256: Of the archive.
        size: Of the archive [bytes].
        names: Repository tags of the image.
        config: Its configuration.
        layers: The lowest first; one may be there several times.
        stack: The root file system that they show.
    """

    path: Path
    sha256: str
    size: int
    names: tuple[str, ...]
    config: Mapping[str, Any]
    layers: tuple[DockerLayer, ...]
    stack: LayerStack

    @property
    def tree(self) -> BaseTree:
        """What is at which path."""
        return self.stack.tree

    @property
    def content_size(self) -> int:
        """Of all layers, not compressed [bytes]."""
        return sum(layer.content_size for layer in self.layers)


def survey_docker_archive(path: Path, *, progress: ProgressCallback = no_progress) -> DockerBase:
    """Return what is in an archive of one image, which is read to its end.

    Args:
        path: Of `docker save`, or of an OCI layout; .tar or .tar.gz.
        progress: Told of the megabytes read.

    Raises:
        ImageError: It is damaged or cut short, holds no image or several, one for another machine
            than linux/amd64, or a layer that is not what its configuration says.
    """
    with ArchiveFile(path, stage="survey", progress=progress) as archive:
        contents = _Contents(path)
        reader = TarReader(archive, name=str(path))
        for entry in reader:
            if entry.is_file:
                contents.take(entry.path, entry.size, reader)
            elif entry.is_symbolic_link:
                # An older engine writes a layer that it has written before as a link to it.
                target = posixpath.join(posixpath.dirname(entry.path), entry.link)
                contents.links[entry.path] = posixpath.normpath(target)
            elif entry.is_hard_link:
                contents.links[entry.path] = entry.link
        sha256, size = archive.sha256, archive.size
    image = find_image(contents.texts, path)
    config = _config(contents, image, path)
    layers = [contents.layer(name) for name in image.layers]
    _check_layers([layer for layer, _ in layers], config, path)
    stack = stack_layers([content for _, content in layers], name=str(path))
    stack.facts.refuse_other_machines(path)
    return DockerBase(
        path=path,
        sha256=sha256,
        size=size,
        names=image.tags,
        config=config,
        layers=tuple(layer for layer, _ in layers),
        stack=stack,
    )


class _Contents:
    """The files of an archive: texts as they are, layers as what they hold."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.texts: dict[str, bytes] = {}
        self.links: dict[str, str] = {}
        self._layers: dict[str, tuple[DockerLayer, Layer]] = {}
        self._unreadable: dict[str, str] = {}

    def take(self, name: str, size: int, reader: TarReader) -> None:
        """Read a file of the archive."""
        source = _Source(reader.data())
        start = source.peek(512)
        for magic, compression in _OTHERS.items():
            if start.startswith(magic):
                self._unreadable[name] = compression
                return
        is_tar = len(start) == 512 and (start[_MAGIC] == b"ustar" or not any(start))
        if start.startswith(_GZIP) or is_tar:
            self._layers[name] = self._read_layer(name, size, source)
        elif start.lstrip()[:1] in {b"{", b"["} and size <= _MAX_TEXT:
            self.texts[name] = b"".join(source)

    def layer(self, name: str) -> tuple[DockerLayer, Layer]:
        """Return a layer by the name that the manifest gives it.

        Raises:
            ImageError: It is not there, or compressed in a way that is not read.
        """
        seen = set()
        while name in self.links and name not in seen:
            seen.add(name)
            name = self.links[name]
        if name in self._unreadable:
            raise ImageError(
                f"{self._path}: layer {name} is {self._unreadable[name]}-compressed; let docker "
                "load it and save it again (or skopeo copy to docker-archive:)"
            )
        if name not in self._layers:
            raise ImageError(
                f"{self._path}: layer {name} is missing or no tar archive; save the image again"
            )
        return self._layers[name]

    def _read_layer(self, name: str, size: int, source: "_Source") -> tuple[DockerLayer, Layer]:
        compressed = source.peek(2) == _GZIP
        plain = _Source(_inflated(source)) if compressed else source
        where = f"{self._path}: {name}"
        try:
            content = read_layer(TarReader(plain, name=where))
            for _ in source:  # what may follow the compressed data
                pass
        except (EOFError, zlib.error, gzip.BadGzipFile) as exc:
            raise ImageError(f"{where}: damaged or cut short ({exc}); save it again") from exc
        found = DockerLayer(
            member=name,
            digest=source.digest.hexdigest(),
            size=size,
            diff_id=plain.digest.hexdigest(),
            is_compressed=compressed,
            content_size=plain.num_bytes,
        )
        return found, content


class _Source:
    """Bytes that come in pieces, hashed as they come."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece, self._at = b"", 0
        self.digest = hashlib.sha256()
        self.num_bytes = 0

    def peek(self, size: int) -> bytes:
        """Return the next bytes, without taking them."""
        while len(self._piece) - self._at < size and (piece := self._next()):
            self._piece, self._at = self._piece[self._at :] + piece, 0
        return self._piece[self._at : self._at + size]

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes, and none only at the end."""
        if self._at == len(self._piece):
            self._piece, self._at = self._next(), 0
        start, self._at = self._at, len(self._piece)
        if 0 <= size < self._at - start:
            self._at = start + size
        return self._piece[start : self._at]

    def __iter__(self) -> Iterator[bytes]:
        """Yield what is left."""
        while piece := self.read():
            yield piece

    def _next(self) -> bytes:
        piece = next(self._pieces, b"")
        self.digest.update(piece)
        self.num_bytes += len(piece)
        return piece


def _inflated(source: _Source) -> Iterator[bytes]:
    stream = gzip.GzipFile(fileobj=cast("BinaryIO", source), mode="rb")
    while piece := stream.read(1 << 20):
        yield piece


def _config(contents: _Contents, image: ImageNames, path: Path) -> dict[str, Any]:
    text = contents.texts.get(image.config)
    if text is None:
        raise ImageError(f"{path}: its configuration {image.config} is missing; save it again")
    digest = posixpath.basename(image.config).removesuffix(".json")
    if len(digest) == 64 and hashlib.sha256(text).hexdigest() != digest:
        raise ImageError(f"{path}: {image.config} does not have that sha256; save it again")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ImageError(f"{path}: {image.config} is no JSON ({exc}); save it again") from exc
    if not _is_configuration(config):
        raise ImageError(f"{path}: {image.config} is no configuration of an image")
    machine = f"{config.get('os')}/{config.get('architecture')}"
    if machine != "linux/amd64":
        raise ImageError(
            f"{path}: is for {machine}, and Colosseum's nodes are linux/amd64; take the base for "
            "it (docker pull --platform linux/amd64)"
        )
    return config


def _is_configuration(config: Any) -> TypeGuard[dict[str, Any]]:
    """Return whether what is read of a configuration has the types that it must have."""
    if not isinstance(config, dict) or not isinstance(config.get("history") or [], list):
        return False
    run = config.get("config") or {}
    return (
        isinstance(run, dict)
        and isinstance(run.get("Env") or [], list)
        and isinstance(run.get("ExposedPorts") or {}, dict)
    )


def _check_layers(layers: list[DockerLayer], config: Mapping[str, Any], path: Path) -> None:
    rootfs = config.get("rootfs")
    stated = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(stated, list) or len(stated) != len(layers) or not layers:
        raise ImageError(
            f"{path}: the configuration and the manifest differ in the number of layers; save the "
            "image again"
        )
    for layer, diff_id in zip(layers, stated, strict=True):
        if diff_id != f"sha256:{layer.diff_id}":
            raise ImageError(
                f"{path}: layer {layer.member} is not the one of its configuration (sha256 "
                f"{layer.diff_id[:12]}..., stated {str(diff_id)[7:19]}...); save the image again"
            )
        name = posixpath.basename(layer.member)
        if layer.member.startswith("blobs/sha256/") and name != layer.digest:
            raise ImageError(f"{path}: {layer.member} does not have that sha256; save it again")
