"""One link of a streaming emulator: a realisation between a transmitter and a receiver."""

import math
from dataclasses import dataclass

from phyemu.channel.fractional_delay import NUM_TAPS
from phyemu.channel.impairments import Impairments
from phyemu.channel.model import ChannelRealisation, Interpolation
from phyemu.channel.multipath_plan import MultipathPlan, plan_multipath
from phyemu.channel.phase_noise import phase_step_turns
from phyemu.channel.resample_kernel import SLIP_SAMPLES
from phyemu.errors import ConfigError

__all__ = ["MAX_SFO_PPM", "Oscillator", "StreamLink"]

MAX_SFO_PPM = 500.0
# Room of the resampling kernel beside the drift: its filter and the rest of a group.
_RESAMPLE_ROOM = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class Oscillator:
    """What carrier and sampling clock of a link get from one source.

    Attributes:
        cfo_hz: Carrier frequency offset [Hz].
        sfo_ppm: Sampling clock offset [ppm].
        linewidth_hz: Linewidth of its Wiener phase noise [Hz].
        seed: Key of that phase noise; links with the same key share the walk.
        sign: +1, or -1 for the receiver's own oscillator, which turns the other way.
    """

    cfo_hz: float
    sfo_ppm: float
    linewidth_hz: float
    seed: int
    sign: int = 1

    @classmethod
    def of_impairments(cls, impairments: Impairments, *, sign: int = 1) -> "Oscillator":
        """Return the oscillator in the impairments of one link or node."""
        return cls(
            cfo_hz=float(impairments.cfo_hz),
            sfo_ppm=float(impairments.sfo_ppm),
            linewidth_hz=float(impairments.linewidth_hz),
            seed=int(impairments.seed),
            sign=sign,
        )


class StreamLink:
    """A realisation, made ready for the streaming kernel.

    Attributes:
        source: Index of the transmitter.
        realisation: The channel that is played.
        amplitude: Factor on all gains, linear.
        held: Whether the gains stay between two updates.
        plan: How the paths are summed.
        clock_offset: Relative offset of the sampling clock.
        turns_per_sample: Carrier offset [turns per sample].
        oscillators: Those with phase noise, and their steps are `steps_turns`.
        latency_samples: By how much the output must lag for the link to be causal.
        history_samples: Samples of the past it needs when the output lags by just that.
    """

    def __init__(
        self,
        realisation: ChannelRealisation,
        *,
        sample_rate_hz: float,
        source: int = 0,
        amplitude: float = 1.0,
        oscillators: tuple[Oscillator, ...] = (),
    ) -> None:
        """Plan the link.

        Args:
            realisation: The channel; the oscillators of its impairments count.
            sample_rate_hz: Rate of the samples [Hz].
            source: Index of the transmitter.
            amplitude: Factor on all gains, linear.
            oscillators: More of them, those of the nodes.

        Raises:
            ConfigError: The offsets are out of range.
        """
        own = Oscillator.of_impairments(realisation.impairments)
        every = (own, *oscillators)
        ppm = sum(oscillator.sign * oscillator.sfo_ppm for oscillator in every)
        if not abs(ppm) <= MAX_SFO_PPM:
            raise ConfigError(f"sfo_ppm must lie within +-{MAX_SFO_PPM:g} ppm, got {ppm:g}")
        cfo_hz = sum(oscillator.sign * oscillator.cfo_hz for oscillator in every)
        self.turns_per_sample = cfo_hz / sample_rate_hz
        if not abs(self.turns_per_sample) < 0.5:
            raise ConfigError(f"cfo_hz {cfo_hz:g} is beyond half the sample rate")
        self.source = source
        self.realisation = realisation
        self.amplitude = amplitude
        self.held = realisation.interpolation is Interpolation.HOLD
        self.plan: MultipathPlan = plan_multipath(
            realisation.delays_s * sample_rate_hz, held=self.held
        )
        self.clock_offset = ppm * 1e-6
        steps = [phase_step_turns(oscillator.linewidth_hz, sample_rate_hz) for oscillator in every]
        self.oscillators = [
            (oscillator, step) for oscillator, step in zip(every, steps, strict=True) if step > 0
        ]
        self.latency_samples = self.plan.latency_samples
        self.history_samples = self.plan.history_samples
        if self.drifting:
            self.latency_samples += SLIP_SAMPLES + NUM_TAPS
            self.history_samples += 2 * SLIP_SAMPLES + _RESAMPLE_ROOM

    @property
    def drifting(self) -> bool:
        """Return whether the sampling clocks differ."""
        return self.clock_offset != 0

    @property
    def rotating(self) -> bool:
        """Return whether the carrier turns."""
        return self.turns_per_sample != 0 or bool(self.oscillators)

    @property
    def cfo_words(self) -> int:
        """Return the carrier offset in 2^-64 turns per sample, modulo 2^64."""
        return round(math.ldexp(self.turns_per_sample, 64)) % (1 << 64)
