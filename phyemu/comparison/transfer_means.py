"""Which figures of a cost are means of transfers, and of which of them alone."""

from collections.abc import Iterable

from .cell import Cell
from .labels import backbone_label

__all__ = ["MARK", "SUMS", "failure_note", "is_partial"]

MARK = "†"
"""Of a figure that leaves failed transfers out."""

SUMS = {
    "latency_s": ("head_s", "communication_s", "tail_s"),
    "energy_j": ("head_j", "transmit_j"),
    "sent_bytes": ("payload_bytes", "overhead_bytes"),
}
"""Figures that are sums of others."""

_OF_TRANSFERS = ("communication_s", "transmit_j", "overhead_bytes")


def is_partial(cell: Cell, figure: str) -> bool:
    """Return whether a figure is a mean of transfers of which some failed and are not in it."""
    parts = SUMS.get(figure, (figure,))
    return cell.figures.get("failed_share", 0.0) > 0 and bool(set(parts) & set(_OF_TRANSFERS))


def failure_note(cells: Iterable[Cell]) -> str:
    """Return how many transfers failed behind the marked figures of these cells; empty: none."""
    groups: dict[str, list[str]] = {}
    for cell in cells:
        share = cell.figures.get("failed_share", 0.0)
        if 0 < share < 1:  # where all failed there is no mean
            key = cell.key
            label = f"{key.system}, {key.protocol.upper()}, {backbone_label(key.backbone)}"
            groups.setdefault(_failed(cell, share), []).append(f"{label}, {key.environment}")
    if not groups:
        return ""
    lines = (f"* {failed}: {'; '.join(groups[failed])}" for failed in sorted(groups))
    return "\n".join([f"{MARK} mean of the complete transfers alone:", "", *lines])


def _failed(cell: Cell, share: float) -> str:
    transfers = cell.provenance.get("transfers")
    if transfers is None:  # earlier versions did not tell it
        return f"{100 * share:.3g} % of the transfers failed"
    return f"of {transfers} transfers {round(share * transfers)} failed"
