"""What a cable shows is divided out of what the air shows, and its error is accounted for."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, signal

from phyemu.errors import SignalError
from phyemu.iq import Recording, open_recording
from phyemu.sounding import (
    Calibration,
    Sounding,
    SoundingConfig,
    calibration_of,
    sound_recording,
)
from phyemu.waveform.sounder import SounderFormat, sounder_waveform

Maker = Callable[..., Recording]
RATE = 20e6
SOUNDER = SounderFormat(sample_rate_hz=RATE, length=256, gap_samples=800)
DELAYS_SAMPLES = (0.0, 3.3, 9.6)
GAINS = (1.0, 0.4j, -0.1)
POWER = sum(abs(gain) ** 2 for gain in GAINS)
# One pole off the carrier: 20 log10((1 + 0.56) / (1 - 0.56)) = 11 dB of tilted roll-off, as the
# real cable recordings have.
POLE = [1.0, -0.56 * np.exp(0.4j)]


def _air(iq: NDArray[np.complex128]) -> NDArray[np.complex128]:
    frequencies = np.fft.fftfreq(len(iq))
    response = sum(
        gain * np.exp(-2j * np.pi * frequencies * delay)
        for gain, delay in zip(GAINS, DELAYS_SAMPLES, strict=True)
    )
    heard: NDArray[np.complex128] = np.fft.ifft(np.fft.fft(iq) * response)
    return heard


def _sounding(
    make_recording: Maker,
    *,
    air: bool,
    filtered: bool,
    seed: int,
    bursts: int = 12,
    noise: float = 1e-3,
    calibration: Calibration | None = None,
    config: SoundingConfig | None = None,
) -> Sounding:
    """Return the link of a recording through the air or a cable, at unit transmitted power."""
    burst = np.concatenate([sounder_waveform(SOUNDER).numpy(), np.zeros(800)])
    iq = 0.2 * np.concatenate([np.zeros(900), np.tile(burst, bursts), np.zeros(1600)])
    iq = _air(iq) if air else iq
    iq = signal.lfilter([1.0], POLE, iq) if filtered else iq
    rng = np.random.default_rng(seed)
    iq = iq + 0.2 * np.sqrt(noise / 2) * (rng.standard_normal((len(iq), 2)) @ [1, 1j])
    fields = {"phyemu:waveform": "sounder", "phyemu:sounder": SOUNDER.to_dict()}
    recording = make_recording(iq, RATE, global_fields=fields)
    (link,) = sound_recording(recording, config, calibration=calibration)
    return link


def test_the_room_is_seen_as_without_the_front_end(make_recording: Maker) -> None:
    cable = _sounding(make_recording, air=False, filtered=True, seed=1)
    calibration = calibration_of([cable], name="cable.sigmf")
    rolloff = 20 * np.log10(np.abs(calibration.response))
    assert np.ptp(rolloff) == pytest.approx(11.0, abs=0.3)
    raw = _sounding(make_recording, air=True, filtered=True, seed=2)
    seen = _sounding(make_recording, air=True, filtered=True, seed=2, calibration=calibration)
    expected = 1e9 * np.array(DELAYS_SAMPLES) / RATE
    # Noise over 12 bursts, 8 repetitions and 230 frequencies; the weakest path, 20 dB down and
    # with the front end's roll-off, is known to about 0.05 ns and 0.02 dB.
    assert seen.paths.num_paths == 3
    np.testing.assert_allclose(1e9 * seen.paths.delays_s.numpy(), expected, atol=0.4)
    level = 10 * np.log10(seen.paths.powers().numpy())
    np.testing.assert_allclose(level - level[0], 20 * np.log10(np.abs(GAINS)), atol=0.15)
    # Without it, the filter's own echoes pass for paths.
    assert raw.paths.num_paths > 3
    assert seen.provenance["calibration"]["name"] == "cable.sigmf"
    assert "calibration" not in raw.provenance


def test_a_flat_channel_keeps_its_power_phase_and_delay(make_recording: Maker) -> None:
    cable = _sounding(make_recording, air=False, filtered=True, seed=1)
    calibration = calibration_of([cable], name="cable.sigmf")
    assert np.mean(np.abs(calibration.response) ** 2) == pytest.approx(1.0, abs=1e-3)
    step = calibration.response[1:] * calibration.response[:-1].conj()
    assert np.angle(step.sum()) == pytest.approx(0.0, abs=1e-9)
    # The cable seen through itself: one path, of the power that was received, at delay 0.
    other = _sounding(make_recording, air=False, filtered=True, seed=5, calibration=calibration)
    assert other.paths.num_paths == 1
    np.testing.assert_allclose(other.received_power_dbfs, cable.received_power_dbfs, atol=0.05)
    np.testing.assert_allclose(other.cn0_dbhz, cable.cn0_dbhz, atol=0.3)


def _fitted(
    like: NDArray[np.complex64], frame: NDArray[np.complex64], weight: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Return `like` with the level, phase and delay of `frame`: those are the sounder's choice."""
    index = np.arange(len(like))

    def turned(turn: float) -> NDArray[np.complex128]:
        return like * np.exp(1j * index * turn)

    def match(turn: float) -> float:
        return -abs((frame * turned(turn).conj() * weight).sum())

    grid = np.linspace(-0.3, 0.3, 1201)
    start = grid[np.argmin([match(turn) for turn in grid])]
    best = optimize.minimize_scalar(match, bounds=(start - 1e-3, start + 1e-3), method="bounded")
    shape = turned(float(best.x))
    scale = (frame * shape.conj() * weight).sum() / (np.abs(shape) ** 2 * weight).sum()
    fitted: NDArray[np.complex128] = scale * shape
    return fitted


def test_the_error_of_a_calibrated_response_is_what_it_says(make_recording: Maker) -> None:
    # Few and noisy bursts through the cable: their error is most of what is left.
    truth = _sounding(make_recording, air=True, filtered=False, seed=0, noise=1e-9).transfer[0]
    ratios, shares = [], []
    for seed in range(8):
        cable = _sounding(make_recording, air=False, filtered=True, seed=seed, bursts=3, noise=2e-2)
        calibration = calibration_of([cable], name="cable")
        settings = {"air": True, "filtered": True, "seed": 100 + seed, "bursts": 3, "noise": 1e-2}
        raw = _sounding(make_recording, **settings)
        seen = _sounding(make_recording, **settings, calibration=calibration)
        for frame, variance in zip(seen.transfer, seen.noise_variance, strict=True):
            error = np.abs(frame - _fitted(truth, frame, 1.0 / variance)) ** 2
            ratios.append(float(np.mean(error / variance)))
        without = raw.noise_variance / np.abs(calibration.response) ** 2
        shares.append(float(np.median(seen.noise_variance / without)))
    # 8 calibrations of 230 frequencies and 24 frames of as many: the mean is known to about
    # sqrt(1 / 1840) = 2 %; level, phase and delay take 1 % away. Five of these allowed.
    assert np.mean(ratios) == pytest.approx(0.99, abs=0.12)
    # The calibration's own error counts here: without it, the variance would be far too low.
    assert np.mean(shares) > 1.5


def test_the_error_shared_by_all_frames_adds_no_paths(make_recording: Maker) -> None:
    found = []
    for seed in range(8):
        cable = _sounding(make_recording, air=False, filtered=True, seed=seed, bursts=3, noise=1e-2)
        found.append(
            _sounding(
                make_recording,
                air=False,
                filtered=True,
                seed=50 + seed,
                bursts=40,
                noise=1e-2,
                calibration=calibration_of([cable], name="cable"),
                config=SoundingConfig(dynamic_range_db=70.0),
            ).paths.num_paths
        )
    # Forty frames average their own noise away, not the calibration's: taken for noise of each
    # frame it adds paths in most of these; as it is, in one of 1000.
    assert found == [1] * 8


def test_weak_frequencies_are_left_out() -> None:
    frequencies = np.arange(8) * 1e6
    response = np.array([1, 1, 1, 1, 1, 1, 0.02, 0.001]) + 0j
    calibration = Calibration(
        name="c",
        recording_sha512=None,
        probe="wifi",
        sample_rate_hz=RATE,
        frequencies_hz=frequencies,
        response=response,
        variance=np.full(8, 1e-6),
    )
    assert calibration.usable.tolist() == [True] * 6 + [False] * 2


def test_what_does_not_belong_together_is_refused(make_recording: Maker) -> None:
    cable = _sounding(make_recording, air=False, filtered=True, seed=1, bursts=4)
    calibration = calibration_of([cable], name="cable.sigmf")
    for change, message in (
        ({"sample_rate_hz": 10e6}, r"made\d+\.sigmf: recorded at 20 Msps, .* cable\.sigmf at 10"),
        ({"probe": "wifi"}, r"made\d+\.sigmf: sounded with the probe 'sounder', .* with 'wifi'"),
        ({"frequencies_hz": calibration.frequencies_hz + 9e6}, "measured at other frequencies"),
        ({"variance": calibration.variance * 1e9}, "lost in its noise"),
    ):
        other = dataclasses.replace(calibration, **change)
        with pytest.raises(SignalError, match=message):
            _sounding(make_recording, air=True, filtered=True, seed=2, bursts=4, calibration=other)
    calibrated = _sounding(
        make_recording, air=False, filtered=True, seed=3, bursts=4, calibration=calibration
    )
    with pytest.raises(SignalError, match="is calibrated itself"):
        calibration_of([calibrated], name="twice.h5")
    with pytest.raises(SignalError, match="no sounding"):
        calibration_of([], name="none")


def test_a_real_cable_calibrates_itself_and_the_room(shared_data: Path) -> None:
    def sound(name: str, calibration: Calibration | None = None) -> Sounding:
        with open_recording(shared_data / "captures" / f"wifi_{name}.sigmf-meta") as recording:
            return sound_recording(recording, calibration=calibration)[0]

    def spread_db(link: Sounding) -> float:
        return float(np.ptp(10 * np.log10(np.mean(np.abs(link.transfer) ** 2, axis=0))))

    calibration = calibration_of([sound("conducted_dot11n_13mbps")], name="cable")
    cable, itself = (sound("conducted_dot11n_52mbps", item) for item in (None, calibration))
    assert cable.paths.num_paths == 3
    assert spread_db(cable) > 10.0
    # Another recording through the same cable: nothing is left but one path.
    assert itself.paths.num_paths == 1
    assert spread_db(itself) < 0.3
    room, alone = (sound("radiated_dot11n_6p5mbps", item) for item in (None, calibration))
    assert spread_db(room) == pytest.approx(15.6, abs=0.5)
    assert spread_db(alone) == pytest.approx(6.5, abs=0.5)
    assert np.median(alone.rms_delay_spread_s) < 0.65 * np.median(room.rms_delay_spread_s)
