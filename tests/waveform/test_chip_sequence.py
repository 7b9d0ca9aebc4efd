"""Chips in a sounder's format: their spectrum, their place in the metadata, what is refused."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phyemu.errors import ConfigError
from phyemu.waveform import ChipKind, ChipSequence, SounderFormat
from phyemu.waveform.sounder import (
    chip_sounder,
    sounder_bins,
    sounder_codes,
    sounder_period,
    sounder_spectrum,
    sounder_waveform,
)


@st.composite
def _sequences(draw: st.DrawFn) -> ChipSequence:
    kind = draw(st.sampled_from(list(ChipKind)))
    degrees = {
        ChipKind.GLFSR: st.integers(5, 11),
        ChipKind.GOLD: st.sampled_from([5, 6, 7, 9, 10, 11]),
        ChipKind.GOLAY: st.integers(5, 11),
        ChipKind.GA128: st.just(7),
    }
    degree = draw(degrees[kind])
    index = draw(st.integers(0, 2**degree)) if kind is ChipKind.GOLD else 0
    hold = draw(st.integers(1, 5))
    return ChipSequence(kind=kind, degree=degree, index=index, samples_per_chip=hold)


@settings(deadline=None, max_examples=60)
@given(chips=_sequences(), continuous=st.booleans())
def test_any_sequence_is_what_its_format_says(chips: ChipSequence, continuous: bool) -> None:
    gap = 0 if continuous else 2 * chips.period_samples
    sounder = SounderFormat(sample_rate_hz=1e6, repetitions=8, gap_samples=gap, chips=chips)
    again = SounderFormat.from_dict(sounder.to_dict())
    burst = sounder_waveform(again).numpy()
    assert burst.shape == (8 * chips.period_samples,)
    assert set(np.abs(burst)) == {1.0}
    bins = sounder_bins(sounder).numpy()
    assert 0 not in bins
    assert np.array_equal(bins, np.unique(bins))
    codes = sounder_codes(sounder)
    energy = np.zeros(len(bins))
    for code in range(sounder.num_codes):
        period = sounder_period(sounder, code).numpy()
        first = codes.index(code) * sounder.length
        np.testing.assert_array_equal(period, burst[first : first + sounder.length])
        spectrum = np.fft.fft(period)
        np.testing.assert_allclose(
            spectrum[bins], sounder_spectrum(sounder, code).numpy(), atol=1e-3
        )
        energy += np.square(np.abs(spectrum[bins])) / sounder.num_codes
        # What is left out carries little: the band holds most of the power.
        assert np.square(np.abs(spectrum[bins])).sum() > 0.7 * sounder.length**2
    # No bin has less than 1/16 x 1/16 of the mean power of the strongest part of the band.
    assert energy.min() > energy.mean() / 256


@pytest.mark.parametrize("hold", [1, 2, 4])
def test_maximum_length_chips_have_the_spectrum_of_their_pulse(hold: int) -> None:
    sounder = chip_sounder(
        1e6, "glfsr", degree=8, index=0, samples_per_chip=hold, repetitions=8, gap_samples=0
    )
    bins = sounder_bins(sounder).numpy()
    power = np.square(np.abs(sounder_spectrum(sounder).numpy()))
    # |sum of K terms e^(-j w k)|^2 of a held chip, times N + 1 of the sequence.
    angle = 2 * np.pi * bins / sounder.length
    pulse = np.square(np.abs(sum(np.exp(-1j * angle * k) for k in range(hold))))
    np.testing.assert_allclose(power, 256 * pulse, rtol=1e-6)
    # -12 dB of the pulse: cos^2 (w / 2) = 1/16 for two samples per chip.
    if hold == 2:
        assert bins[-1] / sounder.length == pytest.approx(np.arccos(0.251) / np.pi, abs=0.003)


def _format(**changes: Any) -> SounderFormat:
    chips = ChipSequence(kind=ChipKind.GLFSR)
    return SounderFormat(**{"sample_rate_hz": 1e6, "gap_samples": 0, "chips": chips, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chips": None}, "Zadoff-Chu sequence needs silence"),
        ({"gap_samples": 700}, "two periods"),
        ({"length": 512}, "length must be that of the chips, 510"),
        ({"root": 7}, "are of the Zadoff-Chu"),
        ({"bandwidth_hz": 5e5}, "follows from samples_per_chip"),
        ({"chips": ChipSequence(kind=ChipKind.GOLAY)}, "even and at least 6"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _format(**changes)


@pytest.mark.parametrize(
    ("chips", "message"),
    [
        ({"kind": ChipKind.GOLD, "degree": 8}, "no Gold sequences of degree 8"),
        ({"kind": ChipKind.GLFSR, "index": 1}, "index chooses among Gold"),
        ({"kind": ChipKind.GA128, "degree": 8}, "leave the degree out"),
        ({"kind": ChipKind.GLFSR, "degree": 4}, "degree must be 5..16"),
        ({"kind": ChipKind.GLFSR, "degree": 16, "samples_per_chip": 2}, "at most 65536"),
        ({"kind": ChipKind.GLFSR, "samples_per_chip": 0}, "samples_per_chip"),
        ({"kind": ChipKind.GOLD, "index": 600}, "index must be 0..512"),
    ],
)
def test_bad_chips_are_refused(chips: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ChipSequence(**chips)


@pytest.mark.parametrize(
    ("chips", "message"),
    [
        ({"kind": "glfsr", "degre": 8}, "did you mean degree"),
        ({"kind": "barker"}, "kind must be of"),
        ({"kind": "glfsr", "degree": 8.0}, "whole number"),
        ([1], "must be a table"),
    ],
)
def test_bad_metadata_are_refused(chips: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SounderFormat.from_dict({"sample_rate_hz": 1e6, "gap_samples": 0, "chips": chips})


def test_a_zadoff_chu_format_is_written_as_before_there_were_chips() -> None:
    assert set(SounderFormat(sample_rate_hz=1e6).to_dict()) == {
        "sample_rate_hz",
        "length",
        "repetitions",
        "gap_samples",
        "bandwidth_hz",
        "root",
    }
