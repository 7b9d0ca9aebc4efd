"""Wi-Fi frames as a probe: what the preamble's numbers mean in full scale and hertz."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.channel import (
    ChannelStream,
    DelayProfile,
    Distribution,
    FrontEnd,
    NoiseLevel,
    TappedDelayLine,
)
from phyemu.sounding.alignment import relative_delays
from phyemu.sounding.probe_frames import ProbeFrames
from phyemu.sounding.wifi_probe import WifiMeasurement, find_wifi_frames
from phyemu.wifi.preamble import legacy_preamble

RATE = 20e6


def _reader(iq: NDArray[np.complex64]) -> Callable[[int, int], NDArray[np.complex64]]:
    return lambda start, count: iq[start : start + count]


def test_powers_and_densities_are_those_of_the_samples() -> None:
    rng = np.random.default_rng(1)
    count, interval, amplitude, noise = 60, 1000, 0.1, 1e-4
    iq = np.zeros(count * interval, complex)
    for index in range(count):
        start = index * interval + 300
        iq[start : start + 320] += amplitude * legacy_preamble().numpy()
    iq += np.sqrt(noise / 2) * (rng.standard_normal(len(iq)) + 1j * rng.standard_normal(len(iq)))
    iq = iq.astype(np.complex64)
    found = find_wifi_frames([iq], _reader(iq), sample_rate_hz=RATE)
    assert found is not None
    frames = found.link_frames(np.arange(count))
    assert frames.num_frames == count
    # 64 samples of L-LTF, twice: 104 real degrees of freedom per frame, 60 frames.
    tolerance = 5 / np.sqrt(52 * count)
    assert frames.received_power.mean() == pytest.approx(amplitude**2, rel=tolerance)
    assert frames.noise_floor.mean() == pytest.approx(noise, rel=tolerance)
    assert frames.noise_density.mean() == pytest.approx(noise / RATE, rel=tolerance)
    assert frames.bandwidth_hz == 52 * 312.5e3
    # White noise has a flat profile: 60 exponential draws per carrier, three carriers averaged.
    profile = frames.noise_variance[0] / frames.noise_variance[0].mean()
    assert np.abs(profile - 1).max() < 5 / np.sqrt(3 * count)
    errors = frames.cfo_hz / frames.cfo_std_hz
    assert np.std(errors) == pytest.approx(1.0, abs=5 / np.sqrt(2 * count))


def test_no_frames_are_none() -> None:
    iq = np.zeros(5000, np.complex64)
    assert find_wifi_frames([iq], _reader(iq), sample_rate_hz=RATE) is None


def _link(
    wifi: ModuleType, kinds: list[str], *, ht_shift: int = 0
) -> tuple[WifiMeasurement, list[str]]:
    """Return a measurement of frames of one station, "ht" or "legacy", at 30 dB."""
    options = wifi.HtOptions(ht_shift=ht_shift)
    psdu = wifi.data_mpdu("02:00:00:00:00:0a", "02:00:00:00:00:0b")
    made = {"ht": wifi.ht_frame(psdu, 2, options), "legacy": wifi.legacy_frame(psdu, 12)}
    gap = np.zeros(400, np.complex64)
    clean = np.concatenate([part for kind in kinds for part in (gap, made[kind])] + [gap])
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((len(clean), 2)) @ np.array([1.0, 1j])
    iq = (clean + np.sqrt(1e-3 / 2) * noise).astype(np.complex64)
    found = find_wifi_frames([iq], _reader(iq), sample_rate_hz=RATE)
    assert found is not None
    assert len(found.frames) == len(kinds)
    return found, kinds


def test_a_link_of_ht_frames_is_measured_on_56_carriers(wifi_transmitter: ModuleType) -> None:
    found, kinds = _link(wifi_transmitter, ["ht"] * 12)
    frames = found.link_frames(np.arange(len(kinds)))
    assert frames.transfer.shape == (12, 56)
    assert frames.bandwidth_hz == 56 * 312.5e3
    assert frames.frequencies_hz[[0, -1]].tolist() == [-28 * 312.5e3, 28 * 312.5e3]
    # The L-LTF twice, the HT-LTF once, 64 / 52 and 64 / 56 of a sample's SNR: 0.277 of its noise.
    turned = frames.transfer * _phase_to(frames.transfer[0], frames)
    scatter = np.mean(np.var(turned, axis=0, ddof=1)[3:-3])
    # Phase and delay are fitted per frame, 2 of 2 x 52 real numbers; 12 x 50 complex values.
    assert scatter == pytest.approx(0.277e-3, rel=5 / np.sqrt(12 * 50) + 0.04)
    assert frames.noise_variance.mean(axis=0)[20] == pytest.approx(0.277e-3, rel=0.2)
    assert frames.noise_variance.mean(axis=0)[0] == pytest.approx(0.875e-3, rel=0.2)


def _phase_to(reference: np.ndarray, frames: ProbeFrames) -> np.ndarray:
    late, _ = relative_delays(frames, reference)
    turned = np.exp(2j * np.pi * frames.frequencies_hz * late[:, None])
    phase = np.angle((frames.transfer * turned) @ reference.conj())
    return turned * np.exp(-1j * phase)[:, None]


def test_a_mixed_link_is_measured_where_all_its_frames_are(wifi_transmitter: ModuleType) -> None:
    found, kinds = _link(wifi_transmitter, ["ht", "legacy"] * 6)
    frames = found.link_frames(np.arange(len(kinds)))
    assert frames.transfer.shape == (12, 52)
    noise = frames.noise_variance.mean(axis=1)
    # The HT-LTF counts where it is there: 0.277 against 0.406 of a sample's noise.
    assert noise[::2].mean() / noise[1::2].mean() == pytest.approx(0.277 / 0.406, rel=0.15)
    assert frames.wifi is not None
    assert set(frames.wifi.transmitter_address.tolist()) == {0x02000000000A}
    # The frames of HT alone are on 56 carriers; the legacy ones, on 52.
    assert found.link_frames(np.arange(0, 12, 2)).transfer.shape == (6, 56)
    assert found.link_frames(np.arange(1, 12, 2)).transfer.shape == (6, 52)


def test_an_ht_ltf_that_sees_another_channel_is_never_mixed_in(
    wifi_transmitter: ModuleType,
) -> None:
    found, kinds = _link(wifi_transmitter, ["ht", "legacy"] * 4, ht_shift=3)
    mixed = found.link_frames(np.arange(len(kinds)))
    assert mixed.transfer.shape == (8, 52)
    noise = mixed.noise_variance.mean(axis=1)
    assert noise[::2].mean() == pytest.approx(noise[1::2].mean(), rel=0.3)
    ht = found.link_frames(np.arange(0, 8, 2))
    assert ht.transfer.shape == (4, 56)
    # The HT-LTF alone: late by its cyclic shift of 3 samples.
    slope = np.angle(np.vdot(ht.transfer[0][:-29], ht.transfer[0][1:-28]))
    assert -slope * 64 / (2 * np.pi) == pytest.approx(3.0, abs=0.1)


def test_the_clock_of_a_link_is_told_within_its_standard_error(
    wifi_transmitter: ModuleType,
) -> None:
    psdu = wifi_transmitter.data_mpdu("02:00:00:00:00:0a", "02:00:00:00:00:0b", bytes(100))
    frame = wifi_transmitter.ht_frame(psdu, 1)
    gap = np.zeros(400, np.complex64)
    count, sfo_ppm = 60, 15.0
    clean = np.concatenate([part for _ in range(count) for part in (gap, frame)] + [gap] * 20)
    one_path = DelayProfile(name="one", delays_s=(0.0,), powers=(1.0,), k_factor=(1e9,))
    channel = TappedDelayLine(
        profile=one_path,
        noise=NoiseLevel.of_snr_db(25.0),
        doppler_hz=1.0,
        front_end=FrontEnd(sfo_ppm=Distribution.constant(sfo_ppm)),
    )
    stream = ChannelStream(
        channel, sample_rate_hz=RATE, symbol_rate_hz=RATE, reference_power=1.0, seed=3
    )
    iq = stream.process(clean)
    found = find_wifi_frames([iq], _reader(iq), sample_rate_hz=RATE)
    assert found is not None
    single = np.array([found.link_clock(np.array([k])) for k in range(len(found.frames))])
    assert len(single) == count
    # Normalised errors: spread 1, less for the inner pilots (5 %), more for the HT-SIG, HT-STF and
    # HT-LTF that lie within the duration and tell nothing of the clock (the last 5 of 31 symbols).
    errors = (single[:, 0] - sfo_ppm) / single[:, 1]
    assert np.std(errors) == pytest.approx(1.15, abs=0.2 + 5 / np.sqrt(2 * count))
    clock_ppm, std_ppm = found.link_clock(np.arange(count))
    assert std_ppm == pytest.approx(single[:, 1].mean() / np.sqrt(count), rel=0.1)
    assert clock_ppm == pytest.approx(sfo_ppm, abs=5 * std_ppm)
    silent, _ = _link(wifi_transmitter, ["legacy"])
    assert np.isnan(silent.link_clock(np.arange(1))).all()
