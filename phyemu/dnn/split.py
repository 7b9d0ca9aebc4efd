"""A network cut in two at a named submodule.

Only the modules above the cut are traced (torch.fx); the submodule itself and its neighbours stay
whole, so a network with untraceable blocks can still be cut between them.
"""

import difflib
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx, nn

from phyemu.errors import ConfigError

__all__ = ["cut", "keep_input", "split_model"]


class _AncestorTracer(fx.Tracer):
    """Looks inside the ancestors of the cut and nowhere else."""

    def __init__(self, split: str) -> None:
        super().__init__()
        self._split = split

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether the module stays whole."""
        return not self._split.startswith(f"{module_qualified_name}.")


def split_model(model: nn.Module, split: str) -> tuple[fx.GraphModule, fx.GraphModule]:
    """Return the head (up to and with submodule `split`) and the tail (the rest).

    tail(head(x)) equals model(x). Parameters are shared with `model`, not copied, and keep their
    names: the state dicts of both parts together are that of the model. Either part can be cut
    again, for more than two devices.

    Args:
        model: Any module with one tensor in and one tensor out; optional arguments keep their
            defaults.
        split: Name of a submodule as in `model.named_modules()`, e.g. `layer1` or `layer2.0`.

    Raises:
        ConfigError: There is no such submodule; what surrounds it cannot be traced; it is not
            called exactly once; or another tensor passes by it, such as a skip connection.
    """
    names = [name for name, _ in model.named_modules() if name]
    if split not in names:
        near = difflib.get_close_matches(split, names, n=3) or [
            n for n, _ in model.named_children()
        ]
        raise ConfigError(
            f"split point {split!r}: no such submodule; near names: {', '.join(near)}"
        )
    graph = _trace(model, split)
    calls = [node for node in graph.nodes if node.op == "call_module" and node.target == split]
    if len(calls) != 1:
        raise ConfigError(f"split point {split!r} is called {len(calls)} times; it must be once")
    output = next(node for node in graph.nodes if node.op == "output")
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    used = [node for node in inputs if output in _descendants(node)]
    if len(used) != 1:
        raise ConfigError(f"split point {split!r}: the model takes {len(used)} inputs, must be 1")
    cut = calls[0]
    behind = _descendants(cut)
    if output not in behind:
        raise ConfigError(f"split point {split!r} has no influence on the model's output")
    from_input = _descendants(used[0])
    for node in behind:
        for source in node.all_input_nodes:
            passes_by = source is used[0] or source in from_input
            if source is not cut and source not in behind and passes_by:
                raise ConfigError(
                    f"split point {split!r}: the cut carries more than one tensor, {source.name} "
                    f"passes by it to {node.name}; choose a split point outside of that branch"
                )
    head = _head_graph(graph, used[0], cut)
    tail = _tail_graph(graph, cut, behind)
    return fx.GraphModule(model, head, "Head"), fx.GraphModule(model, tail, "Tail")


def cut(model: nn.Module, splits: Sequence[str]) -> list[nn.Module]:
    """Return the parts of a network cut at several points: head, relays, tail.

    Args:
        model: Its weights are shared.
        splits: From input to output, one at least.

    Raises:
        ConfigError: It cannot be cut there, or the points are in another order.
    """
    if not splits:
        raise ConfigError("name one split point at least")
    for split in splits:
        if splits.count(split) > 1:
            raise ConfigError(f"split point {split!r} is named {splits.count(split)} times")
    named = {name for name, _ in model.named_modules()}
    parts: list[nn.Module] = []
    rest: nn.Module = model
    for index, split in enumerate(splits):
        try:
            part, rest = split_model(rest, split)
        except ConfigError as exc:
            if index == 0:
                raise
            if split in named and split not in {name for name, _ in rest.named_modules()}:
                raise ConfigError(
                    f"split point {split!r} does not lie behind {splits[index - 1]!r}; name split "
                    "points from the device to the server"
                ) from None
            raise ConfigError(
                f"behind split point {splits[index - 1]!r}: {exc}; name split points from the "
                "device to the server"
            ) from exc
        parts.append(part)
    return [*parts, rest]


def keep_input(tail: fx.GraphModule) -> None:
    """Let a tail work on a copy of its input, in place: it writes to what it is given.

    As does `ReLU(inplace=True)` behind the cut. On the binding path the input is the head's output,
    which the losses still need.
    """
    entry = next(node for node in tail.graph.nodes if node.op == "placeholder")
    with tail.graph.inserting_after(entry):
        copied = tail.graph.call_method("clone", (entry,))
    entry.replace_all_uses_with(copied, delete_user_cb=lambda user: user is not copied)
    tail.recompile()


def _trace(model: nn.Module, split: str) -> fx.Graph:
    try:
        graph = _AncestorTracer(split).trace(model, concrete_args=_defaults(model))
    except (fx.proxy.TraceError, TypeError, AttributeError, RuntimeError, ValueError) as exc:
        reason = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
        raise ConfigError(
            f"split point {split!r}: {type(model).__name__}.forward cannot be traced ({reason}); "
            "keep control flow on tensors inside submodules"
        ) from exc
    for node in graph.nodes:
        # F.dropout(x, training=self.training) would be frozen in the mode it is traced in.
        if node.op == "call_function" and "training" in node.kwargs:
            raise ConfigError(
                f"split point {split!r}: {node.name} depends on the training mode, which tracing "
                "would freeze; use its nn.Module form"
            )
    return graph


def _defaults(model: nn.Module) -> dict[str, Any]:
    """Return the optional arguments of the model, as of an attention mask: the defaults hold."""
    parameters = list(inspect.signature(model.forward).parameters.values())[1:]
    plain = (bool, int, float, str, type(None))
    return {p.name: p.default for p in parameters if isinstance(p.default, plain)}


def _descendants(start: fx.Node) -> dict[fx.Node, None]:
    """Return all nodes that depend on `start`, without it, as an ordered set."""
    found: dict[fx.Node, None] = {}
    for node in start.graph.nodes:  # in topological order
        if any(source is start or source in found for source in node.all_input_nodes):
            found[node] = None
    return found


def _ancestors(start: fx.Node) -> set[fx.Node]:
    found: set[fx.Node] = set()
    waiting = [start]
    while waiting:
        for source in waiting.pop().all_input_nodes:
            if source not in found:
                found.add(source)
                waiting.append(source)
    return found


def _head_graph(graph: fx.Graph, entry: fx.Node, cut: fx.Node) -> fx.Graph:
    wanted = _ancestors(cut) | {cut, entry}
    return _copy(graph, wanted, {}, returned=cut)


def _tail_graph(graph: fx.Graph, cut: fx.Node, behind: dict[fx.Node, None]) -> fx.Graph:
    output = next(node for node in graph.nodes if node.op == "output")
    # What feeds only the head stays out; a parameter that both parts read is in both.
    constants: set[fx.Node] = set()
    for source in {source for node in behind for source in node.all_input_nodes}:
        if source is not cut and source not in behind:
            constants |= {source} | _ancestors(source)
    wanted = (_ancestors(output) - _ancestors(cut) - {cut}) | constants
    return _copy(graph, wanted, {cut: "features"}, returned=output.args[0])


def _copy(
    graph: fx.Graph, wanted: set[fx.Node], entries: dict[fx.Node, str], *, returned: Any
) -> fx.Graph:
    """Return a graph with the wanted nodes, whose inputs stand for the `entries`."""
    part = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node, name in entries.items():
        copies[node] = part.placeholder(name)
    for node in graph.nodes:
        if node in wanted and node not in copies:
            copies[node] = part.node_copy(node, lambda source: copies[source])
    if isinstance(returned, fx.Node):
        part.output(copies[returned])
    else:
        part.output(torch.fx.node.map_arg(returned, lambda source: copies[source]))
    part.lint()
    return part
