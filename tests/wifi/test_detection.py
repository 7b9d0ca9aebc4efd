"""Wi-Fi frames are found in synthetic streams, in real captures, and never in noise."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.errors import SignalError
from phyemu.wifi.detection import WifiDetector, detect_wifi_frames
from phyemu.wifi.preamble import L_LTF_CARRIERS, legacy_preamble

RATE = 20e6


def _noise(count: int, seed: int) -> NDArray[np.complex64]:
    rng = np.random.default_rng(seed)
    pairs = rng.standard_normal((count, 2), dtype=np.float32) / np.float32(np.sqrt(2))
    return pairs.view(np.complex64)[:, 0]


def _stream(
    starts: list[int], *, cfo_hz: float, snr_db: float, taps: list[complex], count: int
) -> NDArray[np.complex64]:
    """Return preambles followed by random OFDM-like symbols, through taps, at a CFO, in noise."""
    rng = np.random.default_rng(7)
    clean = np.zeros(count, complex)
    for start in starts:
        payload = rng.standard_normal(800) + 1j * rng.standard_normal(800)
        frame = np.concatenate([legacy_preamble().numpy(), payload / np.sqrt(2)])
        clean[start : start + len(frame)] += frame
    clean = np.convolve(clean, taps)[:count]
    power = float(np.sum(np.abs(taps) ** 2))
    turned = clean * np.exp(2j * np.pi * cfo_hz / RATE * np.arange(count))
    noise = np.sqrt(power * 10 ** (-snr_db / 10)) * _noise(count, 3)
    return (turned + noise).astype(np.complex64)


@pytest.mark.parametrize("cfo_hz", [-300e3, -35e3, 0.0, 120e3])
def test_frames_are_found_where_they_are_with_their_offset(cfo_hz: float) -> None:
    starts = [500, 4000, 70_000, 131_000]
    iq = _stream(starts, cfo_hz=cfo_hz, snr_db=15.0, taps=[1.0], count=140_000)
    frames = detect_wifi_frames([iq], sample_rate_hz=RATE)
    assert [frame.sample_start for frame in frames] == starts
    # Phase of 64 products over 64 samples: std = fs / (2 pi 64 sqrt(64 SNR)), 5 of them allowed.
    limit = 5 * RATE / (2 * np.pi * 64 * np.sqrt(64 * 10**1.5))
    assert all(abs(frame.cfo_hz - cfo_hz) < limit for frame in frames)


def test_transfer_and_snr_are_those_of_the_channel() -> None:
    taps = [0.9, 0.0, 0.4j, 0.0, 0.0, -0.2]
    starts = list(range(1000, 60_000, 2000))
    iq = _stream(starts, cfo_hz=20e3, snr_db=25.0, taps=taps, count=64_000)
    frames = detect_wifi_frames([iq], sample_rate_hz=RATE)
    assert len(frames) == len(starts)
    carriers = np.array(L_LTF_CARRIERS)
    truth = np.exp(-2j * np.pi * np.outer(carriers, np.arange(6)) / 64) @ np.array(taps)
    for frame, start in zip(frames, starts, strict=True):
        late = frame.ltf_start - (start + 192)
        turned = frame.transfer * np.exp(-2j * np.pi * carriers * late / 64)
        phase = np.vdot(truth, turned)
        error = turned - truth * phase / abs(phase)
        # The error must be the noise it says it has: chi-square with 104 degrees of freedom.
        assert np.mean(np.abs(error) ** 2) < 2.0 * frame.noise_variance
    # Noise on a carrier at unit sample power: 64 / 52 more SNR than over the whole band.
    expected_db = 25.0 + 10 * np.log10(64 / 52)
    median = np.median([frame.snr_db for frame in frames])
    assert median == pytest.approx(expected_db, abs=0.5)


@pytest.mark.parametrize("block", [777, 65_536])
def test_any_block_size_gives_the_same_frames(block: int) -> None:
    iq = _stream([10, 66_000, 66_900, 131_000], cfo_hz=1e4, snr_db=10.0, taps=[1.0], count=140_000)
    whole = detect_wifi_frames([iq], sample_rate_hz=RATE)
    detector = WifiDetector()
    parts = [f for k in range(0, len(iq), block) for f in detector.process(iq[k : k + block])]
    parts += detector.finish()
    assert len(whole) == 4
    assert [(f.sample_start, f.cfo_hz) for f in parts] == [
        (f.sample_start, f.cfo_hz) for f in whole
    ]


def test_noise_has_no_frames() -> None:
    # 0.1 s. By the bound of the first gate, (1 - 1/4)^127 = 1e-16 per sample, 10 s of noise open
    # it with a probability of 3e-8; the other two gates would have to open as well.
    detector = WifiDetector()
    for seed in range(4):
        assert detector.process(_noise(500_000, seed)) == []
    assert detector.finish() == []


def test_bursts_without_a_preamble_are_not_counted() -> None:
    iq = 0.01 * _noise(40_000, 1)
    iq[5000:9000] += _noise(4000, 2)  # a burst of noise
    iq[12_000:16_000] += np.exp(2j * np.pi * 0.0625 * np.arange(4000)).astype(np.complex64)
    iq[20_000:20_320] += np.tile(legacy_preamble().numpy()[:16], 20)  # L-STF that never ends
    iq += 0.3  # a DC offset is periodic too
    assert detect_wifi_frames([iq], sample_rate_hz=RATE) == []


@pytest.mark.parametrize("count", [0, 100, 400])
def test_recordings_shorter_than_a_preamble_have_no_frames(count: int) -> None:
    assert detect_wifi_frames([_noise(count, 0)], sample_rate_hz=RATE) == []


def test_a_preamble_alone_is_found() -> None:
    frames = detect_wifi_frames([legacy_preamble().numpy()], sample_rate_hz=RATE)
    assert [frame.sample_start for frame in frames] == [0]


def test_another_sample_rate_is_refused_with_the_remedy() -> None:
    with pytest.raises(SignalError, match="20 Msps, the recording has 8 Msps"):
        detect_wifi_frames([], sample_rate_hz=8e6)


@pytest.mark.parametrize(
    ("name", "at_least", "cfo_hz"),
    [
        ("conducted_dot11a_24mbps", 19, -35e3),
        ("conducted_dot11a_9mbps", 18, -35e3),
        ("radiated_dot11n_6p5mbps", 58, -34.5e3),
        ("radiated_dot11n_19p5mbps", 10, -32e3),
    ],
)
def test_frames_of_real_captures_are_found(
    shared_data: Path, name: str, at_least: int, cfo_hz: float
) -> None:
    base = shared_data / "captures" / f"wifi_{name}"
    meta = json.loads(base.with_suffix(".sigmf-meta").read_text())
    assert meta["global"]["core:datatype"] == "ci16_le"
    pairs = np.fromfile(base.with_suffix(".sigmf-data"), "<i2").reshape(-1, 2)
    iq = (pairs.astype(np.float32) / 32768).view(np.complex64)[:, 0]
    frames = detect_wifi_frames([iq], sample_rate_hz=RATE)
    assert len(frames) >= at_least
    near = [frame.cfo_hz for frame in frames if abs(frame.cfo_hz - cfo_hz) < 10e3]
    assert np.median(near) == pytest.approx(cfo_hz, abs=1e3)
    assert min(frame.snr_db for frame in frames) > 25.0
