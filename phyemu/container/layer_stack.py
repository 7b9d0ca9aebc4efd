"""Layers of a Docker image, read one by one, and the root file system that they show together.

A later layer hides what it replaces, and what its whiteouts name: `.wh.NAME` removes NAME of the
layers below, `.wh..wh..opq` all that they have in its folder (OCI image specification, "Image Layer
Filesystem Changeset").
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from phyemu.errors import ImageError

from .base_tree import BaseTree
from .root_facts import RootFacts
from .tar_entry import TarEntry
from .tar_reader import TarReader

__all__ = ["OPAQUE", "WHITEOUT", "Layer", "LayerStack", "read_layer", "stack_layers"]

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"

_MAX_KEPT = 32 << 20
# Files whose content decides who gets in, by their last name: links may lead to them.
_KEPT = frozenset({"passwd", "passwd-", "shadow", "shadow-", "sshd", "sshd_config"})


@dataclass(frozen=True, slots=True)
class Node:
    """What of an entry is remembered where its headers are not needed any more."""

    is_folder: bool
    is_symbolic_link: bool
    is_hard_link: bool
    link: str


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file with its content.

    Attributes:
        entry: Its headers.
        content: Its bytes.
    """

    entry: TarEntry
    content: bytes


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Layer:
    """What a layer has, and what it hides.

    Attributes:
        nodes: By path.
        folders: Headers of its folders, by path.
        kept: Files with their content, by path.
        removed: Paths that are hidden with all below.
        emptied: Folders below which all is hidden.
        facts: About the machine that it is for.
    """

    nodes: dict[str, Node] = field(default_factory=dict)
    folders: dict[str, TarEntry] = field(default_factory=dict)
    kept: dict[str, KeptFile] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    emptied: set[str] = field(default_factory=set)
    facts: RootFacts = field(default_factory=RootFacts)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class LayerStack:
    """The root file system that layers show.

    Attributes:
        tree: What is at which path.
        folders: Headers of its folders, by path.
        kept: Files with their content, by path.
        facts: About the machine that it is for.
    """

    tree: BaseTree
    folders: Mapping[str, TarEntry]
    kept: Mapping[str, KeptFile]
    facts: RootFacts

    def file(self, path: str) -> KeptFile | None:
        """Return the file that `path` leads to when links are followed; None: there is none.

        Raises:
            ImageError: It is there, but not as a file with its own content.
        """
        landing = self.tree.followed(path)
        if landing not in self.tree:
            return None
        if landing not in self.kept:
            raise ImageError(f"/{path} of the base is no file with content of its own")
        return self.kept[landing]


def read_layer(reader: TarReader) -> Layer:
    """Return what is in a layer, which is read to its end.

    Raises:
        ImageError: It is damaged.
    """
    layer = Layer()
    for entry in reader:
        folder, name = posixpath.split(entry.path)
        if entry.is_global or not entry.path:
            continue
        if name == OPAQUE:
            layer.emptied.add(folder)
        elif name.startswith(WHITEOUT):
            layer.removed.add(posixpath.join(folder, name.removeprefix(WHITEOUT)))
        else:
            _take(layer, entry, reader)
    return layer


def _take(layer: Layer, entry: TarEntry, reader: TarReader) -> None:
    path = entry.path
    layer.nodes[path] = Node(
        entry.is_folder, entry.is_symbolic_link, entry.is_hard_link, entry.link
    )
    layer.folders.pop(path, None)
    layer.kept.pop(path, None)
    if entry.is_folder:
        layer.folders[path] = entry
    elif entry.is_file and posixpath.basename(path) in _KEPT and not entry.is_sparse:
        if entry.size <= _MAX_KEPT:
            layer.kept[path] = KeptFile(entry, reader.read_data(limit=_MAX_KEPT))
    elif entry.is_hard_link and entry.link in layer.kept:
        layer.kept[path] = layer.kept[entry.link]
    else:
        layer.facts.note(entry, path, reader)


def stack_layers(layers: Iterable[Layer], *, name: str) -> LayerStack:
    """Return what layers, the lowest first, show together."""
    nodes: dict[str, Node] = {}
    folders: dict[str, TarEntry] = {}
    kept: dict[str, KeptFile] = {}
    facts = RootFacts()
    for layer in layers:
        for gone in list(_hidden(nodes, layer)):
            del nodes[gone]
            folders.pop(gone, None)
            kept.pop(gone, None)
        for path in layer.nodes:
            folders.pop(path, None)
            kept.pop(path, None)
        nodes.update(layer.nodes)
        folders.update(layer.folders)
        kept.update(layer.kept)
        facts.update(layer.facts)
    tree = BaseTree(name)
    for path, node in nodes.items():
        tree.note(node, path, node.link)
        # Folders that no layer names are there all the same.
        above = posixpath.dirname(path)
        while above and above not in nodes and above not in tree:
            tree.add_folder(above)
            above = posixpath.dirname(above)
    return LayerStack(tree=tree, folders=folders, kept=kept, facts=facts)


def _hidden(nodes: Mapping[str, Node], layer: Layer) -> Iterator[str]:
    """Yield the paths of the layers below that a layer hides."""
    # What is no folder hides all that was below it.
    replaced = {
        path
        for path, node in layer.nodes.items()
        if not node.is_folder and path in nodes and nodes[path].is_folder
    }
    whole = layer.removed | replaced
    if not whole and not layer.emptied:
        return
    for path in nodes:
        if path in whole:
            yield path
            continue
        above = posixpath.dirname(path)
        while True:
            if above in whole or above in layer.emptied:
                yield path
                break
            if not above:
                break
            above = posixpath.dirname(above)
