"""Cells of the sync study: the receiver against closed forms, bounds, offsets and interferers.

`python -m benchmarks sync` measures the whole plane; what is held here are its corners.
"""

import math
from pathlib import Path

import pytest
from scipy.stats import binom

from benchmarks.sync_clock import long_frames
from benchmarks.sync_false_alarms import count_alarms
from benchmarks.sync_interferers import Interferer
from benchmarks.sync_theory import cfo_bound_hz, clairvoyant, detection
from benchmarks.sync_trials import FORMAT, PAYLOAD_SYMBOLS, Cell, measure
from phyemu.receiver import ReceiverConfig

RATE = ReceiverConfig().false_alarm_rate


@pytest.mark.parametrize("snr_db", [-7.0, -5.0, -3.5])
def test_detection_follows_its_closed_form_and_stays_below_the_bound(snr_db: float) -> None:
    frames = 200
    found = measure(Cell(channel="awgn", snr_db=snr_db), frames=frames, seed=1).detected
    # The search over neighbouring samples and offsets helps by up to 0.4 dB; the first gate takes
    # up to 0.1 dB. Beyond that, one in 1e4 runs.
    least = detection(snr_db - 0.1, false_alarm_rate=RATE, frame_format=FORMAT)
    most = detection(snr_db + 0.4, false_alarm_rate=RATE, frame_format=FORMAT)
    assert binom.ppf(1e-4, frames, least) <= found <= binom.ppf(1 - 1e-4, frames, most)
    assert most < clairvoyant(snr_db + 0.1, false_alarm_rate=RATE, frame_format=FORMAT)


@pytest.mark.parametrize("cfo_hz", [-100e3, 100e3])
def test_every_frame_at_0_db_is_found_at_either_limit_of_the_offset(cfo_hz: float) -> None:
    frames = 200
    found = measure(Cell(channel="awgn", snr_db=0.0, cfo_hz=cfo_hz), frames=frames, seed=2)
    assert found.detected == found.timely == frames
    assert found.false == 0
    # 94 % of headers are read (96.5 % with nothing to synchronise).
    assert found.headers >= binom.ppf(1e-4, frames, 0.93)
    # Errors are those of the bound with all of the frame known, but for a payload that is not.
    symbols = FORMAT.frame_symbols(PAYLOAD_SYMBOLS)
    bound_hz = cfo_bound_hz(0.0, symbols=symbols, frame_format=FORMAT)
    assert 0.8 * bound_hz < found.cfo_rms_hz < 2.0 * bound_hz
    assert abs(found.cfo_mean_hz) < 4 * found.cfo_rms_hz / math.sqrt(found.headers)


@pytest.mark.parametrize("sfo_ppm", [-40.0, 40.0])
def test_a_clock_offset_costs_nothing_over_the_longest_frame(sfo_ppm: float) -> None:
    found = long_frames("awgn", sfo_ppm=sfo_ppm, frames=3, seed=3)
    assert found.read == 3
    # 0.06 dB on average; 1500 errors of 49152 tell the SNR to 0.06 dB (one standard deviation).
    assert -0.25 < found.distance_db() < 0.3
    assert found.worst_ppm < 4.0


def test_a_fading_channel_hides_few_frames_and_moves_none() -> None:
    frames = 200
    found = measure(Cell(channel="D", snr_db=10.0, cfo_hz=61e3), frames=frames, seed=4)
    # 99 % are detected, 97 % read, of 1000 (docs/receiver.md).
    assert found.detected >= binom.ppf(1e-4, frames, 0.985)
    assert found.headers >= binom.ppf(1e-4, frames, 0.96)
    assert found.timely >= binom.ppf(1e-4, frames, 0.95)
    assert found.false == 0


@pytest.mark.parametrize(
    ("kind", "sir_db"), [("tone", 5.0), ("4-PSK, same rate", 5.0), ("neighbour", -10.0)]
)
def test_interferers_hide_no_frame(kind: str, sir_db: float) -> None:
    other = Interferer(kind=kind, sir_db=sir_db)
    cell = Cell(channel="awgn", snr_db=15.0, cfo_hz=-61e3, interferer=other)
    found = measure(cell, frames=100, seed=5)
    assert (found.detected, found.false) == (100, 0)
    assert found.headers >= 98


@pytest.mark.parametrize(
    "name", ["2-, 4-, 8-PSK, 10 Msym/s, no noise", "4-PSK, 1.25 Msym/s, no noise"]
)
def test_other_signals_are_no_frames(name: str) -> None:
    assert count_alarms(name, num_samples=4_000_000, seed=6).alarms == 0


def test_real_wifi_captures_are_no_frames(shared_data: Path) -> None:
    assert (shared_data / "captures").is_dir()
    # 0.3 million samples as they are, then nine times turned by up to 250 kHz.
    assert count_alarms("802.11 captures, real", num_samples=4_000_000, seed=7).alarms == 0
