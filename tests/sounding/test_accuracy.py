"""The accuracy that docs/sounding.md states, on fewer links: `python -m benchmarks accuracy`."""

import dataclasses

import numpy as np
import pytest
import torch

from benchmarks.accuracy import TapTable, published_tables, random_tables, score, sounded
from benchmarks.accuracy_bound import bound, curve
from phyemu.channel import ImpulseResponse

# Weak taps among strong ones, a tap below the range, taps that cancel, a late first tap.
HARD_LINKS = ["90001 1-5", "90001 3-4", "90001 3-5", "90001 4-5", "90002 3-5", "90003 1-5"]
LINKS = {table.name: table for table in published_tables()}


def _judge(table: TapTable, rate: float) -> tuple[list[float], list[float]]:
    delays, levels = [], []
    for sounding in sounded(table, sample_rate_hz=rate, bursts=20, alone=1, seed=1):
        result = score(table, sounding, bandwidth_hz=rate)
        assert (result.missed, result.false) == (0, 0), table.name
        delays += result.delay_errors_s
        levels += result.gain_errors_db
    return delays, levels


@pytest.mark.parametrize("rate", [20e6, 100e6])
def test_taps_of_hard_published_links_are_found_and_no_others(rate: float) -> None:
    errors = [_judge(LINKS[name], rate) for name in HARD_LINKS]
    assert np.median([error for delays, _ in errors for error in delays]) <= 1e-9
    assert np.median([error for _, levels in errors for error in levels]) <= 0.1


@pytest.mark.parametrize("rate", [20e6, 100e6])
def test_taps_of_random_links_are_found_and_no_others(rate: float) -> None:
    errors = [_judge(table, rate) for table in random_tables(6, bandwidth_hz=rate, seed=11)]
    assert np.median([error for delays, _ in errors for error in delays]) <= 1e-9
    assert np.median([error for _, levels in errors for error in levels]) <= 0.1


# Delays in samples, levels in dB, phases in turns. Fits of them have optima with up to four false
# paths, in which a pursuit stops that moves the paths too little.
CROWDED = [
    ([0.0, 1.065, 2.3, 3.35], [-5.6, 0.0, -6.01, -12.24], [0.77, 0.474, 0.921, 0.49]),
    ([0.0, 1.028, 2.116, 3.225], [-5.61, -0.71, -2.56, 0.0], [0.467, 0.451, 0.538, 0.865]),
    ([0.0, 1.297, 2.338, 3.563], [-7.21, -11.52, -9.21, 0.0], [0.028, 0.087, 0.677, 0.155]),
]


@pytest.mark.parametrize(("samples", "levels_db", "turns"), CROWDED)
@pytest.mark.parametrize("rate", [20e6, 100e6])
def test_taps_just_beyond_the_resolution_are_found_and_no_others(
    samples: list[float], levels_db: list[float], turns: list[float], rate: float
) -> None:
    gains = 10 ** (np.array(levels_db) / 20) * np.exp(2j * np.pi * np.array(turns))
    _judge(TapTable(name="crowded", delays_s=np.array(samples) / rate, gains=gains), rate)


def test_all_links_of_the_published_scenarios_are_there() -> None:
    # Ten pairs of five nodes each; 90003 leaves two pairs out.
    assert len(LINKS) == 28
    assert LINKS["90001 4-5"].gains[2] == pytest.approx(-0.01 + 0.1j)
    np.testing.assert_allclose(LINKS["90002 3-5"].delays_s, [0.0, 150e-9], atol=1e-15)


def test_the_judge_sees_misses_false_taps_and_errors() -> None:
    table = TapTable(
        name="made",
        delays_s=np.array([0.0, 1e-6, 1.01e-6]),
        gains=np.array([1.0, 0.5, 0.5]) + 0j,
    )
    sounding, _ = sounded(table, sample_rate_hz=20e6, bursts=2, alone=1, seed=1)
    scale = 0.2 / np.sqrt(1.5)

    def judged(delays_ns: list[float], gains: list[float]) -> tuple[int, int, int]:
        paths = ImpulseResponse(
            torch.tensor([gains, gains], dtype=torch.complex64) * scale,
            1e-9 * torch.tensor(delays_ns, dtype=torch.float64),
            1e-3,
        )
        result = score(table, dataclasses.replace(sounding, paths=paths), bandwidth_hz=20e6)
        return result.wanted, result.missed, result.false

    # Two taps 10 ns apart act as one at 20 Msps: a path near them is no false one.
    assert judged([0.0, 1005.0], [1.0, 1.0]) == (1, 0, 0)
    assert judged([0.0, 500.0], [1.0, 1.0]) == (1, 0, 1)
    assert judged([40.0, 1005.0], [1.0, 1.0]) == (1, 1, 1)
    exact = score(table, sounding, bandwidth_hz=20e6)
    assert exact.gain_errors_db[0] < 0.05
    assert exact.response_error_db < -25.0


def test_the_bound_is_the_closed_form_of_a_single_path() -> None:
    frequencies = np.arange(-40, 60) * 1e5
    gain, noise = 0.3 - 0.4j, 1e-2
    delay_std, level_std = bound(np.array([1.3e-7]), np.array([gain]), frequencies, noise)
    spread = np.sum((frequencies - frequencies.mean()) ** 2)
    assert delay_std[0] == pytest.approx(np.sqrt(noise / (8 * np.pi**2 * 0.25 * spread)))
    # The part of the noise that is in phase with the gain: noise / 2 over 100 values.
    amplitude_std = np.sqrt(noise / 2 / 100)
    assert level_std[0] == pytest.approx(20 / np.log(10) * amplitude_std / 0.5)


def test_the_bound_is_the_curvature_of_the_likelihood() -> None:
    frequencies = np.arange(-40, 60) * 1e5
    delays, gains, noise = np.array([0.0, 1.5e-7]), np.array([1.0, 0.4 - 0.6j]), 3e-3
    unit = 1e-8  # delays in steps of 10 ns, gains as they are

    def response(theta: np.ndarray) -> np.ndarray:
        own = theta[2:4] + 1j * theta[4:6]
        return np.exp(-2j * np.pi * np.outer(frequencies, unit * theta[:2])) @ own

    at = np.concatenate([delays / unit, gains.real, gains.imag])
    truth = response(at)

    def minus_log_likelihood(theta: np.ndarray) -> float:
        return float(np.sum(np.abs(response(theta) - truth) ** 2) / noise)

    step = 1e-4
    axes = step * np.eye(6)
    hessian = np.array(
        [
            [
                minus_log_likelihood(at + a + b)
                - minus_log_likelihood(at + a - b)
                - minus_log_likelihood(at - a + b)
                + minus_log_likelihood(at - a - b)
                for b in axes
            ]
            for a in axes
        ]
    ) / (4 * step**2)
    expected = unit * np.sqrt(np.diag(np.linalg.inv(hessian)))[:2]
    np.testing.assert_allclose(bound(delays, gains, frequencies, noise)[0], expected, rtol=1e-3)


def test_two_overlapping_paths_reach_the_bound() -> None:
    result = curve("two", (1.5,), trials=60, seed=3, snrs_db=(0.0, 20.0, 40.0))
    assert result.wrong_order.sum() == 0
    # 120 errors a point: their RMS is known to 1 / sqrt(240) = 6.5 %, four of these allowed.
    np.testing.assert_allclose(result.delay_rms_s / result.delay_bound_s, 1.0, atol=0.26)
    np.testing.assert_allclose(result.level_rms_db / result.level_bound_db, 1.0, atol=0.26)
