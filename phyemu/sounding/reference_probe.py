"""Any waveform as a probe: known samples, or each annotated frame of a reference recording."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import SignalError, SyncError
from phyemu.iq import Recording
from phyemu.progress import ProgressCallback
from phyemu.sounding.probe_frames import ProbeFrames
from phyemu.sounding.recording_time import blocks_with_progress, radio_samples
from phyemu.sounding.reference_estimate import ReferenceEstimator, ReferenceResponse
from phyemu.waveform.reference_detection import ReferenceDetector, ReferenceHit

__all__ = ["find_reference_frames"]

_EARLY_S = 0.8e-6  # how much earlier than the strongest path one may arrive
_LATE_S = 3.2e-6
_MAX_SAMPLES = 8192  # of a known stretch that are used: enough for 25 dB over 80 taps
_PREFIX_SAMPLES = 256  # what is looked for; frames that begin alike are told apart by the rest
_MAX_PREFIXES = 16
_SILENCE = 1e-4  # [full scale]: three steps of 16 bits
_MIN_SHARE = 0.05  # of the energy of a whole stretch: structure that only resembles the prefix
_ALIKE = 0.9
_MAX_TURN = 0.3  # of a cycle within a chunk, at 100 kHz


@dataclass(frozen=True, eq=False, slots=True)
class _Stretch:
    """Known samples and their estimator."""

    samples: NDArray[np.complex64]
    estimator: ReferenceEstimator


@dataclass(frozen=True, eq=False, slots=True)
class _Row:
    """One frame."""

    hit: ReferenceHit
    response: ReferenceResponse
    index: NDArray[np.int64]
    cfo_hz: float
    cfo_std_hz: float
    num_samples: int


def find_reference_frames(
    recording: Recording, reference: Recording, *, channel: int, progress: ProgressCallback
) -> ProbeFrames:
    """Return every occurrence of the reference's stretches in a recording.

    Args:
        recording: What was received; streamed.
        reference: What was transmitted: its annotations that have a length are the stretches; where
            there is none, its first 8192 samples are.
        channel: Channel of the recording.
        progress: Told of the samples done.

    Raises:
        SignalError: Other sample rates, or a reference too short for an estimate.
        SyncError: No stretch was found.
    """
    rate = recording.sample_rate_hz
    if not math.isclose(rate, reference.sample_rate_hz, rel_tol=1e-3):
        raise SignalError(
            f"{recording.path.name}: recorded at {rate / 1e6:g} Msps, but the reference "
            f"{reference.path.name} has {reference.sample_rate_hz / 1e6:g} Msps; both must agree"
        )
    early, late = math.ceil(_EARLY_S * rate), math.ceil(_LATE_S * rate)
    stretches = _stretches(reference, early, late)
    prefixes = _distinct_prefixes(stretches, reference)
    detectors = [ReferenceDetector(prefix, sample_rate_hz=rate) for prefix in prefixes]
    hits: list[ReferenceHit] = []
    for block in blocks_with_progress(
        recording, channel=channel, stage="find the reference", progress=progress
    ):
        for detector in detectors:
            hits += detector.process(block)
    for detector in detectors:
        hits += detector.finish()
    hits.sort(key=lambda hit: hit.sample_start)
    longest = max(len(stretch.samples) for stretch in stretches)
    rows: list[_Row] = []
    taken = 0
    for number, hit in enumerate(hits):
        # A reference that repeats is found anew in what a frame has already measured.
        if hit.sample_start < taken:
            continue
        count = min(longest, recording.num_samples - hit.sample_start)
        iq = recording.read(hit.sample_start, count, channel=channel)
        row = _measure(iq.astype(np.complex128), stretches, hit, rate)
        if row is not None:
            rows.append(row)
            taken = hit.sample_start + row.num_samples
        progress("measure frames", number + 1, len(hits))
    if not rows:
        raise SyncError(
            f"{recording.path.name}: the reference {reference.path.name} was not found in "
            f"{recording.num_samples} samples (carrier offset up to 100 kHz); check that it is "
            f"what was sent, or record with more gain"
        )
    return _frames(rows, recording, num_taps=early + late)


def _stretches(reference: Recording, early: int, late: int) -> list[_Stretch]:
    marked = [
        (item.sample_start, min(item.sample_count or 0, _MAX_SAMPLES))
        for item in reference.annotations
        if item.sample_count
    ]
    if not marked:
        marked = [_sounding_part(reference)]
    stretches: list[_Stretch] = []
    for start, count in marked:
        samples = reference.read(start, min(count, reference.num_samples - start))
        if len(samples) < max(_PREFIX_SAMPLES, 4 * (early + late)):
            continue
        repeated = any(
            len(samples) == len(known.samples) and np.allclose(samples, known.samples, atol=1e-4)
            for known in stretches
        )
        if not repeated:
            estimator = ReferenceEstimator(samples, num_early=early, num_late=late)
            stretches.append(_Stretch(samples, estimator))
    if not stretches:
        raise SignalError(
            f"{reference.path.name}: no stretch of at least {4 * (early + late)} samples to use as "
            f"a reference"
        )
    return stretches


def _sounding_part(reference: Recording) -> tuple[int, int]:
    """Return start and count of the first samples that are not silence."""
    start = 0
    for block in reference.blocks(_MAX_SAMPLES):
        loud = np.flatnonzero(np.abs(block) > _SILENCE)
        if len(loud):
            start += int(loud[0])
            break
        start += len(block)
    iq = reference.read(start, min(_MAX_SAMPLES, reference.num_samples - start))
    loud = np.flatnonzero(np.abs(iq) > _SILENCE)
    return start, int(loud[-1]) + 1 if len(loud) else 0


def _distinct_prefixes(
    stretches: list[_Stretch], reference: Recording
) -> list[NDArray[np.complex64]]:
    prefixes: list[NDArray[np.complex64]] = []
    for stretch in stretches:
        prefix = stretch.samples[:_PREFIX_SAMPLES]
        scale = float(np.linalg.norm(prefix))
        alike = any(
            abs(np.vdot(known, prefix)) > _ALIKE * scale * float(np.linalg.norm(known))
            for known in prefixes
        )
        if not alike:
            prefixes.append(prefix)
    if len(prefixes) > _MAX_PREFIXES:
        raise SignalError(
            f"{reference.path.name}: its {len(prefixes)} annotated stretches begin differently, at "
            f"most {_MAX_PREFIXES} beginnings are looked for; annotate fewer"
        )
    return prefixes


def _measure(
    received: NDArray[np.complex128],
    stretches: list[_Stretch],
    hit: ReferenceHit,
    rate: float,
) -> _Row | None:
    """Return what the best matching stretch says; None where none really matches."""
    chunk = max(16, int(rate * _MAX_TURN / 100e3))
    best: tuple[float, float, float, _Stretch] | None = None
    for stretch in stretches:
        known = stretch.samples
        if len(received) < len(known):
            continue
        share, cfo_hz, error = _chunk_offset(received[: len(known)], known, hit.cfo_hz, chunk, rate)
        if best is None or share > best[0]:
            best = share, cfo_hz, error, stretch
    if best is None or best[0] < _MIN_SHARE:
        return None
    _, cfo_hz, error, stretch = best
    estimator = stretch.estimator
    n = np.arange(len(stretch.samples))
    derotated = received[: len(n)] * np.exp(-2j * np.pi * ((cfo_hz / rate * n) % 1.0))
    first = estimator.first_sample
    response = estimator.estimate(derotated[first : first + estimator.num_rows])
    return _Row(hit, response, estimator.index, cfo_hz, error, len(stretch.samples))


def _chunk_offset(
    received: NDArray[np.complex128],
    known: NDArray[np.complex64],
    cfo_hz: float,
    chunk: int,
    rate: float,
) -> tuple[float, float, float]:
    """Return the share of the energy explained, the refined CFO [Hz] and its standard error."""
    count = len(known) // chunk
    n = np.arange(count * chunk)
    turned = received[: len(n)] * np.exp(-2j * np.pi * ((cfo_hz / rate * n) % 1.0))
    products = (turned * known[: len(n)].conj()).reshape(count, chunk).sum(axis=1)
    step = float(np.angle(np.vdot(products[:-1], products[1:])))
    aligned = products * np.exp(-1j * step * np.arange(count))
    phase = np.angle(aligned * np.conj(aligned.sum()))
    weight = np.square(np.abs(products))
    centred = np.arange(count) - float(weight @ np.arange(count)) / float(weight.sum())
    spread = float(weight @ np.square(centred))
    slope = float((weight * centred) @ phase) / spread
    residue = phase - slope * centred
    residue = residue - float(weight @ residue) / float(weight.sum())
    variance = float(weight @ np.square(residue)) / float(weight.sum())
    error = math.sqrt(variance * float(weight.sum()) / count / spread) if count > 2 else math.inf
    to_hz = rate / (2.0 * math.pi * chunk)
    total = abs(complex((aligned * np.exp(-1j * slope * np.arange(count))).sum())) ** 2
    energy = float(np.vdot(turned, turned).real) * float(np.vdot(known, known).real)
    return total / max(energy, 1e-30), cfo_hz + (step + slope) * to_hz, error * to_hz


def _frames(rows: list[_Row], recording: Recording, *, num_taps: int) -> ProbeFrames:
    rate = recording.sample_rate_hz
    # Stretches may occupy slightly different frequencies: what all of them measure is kept.
    index = rows[0].index
    for row in rows[1:]:
        index = np.intersect1d(index, row.index)
    kept = [np.searchsorted(row.index, index) for row in rows]
    starts = np.array([row.hit.sample_start for row in rows], np.int64)
    noise = np.array([row.response.sample_noise for row in rows])
    return ProbeFrames(
        probe="reference",
        bandwidth_hz=len(index) * rate / num_taps,
        frequencies_hz=index.astype(np.float64) * (rate / num_taps),
        period_s=num_taps / rate,
        sample_start=starts,
        reference_start=radio_samples(recording, starts.astype(np.float64)),
        interval_samples=None,
        transfer=np.stack(
            [row.response.transfer[k] for row, k in zip(rows, kept, strict=True)]
        ).astype(np.complex64),
        noise_variance=np.stack(
            [row.response.noise_variance[k] for row, k in zip(rows, kept, strict=True)]
        ),
        noise_density=noise / rate,
        noise_floor=noise,
        cfo_hz=np.array([row.cfo_hz for row in rows]),
        cfo_std_hz=np.array([row.cfo_std_hz for row in rows]),
        confidence=np.array([row.hit.confidence for row in rows]),
    )
