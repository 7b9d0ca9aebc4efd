"""Paths of a ray tracer: an .npz of gains `a` and delays `tau`, laid out as Sionna's `Paths.cir()`.

| array | shape | meaning |
| --- | --- | --- |
| `a` | (rx, [rx_antenna,] tx, [tx_antenna,] path, time) | complex gains at baseband |
| `tau` | (rx, [rx_antenna,] tx, [tx_antenna,] path [, time]) | delays [s]; negative: no such path |
| `interval_s` | () | time between two steps [s]; needed where there is more than one |

Sionna's `tau` has no antennas where its arrays are synthetic (its default), and no time.
Of arrays of antennas the first one is taken. Transmitters and receivers are the same nodes in the
same order (a scene in which each node has both), or, with different numbers, receivers come after
the transmitters: node 1..T transmit, T+1..T+R receive.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.colosseum.link_paths import LinkPaths
from phyemu.colosseum.npz import read_npz
from phyemu.errors import ScenarioError

__all__ = ["read_ray_tracing"]

_STATIC_INTERVAL_S = 1e-3


def read_ray_tracing(path: Path) -> tuple[dict[tuple[int, int], LinkPaths], int]:
    """Return the paths of each (transmitter, receiver), and the number of nodes.

    Raises:
        ScenarioError: The file is missing or damaged; the message names the array.
    """
    arrays = read_npz(path, ("a", "tau", "interval_s"))
    for name in ("a", "tau"):
        if name not in arrays:
            raise ScenarioError(f"{path}: lacks the array {name!r}; see docs/colosseum.md")
    gains = _one_antenna(path, "a", arrays["a"], with_time=True)
    if not np.iscomplexobj(gains) or not np.isfinite(gains).all():
        raise ScenarioError(f"{path}: a must be complex and finite, got {gains.dtype}")
    num_rx, num_tx, num_paths, num_steps = gains.shape
    delays = _one_antenna(path, "tau", arrays["tau"], with_time=False)
    if delays.shape not in ((*gains.shape[:3], 1), gains.shape) or np.iscomplexobj(delays):
        raise ScenarioError(
            f"{path}: tau {arrays['tau'].shape} does not fit a {arrays['a'].shape}; see "
            "docs/colosseum.md"
        )
    if not np.isfinite(delays).all():
        raise ScenarioError(f"{path}: tau must be finite")
    interval_s = _interval(path, arrays, num_steps)
    same = num_rx == num_tx
    links = {}
    for rx, tx in np.ndindex(num_rx, num_tx):
        if same and rx == tx:
            continue
        delay = delays[rx, tx].T.astype(np.float64)
        gain = np.where(delay >= 0, gains[rx, tx].T, 0).astype(np.complex128)
        pair = (tx + 1, rx + 1 if same else num_tx + rx + 1)
        if num_paths and (gain != 0).any():
            links[pair] = LinkPaths(gain, np.maximum(delay, 0.0), interval_s)
    if not links:
        raise ScenarioError(f"{path}: no transmitter reaches a receiver")
    return links, num_tx if same else num_tx + num_rx


def _one_antenna(path: Path, name: str, array: NDArray[Any], *, with_time: bool) -> NDArray[Any]:
    """Return the array as (rx, tx, path, time), of the first antenna at both ends."""
    if array.ndim in ((6,) if with_time else (5, 6)) and 0 not in array.shape[1:4]:
        array = array[:, 0, :, 0]
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[0] == 0 or array.shape[1] == 0:
        raise ScenarioError(
            f"{path}: {name} must be (rx, tx, path, time), or with antennas (rx, rx_antenna, tx, "
            f"tx_antenna, path, time); got {(*array.shape,)}"
        )
    return array


def _interval(path: Path, arrays: dict[str, NDArray[Any]], num_steps: int) -> float:
    if "interval_s" not in arrays:
        if num_steps > 1:
            raise ScenarioError(f"{path}: {num_steps} steps need interval_s, the time between them")
        return _STATIC_INTERVAL_S
    value = arrays["interval_s"]
    if value.size != 1 or not np.isfinite(value).all() or not float(value.reshape(())) > 0:
        raise ScenarioError(f"{path}: interval_s must be one positive number, got {value}")
    return float(value.reshape(()))
