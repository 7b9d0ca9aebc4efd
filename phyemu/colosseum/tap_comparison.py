"""Paths that were sounded against the taps that a scenario says: errors in ns and dB."""

import math
from dataclasses import dataclass

import numpy as np

from phyemu.channel import ImpulseResponse
from phyemu.colosseum.limits import MIN_GAIN_DB
from phyemu.colosseum.scenario import response_on_grid

__all__ = ["TapComparison", "TapError", "are_resolved", "compare_taps"]

# CaST's tolerance of a tap's delay; a narrow band places them less well.
_DELAY_TOLERANCE_S = 20e-9
# The share of 1 / bandwidth below which two paths are one to sounding.
_RESOLUTION = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class TapError:
    """A tap of the scenario, and the path found for it.

    Attributes:
        delay_s: Of the tap, as the scenario says [s].
        gain_db: Of the tap, its mean power over time [dB].
        delay_error_s: Path minus tap [s]; NaN where no path was found.
        gain_error_db: Path minus tap, both relative to all that were found [dB]; NaN likewise.
    """

    delay_s: float
    gain_db: float
    delay_error_s: float
    gain_error_db: float

    @property
    def is_found(self) -> bool:
        """Whether there is a path for it."""
        return math.isfinite(self.delay_error_s)


@dataclass(frozen=True, kw_only=True, slots=True)
class TapComparison:
    """The taps of a link, and what was measured of them.

    Attributes:
        taps: By delay.
        extra_paths: Paths that no tap explains.
        level_db: Power of the paths found over that of their taps [dB]: transmitted power and all
            gains of radios that the scenario does not know.
    """

    taps: tuple[TapError, ...]
    extra_paths: int
    level_db: float

    @property
    def num_missed(self) -> int:
        """Return how many taps have no path."""
        return sum(not tap.is_found for tap in self.taps)

    @property
    def max_delay_error_s(self) -> float:
        """Return the largest error of a delay [s]; NaN where nothing was found."""
        errors = [abs(tap.delay_error_s) for tap in self.taps if tap.is_found]
        return max(errors, default=math.nan)

    @property
    def max_gain_error_db(self) -> float:
        """Return the largest error of a gain [dB]; NaN where nothing was found."""
        errors = [abs(tap.gain_error_db) for tap in self.taps if tap.is_found]
        return max(errors, default=math.nan)


def are_resolved(link: ImpulseResponse, *, bandwidth_hz: float) -> bool:
    """Return whether a band tells all taps of a link apart, those of any time.

    A link of a street has its four taps at other delays each millisecond: taken together they are
    denser than any band, and single ones cannot be compared.

    Args:
        link: The scenario's taps, gains (time, path).
        bandwidth_hz: Band that was sounded, > 0 [Hz].
    """
    delays_s, _ = _profile(response_on_grid(link), 10 ** (MIN_GAIN_DB / 10))
    return len(delays_s) > 0 and bool((np.diff(delays_s) >= _RESOLUTION / bandwidth_hz).all())


def compare_taps(
    paths: ImpulseResponse, link: ImpulseResponse, *, bandwidth_hz: float
) -> TapComparison:
    """Return how the sounded paths of a link compare to the scenario's taps.

    A sounding counts delays from its first path and knows no transmitted power. So the paths are
    moved as a whole to where they explain the most power of the taps, and gains are compared
    relative to the power of the taps found. Taps nearer to each other than half of 1 / bandwidth
    cannot be told apart (`are_resolved`); then one of them is missed.

    Args:
        paths: Sounded, gains (time, path); the mean power of each path counts.
        link: The scenario's taps, gains (time, path); mean powers over its time count, of those
            that the emulator can hold.
        bandwidth_hz: Band that was sounded, > 0 [Hz].
    """
    tap_delays, tap_powers = _profile(response_on_grid(link), 10 ** (MIN_GAIN_DB / 10))
    path_delays, path_powers = _profile(paths, 0.0)
    tolerance_s = max(_DELAY_TOLERANCE_S, _RESOLUTION / bandwidth_hz)
    best: dict[int, int] = {}
    best_rank = (-1.0, 0.0)
    best_offset_s = 0.0
    for offset_s in (tap_delays[:, None] - path_delays[None, :]).flatten().tolist():
        found = _matched(tap_delays, tap_powers, path_delays + offset_s, tolerance_s)
        power = float(sum(tap_powers[tap] for tap in found))
        error = sum(
            tap_powers[tap] * abs(path_delays[path] + offset_s - tap_delays[tap])
            for tap, path in found.items()
        )
        if (power, -error) > best_rank:
            best, best_rank, best_offset_s = found, (power, -error), offset_s
    # The offset of one pair has the error of that pair in it: take the mean of all, by power.
    if best:
        weights = np.array([tap_powers[tap] for tap in best])
        errors = np.array(
            [path_delays[path] + best_offset_s - tap_delays[tap] for tap, path in best.items()]
        )
        best_offset_s -= float((weights * errors).sum() / weights.sum())
    level = sum(path_powers[path] for path in best.values()) / max(
        sum(tap_powers[tap] for tap in best), 1e-30
    )
    taps = []
    for tap, (delay_s, power) in enumerate(zip(tap_delays, tap_powers, strict=True)):
        path = best.get(tap)
        taps.append(
            TapError(
                delay_s=float(delay_s),
                gain_db=10 * math.log10(power),
                delay_error_s=math.nan
                if path is None
                else float(path_delays[path] + best_offset_s - delay_s),
                gain_error_db=math.nan
                if path is None
                else 10 * math.log10(path_powers[path] / (level * power)),
            )
        )
    return TapComparison(
        taps=tuple(taps),
        extra_paths=len(path_delays) - len(best),
        level_db=10 * math.log10(level) if level > 0 else math.nan,
    )


def _profile(response: ImpulseResponse, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Return delays and mean powers of the paths that are stronger than `least`, by delay."""
    power = np.square(np.abs(response.gains.numpy().astype(np.complex128))).mean(axis=0)
    delays = response.delays_s.numpy()
    kept = np.flatnonzero(power > least * (1 - 1e-6))
    kept = kept[np.argsort(delays[kept])]
    return delays[kept], power[kept]


def _matched(
    tap_delays: np.ndarray, tap_powers: np.ndarray, path_delays: np.ndarray, tolerance_s: float
) -> dict[int, int]:
    """Return the path of each tap that has one: the strongest tap chooses first."""
    found: dict[int, int] = {}
    free = np.ones(len(path_delays), bool)
    for tap in np.argsort(-tap_powers).tolist():
        distance = np.where(free, np.abs(path_delays - tap_delays[tap]), np.inf)
        path = int(distance.argmin()) if len(distance) else -1
        if path >= 0 and distance[path] <= tolerance_s:
            found[tap] = path
            free[path] = False
    return found
