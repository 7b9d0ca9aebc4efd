"""A long recording from a radio in real time, checked to the sample, with its memory followed.

`python -m benchmarks.recording_soak SECONDS` makes it longer; 20 Msps take 80 MB of disk a second,
which are freed at the end.
"""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks.number_radio import NumberRadio
from benchmarks.results import FOLDER
from phyemu.iq import open_recording
from phyemu.radio import capture_to_recording

RATE_HZ = 20e6
SECONDS = 50.0
BLOCK_SAMPLES = 1 << 20


def run() -> str:
    """Run it, and return its table."""
    return "## Record: a soak in real time\n\n" + soak(SECONDS)


def soak(duration_s: float) -> str:
    """Record for so long, and compare every sample."""
    memory: list[float] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            memory.append(_resident_mib())

    watcher = threading.Thread(target=watch)
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        watcher.start()
        try:
            begin_cpu, begin = time.process_time(), time.monotonic()
            summary = capture_to_recording(
                NumberRadio(sample_rate_hz=RATE_HZ, real_time=True),
                Path(folder) / "soak.sigmf",
                duration_s=duration_s,
            )
            taken_s, cpu_s = time.monotonic() - begin, time.process_time() - begin_cpu
        finally:
            ended.set()
            watcher.join()
        differing, intact = 0, False
        with open_recording(summary.path) as recording:
            ends = [segment.sample_start for segment in recording.captures[1:]]
            for segment, end in zip(
                recording.captures, [*ends, recording.num_samples], strict=True
            ):
                for start in range(segment.sample_start, end, BLOCK_SAMPLES):
                    iq = recording.read(start, min(BLOCK_SAMPLES, end - start))
                    words = (iq.view(np.float32) * 32768).astype(np.int16).view(np.uint32)
                    first = (segment.global_index or 0) + start - segment.sample_start
                    due = np.arange(first, first + len(words)).astype(np.uint32)
                    differing += int(np.count_nonzero(words != due))
            intact = recording.verify() is True
    settled = memory[len(memory) // 10 :]
    rows = [
        ("samples", summary.num_samples),
        ("gigabytes", f"{4e-9 * summary.num_samples:.2f}"),
        ("seconds", f"{taken_s:.1f}"),
        ("ended by", summary.ended_by),
        (
            "lost samples (the machine was busy for longer than ring and device last)",
            summary.lost_samples,
        ),
        ("samples that differ from what their place says", differing),
        ("hash right", "yes" if intact else "no"),
        ("share of one core", f"{100 * cpu_s / taken_s:.0f} %"),
        ("memory after a tenth [MiB]", f"{settled[0]:.1f}"),
        ("memory at most from then on [MiB]", f"{max(settled):.1f}"),
        ("memory at the end [MiB]", f"{memory[-1]:.1f}"),
        (f"load at the end, on {os.cpu_count()} cores", f"{os.getloadavg()[0]:.1f}"),
    ]
    return "\n".join(
        ["| | |", "| --- | ---: |", *(f"| {what} | {value} |" for what, value in rows), ""]
    )


def _resident_mib() -> float:
    """Return the memory of this process that is in use [MiB]."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    print(soak(float(sys.argv[1])))
