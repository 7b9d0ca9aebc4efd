"""Windows, clock and soft bits: where symbols are cut, and what the pilots say of the clock."""

import numpy as np
import pytest

from phyemu.wifi.modes import HT_MODES, PILOT_CARRIERS, Mode
from phyemu.wifi.symbols import (
    Samples,
    equalised,
    soft_bits,
    track_symbols,
    window_advance,
)

BINS = np.fft.fftfreq(64, 1 / 64)


@pytest.mark.parametrize("delays", [(0,), (0, 10), (0, 16), (-6, 4), (-8, 8), (5,)])
def test_windows_begin_where_paths_stay_in_the_guard(delays: tuple[int, ...]) -> None:
    response = sum(np.exp(-2j * np.pi * BINS * delay / 64) for delay in delays)
    advance = window_advance(np.asarray(response))
    assert all(-advance <= delay <= 16 - advance for delay in delays)


def test_the_clock_and_phase_of_a_drifting_stream_are_found() -> None:
    # A multicarrier signal whose samples are taken by another clock, symbol by symbol in closed
    # form: carrier k at time t (1 + ppm), with a phase that wanders from symbol to symbol.
    rng = np.random.default_rng(0)
    ppm, count = 30.0, 60
    pilots = 1.0 - 2.0 * rng.integers(0, 2, (count, 4))
    data = 1.0 - 2.0 * rng.integers(0, 2, (count, 52))
    carriers = np.array([*HT_MODES[0].data_carriers, *PILOT_CARRIERS])
    first = 528 + 16
    iq = np.zeros(200 + first + 80 * count + 64, np.complex128)
    walk = np.cumsum(0.1 * rng.standard_normal(count))
    for n in range(count):
        values = np.concatenate([data[n], pilots[n]])
        start = first + 80 * n
        time = np.arange(start - 16, start + 64)
        # The symbol begins early by ppm of all that went before.
        own = (time - start) + ppm * 1e-6 * (time - 32.0)
        wave = np.exp(2j * np.pi * np.outer(own, carriers) / 64) @ values
        iq[200 + time] = wave * np.exp(1j * walk[n]) / 64
    samples = Samples(iq=iq, origin=200, advance=6)
    transfer = np.ones(64, np.complex128)
    track = track_symbols(samples, transfer, pilots, first=first, period=80)
    assert track.clock_ppm == pytest.approx(ppm, abs=0.3)
    assert track.gain == pytest.approx(1.0, abs=0.01)
    points, weight = equalised(track.spectra, transfer, HT_MODES[0].data_carriers)
    # 30 ppm within a symbol costs orthogonality by some 1e-3; nothing else is left.
    np.testing.assert_allclose(points, data, atol=0.02)
    np.testing.assert_allclose(weight, 1.0)


@pytest.mark.parametrize("mode", HT_MODES)
def test_soft_bits_have_the_sign_and_size_of_the_exact_ratio(mode: Mode) -> None:
    # Exact max-log ratio from all points of the constellation, per carrier, by brute force.
    rng = np.random.default_rng(1)
    bits = mode.bits_per_carrier
    half = max(bits // 2, 1)
    gray = {1: [0, 1], 2: [0, 1, 3, 2], 3: [0, 1, 3, 2, 6, 7, 5, 4]}[half]
    axis = {int(code): 2 * k - (len(gray) - 1) for k, code in enumerate(gray)}
    scale = {1: 1.0, 2: 2**-0.5, 4: 10**-0.5, 6: 42**-0.5}[bits]
    points = (rng.standard_normal((3, 52)) + 1j * rng.standard_normal((3, 52))) * 0.7
    weight = rng.exponential(size=52)
    soft = soft_bits(points, weight, mode).reshape(3, -1)
    sent = np.empty_like(soft)
    sent[:, mode.deinterleaving] = soft
    sent = sent.reshape(3, 52, bits)
    for symbol, carrier in ((0, 0), (1, 20), (2, 51), (0, 33)):
        value = points[symbol, carrier]
        for bit in range(bits):
            part = value.real if bit < half else value.imag
            place = half - 1 - bit % half
            distance = [
                min((part / scale - axis[c]) ** 2 for c in axis if (c >> place & 1) == wanted)
                for wanted in (0, 1)
            ]
            exact = weight[carrier] * (distance[0] - distance[1]) / 4.0
            found = sent[symbol, carrier, bit]
            assert np.sign(found) == np.sign(exact)
            # The simplified ratio is exact near the decision and smaller far outside.
            assert abs(found) <= abs(exact) + 1e-5
            if abs(exact) < 0.9 * weight[carrier]:
                assert found == pytest.approx(exact, abs=1e-5)


def test_the_carrier_offset_is_taken_off_with_its_phase_zero_at_the_origin() -> None:
    time = np.arange(1000) - 130
    tone = np.exp(2j * np.pi * 123_456.7 / 20e6 * time).astype(np.complex64)
    samples = Samples.without_offset(tone, origin=130, cfo_hz=123_456.7, advance=0)
    np.testing.assert_allclose(samples.iq, 1.0, atol=1e-6)
    assert samples.num_symbols(0, 80) == 11
    assert samples.num_symbols(900, 80) == 0
