"""Fine synchronisation, against the bounds of Cramer and Rao."""

import math

import numpy as np
import pytest
import torch

from phyemu.errors import SignalError
from phyemu.waveform import FrameFormat, build_frame, preamble_points, psk
from phyemu.waveform.channel_estimation import estimate_channel, known_waveform
from phyemu.waveform.pulse import shape_pulses
from phyemu.waveform.synchronisation import (
    Synchronisation,
    carrier,
    synchronise,
    synchronise_frames,
)

FORMAT = FrameFormat()
START = 300


def _received(
    rng: np.random.Generator, *, cfo_hz: float, delay: float, snr_db: float
) -> np.ndarray:
    payload = psk(4).points[torch.from_numpy(rng.integers(4, size=300))]
    frame = build_frame(payload, frame_index=0, frame_format=FORMAT).numpy()
    padded = np.pad(frame, (START, 200)).astype(complex)
    turns = np.fft.fftfreq(len(padded))
    moved = np.fft.ifft(np.fft.fft(padded) * np.exp(-2j * np.pi * turns * delay))
    noise = rng.standard_normal(len(padded)) + 1j * rng.standard_normal(len(padded))
    turned = moved * np.exp(2j * np.pi * cfo_hz / 20e6 * (np.arange(len(padded)) - START))
    return (turned + math.sqrt(0.5 * 10 ** (-snr_db / 10)) * noise).astype(np.complex64)


def _synchronise(iq: np.ndarray, cfo_hz: float) -> Synchronisation:
    return synchronise(
        iq,
        preamble_points(FORMAT),
        sample_start=START,
        cfo_hz=cfo_hz,
        early_symbols=10,
        late_symbols=18,
        frame_format=FORMAT,
    )


@pytest.mark.parametrize("snr_db", [1.0, 10.0, 25.0])
def test_carrier_timing_and_noise_come_close_to_their_bounds(snr_db: float) -> None:
    rng = np.random.default_rng(1)
    trials = 40
    errors = []
    for _ in range(trials):
        cfo_hz, delay = rng.uniform(-100e3, 100e3), rng.uniform(-0.5, 0.5)
        iq = _received(rng, cfo_hz=cfo_hz, delay=delay, snr_db=snr_db)
        found = _synchronise(iq, cfo_hz + rng.uniform(-5e3, 5e3))
        noise = float(found.channel.noise_variance) * 10 ** (snr_db / 10)
        errors.append((found.cfo_hz - cfo_hz, found.timing_samples - delay, noise))
    cfo, timing, noise = (np.array(column) for column in zip(*errors, strict=True))
    snr = 10 ** (snr_db / 10)
    # Rife and Boorstyn: var(omega) = 6 / (snr N (N^2 - 1)) per symbol, N = 124 symbols used.
    bound = math.sqrt(6 / (snr * 124**3)) / (2 * math.pi) * 10e6
    assert np.sqrt(np.mean(cfo**2)) < bound * (1 + 5 / math.sqrt(2 * trials))
    # Timing: var(tau / T) = 1 / (8 pi^2 B2 snr N), B2 the mean square bandwidth, about 1/12 / T^2;
    # the search adds a grid error of some 1/100 sample.
    bound = 2 * math.sqrt(1 / (8 * math.pi**2 / 12 * snr * 124))
    assert np.sqrt(np.mean(timing**2)) < bound * (1 + 5 / math.sqrt(2 * trials)) + 0.01
    # 267 samples an estimate.
    assert noise.mean() == pytest.approx(1.0, abs=0.03 + 5 / math.sqrt(267 * trials))


@pytest.mark.parametrize("cfo_hz", [0.0, 3e3, -90e3])
def test_a_dc_offset_is_told_from_channel_and_noise(cfo_hz: float) -> None:
    rng = np.random.default_rng(3)
    offset = 0.1 * np.exp(2j)
    errors, absent = [], []
    for _ in range(30):
        iq = _received(rng, cfo_hz=cfo_hz, delay=0.3, snr_db=20.0)
        absent.append(_synchronise(iq, cfo_hz).dc_offset)
        found = _synchronise((iq + offset).astype(np.complex64), cfo_hz)
        errors.append(found.dc_offset - offset)
        assert np.abs(found.channel.response.numpy()).argmax() == -found.first_delay
    # 255 samples of variance 0.01; 30 complex estimates: 5 / sqrt(30) of it. The channel's taps
    # and the edges of the fractional delay take a little more.
    expected = 0.01 / 255
    assert np.mean(np.abs(errors) ** 2) < 1.3 * expected * (1 + 5 / math.sqrt(30))
    # Behind the Wiener gain, 6 % of it is left on average.
    assert np.mean(np.abs(absent) ** 2) < 0.5 * expected


def test_the_response_holds_two_paths_where_they_are() -> None:
    rng = np.random.default_rng(2)
    iq = _received(rng, cfo_hz=0.0, delay=0.0, snr_db=30.0)
    both = iq + 0.5j * np.roll(iq, 9)
    found = _synchronise(both, 0.0)
    response = found.channel.response.numpy()
    strongest = np.argsort(np.abs(response))[-2:]
    assert {int(i) + found.first_delay for i in strongest} == {0, 9}
    assert response[9 - found.first_delay] / response[-found.first_delay] == pytest.approx(
        0.5j, abs=0.03
    )


def test_the_carrier_is_an_exponential() -> None:
    ramp = carrier(2000, 0.0123, origin=77)
    expected = np.exp(2j * np.pi * 0.0123 * (np.arange(2000) - 77))
    np.testing.assert_allclose(ramp, expected, atol=1e-5)


def test_too_many_delays_are_refused_with_the_remedy() -> None:
    with pytest.raises(SignalError, match="lower early_symbols"):
        synchronise(
            np.zeros(1000, np.complex64),
            preamble_points(FORMAT),
            sample_start=0,
            cfo_hz=0.0,
            early_symbols=60,
            late_symbols=60,
            frame_format=FORMAT,
        )


def test_several_frames_equal_single_ones() -> None:
    rng = np.random.default_rng(5)
    offsets_hz = rng.uniform(-9e4, 9e4, 4)
    rows = np.stack(
        [
            np.roll(_received(rng, cfo_hz=cfo_hz, delay=0.2, snr_db=15.0), shift)
            for cfo_hz, shift in zip(offsets_hz, (0, 3, -2, 11), strict=True)
        ]
    )
    starts = START + np.array([0, 3, -2, 11])
    found = synchronise_frames(
        rows,
        preamble_points(FORMAT),
        sample_starts=starts,
        cfo_hz=offsets_hz,
        early_symbols=10,
        late_symbols=18,
        frame_format=FORMAT,
    )
    for row in range(4):
        alone = synchronise(
            rows[row],
            preamble_points(FORMAT),
            sample_start=int(starts[row]),
            cfo_hz=float(offsets_hz[row]),
            early_symbols=10,
            late_symbols=18,
            frame_format=FORMAT,
        )
        assert found.cfo_hz[row] == pytest.approx(alone.cfo_hz, abs=1e-3)
        assert found.timing_samples[row] == pytest.approx(alone.timing_samples, abs=1e-9)
        assert found.dc_offset[row] == pytest.approx(alone.dc_offset, abs=1e-9)
        torch.testing.assert_close(found.channel.response[row], alone.channel.response)


def test_the_channel_is_that_of_the_estimator() -> None:
    rng = np.random.default_rng(9)
    iq = _received(rng, cfo_hz=4e4, delay=0.3, snr_db=25.0)
    iq = (iq + 0.4j * np.roll(iq, 7) + 0.02).astype(np.complex64)
    found = _synchronise(iq, 4e4)
    # The rows that it looks at: from 4 symbols before the first peak to the preamble's last but 3.
    first, rows = FORMAT.pulse_delay_samples - 8, (128 - 1 - 3 + 4) * 2 + 1
    moved = np.fft.fft(iq) * np.exp(2j * np.pi * np.fft.fftfreq(len(iq)) * found.timing_samples)
    instants = np.arange(len(iq)) - START
    turns = np.exp(-2j * np.pi * found.cfo_hz / 20e6 * instants)
    received = (np.fft.ifft(moved) * turns)[START + first :][:rows]
    sent = shape_pulses(preamble_points(FORMAT), FORMAT.pulse_taps(), samples_per_symbol=2)
    known = known_waveform(
        sent.to(torch.complex128), first_row=first, num_rows=rows, first_delay=-20, num_delays=57
    )
    tone = turns[START + first :][:rows] / math.sqrt(rows)
    expected = estimate_channel(
        torch.from_numpy(received), known, nuisance=torch.from_numpy(tone.copy())
    )
    # A fraction of a sample is taken off windows of different length: their ends differ.
    torch.testing.assert_close(found.channel.response, expected.response, atol=0.01, rtol=0)
    assert int((found.channel.response != 0).sum()) == int((expected.response != 0).sum())
    torch.testing.assert_close(
        found.channel.noise_variance, expected.noise_variance, atol=0, rtol=0.05
    )
