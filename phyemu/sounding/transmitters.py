"""Telling transmitters apart: by their addresses, else by offset, power and response.

An address that a check sequence has verified decides alone. Frames without one (ACK, CTS, what
could not be decoded, and all other probes) are told apart by what their radio and its link do to
them: each oscillator has its own offset, each link its own power and response.

How alike two responses are is their squared coherence after the best delay and phase,

    rho^2 = max_tau |<H_a, H_b e^(j 2 pi f tau)>|^2 / (<H_a, H_a> <H_b, H_b>),

with <x, y> = sum_f w conj(x) y and frequencies weighted by how well they are measured; 1 - rho^2
is the share of one's power that the other does not explain. Of the same response in noise it is
about v_a / P_a + v_b / P_b (error variance over mean power).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from phyemu.sounding.alignment import relative_delays
from phyemu.sounding.probe_frames import ProbeFrames
from phyemu.wifi import WifiTable, address_text

__all__ = ["name_transmitters", "separate_transmitters"]

Index = NDArray[np.int64]

_CFO_SPREAD_HZ = (
    4e3  # what temperature and start-up move the offset of one radio from frame to frame
)
_POWER_SPREAD_DB = 20.0  # what fading moves the power of one link
_STANDARD_ERRORS = 6.0
_CELL = 1.0 / 16.0  # of these units: frames this close count as one point
_NEIGHBOURS = 16  # frames, nearest in time, that a frame is compared with
_PROBES = 128  # frames of a link that show how steady it is
_MIN_FRAMES_FOR_SPREAD = 5
_SPREAD_FACTOR = 4.0  # over the change that nine in ten frames of a link stay below
_NOISE_FACTOR = 3.0  # over the mean share that noise leaves: a chi-square of 100 reaches 1.6
_HARDWARE_SHARE = 1e-3  # left by radios themselves: 30 dB
_SEPARATION = 4.0  # times what counts as equal: what counts as another response
_STEADY_PART = 0.9
_MIN_RETURNS = 3
_AGREEMENT = 2.0 / 3.0  # of the exchanges that imply a name
_MIN_VOTES = 2
_CHUNK = 1 << 19  # response values compared at a time


def separate_transmitters(frames: ProbeFrames, *, min_frames: int = 1) -> list[Index]:
    """Return the frame indices of each transmitter, the strongest first.

    1. Frames with one verified transmitter address are one link, whatever their offset and power;
       frames with two are never one.
    2. A frame without address joins the link whose response it fits best, among those to which its
       offset and power are near (below); it fits where the share of its power left unexplained is
       within 4 times of what the link's own frames leave of one another, or within what noise does.
       A link of fewer than five frames has not shown how it varies, and takes what is near.
    3. What is left over is clustered by single linkage over (CFO, power), where frames of one
       transmitter are chained by steps below 4 kHz (or six standard errors of the CFO) and 20 dB:
       a slow drift or a fade joins up, two oscillators or a far and a near radio do not.
    4. Such a cluster is split by response only where it consists of a few responses, each constant
       within the noise, that return again and again: two steady links that take turns. A fading or
       moving link is none of that, nor is one that changes once. Nor is it split where the
       exchanges of two parts name one sender: radios with several antennas send kinds of frame
       through different mixtures of them.

    Args:
        frames: All frames of a recording.
        min_frames: Links with fewer frames are left out, unless all are that small.
    """
    unit_hz = max(_CFO_SPREAD_HZ, _STANDARD_ERRORS * float(np.median(frames.cfo_std_hz)))
    power_db = 10.0 * np.log10(frames.received_power)
    points = np.column_stack([frames.cfo_hz / unit_hz, power_db / _POWER_SPREAD_DB])
    links, loose = _by_address(frames)
    if links and len(loose):
        links, loose = _joined(frames, points, links, loose)
    for cluster in _clusters(points, loose):
        parts = _steady_parts(frames, cluster)
        links += [cluster] if _of_one_sender(frames.wifi, parts) else parts
    links.sort(key=lambda index: -float(np.median(power_db[index])))
    kept = [index for index in links if len(index) >= min_frames]
    return kept or links


def name_transmitters(table: WifiTable, links: Sequence[Index]) -> list[str | None]:
    """Return the MAC address of each link's transmitter; None where nothing names it.

    The address that its frames name; or else the one that two or more of their exchanges imply, and
    two in three, and that no other link has. A station does not answer itself: an exchange within
    one link is none.

    Args:
        table: What all frames of the recording say of themselves.
        links: Frames of each link, as `separate_transmitters` returns them.
    """
    numbers = [int(table.transmitter_address[link].max()) for link in links]
    for position, link in enumerate(links):
        if numbers[position] < 0 and (implied := _implied_sender(table, link)) not in numbers:
            numbers[position] = implied
    return [address_text(number) for number in numbers]


def _implied_sender(table: WifiTable, link: Index) -> int:
    """Return the address that the exchanges of a link's frames with others imply; -1 for none."""
    # An ACK or CTS answers the frame before it; others are answered by the one behind.
    partner = np.where(table.fcs_ok[link] == 1, link - 1, link + 1)
    implied = table.implied_sender[link]
    implied = implied[(implied >= 0) & ~np.isin(partner, link)]
    if len(implied) == 0:
        return -1
    candidates, votes = np.unique(implied, return_counts=True)
    enough = max(_MIN_VOTES, _AGREEMENT * len(implied))
    return int(candidates[votes.argmax()]) if votes.max() >= enough else -1


def _of_one_sender(table: WifiTable | None, parts: Sequence[Index]) -> bool:
    """Return whether the exchanges of two of the parts imply the same sender."""
    if table is None or len(parts) < 2:
        return False
    implied = [number for part in parts if (number := _implied_sender(table, part)) >= 0]
    return len(set(implied)) < len(implied)


def _by_address(frames: ProbeFrames) -> tuple[list[Index], Index]:
    """Return the frames of each verified address, and those that have none."""
    everything = np.arange(frames.num_frames)
    if frames.wifi is None:
        return [], everything
    address = frames.wifi.transmitter_address
    named = np.unique(address[address >= 0])
    return [np.flatnonzero(address == one) for one in named], np.flatnonzero(address < 0)


def _joined(
    frames: ProbeFrames, points: NDArray[np.float64], links: list[Index], loose: Index
) -> tuple[list[Index], Index]:
    """Return the links with the loose frames that fit one, and the frames that fit none."""
    left = np.full((len(links), len(loose)), np.inf)
    for number, link in enumerate(links):
        near = _nearest_in_time(loose, link)
        share = _unexplained(frames, loose, near)
        limit = np.maximum(_variation(frames, link), _noise_limit(frames, loose, near))
        step = np.sqrt(np.square(points[loose][:, None] - points[near]).sum(axis=-1))
        fits = (step.min(axis=1) <= 1.0) & (share.min(axis=1) <= limit)
        left[number] = np.where(fits, share.min(axis=1), np.inf)
    best = left.argmin(axis=0)
    found = np.isfinite(left.min(axis=0))
    grown = [
        np.sort(np.concatenate([link, loose[found & (best == number)]]))
        for number, link in enumerate(links)
    ]
    return grown, loose[~found]


def _nearest_in_time(index: Index, link: Index) -> Index:
    """Return the frames of `link` nearest to each of `index`, (len(index), K); both ascending."""
    count = min(_NEIGHBOURS, len(link))
    first = np.clip(np.searchsorted(link, index) - count // 2, 0, len(link) - count)
    near: Index = link[first[:, None] + np.arange(count)]
    return near


def _unexplained(frames: ProbeFrames, index: Index, others: Index) -> NDArray[np.float64]:
    """Return 1 - rho^2 of each of `index`, (N,), against each of its `others`, (N, K)."""
    late = np.repeat(index, others.shape[1])
    early = others.reshape(-1)
    share = np.empty(len(late))
    step = max(1, _CHUNK // len(frames.frequencies_hz))
    for first in range(0, len(late), step):
        part = slice(first, first + step)
        _, coherence = relative_delays(frames.select(late[part]), frames.transfer[early[part]])
        share[part] = 1.0 - coherence
    return share.reshape(others.shape)


def _noise_share(frames: ProbeFrames) -> NDArray[np.float64]:
    """Return the error variance of each response over its power, weighted like rho^2, (N,)."""
    weight = frames.frequency_weights
    noise = frames.noise_variance @ weight
    power = np.square(np.abs(frames.transfer)) @ weight
    share: NDArray[np.float64] = noise / np.maximum(power - noise, 1e-3 * power + 1e-30)
    return share


def _noise_limit(frames: ProbeFrames, index: Index, others: Index) -> NDArray[np.float64]:
    """Return what noise may leave of each frame against the least noisy of its others, (N,)."""
    share = _noise_share(frames)
    limit: NDArray[np.float64] = (
        _NOISE_FACTOR * (share[index] + share[others].max(axis=1)) + _HARDWARE_SHARE
    )
    return limit


def _variation(frames: ProbeFrames, link: Index) -> float:
    """Return the share up to which a frame may be left unexplained by its neighbours in a link."""
    if len(link) < _MIN_FRAMES_FOR_SPREAD:
        return np.inf
    some = link[np.unique(np.linspace(0, len(link) - 1, _PROBES).astype(np.int64))]
    near = _nearest_in_time(some, link)
    share = np.where(near == some[:, None], np.inf, _unexplained(frames, some, near))
    # A tenth of the frames may be covered by others: that is no variation of the link.
    return _SPREAD_FACTOR * float(np.quantile(share.min(axis=1), 0.9))


def _clusters(points: NDArray[np.float64], index: Index) -> list[Index]:
    """Return single-linkage clusters of the points at `index`, chained by steps below 1."""
    if len(index) == 0:
        return []
    # A long recording has many frames, but few places where they lie.
    cells, inverse = np.unique(
        np.round(points[index] / _CELL).astype(np.int64), axis=0, return_inverse=True
    )
    if len(cells) == 1:
        return [index]
    labels = fcluster(linkage(cells * _CELL, method="single"), t=1.0, criterion="distance")
    of_frame = labels[inverse.reshape(-1)]
    return [index[of_frame == label] for label in np.unique(labels)]


def _steady_parts(frames: ProbeFrames, index: Index) -> list[Index]:
    """Return the parts of a cluster with a constant response each, or the cluster as it is."""
    # All pairs are compared: fewer of them where a response is long.
    count = min(_PROBES, int(np.sqrt(_CHUNK / len(frames.frequencies_hz))))
    some = index[np.unique(np.linspace(0, len(index) - 1, count).astype(np.int64))]
    if len(some) < 2 * (_MIN_RETURNS + 1):
        return [index]
    share = _unexplained(frames, some, np.tile(some, (len(some), 1)))
    share = np.maximum(0.5 * (share + share.T), 0.0)
    np.fill_diagonal(share, 0.0)
    equal = 2.0 * _NOISE_FACTOR * float(_noise_share(frames)[some].max()) + _HARDWARE_SHARE
    labels = fcluster(
        linkage(share[np.triu_indices(len(some), 1)], method="single"),
        t=equal,
        criterion="distance",
    )
    names, sizes = np.unique(labels, return_counts=True)
    names = names[sizes > _MIN_RETURNS]
    steady = np.isin(labels, names)
    within = labels[:, None] == labels
    apart = share[~within & steady[:, None] & steady]
    order = labels[steady]
    runs = 1 + int(np.count_nonzero(np.diff(order)))
    split = (
        len(names) > 1
        and steady.mean() >= _STEADY_PART
        and float(share[within].max()) <= 2.0 * equal
        and float(apart.min()) >= _SEPARATION * equal
        and runs >= len(names) + _MIN_RETURNS
    )
    if not split:
        return [index]
    examples = np.array([some[labels == name][0] for name in names])
    nearest = _unexplained(frames, index, np.tile(examples, (len(index), 1))).argmin(axis=1)
    return [index[nearest == number] for number in range(len(names))]
