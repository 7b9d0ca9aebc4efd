"""End to end: a known world recorded through the emulator, sounded, fitted."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from phyemu.channel import (
    DelayProfile,
    Distribution,
    EmpiricalChannel,
    FrontEnd,
    NoiseLevel,
    TappedDelayLine,
)
from phyemu.channel.stream import ChannelStream
from phyemu.fitting import FitConfig, fit_channel
from phyemu.iq import open_recording, write_recording
from phyemu.sounding import sound_recording
from phyemu.waveform.sounder import SounderFormat, sounder_waveform

RATE = 20e6
SOUNDER = SounderFormat(sample_rate_hz=RATE, length=256, repetitions=9, gap_samples=97_696)
AMPLITUDE = 0.1
DOPPLER_HZ = 30.0
CN0_DBHZ = 90.0


@pytest.fixture(scope="module")
def fit(tmp_path_factory: pytest.TempPathFactory):
    profile = DelayProfile(
        name="three", delays_s=(0.0, 100e-9, 300e-9), powers=(0.7, 0.2, 0.1), k_factor=(4.0, 0, 0)
    )
    world = TappedDelayLine(
        profile=profile,
        noise=NoiseLevel(cn0_dbhz=Distribution.constant(CN0_DBHZ)),
        doppler_hz=DOPPLER_HZ,
        front_end=FrontEnd(
            cfo_hz=Distribution.constant(2500.0),
            sfo_ppm=Distribution.constant(1.0),
            linewidth_hz=Distribution.constant(50.0),
        ),
    )
    burst = (AMPLITUDE * sounder_waveform(SOUNDER)).numpy()
    silence = np.zeros(SOUNDER.gap_samples, np.complex64)
    sent = np.concatenate([silence[:900], *[burst, silence] * 150])
    stream = ChannelStream(
        world,
        sample_rate_hz=RATE,
        symbol_rate_hz=10e6,
        reference_power=AMPLITUDE**2,
        seed=5,
    )
    path = write_recording(
        Path(tmp_path_factory.mktemp("world")) / "three.sigmf",
        stream.process(sent),
        sample_rate_hz=RATE,
        datatype="cf32_le",
        global_fields={"phyemu:waveform": "sounder", "phyemu:sounder": SOUNDER.to_dict()},
    )
    with open_recording(path) as recording:
        soundings = sound_recording(recording)
    return fit_channel(soundings, FitConfig(num_resamples=20))


def test_the_paths_are_those_of_the_world(fit) -> None:
    strong = [path for path in fit.paths if path.power.value > 0.01]
    delays_s = np.array([path.delay_s for path in strong])
    np.testing.assert_allclose(delays_s - delays_s[0], [0.0, 100e-9, 300e-9], atol=2e-9)
    # A Rayleigh power from N_eff frames: five standard errors of 1 / sqrt(N_eff), both sides.
    tolerance = 5 / math.sqrt(fit.effective_frames)
    np.testing.assert_allclose(
        [path.power.value for path in strong], [0.7, 0.2, 0.1], rtol=tolerance
    )
    assert strong[0].k_factor.low < 4.0 < strong[0].k_factor.high


def test_the_doppler_is_that_of_the_world(fit) -> None:
    assert fit.doppler_hz.value == pytest.approx(DOPPLER_HZ, rel=0.25)


def test_the_cn0_is_that_of_the_world(fit) -> None:
    # Fading moves the mean power of N_eff frames by 4.34 sqrt(0.3 / N_eff) dB; allow four.
    tolerance = 4 * 4.34 * math.sqrt(0.3 / fit.effective_frames) + 0.1
    assert fit.cn0_dbhz.value == pytest.approx(CN0_DBHZ, abs=tolerance)


def test_the_radios_are_those_of_the_world(fit) -> None:
    assert isinstance(fit.model, EmpiricalChannel)
    assert fit.model.front_end.cfo_hz.mean == pytest.approx(2500.0, abs=60.0)
    assert fit.model.front_end.sfo_ppm.mean == pytest.approx(1.0, abs=0.3)
    assert fit.model.front_end.linewidth_hz.mean == pytest.approx(50.0, rel=0.7)


def test_the_model_draws(fit) -> None:
    draw = fit.model.draw(
        4,
        num_steps=3,
        interval_s=1e-3,
        symbol_rate_hz=10e6,
        generator=torch.Generator().manual_seed(1),
    )
    assert draw.response.gains.shape[:2] == (4, 3)
    np.testing.assert_allclose(draw.snr_db.numpy(), CN0_DBHZ - 70.0, atol=2.0)
