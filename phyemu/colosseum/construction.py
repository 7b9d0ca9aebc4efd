"""From physical paths to a scenario that the emulator can play, and what was lost on the way.

Real path losses exceed the emulator's range of 43 dB. Published scenarios therefore add one
constant gain to every link (the "+41 dB" in their names), so that the strongest tap comes to lie
just below 0 dB; what is then still below -43 dB cannot be emulated and is left out.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

from phyemu.channel import ImpulseResponse
from phyemu.colosseum.limits import MAX_BANDWIDTH_HZ, MAX_DELAY_S, MIN_GAIN_DB
from phyemu.colosseum.reduction import Reduction, choose_taps
from phyemu.colosseum.scenario import Scenario
from phyemu.colosseum.scenario_source import ScenarioSource
from phyemu.errors import ScenarioError
from phyemu.progress import ProgressCallback, no_progress
from phyemu.units import amplitude_to_db, db_to_amplitude, power_to_db

__all__ = ["LinkReport", "MadeScenario", "make_scenario"]

# Rounding to single precision must not lift a tap above 0 dB, or drop one at -43 dB.
_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkReport:
    """What became of one link.

    Attributes:
        link: (transmitter, receiver).
        gain_db: Mean physical gain over the band's taps before the constant gain [dB]; -inf: none.
        residual_db: Error of the taps over the power of the paths in the band [dB].
        worst_residual_db: The same at the worst step [dB].
        silent_share: Share of the steps at which every tap is below the emulator's range.
        outside_share: Share of the paths' power at delays that the emulator does not have.
    """

    link: tuple[int, int]
    gain_db: float
    residual_db: float
    worst_residual_db: float
    silent_share: float
    outside_share: float

    def line(self) -> str:
        """Return the report for people."""
        name = f"link {self.link[0]}>{self.link[1]}"
        if self.silent_share == 1.0:
            return f"{name}: below the emulator's range of {-MIN_GAIN_DB:g} dB; left out"
        text = (
            f"{name}: {self.gain_db:.1f} dB, residual {self.residual_db:.1f} dB "
            f"(worst step {self.worst_residual_db:.1f} dB)"
        )
        if self.silent_share:
            text += f", below range {100 * self.silent_share:.1f} % of the time"
        if self.outside_share:
            text += (
                f", {100 * self.outside_share:.2g} % of its power beyond "
                f"{1e6 * MAX_DELAY_S:g} us and left out"
            )
        return text


@dataclass(frozen=True, eq=False, slots=True)
class MadeScenario:
    """A scenario, and how well it stands for what it was made from.

    Attributes:
        scenario: Fits the emulator.
        links: What became of each link that was given.
    """

    scenario: Scenario
    links: tuple[LinkReport, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report with JSON types only."""
        return {
            "name": self.scenario.name,
            "nodes": self.scenario.num_nodes,
            "duration_s": self.scenario.duration_s,
            "constant_gain_db": self.scenario.constant_gain_db,
            "links": [asdict(link) for link in self.links],
        }


def make_scenario(
    source: ScenarioSource,
    *,
    name: str,
    center_frequency_hz: float,
    bandwidth_hz: float,
    constant_gain_db: float | None = None,
    progress: ProgressCallback = no_progress,
) -> MadeScenario:
    """Return a scenario of the emulator's taps, made from physical paths.

    Args:
        source: The paths, all with the same interval, and what the scenario is to say; what is done
            to them here is added to its derivation.
        name: Short name.
        center_frequency_hz: Radio frequency of the emulation [Hz].
        bandwidth_hz: Band over which the taps are to meet the paths [Hz].
        constant_gain_db: Gain added to every link [dB]; None: the largest whole number of decibels
            with which no tap exceeds 0 dB.
        progress: Called with the stage "reduce" and the links done.

    Raises:
        ScenarioError: No link has power, all power of one lies beyond the emulator's delays, the
            intervals differ, the band is wider than the emulator's radios, or with
            `constant_gain_db` a tap exceeds 0 dB.
    """
    if bandwidth_hz > MAX_BANDWIDTH_HZ:
        raise ScenarioError(
            f"scenario {name}: a bandwidth of {bandwidth_hz / 1e6:g} MHz, usable are "
            f"{MAX_BANDWIDTH_HZ / 1e6:g} MHz"
        )
    links = source.links
    intervals = {paths.interval_s for paths in links.values()}
    if len(intervals) != 1:
        raise ScenarioError(
            f"scenario {name}: needs links with one common interval, got {sorted(intervals)}"
        )
    links = {pair: paths.without_repetition() for pair, paths in links.items()}
    pairs = sorted(links)
    choices = {}
    for count, pair in enumerate(pairs):
        try:
            choices[pair] = choose_taps(links[pair], bandwidth_hz=bandwidth_hz)
        except ScenarioError as error:
            raise ScenarioError(f"scenario {name}: link {pair[0]}>{pair[1]}: {error}") from error
        progress("reduce", count + 1, len(pairs))
    gain_db = constant_gain_db
    if gain_db is None:
        gain_db = _constant_gain_db(name, [choice.fitted() for choice in choices.values()])
    while True:
        # Where taps below the range are left out, the others are fitted anew and may grow.
        least = db_to_amplitude(MIN_GAIN_DB - gain_db) * (1 + _ROUNDING)
        fitted = {pair: choice.fitted(least_gain=least) for pair, choice in choices.items()}
        strongest = max(_strongest(reduction) for reduction in fitted.values())
        if strongest * db_to_amplitude(gain_db) <= 1.0:
            break
        if constant_gain_db is not None:
            raise ScenarioError(
                f"scenario {name}: with a constant gain of {gain_db:g} dB the strongest tap has "
                f"{amplitude_to_db(strongest) + gain_db:.2f} dB, the emulator allows at most 0; "
                f"{math.floor(-amplitude_to_db(strongest))} dB is the most"
            )
        gain_db -= 1.0
    made: dict[tuple[int, int], ImpulseResponse] = {}
    for pair in pairs:
        response = fitted[pair].response
        if bool((response.gains != 0).any()):
            scaled = ImpulseResponse(
                response.gains * db_to_amplitude(gain_db), response.delays_s, response.interval_s
            )
            made[pair] = scaled
            if source.reciprocal and pair[::-1] not in links:
                made[pair[::-1]] = scaled
    scenario = Scenario(
        name=name,
        description=source.description,
        center_frequency_hz=center_frequency_hz,
        bandwidth_hz=bandwidth_hz,
        num_nodes=source.num_nodes,
        links=made,
        interval_s=intervals.pop(),
        repeats=source.repeats,
        constant_gain_db=gain_db,
        coordinates=source.coordinates,
        derivation=" ".join([source.derivation, _explanation(bandwidth_hz, gain_db)]).strip(),
        provenance=source.provenance,
    )
    return MadeScenario(scenario, tuple(_report(pair, fitted[pair]) for pair in pairs))


def _strongest(reduction: Reduction) -> float:
    return float(reduction.response.gains.abs().max()) * (1 + _ROUNDING)


def _constant_gain_db(name: str, reductions: list[Reduction]) -> float:
    strongest = max(_strongest(reduction) for reduction in reductions)
    if strongest == 0:
        raise ScenarioError(f"scenario {name}: no link has any power")
    return float(math.floor(-amplitude_to_db(strongest)))


def _explanation(bandwidth_hz: float, gain_db: float) -> str:
    return (
        "At each step at most 4 taps on the 10 ns grid, with the least error of the frequency "
        f"response over {bandwidth_hz / 1e6:g} MHz. A constant {gain_db:+g} dB on every link "
        f"moves the strongest tap to just below 0 dB; taps below {MIN_GAIN_DB:g} dB are left out."
    )


def _report(pair: tuple[int, int], reduction: Reduction) -> LinkReport:
    gains = reduction.response.gains
    return LinkReport(
        link=pair,
        gain_db=power_to_db(float(reduction.response.powers().sum())),
        residual_db=reduction.residual_db,
        worst_residual_db=reduction.worst_residual_db,
        silent_share=float((gains == 0).all(dim=1).double().mean()),
        outside_share=reduction.outside_share,
    )
