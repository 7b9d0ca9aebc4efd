"""What Colosseum's channel emulator (MCHEM) can represent, and the check of a scenario against it.

Source: Colosseum's user documentation (scenario exchange format, MCHEM), and the CaST paper
(arXiv 2208.03993).
"""

import math
from dataclasses import dataclass

import torch

from phyemu.channel import ImpulseResponse
from phyemu.colosseum.scenario import Scenario
from phyemu.units import power_to_db

__all__ = [
    "MAX_BANDWIDTH_HZ",
    "MAX_DELAY_S",
    "MAX_NODES",
    "MAX_TAPS",
    "MIN_GAIN_DB",
    "TAP_GRID_S",
    "UPDATE_S",
    "Violation",
    "check_scenario",
]

TAP_GRID_S = 10e-9
"""Spacing of the taps [s]: the emulator filters at 100 Msps."""
MAX_DELAY_S = 5.11e-6
"""Largest delay [s]: 512 taps."""
MAX_TAPS = 4
"""Non-zero taps of a link at any instant."""
MIN_GAIN_DB = -43.0
"""Weakest tap that can be represented [dB]; the strongest is 0 dB."""
UPDATE_S = 1e-3
"""Step at which taps may change [s]."""
MAX_NODES = 52
"""Nodes tested together in one scenario."""
MAX_BANDWIDTH_HZ = 80e6
"""Usable bandwidth of the radios [Hz]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """One thing that the emulator cannot represent.

    Attributes:
        link: (transmitter, receiver), from 1; None where the whole scenario is meant.
        time_s: First time at which it happens [s]; None where time plays no part.
        tap: Index of the tap within the link's response; None where no single tap is meant.
        message: What is wrong, what is allowed, what was found.
    """

    link: tuple[int, int] | None
    time_s: float | None
    tap: int | None
    message: str

    def __str__(self) -> str:
        """Return one line that names link, time and tap."""
        where = [f"link {self.link[0]}>{self.link[1]}"] if self.link else ["scenario"]
        if self.time_s is not None:
            where.append(f"t = {1e3 * self.time_s:g} ms")
        if self.tap is not None:
            where.append(f"tap {self.tap}")
        return f"{', '.join(where)}: {self.message}"


def check_scenario(scenario: Scenario) -> list[Violation]:
    """Return everything in the scenario that the emulator cannot represent; empty when all fits."""
    found = []
    if scenario.num_nodes > MAX_NODES:
        found.append(
            _whole(f"{scenario.num_nodes} nodes, at most {MAX_NODES} were tested in one scenario")
        )
    if scenario.bandwidth_hz > MAX_BANDWIDTH_HZ:
        found.append(
            _whole(
                f"bandwidth {scenario.bandwidth_hz / 1e6:g} MHz, usable are "
                f"{MAX_BANDWIDTH_HZ / 1e6:g} MHz"
            )
        )
    steps = scenario.interval_s / UPDATE_S
    if not math.isclose(steps, round(steps), abs_tol=1e-9) or round(steps) < 1:
        found.append(
            _whole(
                f"taps change every {1e3 * scenario.interval_s:g} ms, allowed are multiples of 1 ms"
            )
        )
    for link, response in sorted(scenario.links.items()):
        found += _check_link(link, response)
    return found


def _whole(message: str) -> Violation:
    return Violation(link=None, time_s=None, tap=None, message=message)


def _check_link(link: tuple[int, int], response: ImpulseResponse) -> list[Violation]:
    found = []
    power = response.gains.abs().double().square()
    present = power > 0

    def add(step: int, tap: int, message: str) -> None:
        time_s = step * response.interval_s
        found.append(Violation(link=link, time_s=time_s, tap=tap, message=message))

    for tap, delay_s in enumerate(response.delays_s.tolist()):
        if not bool(present[:, tap].any()):
            continue
        step = _first(present[:, tap])
        if not 0 <= delay_s <= MAX_DELAY_S + 1e-15:
            add(step, tap, f"delay {1e9 * delay_s:g} ns, allowed are 0 to {1e9 * MAX_DELAY_S:g} ns")
        grid = delay_s / TAP_GRID_S
        if not math.isclose(grid, round(grid), abs_tol=1e-6):
            add(
                step,
                tap,
                f"delay {1e9 * delay_s:g} ns is off the 10 ns grid, "
                f"the emulator would use {10 * round(grid)} ns",
            )
    # The emulator holds I and Q of a tap in [-1, 1] each, so 1+1j (3 dB) is the strongest.
    too_strong = torch.view_as_real(response.gains).abs().amax(dim=-1) > 1 + 1e-6
    too_weak = present & (power < 10 ** (MIN_GAIN_DB / 10) * (1 - 1e-6))
    for mask, allowed in (
        (too_strong, "I and Q within [-1, 1]"),
        (too_weak, f"at least {MIN_GAIN_DB:g} dB"),
    ):
        for tap in torch.nonzero(mask.any(dim=0)).flatten().tolist():
            step = _first(mask[:, tap])
            gain_db = power_to_db(float(power[step, tap]))
            at = f"at {1e9 * float(response.delays_s[tap]):g} ns"
            add(step, tap, f"gain {gain_db:.2f} dB {at}, allowed is {allowed}")
    count = present.sum(dim=1)
    crowded = count > MAX_TAPS
    if bool(crowded.any()):
        step = _first(crowded)
        surplus = int(torch.nonzero(present[step]).flatten()[MAX_TAPS])
        add(step, surplus, f"{int(count[step])} taps at once, at most {MAX_TAPS} are possible")
    return found


def _first(mask: torch.Tensor) -> int:
    """Return the first step at which a mask (time,) holds."""
    return int(mask.to(torch.uint8).argmax())
