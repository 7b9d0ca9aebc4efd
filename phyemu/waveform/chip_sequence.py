"""Binary sounding sequences as CaST sends them: chips of +-1, each held for some samples.

Unlike a Zadoff-Chu sequence their spectrum is not flat. Holding a chip for K samples multiplies it
by |sin(pi f K) / (K sin(pi f))|^2, f in cycles per sample, which is zero at multiples of the chip
rate; Gold sequences and single Golay sequences vary by themselves, and a maximum-length sequence
has next to nothing at frequency 0. So a response is measured where the sequence has energy, and
its error differs from frequency to frequency. In return, a carrier offset cannot be mistaken for a
delay, so that these sequences may be repeated without end, with no silence to find their edges by.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from phyemu.errors import ConfigError
from phyemu.waveform.sequence import (
    ga128,
    glfsr_sequence,
    golay_pair,
    gold_sequence,
    num_gold_sequences,
)

__all__ = ["ChipKind", "ChipSequence", "chip_bins", "chip_periods", "chip_spectra"]

_MIN_DEGREE, _MAX_DEGREE = 5, 16
_MAX_SAMPLES_PER_CHIP = 16
_MAX_SAMPLES = 1 << 16
# Frequencies are used where the pulse, and what the sequence adds to it, keep this much power.
_WORTH_MEASURING = 10.0 ** (-1.2)


class ChipKind(StrEnum):
    """Which sequence of chips."""

    GLFSR = "glfsr"
    """Maximum-length sequence of a Galois shift register; degree 8 is what CaST sends."""
    GOLD = "gold"
    """A sequence of the Gold family, chosen by `index`; none of them passes for another."""
    GOLAY = "golay"
    """A Golay complementary pair: the first of it, repeated, then the second, repeated."""
    GA128 = "ga128"
    """Ga128 of IEEE 802.11ad alone, as CaST sends it."""


_DEFAULT_DEGREE = {ChipKind.GLFSR: 8, ChipKind.GOLD: 9, ChipKind.GOLAY: 7, ChipKind.GA128: 7}


@dataclass(frozen=True, kw_only=True, slots=True)
class ChipSequence:
    """A binary sequence and its pulse.

    Attributes:
        kind: Which sequence.
        degree: 2^degree - 1 chips (GLFSR 5..16; Gold 5..15, not 8 or 12) or 2^degree chips (Golay
            5..16; Ga128 is of degree 7); None for 8, 9 and 7.
        index: Which of a Gold family, 0..2^degree; 0 for the other kinds.
        samples_per_chip: How long a chip is held [samples], 1..16.

    Raises:
        ConfigError: A setting is out of range or contradicts another.
    """

    kind: ChipKind
    degree: int | None = None
    index: int = 0
    samples_per_chip: int = 2

    def __post_init__(self) -> None:
        """Check the settings."""
        degree = self.resolved_degree
        if not _MIN_DEGREE <= degree <= _MAX_DEGREE:
            raise ConfigError(f"degree must be {_MIN_DEGREE}..{_MAX_DEGREE}, got {degree}")
        if self.kind is ChipKind.GA128 and degree != 7:
            raise ConfigError(f"ga128 has degree 7, got {degree}; leave the degree out")
        if self.kind is ChipKind.GOLD and degree % 4 == 0:
            raise ConfigError(
                f"there are no Gold sequences of degree {degree}; take 5..15, not 8 or 12"
            )
        if self.kind is not ChipKind.GOLD and self.index != 0:
            raise ConfigError(f"index chooses among Gold sequences; {self.kind} has none")
        if not 0 <= self.index < num_gold_sequences(degree):
            raise ConfigError(
                f"index must be 0..{num_gold_sequences(degree) - 1}, got {self.index}"
            )
        if not 1 <= self.samples_per_chip <= _MAX_SAMPLES_PER_CHIP:
            raise ConfigError(
                f"samples_per_chip must be 1..{_MAX_SAMPLES_PER_CHIP}, got {self.samples_per_chip}"
            )
        if self.period_samples > _MAX_SAMPLES:
            raise ConfigError(
                f"degree {degree} at {self.samples_per_chip} samples per chip makes a period of "
                f"{self.period_samples} samples, at most {_MAX_SAMPLES} are allowed"
            )

    @property
    def resolved_degree(self) -> int:
        """The degree that is used, also where `degree` leaves the choice."""
        return _DEFAULT_DEGREE[self.kind] if self.degree is None else self.degree

    @property
    def num_chips(self) -> int:
        """Chips of one period."""
        power = 1 << self.resolved_degree
        return power if self.kind in (ChipKind.GOLAY, ChipKind.GA128) else power - 1

    @property
    def num_codes(self) -> int:
        """How many sequences take part: 2 for a complementary pair."""
        return 2 if self.kind is ChipKind.GOLAY else 1

    @property
    def period_samples(self) -> int:
        """Samples of one period."""
        return self.num_chips * self.samples_per_chip

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values, the degree resolved."""
        return {**asdict(self), "kind": str(self.kind), "degree": self.resolved_degree}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "ChipSequence":
        """Return the sequence that `to_dict` described.

        Raises:
            ConfigError: An unknown key (the near match is named), a missing or a bad value.
        """
        known = {item.name for item in fields(cls)}
        for key, value in values.items():
            if key not in known:
                near = get_close_matches(key, known, n=1)
                hint = f"; did you mean {near[0]}?" if near else f"; known: {sorted(known)}"
                raise ConfigError(f"chip sequence: unknown key {key!r}{hint}")
            optional = key == "degree" and value is None
            if key != "kind" and not optional and type(value) is not int:
                raise ConfigError(f"chip sequence: {key} must be a whole number, got {value!r}")
        kinds = [str(kind) for kind in ChipKind]
        if values.get("kind") not in kinds:
            raise ConfigError(f"chip sequence: kind must be of {kinds}, got {values.get('kind')!r}")
        return cls(**{**values, "kind": ChipKind(values["kind"])})


@lru_cache(maxsize=8)
def chip_periods(sequence: ChipSequence) -> Tensor:
    """Return one period of each code, (num_codes, period_samples), float32, +-1."""
    degree = sequence.resolved_degree
    if sequence.kind is ChipKind.GLFSR:
        codes: tuple[Tensor, ...] = (glfsr_sequence(degree),)
    elif sequence.kind is ChipKind.GOLD:
        codes = (gold_sequence(degree, sequence.index),)
    elif sequence.kind is ChipKind.GOLAY:
        codes = golay_pair(degree)
    else:
        codes = (ga128(),)
    chips = torch.stack(codes).to(torch.float32)
    return chips.repeat_interleave(sequence.samples_per_chip, dim=1)


@lru_cache(maxsize=8)
def chip_bins(sequence: ChipSequence) -> Tensor:
    """Return the indices of the frequency bins worth measuring, (num_bins,), int64, ascending.

    Those within the main lobe of the pulse at which the pulse keeps 1/16 of its power, and the
    sequence 1/16 of its mean. Frequency 0 is left to the DC offset of the receiver.
    """
    length, hold = sequence.period_samples, sequence.samples_per_chip
    bins = torch.arange(length, dtype=torch.int64) - length // 2
    turns = bins.to(torch.float64) / length
    pulse = torch.square(torch.sinc(hold * turns) / torch.sinc(turns))
    power = torch.square(chip_spectra(sequence).abs()).mean(dim=0)[bins % length]
    # Over the bins, the power of +-1 held for K samples is N K^2 times the pulse on average.
    own = power / (sequence.num_chips * hold**2 * pulse.clamp(min=1e-12))
    inside = (turns.abs() < 1.0 / hold) & (bins != 0)
    return bins[inside & (pulse > _WORTH_MEASURING) & (own > _WORTH_MEASURING)]


@lru_cache(maxsize=8)
def chip_spectra(sequence: ChipSequence) -> Tensor:
    """Return the FFT of one period of each code, (num_codes, period_samples), complex128."""
    spectra: Tensor = torch.fft.fft(chip_periods(sequence).to(torch.float64), dim=1)
    return spectra
