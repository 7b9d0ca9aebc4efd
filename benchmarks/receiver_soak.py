"""A long stream through the receiver: samples per second and memory, from tenth to tenth.

SECONDS of a radio at 20 Msps: noise with a frame of 4000 symbols 5 % of the time, then a tenth as
long of frames back to back. `PHYEMU_BENCH_SOAK_S=3600` makes it an hour, which takes about as
long. Beside them, what hard streams cost.
"""

import os
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.receiver import FORMAT, POINTS, frames, noise
from phyemu.receiver import FrameReceiver
from phyemu.waveform import build_frame, modulate

SECONDS = float(os.environ.get("PHYEMU_BENCH_SOAK_S", "20"))
BLOCK_SAMPLES = 1 << 16
HARD_SAMPLES = 400_000


def resident_mib() -> float:
    """Return the resident memory of this process [MiB]."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def soak(name: str, piece: np.ndarray, num_samples: int) -> str:
    """Return the row of a stream that is a piece again and again, a tenth at a time."""
    receiver = FrameReceiver(FORMAT, POINTS)
    received, memory = 0, []
    begin = time.process_time()
    for _ in range(10):
        end = receiver.num_samples + num_samples // 10
        while receiver.num_samples < end:
            place = receiver.num_samples % len(piece)
            block = piece[place : place + BLOCK_SAMPLES]
            received += sum(frame.frame_index is not None for frame in receiver.process(block))
        memory.append(resident_mib())
    elapsed = time.process_time() - begin
    rate = receiver.num_samples / elapsed / 1e6
    return (
        f"| {name} | {receiver.num_samples / 1e6:.0f} | {received} | {rate:.1f} | "
        f"{memory[0]:.0f} | {max(memory):.0f} | {memory[-1]:.0f} |\n"
    )


def hard_streams() -> dict[str, np.ndarray]:
    """Return streams that a receiver finds hard, (HARD_SAMPLES,) each."""
    rng = np.random.default_rng(3)
    shortest, longest = (
        build_frame(
            modulate(torch.zeros(size, dtype=torch.int64), POINTS),
            frame_index=1,
            frame_format=FORMAT,
        ).numpy()
        for size in (1, FORMAT.max_payload_symbols)
    )
    preamble = FORMAT.preamble_symbols * FORMAT.samples_per_symbol
    count = np.arange(HARD_SAMPLES)
    streams = {
        "silence": np.zeros(HARD_SAMPLES),
        "a constant": np.full(HARD_SAMPLES, 0.7 + 0.2j),
        "a strong tone": np.exp(0.031j * count) + noise(HARD_SAMPLES, 60.0, rng),
        "clipped noise": np.sign(rng.standard_normal(HARD_SAMPLES)),
        "preambles, end to end": np.resize(shortest[:preamble], HARD_SAMPLES),
        "one preamble period, end to end": np.resize(shortest[: preamble // 4], HARD_SAMPLES),
        "headers that promise the longest payload": np.resize(
            longest[: preamble + 160], HARD_SAMPLES
        ),
        "frames of one symbol, end to end": np.resize(shortest, HARD_SAMPLES),
    }
    return {
        name: (iq + noise(HARD_SAMPLES, 40.0, rng) * (name != "silence")).astype(np.complex64)
        for name, iq in streams.items()
    }


def run() -> str:
    """Return both tables, Markdown."""
    torch.set_num_threads(1)
    busy = FORMAT.frame_samples(4000)
    idle = frames(4000, 20, gap_samples=19 * busy)
    full = frames(4000, 60)
    num_samples = round(SECONDS * FORMAT.sample_rate_hz)
    rows = soak("frames 5 % of the time", idle, num_samples)
    rows += soak("frames back to back", full, num_samples // 10)
    hard = ""
    for name, iq in hard_streams().items():
        times = []
        for _ in range(3):
            receiver = FrameReceiver(FORMAT, POINTS)
            begin = time.process_time()
            for place in range(0, len(iq), BLOCK_SAMPLES):
                receiver.process(iq[place : place + BLOCK_SAMPLES])
            receiver.finish()
            times.append(time.process_time() - begin)
        hard += f"| {name} | {len(iq) / sorted(times)[1] / 1e6:.2f} |\n"
    return (
        "## Receive: a long stream\n\n"
        "| stream | Msamples | frames | Msamples/s | MiB after a tenth | most | at the end |\n"
        f"| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n{rows}\n"
        "## Receive: hard streams\n\n"
        f"| stream | Msamples/s |\n| --- | ---: |\n{hard}\n"
        "CPU time of one core.\n"
    )
