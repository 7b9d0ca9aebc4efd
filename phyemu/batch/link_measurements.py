"""The measurements of a link from what was collected: soundings, captures, frames and images."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.batch.foreign_files import whole
from phyemu.batch.node_log import json_lines
from phyemu.batch.result_table import LinkResult, accuracy_interval
from phyemu.colosseum import Scenario
from phyemu.colosseum.tap_comparison import are_resolved, compare_taps
from phyemu.evaluation import ExportedPhyDnn, SentImages, bytes_on_air
from phyemu.evaluation.circular_score import CircularScore, score_circular
from phyemu.iq import open_recording, survey_samples
from phyemu.listening.stored_frames import StoredFrames
from phyemu.sounding import Sounding
from phyemu.sounding.sounding import rms_delay_spread_s
from phyemu.units import power_to_db
from phyemu.waveform import NUM_FRAME_INDICES

__all__ = [
    "SentRun",
    "measure_captures",
    "measure_frames",
    "measure_sounding",
    "read_predictions",
]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SentRun:
    """The run whose images were sent, to score what arrived.

    Attributes:
        phydnn: Its PhyDNN.
        sent: One pass of what was sent.
    """

    phydnn: ExportedPhyDnn
    sent: SentImages


def measure_sounding(
    result: LinkResult,
    sounding: Sounding,
    *,
    scenario: Scenario | None,
    sent_power_dbfs: float = math.nan,
) -> LinkResult:
    """Return the result of a link with what its joined sounding says.

    Args:
        result: Who and when.
        sounding: Of the link.
        scenario: What the emulator played; None where unknown.
        sent_power_dbfs: Power of what was sent while it was sent [dBFS]; NaN where unknown.
    """
    # Mean powers, as the scenario's gain is one; a fading link's median is below it.
    power_dbfs = power_to_db(float(np.mean(10 ** (sounding.received_power_dbfs / 10))))
    result = replace(
        result,
        soundings=sounding.num_frames,
        paths=sounding.paths.num_paths,
        snr_db=_median(sounding.snr_db),
        path_gain_db=power_dbfs - sent_power_dbfs,
        delay_spread_ns=1e9 * _median(sounding.rms_delay_spread_s),
        received_power_dbfs=power_dbfs,
        cfo_hz=_median(sounding.cfo_hz),
    )
    if scenario is None or result.transmitter is None or result.receiver is None:
        return result
    link = scenario.links.get((result.transmitter, result.receiver))
    if link is None:
        return result
    result = replace(
        result,
        scenario_gain_db=power_to_db(float(link.powers().sum())),
        constant_gain_db=scenario.constant_gain_db,
        scenario_spread_ns=1e9 * _median(rms_delay_spread_s(link).tolist()),
    )
    if not are_resolved(link, bandwidth_hz=sounding.bandwidth_hz):
        return result
    found = compare_taps(sounding.paths, link, bandwidth_hz=sounding.bandwidth_hz)
    return replace(
        result,
        taps=len(found.taps),
        taps_missed=found.num_missed,
        extra_paths=found.extra_paths,
        delay_error_ns=1e9 * found.max_delay_error_s,
        gain_error_db=found.max_gain_error_db,
    )


def _median(values: Iterable[float]) -> float:
    kept = np.array([value for value in values if math.isfinite(value)])
    return float(np.median(kept)) if len(kept) else math.nan


def measure_captures(result: LinkResult, recordings: Sequence[Path]) -> LinkResult:
    """Return the result of a receiver with what its captures hold.

    Raises:
        RecordingError: One cannot be read.
    """
    duration_s, energy, gaps, clipped = 0.0, 0.0, 0, 0
    lost: int | None = 0
    for path in recordings:
        with open_recording(path) as recording:
            survey = survey_samples(recording)
            duration_s += recording.duration_s
            energy += 10 ** (survey.power_dbfs / 10) * recording.duration_s
            gaps += len(recording.captures) - 1
            missing = recording.lost_samples
            lost = None if lost is None or missing is None else lost + missing
            clipped += survey.num_clipped
    return replace(
        result,
        duration_s=duration_s,
        received_power_dbfs=power_to_db(energy / duration_s) if duration_s else math.nan,
        gaps=gaps,
        lost_samples=lost,
        clipped_samples=clipped,
    )


def measure_frames(
    result: LinkResult,
    frames: Sequence[Path],
    predictions: Sequence[Path],
    *,
    run: SentRun | None,
    summaries: Sequence[Mapping[str, Any]],
    frames_per_pass: int | None = None,
    pass_samples: float | None = None,
    images_per_pass: int | None = None,
) -> LinkResult:
    """Return the result of a receiver of frames.

    With the run at hand, images and symbols are scored here, lost frames and all. Otherwise what
    the node summed up counts, or its predictions where it was killed before.

    Args:
        result: Who and when.
        frames: Files of received frames, one for each stretch.
        predictions: The node's files of predictions.
        run: What was sent; None where it is not known here.
        summaries: The node's own, one for each run of its worker; empty where it wrote none.
        frames_per_pass: Frames of one pass of what was sent; None where unknown.
        pass_samples: Length of one pass [samples]; None where unknown.
        images_per_pass: Different images that are sent; None where unknown.

    Raises:
        StoreError: A file of frames is damaged.
        CheckpointError: The run is another one.
    """
    levels: list[float] = []
    lost, score = 0, CircularScore()
    for path in frames:
        with StoredFrames(path) as stored:
            if run is not None:
                score += score_circular(stored, run.sent, run.phydnn, pass_samples=pass_samples)
            index = stored.columns["frame_index"]
            known = index >= 0
            starts = stored.columns["sample_start"][known]
            levels += stored.columns["snr_db"][known].tolist()
            lost += _missing(index[known], starts, frames_per_pass, pass_samples)
    received_there = _total(summaries, "frames_received")
    # A node that knows what is sent tells lost frames best, and its file may have been full.
    lost_there = _total(summaries, "frames_lost")
    is_counted = received_there is not None and lost_there is not None
    result = replace(
        result,
        frames_received=received_there if is_counted or not frames else len(levels),
        frames_lost=lost_there if is_counted or not frames else lost,
        snr_db=float(np.mean(levels)) if levels else math.nan,
    )
    if run is not None:
        batch = bytes_on_air(
            num_images=64,
            symbols_per_image=run.phydnn.symbols_per_image,
            order=run.phydnn.order,
            frame_format=run.phydnn.frame_format,
        )
        result = replace(result, payload_bytes=batch.payload, overhead_bytes=batch.overhead)
    if run is not None and frames:
        return _scored_here(result, score, len(run.sent.labels))
    return _scored_there(result, predictions, run, summaries, images_per_pass)


def _missing(
    index: NDArray[np.int64],
    starts: NDArray[np.int64],
    frames_per_pass: int | None,
    pass_samples: float | None,
) -> int:
    """Return how many frames are missing between those received, of a circle of frames.

    Where the length of a pass is known, the time between two frames tells how many passes went by,
    and that nothing was missed where the transmitter began anew.
    """
    if len(index) < 2:
        return 0
    # A circle that was heard once shows how long it is, unless its last frame never came.
    count = int(index.max()) + 1
    if frames_per_pass is not None and count <= frames_per_pass <= NUM_FRAME_INDICES:
        count = frames_per_pass
    steps, distances = np.diff(index), np.diff(starts)
    ahead = (steps - 1) % count + 1
    if pass_samples is None or not pass_samples >= 1:
        return int((ahead - 1).sum())
    # All frames but the last of a pass are equally long.
    next_ones = distances[(steps == 1) & (distances < 2 * pass_samples / count)]
    frame_samples = float(np.median(next_ones)) if len(next_ones) else pass_samples / count
    within = np.where(ahead == steps, steps * frame_samples, steps * frame_samples + pass_samples)
    passes = np.maximum(0, np.rint((distances - within) / pass_samples))
    in_circle = np.abs(distances - within - passes * pass_samples) <= frame_samples / 2
    return int((ahead - 1 + passes.astype(np.int64) * count)[in_circle].sum())


def _scored_here(result: LinkResult, score: CircularScore, different: int) -> LinkResult:
    accuracy, low, high = accuracy_interval(score.images_right, score.images, different)
    received = score.frames_received
    return replace(
        result,
        frames_received=received,
        frames_lost=score.frames_lost,
        symbol_error_rate=score.symbol_errors / score.symbols if score.symbols else math.nan,
        images=score.images,
        accuracy=accuracy,
        accuracy_low=low,
        accuracy_high=high,
        snr_db=score.snr_sum_db / received if received else math.nan,
        scored_by="collect",
    )


def _total(summaries: Sequence[Mapping[str, Any]], name: str) -> int | None:
    """Return the sum of a count; None unless all of them have it."""
    counts = [whole(summary, name) for summary in summaries]
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def _scored_there(
    result: LinkResult,
    predictions: Sequence[Path],
    run: SentRun | None,
    summaries: Sequence[Mapping[str, Any]],
    images_per_pass: int | None,
) -> LinkResult:
    """Return the result with what the node counted, or with its predictions and known labels."""
    images, right = _total(summaries, "images"), _total(summaries, "images_right")
    if images is None or right is None or right > images:
        images, right = _judged(predictions, run)
    symbols, errors = _total(summaries, "symbols"), _total(summaries, "symbol_errors")
    accuracy, low, high = accuracy_interval(right, images, images_per_pass)
    return replace(
        result,
        symbol_error_rate=errors / symbols if symbols and errors is not None else math.nan,
        images=images or None,
        accuracy=accuracy,
        accuracy_low=low,
        accuracy_high=high,
        scored_by="node" if images else "",
    )


def _judged(predictions: Sequence[Path], run: SentRun | None) -> tuple[int, int]:
    """Return how many predictions have a label that is known, and how many of these are right."""
    images = right = 0
    labels = None if run is None else run.sent.labels.tolist()
    for line in chain.from_iterable(map(read_predictions, predictions)):
        label, found = whole(line, "label"), whole(line, "prediction")
        index = whole(line, "index")
        if label is None and labels and index is not None:
            label = labels[index % len(labels)]
        if label is not None and found is not None:
            images += 1
            right += label == found
    return images, right


def read_predictions(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the whole lines of a node's predictions; the last one may be cut."""
    with path.open("rb") as file:
        for line in json_lines(iter(lambda: file.read(1 << 16), b"")):
            if line is not None:
                yield line
