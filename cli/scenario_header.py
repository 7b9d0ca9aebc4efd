"""What every command says of a scenario."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phyemu.colosseum import Scenario

__all__ = ["scenario_header"]


def scenario_header(item: "Scenario") -> dict[str, Any]:
    """Return the facts of a scenario but its links, with JSON types only."""
    return {
        "name": item.name,
        "description": item.description,
        "nodes": item.num_nodes,
        "links": len(item.links),
        "center_frequency_hz": item.center_frequency_hz,
        "bandwidth_hz": item.bandwidth_hz,
        "duration_s": item.duration_s,
        "constant_gain_db": item.constant_gain_db,
        "derivation": item.derivation,
    }
