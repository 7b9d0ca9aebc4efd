"""Other detectors on the same preambles: GNU Radio's corr_est_cc, and Schmidl and Cox by hand.

All are set to about one false alarm in a million samples of white noise, counted on the same noise;
then all see the same rows.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peer_process import GNURADIO_PYTHON
from benchmarks.sync_trials import FORMAT, NEAR_SAMPLES, Cell, Rows, judge, make_rows
from phyemu.receiver import ReceiverConfig
from phyemu.waveform import preamble_points
from phyemu.waveform.detection import PreambleDetector
from phyemu.waveform.pulse import shape_pulses

__all__ = ["OURS", "compare_detectors"]

RATE = 1e-6
OURS = "phyemu"
GNURADIO = "GNU Radio corr_est_cc"
SCHMIDL_COX = "Schmidl-Cox"
# Of our detector: what is counted is about a tenth of what is stated (its first gate).
STATED_RATE = 1e-5
LENGTH = len(
    shape_pulses(preamble_points(FORMAT), FORMAT.pulse_taps(), samples_per_symbol=2).numpy()
)


def _template() -> NDArray[np.complex64]:
    taps = FORMAT.pulse_taps()
    shaped = shape_pulses(preamble_points(FORMAT), taps, samples_per_symbol=2)
    return shaped.numpy().astype(np.complex64)


def _apart(places: Sequence[int]) -> list[int]:
    """Return the first of each cluster of places."""
    kept: list[int] = []
    for place in places:
        if not kept or place - kept[-1] > LENGTH:
            kept.append(place)
    return kept


def gnuradio_starts(iq: NDArray[np.complex64], thresholds: Sequence[float]) -> list[list[int]]:
    """Return where corr_est_cc finds preambles at each threshold.

    Raises:
        OSError, subprocess.CalledProcessError: There is no GNU Radio here.
    """
    script = Path(__file__).parent / "peers" / "correlate_with_gnuradio.py"
    python = os.environ.get(GNURADIO_PYTHON, "/usr/bin/python3")
    with tempfile.TemporaryDirectory() as folder:
        template, samples = Path(folder) / "template", Path(folder) / "samples"
        _template().tofile(template)
        iq.astype(np.complex64).tofile(samples)
        done = subprocess.run(
            [python, script, template, samples, *map(str, thresholds)],
            capture_output=True,
            text=True,
            check=True,
        )
    answer = json.loads(done.stdout.splitlines()[-1])
    # It marks the last sample of the template.
    return [[place - LENGTH + 1 for place in places] for places in answer["found"]]


def schmidl_cox(iq: NDArray[np.complex64]) -> NDArray[np.float64]:
    """Return the metric |P|^2 / R^2 (IEEE Trans. Commun. 45, 1997), with the signs of ours."""
    period, lag = FORMAT.preamble_period, 64
    signs = preamble_points(FORMAT)[::period].numpy()
    signs = (signs / signs[0]).real
    delayed = iq[lag:] * iq[:-lag].conj()
    running = np.concatenate([[0], np.cumsum(delayed.astype(np.complex128))])
    sums = running[lag:] - running[:-lag]
    count = len(iq) - 5 * lag
    pairs = sum(
        signs[k] * signs[k + 1] * sums[k * lag : k * lag + count] for k in range(len(signs) - 1)
    )
    power = np.concatenate([[0], np.cumsum(np.square(np.abs(iq)).astype(np.float64))])
    # The mean of both sides of the three pairs.
    both = (power[3 * lag :] - power[: -3 * lag])[: count + lag]
    energy = 0.5 * (both[:count] + both[lag : lag + count])
    metric: NDArray[np.float64] = np.square(np.abs(pairs) / np.maximum(energy, 1e-30))
    return metric


def _noise(count: int, seed: int) -> NDArray[np.complex64]:
    rng = np.random.Generator(np.random.SFC64(seed))
    unit = rng.standard_normal(2 * count, dtype=np.float32).view(np.complex64)
    return unit * np.float32(0.5**0.5)


def _our_alarms(iq: NDArray[np.complex64]) -> int:
    detector = PreambleDetector(FORMAT, max_cfo_hz=100e3, false_alarm_rate=STATED_RATE)
    starts, alarms = 1 << 14, 0
    for begin in range(0, len(iq) - starts - detector.overlap, starts):
        window = iq[begin : begin + starts + detector.overlap]
        alarms += detector.search(window, starts) is not None
    return alarms


def _near(starts: Sequence[int], rows: Rows) -> int:
    """Return the rows in which one of the places is near the frame's."""
    width = rows.iq.shape[1]
    hit = {
        place // width
        for place in starts
        if place // width < len(rows.iq)
        and abs(place % width - rows.strongest[place // width]) <= NEAR_SAMPLES
    }
    return len(hit)


def compare_detectors(
    *, snrs_db: Sequence[float], cfos_hz: Sequence[float], rows: int, noise_samples: int, seed: int
) -> dict[str, Any]:
    """Return counts of rows found, by detector, offset and SNR; and the rates of false alarms."""
    noise = _noise(noise_samples, seed)
    wanted = RATE * noise_samples
    metric = schmidl_cox(noise)
    blocks = metric[: len(metric) // LENGTH * LENGTH].reshape(-1, LENGTH).max(axis=1)
    limit = float(np.sort(blocks)[-int(wanted) - 1])
    alarms = {OURS: _our_alarms(noise), SCHMIDL_COX: int((blocks > limit).sum())}
    absent = None
    # Noise exceeds a fraction f of R^2 with exp(-f E), E the energy of the template.
    grid = -np.log(RATE * np.array([4.0, 2.0, 1.0, 0.5])) / float(np.vdot(*[_template()] * 2).real)
    try:
        counts = [len(_apart(found)) for found in gnuradio_starts(noise, grid.tolist())]
        best = int(np.abs(np.log(np.maximum(counts, 0.5) / wanted)).argmin())
        alarms[GNURADIO] = counts[best]
    except (OSError, subprocess.CalledProcessError) as exc:
        absent = str(exc)
    found: dict[str, dict[str, list[int]]] = {name: {} for name in alarms}
    config = ReceiverConfig(false_alarm_rate=STATED_RATE)
    for cfo_hz in cfos_hz:
        key = f"{cfo_hz / 1e3:g}"
        for name in found:
            found[name][key] = []
        for index, snr_db in enumerate(snrs_db):
            cell = Cell(channel="awgn", snr_db=snr_db, cfo_hz=cfo_hz)
            seen = make_rows(cell, rows, seed + 1 + index)
            judged = judge(seen, cell, config)
            found[OURS][key].append(sum(not np.isnan(row["off"]) for row in judged))
            # Unit noise, as where the thresholds were set: corr_est_cc is told the noise level.
            flat = seen.iq.reshape(-1) * np.float32(10 ** (snr_db / 20))
            above = np.flatnonzero(schmidl_cox(flat) > limit)
            found[SCHMIDL_COX][key].append(_near(_plateaus(flat, above), seen))
            if absent is None:
                (places,) = gnuradio_starts(flat, [float(grid[best])])
                found[GNURADIO][key].append(_near(places, seen))
    return {
        "snrs_db": list(snrs_db),
        "rows": rows,
        "noise_samples": noise_samples,
        "alarms": alarms,
        "found": found,
        "absent": absent,
    }


def _plateaus(iq: NDArray[np.complex64], above: NDArray[np.int64]) -> list[int]:
    """Return where the frame begins whose metric peaks in each cluster above the threshold."""
    metric = schmidl_cox(iq)
    # The periods begin where the first pulse peaks.
    return [
        first + int(metric[first : first + LENGTH].argmax()) - FORMAT.pulse_delay_samples
        for first in _apart(above.tolist())
    ]
