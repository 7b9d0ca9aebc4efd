"""Receiver-side impairments: their statistics over radios and runs, and the values of one draw."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from phyemu.channel.distribution import Distribution
from phyemu.errors import ConfigError

__all__ = ["FrontEnd", "Impairments"]


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Impairments:
    """Impairments of a batch of links (each attribute (batch,)) or of one (each attribute ()).

    They act in this order, after the multipath: sampling offset, carrier offset with phase noise,
    AWGN, IQ imbalance, DC offset, clipping, quantisation.

    Attributes:
        cfo_hz: Carrier frequency offset, transmitter minus receiver [Hz], float64: the signal is
            turned by exp(+j 2 pi cfo_hz t).
        sfo_ppm: Sampling clock offset, transmitter minus receiver [ppm], float64: received sample
            n is the signal at n (1 + sfo_ppm 1e-6) samples.
        linewidth_hz: 3 dB linewidth of the Wiener phase noise of both oscillators [Hz], >= 0.
        iq_gain_db: Gain of the Q branch over the I branch [dB].
        iq_phase_rad: Deviation of the branches from 90 degrees [rad].
        dc_offset: DC, complex64, full scale 1.
        clip_level: I and Q are clipped to [-clip_level, clip_level]; infinity: never.
        bits: Quantiser resolution over [-clip_level, clip_level] (over [-1, 1] when that is
            infinite), int64; 0: no quantiser.
        seed: Key of the phase noise, int64: the same key gives the same phase at any time.
    """

    cfo_hz: Tensor
    sfo_ppm: Tensor
    linewidth_hz: Tensor
    iq_gain_db: Tensor
    iq_phase_rad: Tensor
    dc_offset: Tensor
    clip_level: Tensor
    bits: Tensor
    seed: Tensor

    @classmethod
    def none(
        cls, batch_size: int | None = None, *, device: torch.device | str = "cpu"
    ) -> "Impairments":
        """Return impairments that change nothing, of a batch, or of one link (None)."""
        shape = () if batch_size is None else (batch_size,)
        zero = torch.zeros(shape, dtype=torch.float64, device=device)
        integer = torch.zeros(shape, dtype=torch.int64, device=device)
        return cls(
            cfo_hz=zero,
            sfo_ppm=zero,
            linewidth_hz=zero,
            iq_gain_db=zero,
            iq_phase_rad=zero,
            dc_offset=torch.zeros(shape, dtype=torch.complex64, device=device),
            clip_level=torch.full(shape, math.inf, dtype=torch.float64, device=device),
            bits=integer,
            seed=integer,
        )

    def select(self, index: int) -> "Impairments":
        """Return the impairments of one link of the batch."""
        return Impairments(**{name: value[index] for name, value in self._values().items()})

    @classmethod
    def stack(cls, batches: Sequence["Impairments"]) -> "Impairments":
        """Return the impairments of several batches of equal size, (len(batches), batch)."""
        columns = [batch._values() for batch in batches]
        return cls(
            **{name: torch.stack([column[name] for column in columns]) for name in columns[0]}
        )

    def gather(self, rows: Tensor, columns: Tensor) -> "Impairments":
        """Return the impairments at [rows, columns] of stacked ones."""
        return Impairments(**{name: value[rows, columns] for name, value in self._values().items()})

    def unsqueeze(self) -> "Impairments":
        """Return a batch of one from the impairments of one link."""
        return Impairments(**{name: value[None] for name, value in self._values().items()})

    def to(self, device: torch.device | str) -> "Impairments":
        """Return the impairments on `device`."""
        return Impairments(**{name: value.to(device) for name, value in self._values().items()})

    def _values(self) -> dict[str, Tensor]:
        return {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}


def _zero() -> Distribution:
    return Distribution.constant(0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontEnd:
    """Statistics of the radios' impairments from draw to draw; the default is an ideal radio.

    Attributes:
        cfo_hz: Carrier frequency offset [Hz].
        sfo_ppm: Sampling clock offset [ppm]; with `center_frequency_hz` set, what remains beside
            the part that the common oscillator already implies.
        linewidth_hz: Phase noise linewidth [Hz], no draw below 0.
        iq_gain_db: IQ gain imbalance [dB].
        iq_phase_rad: IQ phase imbalance [rad].
        dc_offset: Magnitude of the DC offset, full scale 1 (its phase is uniform).
        clip_level: Clipping level of I and Q, full scale 1, > 0; infinity: none.
        bits: Quantiser resolution, 0 (none) or 2 to 24.
        center_frequency_hz: When set, carrier and sampling clock come from one oscillator, as in
            a USRP: sfo_ppm gains cfo_hz / center_frequency_hz * 1e6.
    """

    cfo_hz: Distribution = field(default_factory=_zero)
    sfo_ppm: Distribution = field(default_factory=_zero)
    linewidth_hz: Distribution = field(default_factory=_zero)
    iq_gain_db: Distribution = field(default_factory=_zero)
    iq_phase_rad: Distribution = field(default_factory=_zero)
    dc_offset: Distribution = field(default_factory=_zero)
    clip_level: float = math.inf
    bits: int = 0
    center_frequency_hz: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that no radio has."""
        if not self.clip_level > 0:
            raise ConfigError(f"clip_level must be positive, got {self.clip_level}")
        if self.bits != 0 and not 2 <= self.bits <= 24:
            raise ConfigError(f"bits must be 0 (no quantiser) or 2 to 24, got {self.bits}")
        if self.center_frequency_hz is not None and not self.center_frequency_hz > 0:
            raise ConfigError(
                f"center_frequency_hz must be positive, got {self.center_frequency_hz}"
            )

    def draw(self, batch_size: int, *, generator: torch.Generator) -> Impairments:
        """Return the impairments of `batch_size` independent links, on the generator's device."""
        cfo_hz = self.cfo_hz.draw(batch_size, generator=generator)
        sfo_ppm = self.sfo_ppm.draw(batch_size, generator=generator)
        if self.center_frequency_hz is not None:
            sfo_ppm = sfo_ppm + cfo_hz / self.center_frequency_hz * 1e6
        linewidth_hz = self.linewidth_hz.draw(batch_size, generator=generator).clamp(min=0)
        iq_gain_db = self.iq_gain_db.draw(batch_size, generator=generator)
        iq_phase_rad = self.iq_phase_rad.draw(batch_size, generator=generator)
        magnitude = self.dc_offset.draw(batch_size, generator=generator)
        turns = Distribution.uniform(0.0, 1.0).draw(batch_size, generator=generator)
        seed = torch.randint(0, 2**62, (batch_size,), generator=generator, device=generator.device)
        return Impairments(
            cfo_hz=cfo_hz,
            sfo_ppm=sfo_ppm,
            linewidth_hz=linewidth_hz,
            iq_gain_db=iq_gain_db,
            iq_phase_rad=iq_phase_rad,
            dc_offset=torch.polar(magnitude.abs(), 2 * torch.pi * turns).to(torch.complex64),
            clip_level=torch.full_like(cfo_hz, self.clip_level),
            bits=torch.full_like(seed, self.bits),
            seed=seed,
        )
