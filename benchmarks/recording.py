"""Recording to disk: what samples cost on their way from a radio into a file, and in real time.

The peers write the same bytes; what each of them adds, if anything, stands beside its name. Ours
converts, hashes, journals and flushes. The second table runs in real time: a radio that delivers
20 Msps whether or not anybody listens.
"""

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import sigmf

from benchmarks.harness import Elapsed, Skipped, Table, compare
from benchmarks.number_radio import NumberRadio
from benchmarks.peer_process import PeerAbsentError, gnuradio
from benchmarks.results import FOLDER
from phyemu.iq import RecordingWriter
from phyemu.radio import capture_to_recording

NUM_SAMPLES = 1 << 24
BLOCK_SAMPLES = 1 << 17
RATE_HZ = 20e6
REAL_TIME_S = 8.0
ROUNDS = 7


def run() -> list[Table | str]:
    """Run both, and return their tables."""
    # Beside the results: on a disk, not in memory.
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        return [_compared(Path(folder)), _in_real_time(Path(folder))]


def _compared(folder: Path) -> Table:
    words = np.arange(NUM_SAMPLES, dtype=np.uint32)
    stored = words.view(np.int16).reshape(-1, 2)
    iq = (stored.astype(np.float32) / 32768).view(np.complex64)[:, 0]
    path = folder / "made"

    def blocks() -> range:
        return range(0, NUM_SAMPLES, BLOCK_SAMPLES)

    def captured() -> None:
        radio = NumberRadio(sample_rate_hz=RATE_HZ)
        capture_to_recording(radio, path.with_suffix(".sigmf"), num_samples=NUM_SAMPLES, force=True)

    def written() -> None:
        with RecordingWriter(
            path.with_suffix(".sigmf"), sample_rate_hz=RATE_HZ, force=True
        ) as writer:
            for begin in blocks():
                writer.write(iq[begin : begin + BLOCK_SAMPLES])

    def raw() -> None:
        with path.open("wb") as file:
            for begin in blocks():
                words[begin : begin + BLOCK_SAMPLES].tofile(file)

    def with_h5py() -> None:
        with h5py.File(path, "w") as file:
            data = file.create_dataset(
                "iq", (0, 2), "<i2", maxshape=(None, 2), chunks=(BLOCK_SAMPLES, 2)
            )
            for begin in blocks():
                data.resize(begin + BLOCK_SAMPLES, axis=0)
                data[begin:] = stored[begin : begin + BLOCK_SAMPLES]

    def with_sigmf() -> None:
        data = path.with_suffix(".sigmf-data")
        with data.open("wb") as file:
            for begin in blocks():
                scaled = iq[begin : begin + BLOCK_SAMPLES].view(np.float32) * np.float32(32768)
                np.rint(scaled).astype(np.int16).tofile(file)
        made = sigmf.SigMFFile(
            data_file=data,
            global_info={"core:datatype": "ci16_le", "core:sample_rate": RATE_HZ},
        )
        made.add_capture(0)
        made.tofile(path.with_suffix(".sigmf-meta"), overwrite=True)

    def on_cpu(work: Callable[[], None]) -> Callable[[], Elapsed]:
        def timed() -> Elapsed:
            begin = time.process_time()
            work()
            taken = time.process_time() - begin
            for left in folder.iterdir():
                left.unlink()
            return Elapsed(seconds=taken)

        return timed

    candidates: dict[str, Callable[[], object]] = {
        "phyemu capture: through the ring, hashed, journalled": on_cpu(captured),
        "phyemu RecordingWriter": on_cpu(written),
        "NumPy by hand and sigmf-python, which hashes": on_cpu(with_sigmf),
        "h5py, appended to a dataset, no hash": on_cpu(with_h5py),
        "numpy.tofile of the stored words (the roof)": on_cpu(raw),
    }
    skipped = []
    try:
        peer = gnuradio()
    except PeerAbsentError as absent:
        skipped.append(Skipped(name="GNU Radio file_sink", reason=str(absent)))
        rows = compare(candidates, units=NUM_SAMPLES, rounds=ROUNDS)
    else:
        with peer:
            candidates[f"GNU Radio {peer.version} file_sink, no hash"] = peer.candidate(
                "file_sink", num_samples=NUM_SAMPLES, path=str(folder / "peer.cs16")
            )
            rows = compare(candidates, units=NUM_SAMPLES, rounds=ROUNDS)
    return Table(
        title="Record: ci16_le to a file",
        unit="samples",
        rows=rows,
        skipped=skipped,
        note=f"CPU time of all threads, medians of {ROUNDS} interleaved rounds.",
    )


def _in_real_time(folder: Path) -> str:
    lines = [
        f"## Record: {RATE_HZ / 1e6:g} Msps in real time, {REAL_TIME_S:g} s",
        "",
        "| channels | share of one core | lost samples | memory [MiB] |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for num_channels in (1, 2):
        radio = NumberRadio(sample_rate_hz=RATE_HZ, num_channels=num_channels, real_time=True)
        begin_cpu, begin = time.process_time(), time.perf_counter()
        summary = capture_to_recording(radio, folder / "live.sigmf", duration_s=REAL_TIME_S)
        share = (time.process_time() - begin_cpu) / (time.perf_counter() - begin)
        summary.path.unlink()
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        lines.append(
            f"| {num_channels} | {100 * share:.0f} % | {summary.lost_samples} | {peak_mib:.0f} |"
        )
    return "\n".join([*lines, ""])
