"""Writing an archive that `docker load` takes: the layers of a base as they are, and one more.

The archive has the OCI layout with a `manifest.json` beside it, as engines from 25 on write it and
older ones read it. The layer that is added is made twice, once to know its length and its SHA-256.
"""

import hashlib
import posixpath
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

from phyemu.errors import ImageError
from phyemu.progress import ProgressCallback, no_progress

from .addition import AddedFile, Addition, TextContent
from .archive_file import ArchiveFile
from .docker_archive import DockerBase
from .docker_config import Blob, image_config, index_documents
from .gzip_stream import GzipStream
from .hashed_output import HashedOutput, Output
from .image_plan import OWNED, plan_image
from .layer_stack import OPAQUE, WHITEOUT
from .lxd_image import Rewriter
from .tar_reader import TarReader
from .tar_writer import TarWriter

__all__ = ["WrittenDockerImage", "write_docker_image"]

_LEVEL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenDockerImage:
    """What was written.

    Attributes:
        size: Of the image [bytes].
        sha256: Of the image.
        image_id: SHA-256 of its configuration, by which an engine knows it.
        layers: Digests, the lowest first; the last one is ours.
        added: What the layer adds to the root file system, in order.
        rewritten: Files of the base that it changes.
        removed: Files of the base that it hides.
    """

    size: int
    sha256: str
    image_id: str
    layers: tuple[str, ...]
    added: tuple[AddedFile, ...]
    rewritten: tuple[str, ...]
    removed: tuple[str, ...]


def write_docker_image(
    base: DockerBase,
    additions: Sequence[Addition],
    output: BinaryIO,
    *,
    access: Rewriter,
    removed: Sequence[str],
    repository: str,
    created_by: str,
    time_s: int,
    progress: ProgressCallback = no_progress,
) -> WrittenDockerImage:
    """Write an archive; the base is read once more, and never unpacked.

    Args:
        base: As it was surveyed.
        additions: What the root file system gets.
        output: Where the gzip-compressed archive goes.
        access: Rewrites what decides who may log in.
        removed: Paths in the base that the image does not have.
        repository: Name of the image in an engine.
        created_by: What the history says of the layer.
        time_s: Of what is added [s since 1970].
        progress: Told of the megabytes of the base.

    Raises:
        ImageError: The base changed since it was surveyed, something in it is in the way, or a
            file cannot be read.
    """
    layer = _AddedLayer(base, additions, access=access, removed=removed, time_s=time_s)
    measured = HashedOutput()
    added = layer.write(measured)
    digest = measured.digest.hexdigest()
    ours = Blob.of_layer(digest, measured.size, is_compressed=False)
    blobs = [
        *(
            Blob.of_layer(item.digest, item.size, is_compressed=item.is_compressed)
            for item in base.layers
        ),
        ours,
    ]
    config = image_config(base.config, diff_id=digest, created_by=created_by, time_s=time_s)
    hashed = HashedOutput(output)
    with GzipStream(cast("BinaryIO", hashed), level=_LEVEL) as compressed:
        tar = TarWriter(compressed, mtime_s=time_s)
        documents = index_documents(config, blobs, repository=repository)
        for name, text in sorted(documents.items()):
            tar.add(Addition(path=name, content=TextContent(text)), path=name)
        _copy_layers(tar, base, time_s, progress)
        again = HashedOutput()

        def fill(sink: Output) -> None:
            nonlocal again
            again = HashedOutput(sink)
            layer.write(again)

        tar.fill(_header(ours, time_s), fill)
        if again.digest.hexdigest() != digest:
            raise ImageError("a file that is added changed while it was read; do it again")
        tar.close()
    return WrittenDockerImage(
        size=hashed.size,
        sha256=hashed.digest.hexdigest(),
        image_id=hashlib.sha256(config).hexdigest(),
        layers=tuple(blob.digest for blob in blobs),
        added=tuple(added),
        rewritten=tuple(sorted(layer.rewritten)),
        removed=tuple(layer.removed),
    )


def _header(blob: Blob, time_s: int) -> bytes:
    info = tarfile.TarInfo(blob.member)
    info.size, info.mtime, info.mode = blob.size, time_s, 0o644
    info.uname = info.gname = "root"
    return info.tobuf(tarfile.PAX_FORMAT)


def _copy_layers(tar: TarWriter, base: DockerBase, time_s: int, progress: ProgressCallback) -> None:
    """Write the base's layers, each once, in the order of its archive."""
    wanted = {layer.member: layer for layer in base.layers}
    done: set[str] = set()
    with ArchiveFile(base.path, stage="base", progress=progress) as archive:
        reader = TarReader(archive, name=str(base.path))
        for entry in reader:
            layer = wanted.get(entry.path)
            if layer is None or not entry.is_file or layer.digest in done:
                continue
            done.add(layer.digest)
            blob = Blob.of_layer(layer.digest, layer.size, is_compressed=layer.is_compressed)
            tar.copy(_header(blob, time_s), reader.data())
        if archive.sha256 != base.sha256:
            raise ImageError(f"{base.path}: changed while it was read; do it again")


class _AddedLayer:
    """The layer that makes a base a node; it can be written again and again."""

    def __init__(
        self,
        base: DockerBase,
        additions: Sequence[Addition],
        *,
        access: Rewriter,
        removed: Sequence[str],
        time_s: int,
    ) -> None:
        self._time_s = time_s
        self._writers: dict[str, Callable[[TarWriter], AddedFile | None]] = {}
        self.rewritten: set[str] = set()
        self.removed = sorted(path for path in removed if path in base.tree)
        made = list(self._rewrite(base, access))
        had_owned = base.tree.landing(OWNED) in base.tree
        plan = plan_image(base, [*additions, *made], rewritten=())
        for path, addition in plan.additions.items():
            self._writers[path] = _adds(addition, path)
        for path in self.removed:
            folder, name = posixpath.split(path)
            self._mark(posixpath.join(folder, f"{WHITEOUT}{name}"))
        if had_owned:
            self._mark(posixpath.join(plan.owned, OPAQUE))
        # A folder that the layer does not name would get other permissions than the base's.
        for path in list(self._writers):
            for folder in _above(path):
                if folder in self._writers:
                    continue
                known = base.stack.folders.get(folder)
                self._writers[folder] = (
                    _adds(Addition(path=folder, mode=0o755), folder)
                    if known is None
                    else _copies(known.named(folder).blocks)
                )

    def _mark(self, path: str) -> None:
        """Hide what the name of an empty file says."""
        self._writers[path] = _adds(Addition(path=path, content=TextContent(b""), mode=0o600), path)

    def _rewrite(self, base: DockerBase, access: Rewriter) -> Iterator[Addition]:
        for path in access.REWRITTEN:
            kept = base.stack.file(path)
            found = access.rewrite(path, None if kept is None else kept.content)
            if found is None:
                continue
            if kept is None:
                content = TextContent(found.content)
                yield Addition(path=path, content=content, mode=0o600, part="access")
                continue
            landing = base.tree.followed(path)
            entry = kept.entry.resized(len(found.content)).named(landing)
            self._writers[landing] = _copies(entry.blocks, found.content)
            self.rewritten.add(landing)

    def write(self, sink: Output) -> list[AddedFile]:
        """Write the layer's archive; return what it adds."""
        tar = TarWriter(sink, mtime_s=self._time_s)
        # Sorted by parts, so that a folder comes before what is in it.
        order = sorted(self._writers, key=lambda path: path.split("/"))
        added = [self._writers[path](tar) for path in order]
        tar.close()
        return [file for file in added if file is not None]


def _above(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _adds(addition: Addition, path: str) -> Callable[[TarWriter], AddedFile | None]:
    return lambda tar: tar.add(addition, path=path)


def _copies(header: bytes, content: bytes = b"") -> Callable[[TarWriter], AddedFile | None]:
    def write(tar: TarWriter) -> None:
        tar.copy(header, [content])

    return write
