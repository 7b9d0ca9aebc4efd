"""Fits of worlds whose parameters are known, and what is said where a record falls short."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from phyemu.channel import (
    EmpiricalChannel,
    FadingProcess,
    LargeScaleDrift,
    MeasuredChannel,
    tdl_profile,
)
from phyemu.errors import ConfigError, FitError
from phyemu.fitting import FitConfig, FitMethod, fit_channel
from phyemu.fitting.response_statistics import effective_snr_db
from phyemu.sounding import Estimate, FrontEndEstimate

DELAYS_S = (0.0, 100e-9, 250e-9)
POWERS = (0.7, 0.2, 0.1)
RICIAN = FadingProcess(powers=POWERS, k_factor=(4.0, 0.0, 0.0), doppler_hz=(10.0,) * 3)
QUICK = FitConfig(num_resamples=20)


@pytest.mark.parametrize("cn0_dbhz", [100.0, 85.0])
def test_a_known_world_is_recovered(make_sounding, cn0_dbhz: float) -> None:
    count = 500
    sounding = make_sounding(
        RICIAN, DELAYS_S, num_frames=count, cn0_dbhz=cn0_dbhz, independent=True
    )
    fit = fit_channel([sounding], QUICK)
    model = fit.model
    assert isinstance(model, EmpiricalChannel)
    assert sum(model.powers) == pytest.approx(1.0)
    np.testing.assert_allclose(model.delays_s, DELAYS_S, atol=0.2e-9)
    # A Rayleigh power is known to 1 / sqrt(N); allow five of these.
    np.testing.assert_allclose(model.powers, POWERS, rtol=5 / math.sqrt(count))
    # Relative standard error of K = 4 from N frames: about sqrt(2 / N) (1 + 1 / K).
    assert model.k_factor[0] == pytest.approx(4.0, rel=5 * 1.25 * math.sqrt(2 / count))
    assert model.k_factor[1:] == (0.0, 0.0)
    assert [path.family for path in fit.paths] == ["rician", "rayleigh", "rayleigh"]
    # The power of a frame varies by sqrt(0.31) of itself: fading of the three paths.
    assert fit.cn0_dbhz.value == pytest.approx(cn0_dbhz, abs=5 * 4.34 * 0.56 / math.sqrt(count))
    assert fit.drift_db == 0


def test_noise_as_strong_as_the_signal_biases_neither_power_nor_cn0(make_sounding) -> None:
    # 64 values of 20 kHz noise each: C/N0 61 dB Hz is 0 dB in a single value of the response.
    sounding = make_sounding(
        RICIAN, DELAYS_S, num_frames=1500, cn0_dbhz=61.0, independent=True, seed=3
    )
    fit = fit_channel([sounding], QUICK)
    assert fit.cn0_dbhz.value == pytest.approx(61.0, abs=0.2)
    assert fit.paths[0].power.value == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize("letter", ["A", "C", "E"])
def test_a_dense_world_is_drawn_with_its_delay_spread(make_sounding, letter: str) -> None:
    profile = tdl_profile(letter, rms_delay_spread_s=100e-9)
    fading = FadingProcess(
        powers=profile.powers,
        k_factor=profile.k_factor,
        doppler_hz=(10.0,) * len(profile.powers),
    )
    sounding = make_sounding(
        fading, profile.delays_s, num_frames=400, cn0_dbhz=95.0, independent=True
    )
    fit = fit_channel([sounding], FitConfig(holdout=0.3, num_resamples=20))
    assert fit.rms_delay_spread_s.value == pytest.approx(profile.rms_delay_spread_s(), rel=0.2)
    assert fit.explained > 0.9
    assert fit.holdout is not None
    assert fit.holdout.effective_snr < 1.5 * fit.holdout.critical
    # The median of 120 frames that scatter by 4 dB: a standard error of 0.46 dB; allow three.
    assert abs(fit.holdout.effective_snr_offset_db) < 3 * 1.25 * 4.0 / math.sqrt(120)
    assert fit.holdout.log_likelihood["fit"] > fit.holdout.log_likelihood["single-tap"]


def test_draws_of_the_fit_have_the_effective_snr_of_the_world(make_sounding) -> None:
    frequencies_hz = torch.linspace(-6e6, 6e6, 64, dtype=torch.float64)

    def snr_db(fading: FadingProcess, delays_s, cn0_dbhz: float, seed: int) -> np.ndarray:
        generator = torch.Generator().manual_seed(seed)
        gains = fading.draw(2000, num_steps=1, interval_s=1.0, generator=generator)[:, 0].numpy()
        turned = np.exp(-2j * np.pi * np.outer(delays_s, frequencies_hz.numpy()))
        return effective_snr_db(
            gains @ turned,
            noise_density=np.full(len(gains), 10 ** (-cn0_dbhz / 10)),
            bandwidth_hz=10e6,
        )

    sounding = make_sounding(RICIAN, DELAYS_S, num_frames=800, cn0_dbhz=85.0, independent=True)
    model = fit_channel([sounding], QUICK).model
    assert isinstance(model, EmpiricalChannel)
    assert model.cn0_dbhz is not None
    world = snr_db(RICIAN, DELAYS_S, 85.0, seed=1)
    fitted = snr_db(model.fading, model.delays_s, model.cn0_dbhz.mean, seed=2)
    # The distance of two samples of 2000, and of the 800 frames that the fit rests on.
    limit = 1.63 * math.sqrt(2 / 2000) + 1.0 / math.sqrt(800)
    assert stats.ks_2samp(world, fitted).statistic < limit
    assert np.median(fitted) == pytest.approx(np.median(world), abs=0.3)


@pytest.mark.slow
def test_confidence_intervals_hold_the_truth_as_often_as_they_say(make_sounding) -> None:
    inside: dict[str, int] = {}
    for seed in range(50):
        sounding = make_sounding(
            RICIAN, DELAYS_S, num_frames=80, independent=True, num_frequencies=16, seed=seed
        )
        fit = fit_channel([sounding], FitConfig(num_resamples=20, seed=seed, max_paths=4))
        spread = float(np.sqrt(np.dot(POWERS, np.square(DELAYS_S)) - np.dot(POWERS, DELAYS_S) ** 2))
        held = {
            "C/N0": fit.cn0_dbhz.contains(100.0),
            "CFO": fit.cfo_hz.contains(1200.0),
            "RMS delay spread": fit.rms_delay_spread_s.contains(spread),
        }
        for index, path in enumerate(fit.paths):
            held[f"power {index}"] = path.power.contains(POWERS[index])
            held[f"K {index}"] = path.k_factor.contains(RICIAN.k_factor[index])
        for index, path in enumerate(fit.paths[1:], start=1):
            held[f"delay {index}"] = path.delay_interval_s.contains(DELAYS_S[index])
        for name, truth in held.items():
            inside[name] = inside.get(name, 0) + truth
    # Binomial(50, 0.95): 40 or fewer has a chance of 3e-5 in each of the eleven.
    assert len(inside) == 11
    assert min(inside.values()) >= 41, inside


def test_doppler_and_block_fading_follow_from_the_time_between_frames(make_sounding) -> None:
    moving = fit_channel([make_sounding(RICIAN, DELAYS_S, num_frames=400)], QUICK)
    assert isinstance(moving.model, EmpiricalChannel)
    assert moving.model.doppler_hz[0] == pytest.approx(10.0, rel=0.2)
    assert moving.model.block_s is None
    assert moving.effective_frames < 60
    blocks = fit_channel([make_sounding(RICIAN, DELAYS_S, num_frames=200, independent=True)], QUICK)
    assert isinstance(blocks.model, EmpiricalChannel)
    assert blocks.model.doppler_hz[0] == 0
    assert blocks.model.block_s is not None
    assert math.isnan(blocks.doppler_hz.value)
    assert any("show no memory of one another" in warning for warning in blocks.warnings)


def test_a_static_link_keeps_its_phases(make_sounding) -> None:
    still = FadingProcess(
        powers=(0.8, 0.2),
        k_factor=(math.inf, math.inf),
        doppler_hz=(0.0, 0.0),
        specular_phase_rad=(0.0, 1.0),
    )
    sounding = make_sounding(still, DELAYS_S[:2], num_frames=40, probe="wifi")
    fit = fit_channel([sounding], FitConfig(num_resamples=20, holdout=0.3))
    model = fit.model
    assert isinstance(model, EmpiricalChannel)
    assert min(model.k_factor) > 1e4
    phase = np.angle(np.exp(1j * (model.specular_phase_rad[1] - model.specular_phase_rad[0])))
    assert phase == pytest.approx(1.0, abs=0.01)
    # The two paths interfere over the band: the model's C/N0 is that of their powers' sum.
    assert model.cn0_dbhz is not None
    assert model.cn0_dbhz.mean == pytest.approx(100.0, abs=0.05)
    assert fit.cn0_dbhz.value == pytest.approx(99.68, abs=0.05)
    assert fit.holdout is not None
    assert abs(fit.holdout.received_power_offset_db) < 0.02
    assert any("independent blocks" in warning for warning in fit.warnings)


def test_a_drift_of_the_link_goes_to_the_level_and_not_to_the_fading(make_sounding) -> None:
    drift = LargeScaleDrift(std_db=3.0, correlation_s=1.0)
    generator = torch.Generator().manual_seed(3)
    factor = drift.draw(1, num_steps=2000, interval_s=5e-3, generator=generator)[0, :, 0].numpy()
    sounding = make_sounding(
        RICIAN, DELAYS_S, num_frames=2000, drift_db=20 * np.log10(factor), num_frequencies=32
    )
    fit = fit_channel([sounding], QUICK)
    model = fit.model
    assert isinstance(model, EmpiricalChannel)
    assert model.drift is not None
    assert model.cn0_dbhz is not None
    assert model.cn0_dbhz.is_constant
    # Ten correlation times, each a level: a standard deviation known to 1 / sqrt(10), one sigma.
    assert model.drift.std_db == pytest.approx(3.0, rel=0.6)
    ((low, high),) = model.uncertainty["drift_db"]
    assert low <= 3.0 <= high
    assert 0.2 < model.drift.correlation_s < 5.0
    assert fit.drift_correlation_s == model.drift.correlation_s
    assert model.k_factor[0] > 1.5
    # The stream drifts, too: means over 0.2 s of an endless realisation differ as the record's did.
    times_s = torch.arange(40_000, dtype=torch.float64) * 5e-3
    gains = model.realise(symbol_rate_hz=1e7, generator=generator).gains(times_s)
    power = gains.abs().double().square().sum(dim=1).reshape(-1, 200).mean(dim=1)
    assert (10 * torch.log10(power)).std().item() == pytest.approx(model.drift.std_db, rel=0.3)


def test_records_of_different_level_are_pooled(make_sounding) -> None:
    soundings = [
        make_sounding(
            RICIAN, DELAYS_S, num_frames=150, cn0_dbhz=cn0_dbhz, independent=True, seed=seed
        )
        for seed, cn0_dbhz in enumerate((88.0, 92.0, 96.0))
    ]
    fit = fit_channel(soundings, QUICK)
    assert fit.num_frames == 450
    assert fit.drift_db == pytest.approx(4.0, rel=0.4)
    strongest = max(fit.paths, key=lambda path: path.power.value)
    assert strongest.k_factor.value == pytest.approx(4.0, rel=0.4)


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_a_short_record_is_fitted_with_a_warning(make_sounding, count: int) -> None:
    fit = fit_channel([make_sounding(RICIAN, DELAYS_S, num_frames=count)], QUICK)
    assert any("record is short" in warning for warning in fit.warnings)
    assert np.isfinite(fit.cn0_dbhz.value)
    assert sum(path.power.value for path in fit.paths) == pytest.approx(1.0)


def test_a_record_within_one_coherence_time_claims_no_interval(make_sounding) -> None:
    # 0.1 s at 10 Hz: the frames are one state of the channel, and resampling them shows nothing.
    record = make_sounding(RICIAN, DELAYS_S, num_frames=100, interval_s=1e-3)
    fit = fit_channel([record], QUICK)
    assert fit.effective_frames < 4
    assert all(math.isnan(path.power.low) for path in fit.paths)
    assert all(path.k_factor.low == 0 for path in fit.paths)
    assert all(math.isinf(path.k_factor.high) for path in fit.paths)
    assert math.isnan(fit.rms_delay_spread_s.high)


def test_what_the_probe_knows_of_the_radios_goes_into_the_model(make_sounding) -> None:
    front_end = FrontEndEstimate(
        dc_offset_i=Estimate(value=3e-3, std=1e-4),
        dc_offset_q=Estimate(value=4e-3, std=1e-4),
        iq_gain_db=Estimate(value=0.3, std=0.01),
        iq_phase_rad=Estimate(value=-0.02, std=0.001),
        linewidth_hz=Estimate(value=80.0, std=5.0),
    )
    sounding = make_sounding(RICIAN, DELAYS_S, num_frames=60, front_end=front_end)
    model = fit_channel([sounding], QUICK).model
    assert model.front_end.dc_offset.mean == pytest.approx(5e-3)
    assert model.front_end.iq_gain_db.mean == pytest.approx(0.3)
    assert model.front_end.iq_phase_rad.mean == pytest.approx(-0.02)
    assert model.front_end.linewidth_hz.mean == pytest.approx(80.0)
    assert model.front_end.sfo_ppm.mean == pytest.approx(0.5)
    # 60 estimates of 10 Hz noise each.
    assert model.front_end.cfo_hz.mean == pytest.approx(1200.0, abs=5 * 10 / math.sqrt(60) * 1.25)
    assert model.front_end.cfo_hz.std == 0


def test_the_measured_method_plays_the_record_back(make_sounding) -> None:
    sounding = make_sounding(RICIAN, DELAYS_S, num_frames=100, cn0_dbhz=70.0)
    fit = fit_channel([sounding], FitConfig(method=FitMethod.MEASURED, num_resamples=20))
    model = fit.model
    assert isinstance(model, MeasuredChannel)
    truth = np.square(np.abs(sounding.paths.gains.numpy())).mean(axis=0)
    power = model.responses.powers().numpy()
    np.testing.assert_allclose(power / power.sum(), truth / truth.sum(), atol=0.02)


def test_the_same_seed_gives_the_same_fit(make_sounding) -> None:
    sounding = make_sounding(RICIAN, DELAYS_S, num_frames=60)
    config = FitConfig(num_resamples=20, holdout=0.3)
    assert fit_channel([sounding], config).summary() == fit_channel([sounding], config).summary()


def test_another_transmitter_than_there_is_is_refused(make_sounding) -> None:
    sounding = make_sounding(RICIAN, DELAYS_S, num_frames=10)
    with pytest.raises(FitError, match=r"no sounding of transmitter 2; the recordings hold"):
        fit_channel([sounding], FitConfig(transmitter=2))
    with pytest.raises(FitError, match="phyemu sound"):
        fit_channel([])


def test_settings_out_of_range_are_refused() -> None:
    for settings in ({"holdout": 0.9}, {"max_paths": 0}, {"name": ""}, {"seed": -1}):
        with pytest.raises(ConfigError, match=next(iter(settings))):
            FitConfig(**settings)
