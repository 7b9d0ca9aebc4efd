"""The sync study's own arithmetic: theory against simulation, crossings, peers' detectors."""

import subprocess

import numpy as np
import pytest

from benchmarks.sync import crossing_db
from benchmarks.sync_peers import GNURADIO_PYTHON, gnuradio_starts, schmidl_cox
from benchmarks.sync_theory import cfo_bound_hz, clairvoyant, detection, second_threshold
from benchmarks.sync_trials import FORMAT, Cell, interval, make_rows
from phyemu.waveform import preamble_points


def test_the_closed_form_is_that_of_random_vectors() -> None:
    # A frame on the grid: symbols of the preamble in noise, no pulses.
    rng = np.random.default_rng(1)
    rate, snr_db, draws = 1e-6, -7.0, 20_000
    points = preamble_points(FORMAT).numpy()
    noise = rng.standard_normal((draws, 256)).view(complex) / np.sqrt(2)
    received = 10 ** (snr_db / 20) * points + noise
    share = np.square(np.abs(received @ points.conj())) / 128
    share /= np.square(np.abs(received)).sum(1)
    found = (share > second_threshold(rate, 128)).mean()
    given = {"false_alarm_rate": rate, "frame_format": FORMAT}
    expected = detection(snr_db, fractions=(0.0,), **given)
    assert found == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / draws))
    # Between the samples less is found, and with less known, too.
    assert detection(snr_db, **given) < expected < clairvoyant(snr_db, **given)


def test_the_carriers_bound_is_that_of_the_fisher_information() -> None:
    # Phase and frequency of N unit samples: information 2 SNR [[N, sum n], [sum n, sum n^2]].
    n = np.arange(128)
    information = 2 * 10**0.3 * np.array([[128, n.sum()], [n.sum(), np.square(n).sum()]])
    expected = np.sqrt(np.linalg.inv(information)[1, 1]) / (2 * np.pi) * 10e6
    assert cfo_bound_hz(3.0, symbols=128, frame_format=FORMAT) == pytest.approx(expected, rel=1e-9)


def test_intervals_hold_the_share_at_both_ends() -> None:
    assert interval(0, 100) == pytest.approx((0.0, 1 - 0.025**0.01))
    assert interval(100, 100) == pytest.approx((0.025**0.01, 1.0))


def test_a_crossing_lies_on_the_line_between_two_points() -> None:
    points = [{"snr_db": snr, "read": (share,)} for snr, share in [(0, 0.2), (2, 0.6), (4, 1.0)]]
    assert crossing_db(points, "read", 0.5) == pytest.approx(1.5)
    assert np.isnan(crossing_db(points, "read", 0.1))


def test_both_peers_find_a_loud_frame_where_it_is() -> None:
    rows = make_rows(Cell(channel="awgn", snr_db=20.0), 3, 1)
    flat = rows.iq.reshape(-1)
    places = rows.strongest + np.arange(3) * rows.iq.shape[1]
    metric = schmidl_cox(flat)
    peaks = [
        int(metric[round(place) - 500 : round(place) + 500].argmax()) + round(place) - 500
        for place in places
    ]
    # The periods begin where the first pulse peaks.
    assert np.abs(np.array(peaks) - FORMAT.pulse_delay_samples - places).max() < 4
    try:
        (found,) = gnuradio_starts(flat, [0.5])
    except (OSError, subprocess.CalledProcessError) as exc:
        pytest.skip(f"no GNU Radio here (its interpreter: {GNURADIO_PYTHON}): {exc}")
    assert np.abs(np.array(found) - places).max() <= 1.5
