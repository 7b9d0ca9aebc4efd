"""The sounding waveforms: a sequence repeated, in bursts or without end.

By default the sequence is a Zadoff-Chu sequence of any period and bandwidth, in bursts; binary
sequences (`phyemu.waveform.chip_sequence`) may be sent in its place, also without end.

A Zadoff-Chu sequence has constant amplitude and an ideal periodic autocorrelation, so its spectrum
is flat: every frequency is sounded with the same power. A burst repeats one period; the first
repetition is the guard that lets the channel settle, the others measure. The silence behind a burst
shows the receiver's noise floor and DC offset.

A carrier offset of one bin (sample rate / length) looks like a cyclic delay of `root` chips. The
root is by default the golden section of the period, which keeps the delays that belong to
different whole-bin offsets far apart, so that the edge of a burst tells them apart. Without
edges nothing would, so a Zadoff-Chu sequence is never sent without end.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from phyemu.errors import ConfigError
from phyemu.waveform.chip_sequence import (
    ChipKind,
    ChipSequence,
    chip_bins,
    chip_periods,
    chip_spectra,
)

__all__ = [
    "SounderFormat",
    "chip_sounder",
    "sounder_bins",
    "sounder_codes",
    "sounder_period",
    "sounder_spectrum",
    "sounder_waveform",
    "zadoff_chu_sounder",
]

_DEFAULT_LENGTH = 1024
_MIN_LENGTH = 31
_MAX_LENGTH = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class SounderFormat:
    """What a sounder transmits.

    Attributes:
        sample_rate_hz: Sample rate [Hz], > 0.
        length: Samples of one period, 31..65536; length / sample rate bounds the delays that can
            be told apart, sample rate / length is the spacing of the frequencies.
        repetitions: Periods per burst, the guard included, 4..1024; without gaps, periods that
            are measured together. Of a Golay pair, one half of them is of either sequence, each
            behind a guard of its own: even, at least 6.
        gap_samples: Silence behind each burst [samples], at least two periods; 0 for a sequence of
            chips that is repeated without end.
        bandwidth_hz: Band that is sounded [Hz], at most the sample rate; None for all of it. In a
            part of the band the sequence is interpolated, and its envelope varies between chips.
        root: Root of the sequence in the frequency domain, coprime to the number of bins that are
            sounded; None for the golden section.
        chips: Binary sequence that is sent in place of the Zadoff-Chu sequence. It determines the
            period and the band, so `length` may be left out and the two settings above must be.

    Raises:
        ConfigError: A setting is out of range or contradicts another.
    """

    sample_rate_hz: float
    length: int = _DEFAULT_LENGTH
    repetitions: int = 9
    gap_samples: int = 3072
    bandwidth_hz: float | None = None
    root: int | None = None
    chips: ChipSequence | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.chips is not None:
            self._check_chips(self.chips)
        if not (math.isfinite(self.sample_rate_hz) and self.sample_rate_hz > 0):
            raise ConfigError(f"sample_rate_hz must be positive, got {self.sample_rate_hz}")
        if not _MIN_LENGTH <= self.length <= _MAX_LENGTH:
            raise ConfigError(f"length must be {_MIN_LENGTH}..{_MAX_LENGTH}, got {self.length}")
        if not 4 <= self.repetitions <= 1024:
            raise ConfigError(f"repetitions must be 4..1024, got {self.repetitions}")
        if self.is_continuous and self.chips is None:
            raise ConfigError(
                "a Zadoff-Chu sequence needs silence between its bursts, as nothing else tells a "
                "carrier offset of whole bins from a delay; set gap_samples or send chips"
            )
        if not self.is_continuous and self.gap_samples < 2 * self.length:
            raise ConfigError(
                f"gap_samples must be at least two periods, {2 * self.length}, so that bursts "
                f"stay apart; got {self.gap_samples}"
            )
        if self.bandwidth_hz is not None and not 0 < self.bandwidth_hz <= self.sample_rate_hz:
            raise ConfigError(
                f"bandwidth_hz must be positive and at most the sample rate, "
                f"{self.sample_rate_hz:g}; got {self.bandwidth_hz}"
            )
        if self.chips is None and self.num_bins < _MIN_LENGTH:
            raise ConfigError(
                f"bandwidth_hz = {self.bandwidth_hz} holds {self.num_bins} of the "
                f"{self.length} bins, at least {_MIN_LENGTH} are needed; make length larger"
            )
        if self.root is not None and math.gcd(self.root, self.num_bins) != 1:
            raise ConfigError(
                f"root must be coprime to the {self.num_bins} bins sounded, got {self.root}"
            )

    def _check_chips(self, chips: ChipSequence) -> None:
        """Take the period from the chips and refuse what contradicts them."""
        if self.bandwidth_hz is not None or self.root is not None:
            raise ConfigError(
                "bandwidth_hz and root are of the Zadoff-Chu sequence; the band of chips follows "
                "from samples_per_chip"
            )
        if self.length not in (_DEFAULT_LENGTH, chips.period_samples):
            raise ConfigError(
                f"length must be that of the chips, {chips.period_samples}, or left out; "
                f"got {self.length}"
            )
        object.__setattr__(self, "length", chips.period_samples)
        if chips.num_codes == 2 and (self.repetitions % 2 or self.repetitions < 6):
            raise ConfigError(
                f"repetitions of a Golay pair must be even and at least 6, half of them for each "
                f"of its sequences; got {self.repetitions}"
            )

    @property
    def is_continuous(self) -> bool:
        """Whether the sequence is repeated without end."""
        return self.gap_samples == 0

    @property
    def num_codes(self) -> int:
        """How many sequences a burst holds, one after the other: 2 for a Golay pair."""
        return 1 if self.chips is None else self.chips.num_codes

    @property
    def guard_repetitions(self) -> int:
        """Repetitions of each code in which the channel settles; 0 where it has settled before."""
        return 0 if self.is_continuous and self.num_codes == 1 else 1

    @property
    def num_bins(self) -> int:
        """Number of frequency bins that are sounded; odd where a part of the band is."""
        if self.chips is not None:
            return len(chip_bins(self.chips))
        if self.bandwidth_hz is None or self.bandwidth_hz >= self.sample_rate_hz:
            return self.length
        bins = int(self.bandwidth_hz / self.sample_rate_hz * self.length)
        return bins - 1 + bins % 2

    @property
    def bin_spacing_hz(self) -> float:
        """Distance of two frequencies, sample rate / length [Hz]."""
        return self.sample_rate_hz / self.length

    @property
    def burst_samples(self) -> int:
        """Samples of one burst without the silence behind it."""
        return self.repetitions * self.length

    @property
    def interval_samples(self) -> int:
        """Samples from the beginning of a burst to that of the next."""
        return self.burst_samples + self.gap_samples

    @property
    def resolved_root(self) -> int:
        """The root that is used, also where `root` leaves the choice."""
        if self.root is not None:
            return self.root % self.num_bins
        root = round(self.num_bins * (3.0 - math.sqrt(5.0)) / 2.0)
        while math.gcd(root, self.num_bins) != 1:
            root += 1
        return root

    def num_bursts_in(self, duration_s: float) -> int:
        """Return how many whole bursts with their silence fit into `duration_s`, at least one."""
        return max(1, int(duration_s * self.sample_rate_hz / self.interval_samples))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-ready values, the root resolved."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        if self.chips is not None:
            return {**values, "chips": self.chips.to_dict()}
        del values["chips"]  # as recordings named the format before there were chips
        return {**values, "root": self.resolved_root}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SounderFormat":
        """Return the format that `to_dict` described.

        Raises:
            ConfigError: An unknown key (the near match is named), a missing or a bad value.
        """
        known = {item.name for item in fields(cls)}
        for key in values:
            if key not in known:
                near = get_close_matches(key, known, n=1)
                hint = f"; did you mean {near[0]}?" if near else f"; known: {sorted(known)}"
                raise ConfigError(f"sounder format: unknown key {key!r}{hint}")
        values = dict(values)
        chips = values.pop("chips", None)
        if chips is not None and not isinstance(chips, Mapping):
            raise ConfigError(f"sounder format: chips must be a table, got {chips!r}")
        integers = {"length", "repetitions", "gap_samples", "root"}
        for key, value in values.items():
            allowed: tuple[type, ...] = (int,) if key in integers else (int, float)
            optional = key in {"root", "bandwidth_hz"} and value is None
            if not optional and (isinstance(value, bool) or not isinstance(value, allowed)):
                raise ConfigError(f"sounder format: {key} must be a number, got {value!r}")
        if "sample_rate_hz" not in values:
            raise ConfigError("sounder format: sample_rate_hz is missing")
        return cls(**values, chips=None if chips is None else ChipSequence.from_dict(chips))


def zadoff_chu_sounder(
    sample_rate_hz: float,
    *,
    period: int,
    repetitions: int,
    gap_samples: int | None,
    bandwidth_hz: float | None,
) -> SounderFormat:
    """Return bursts of a Zadoff-Chu sequence; three periods of silence for no `gap_samples`."""
    return SounderFormat(
        sample_rate_hz=sample_rate_hz,
        length=period,
        repetitions=repetitions,
        gap_samples=3 * period if gap_samples is None else gap_samples,
        bandwidth_hz=bandwidth_hz,
    )


def chip_sounder(
    sample_rate_hz: float,
    kind: str,
    *,
    degree: int | None,
    index: int,
    samples_per_chip: int,
    repetitions: int,
    gap_samples: int | None,
) -> SounderFormat:
    """Return repeated chips; three periods of silence for no `gap_samples`, no end for 0."""
    chips = ChipSequence(
        kind=ChipKind(kind), degree=degree, index=index, samples_per_chip=samples_per_chip
    )
    return SounderFormat(
        sample_rate_hz=sample_rate_hz,
        repetitions=repetitions,
        gap_samples=3 * chips.period_samples if gap_samples is None else gap_samples,
        chips=chips,
    )


def sounder_bins(sounder_format: SounderFormat) -> Tensor:
    """Return the indices of the frequency bins that are sounded, (num_bins,), int64, ascending.

    Bin k lies at k x `bin_spacing_hz`; negative indices are below the carrier. Chips leave out bins
    in which they have little power.
    """
    if sounder_format.chips is not None:
        return chip_bins(sounder_format.chips)
    count = sounder_format.num_bins
    return torch.arange(count, dtype=torch.int64) - count // 2


def sounder_spectrum(sounder_format: SounderFormat, code: int = 0) -> Tensor:
    """Return the values of the sounded bins in an FFT of one period, (num_bins,), complex128.

    X[k] = N / sqrt(K) exp(-j pi u k^2 / K) for even K, k (k + 1) in place of k^2 for odd K: a
    Zadoff-Chu sequence of K = `num_bins` over the bins, scaled for unit mean power over N samples.
    Its inverse transform over K = N samples is a Zadoff-Chu sequence again.

    Args:
        sounder_format: What is sent.
        code: Which of its sequences, 0..num_codes - 1.
    """
    bins = sounder_bins(sounder_format)
    if sounder_format.chips is not None:
        return chip_spectra(sounder_format.chips)[code][bins % sounder_format.length]
    count = sounder_format.num_bins
    squares = bins * bins if count % 2 == 0 else bins * (bins + 1)
    # The phase repeats every 2 K; reducing the integer first keeps it exact for long periods.
    turns = (sounder_format.resolved_root * squares) % (2 * count)
    phase = -math.pi * turns.to(torch.float64) / count
    amplitude = sounder_format.length / math.sqrt(count)
    return torch.polar(torch.full_like(phase, amplitude), phase)


def sounder_period(sounder_format: SounderFormat, code: int = 0) -> Tensor:
    """Return one period of a code, (length,), complex64, unit mean power."""
    if sounder_format.chips is not None:
        return chip_periods(sounder_format.chips)[code].to(torch.complex64)
    spectrum = torch.zeros(sounder_format.length, dtype=torch.complex128)
    spectrum[sounder_bins(sounder_format) % sounder_format.length] = sounder_spectrum(
        sounder_format
    )
    samples: Tensor = torch.fft.ifft(spectrum)
    return samples.to(torch.complex64)


def sounder_codes(sounder_format: SounderFormat) -> list[int]:
    """Return the code that each repetition of a burst sends, one half of them after the other."""
    each = sounder_format.repetitions // sounder_format.num_codes
    return [code for code in range(sounder_format.num_codes) for _ in range(each)]


def sounder_waveform(sounder_format: SounderFormat) -> Tensor:
    """Return one burst without the silence, (burst_samples,), complex64, unit mean power."""
    periods = [sounder_period(sounder_format, code) for code in range(sounder_format.num_codes)]
    return torch.cat([periods[code] for code in sounder_codes(sounder_format)])
