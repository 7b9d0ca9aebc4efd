"""Long runs: nothing lost through the emulator's pipes, and memory that does not grow.

`python -m benchmarks soak` runs both small. `python -m benchmarks.soak --gigabytes 100
--receiver-gsamples 3.6` is what docs/live.md reports.

The pipe: numbered samples go from one process through `phyemu emulate --live` with a channel that
changes none, and every one is compared when it comes out. The receiver: noise in which a frame
stands now and then; each must be found in its place with all its symbols, and nothing else.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.harness import markdown_rows
from benchmarks.numbered import BLOCK_SAMPLES, NumberedBlock
from benchmarks.results import FOLDER
from phyemu.receiver import FrameReceiver, FrameStatus, ReceivedFrame
from phyemu.waveform import FrameFormat, modulate, psk, transmit_waveform

__all__ = ["PipeSoak", "ReceiverSoak", "run", "soak_pipe", "soak_receiver"]

PHYEMU = [sys.executable, "-c", "from phyemu_cli.main import main; main()"]
SMALL_GIGABYTES = 2.0
SMALL_RECEIVER_GSAMPLES = 0.2
SAMPLE_INTERVAL_S = 0.5
LOG_INTERVAL_S = 10.0
FORMAT = FrameFormat()
POINTS = psk(4)
PAYLOAD_SYMBOLS = 2000
SNR_DB = 15.0
CFO_HZ = 37e3
NUM_NOISE_BLOCKS = 8


@dataclass
class MemoryTrace:
    """Memory of a process over the samples that have passed.

    Attributes:
        gsamples: Samples that had passed, in 1e9.
        mib: Resident memory then [MiB].
    """

    process_id: int
    gsamples: list[float] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)
    _due: float = 0.0
    _told: float = 0.0

    def note(self, num_samples: int, num_wrong: int) -> None:
        """Note the memory, twice a second at most; tell how far it is, now and then."""
        now = time.monotonic()
        if now < self._due:
            return
        if now > self._told + LOG_INTERVAL_S and self.mib:
            self._told = now
            done = f"{num_samples / 1e9:.3f}e9 samples, {num_wrong} wrong, {self.mib[-1]:.1f} MiB"
            print(time.strftime("%H:%M:%S"), done, file=sys.stderr, flush=True)
        self._due = now + SAMPLE_INTERVAL_S
        try:
            pages = int(Path(f"/proc/{self.process_id}/statm").read_text().split()[1])
        except (OSError, IndexError):  # it has ended
            return
        if pages:
            self.gsamples.append(num_samples / 1e9)
            self.mib.append(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)

    @property
    def settled(self) -> list[float]:
        """Return what was noted after a tenth of the run [MiB]."""
        return self.mib[len(self.mib) // 10 :]

    def rows(self) -> list[tuple[str, str]]:
        """Return what a table says of it."""
        settled = self.settled
        return [
            ("memory after a tenth [MiB]", f"{settled[0]:.1f}"),
            ("memory at least, at most from then on [MiB]", _range(settled)),
            ("memory at the end [MiB]", f"{settled[-1]:.1f}"),
        ]


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.1f}, {max(values):.1f}"


@dataclass(frozen=True, kw_only=True)
class PipeSoak:
    """What came of numbered samples through the emulator's pipes."""

    sent: int
    received: int
    differing: int
    exit_code: int
    seconds: float
    processor_s: float
    memory: MemoryTrace

    def markdown(self) -> str:
        """Return a table."""
        rows = [
            ("gigabytes", f"{self.sent * 8 / 1e9:.2f}"),
            ("samples in", f"{self.sent}"),
            ("samples out", f"{self.received}"),
            ("samples lost or changed", f"{self.sent - self.received + self.differing}"),
            ("exit code", f"{self.exit_code}"),
            ("seconds", f"{self.seconds:.1f}"),
            ("Msamples/s", f"{self.received / self.seconds / 1e6:.1f}"),
            ("processor time of the emulator [s]", f"{self.processor_s:.1f}"),
            *self.memory.rows(),
            (f"load at the end, on {os.cpu_count()} cores", f"{os.getloadavg()[0]:.1f}"),
        ]
        return markdown_rows("Soak: numbered samples through `phyemu emulate --live`", rows)


def soak_pipe(num_gigabytes: float) -> PipeSoak:
    """Send so many gigabytes (cf32) through the emulator, and compare every sample."""
    num_blocks = max(1, round(num_gigabytes * 1e9 / 8 / BLOCK_SAMPLES))
    feeder = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.soak", "--feed", str(num_blocks)],
        stdout=subprocess.PIPE,
    )
    arguments = "emulate --live - -o - --channel awgn:inf --rate 20M --quiet".split()
    emulator = subprocess.Popen(
        [*PHYEMU, *arguments],
        stdin=feeder.stdout,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    if feeder.stdout is None or emulator.stdout is None:
        raise RuntimeError("the processes have no pipes")
    feeder.stdout.close()
    memory = MemoryTrace(emulator.pid)
    expected = NumberedBlock()
    buffer = np.empty(BLOCK_SAMPLES, np.complex64)
    received = differing = 0
    begun = time.monotonic()
    for index in range(num_blocks):
        count = emulator.stdout.readinto(memoryview(buffer).cast("B")) // 8
        if received == 0:
            begun = time.monotonic()  # without the start of the emulator
        expected.fill(index)
        differing += expected.count_differing(buffer[:count])
        received += count
        memory.note(received, differing)
    received += len(emulator.stdout.read()) // 8
    seconds = time.monotonic() - begun
    emulator.stdout.close()
    _, status, usage = os.wait4(emulator.pid, 0)
    emulator.returncode = os.waitstatus_to_exitcode(status)
    feeder.wait()
    return PipeSoak(
        sent=num_blocks * BLOCK_SAMPLES,
        received=received,
        differing=differing,
        exit_code=emulator.returncode,
        seconds=seconds,
        processor_s=usage.ru_utime + usage.ru_stime,
        memory=memory,
    )


def feed(num_blocks: int) -> None:
    """Write numbered samples to standard output."""
    block = NumberedBlock()
    for index in range(num_blocks):
        block.fill(index)
        sys.stdout.buffer.write(block.iq.data)


@dataclass(frozen=True, kw_only=True)
class ReceiverSoak:
    """What the receiver made of a long stream with a frame now and then.

    Attributes:
        num_samples: Length of the stream.
        sent: Frames in it.
        whole: Frames that were received in their place with every symbol right.
        others: Whatever else was reported: false alarms, frames elsewhere or with wrong symbols.
        processor_s: Processor time of the receiver alone [s].
        memory: Of the whole process.
    """

    num_samples: int
    sent: int
    whole: int
    others: int
    processor_s: float
    memory: MemoryTrace

    def markdown(self) -> str:
        """Return a table."""
        rows = [
            ("samples", f"{self.num_samples}"),
            ("seconds of a 20 Msps radio", f"{self.num_samples / FORMAT.sample_rate_hz:.0f}"),
            ("frames in it", f"{self.sent}"),
            ("received whole, in place, every symbol right", f"{self.whole}"),
            ("anything else reported", f"{self.others}"),
            ("processor time [s]", f"{self.processor_s:.1f}"),
            ("Msamples per processor second", f"{self.num_samples / self.processor_s / 1e6:.1f}"),
            *self.memory.rows(),
        ]
        return markdown_rows("Soak: the receiver on a stream that is mostly noise", rows)


def soak_receiver(num_gsamples: float) -> ReceiverSoak:
    """Receive so many billions of samples, one frame in every 2^20."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    frame, symbols = _frame(rng)
    noise = [_noise(BLOCK_SAMPLES, rng) for _ in range(NUM_NOISE_BLOCKS)]
    receiver = FrameReceiver(FORMAT, POINTS)
    memory = MemoryTrace(os.getpid())
    num_blocks = max(1, round(num_gsamples * 1e9 / BLOCK_SAMPLES))
    block = np.empty(BLOCK_SAMPLES, np.complex64)
    places: set[int] = set()
    sent = whole = others = 0
    processor_s = 0.0
    for index in range(num_blocks + 1):
        begun = time.process_time()
        if index < num_blocks:
            np.copyto(block, noise[rng.integers(NUM_NOISE_BLOCKS)])
            place = int(rng.integers(BLOCK_SAMPLES - len(frame)))
            block[place : place + len(frame)] += frame
            places.add(index * BLOCK_SAMPLES + place)
            sent += 1
            begun = time.process_time()
            found = receiver.process(block)
        else:
            found = receiver.finish()
        processor_s += time.process_time() - begun
        for received in found:
            right = _is_right(received, symbols) and received.sample_start in places
            places.discard(received.sample_start)
            whole, others = whole + right, others + (not right)
        memory.note((index + 1) * BLOCK_SAMPLES, others)
    return ReceiverSoak(
        num_samples=num_blocks * BLOCK_SAMPLES,
        sent=sent,
        whole=whole,
        others=others,
        processor_s=processor_s,
        memory=memory,
    )


def _frame(rng: np.random.Generator) -> tuple[NDArray[np.complex64], NDArray[np.int64]]:
    symbols = rng.integers(POINTS.order, size=PAYLOAD_SYMBOLS)
    iq, _ = transmit_waveform(
        modulate(torch.from_numpy(symbols), POINTS),
        frame_format=FORMAT,
        amplitude=1.0,
        gap_samples=0,
    )
    turn = np.exp(2j * np.pi * CFO_HZ / FORMAT.sample_rate_hz * np.arange(iq.shape[-1]))
    return (iq.numpy() * turn).astype(np.complex64), symbols


def _noise(num_samples: int, rng: np.random.Generator) -> NDArray[np.complex64]:
    parts = rng.standard_normal(2 * num_samples, dtype=np.float32)
    return parts.view(np.complex64) * np.float32((0.5 * 10 ** (-SNR_DB / 10)) ** 0.5)


def _is_right(received: ReceivedFrame, symbols: NDArray[np.int64]) -> bool:
    return received.status is FrameStatus.OK and np.array_equal(
        received.posteriors.argmax(axis=1), symbols
    )


def draw(trace: MemoryTrace, title: str, path: Path) -> None:
    """Draw memory over samples, from zero."""
    figure = Figure(figsize=(5, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(trace.gsamples, trace.mib, color="#0b5fa5", linewidth=1.4)
    axes.set(xlabel="samples [1e9]", ylabel="memory [MiB]", ylim=(0, 1.3 * max(trace.mib)))
    axes.set_title(title, loc="left", fontsize=10)
    axes.grid(color="#d0d0d0", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)


def run(
    num_gigabytes: float = SMALL_GIGABYTES, receiver_gsamples: float = SMALL_RECEIVER_GSAMPLES
) -> str:
    """Run what is to be longer than nothing, draw its memory, and return its tables."""
    tables = []
    if num_gigabytes > 0:
        pipe = soak_pipe(num_gigabytes)
        draw(pipe.memory, "phyemu emulate --live", FOLDER / "soak-pipe.png")
        tables.append(pipe.markdown())
    if receiver_gsamples > 0:
        receiver = soak_receiver(receiver_gsamples)
        draw(receiver.memory, "FrameReceiver", FOLDER / "soak-receiver.png")
        tables.append(receiver.markdown())
    return "\n".join(tables)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=SMALL_GIGABYTES, help="0: no pipe")
    parser.add_argument(
        "--receiver-gsamples", type=float, default=SMALL_RECEIVER_GSAMPLES, help="0: no receiver"
    )
    parser.add_argument("--feed", type=int, metavar="BLOCKS", help="write the samples (internal)")
    chosen = parser.parse_args()
    if chosen.feed is None:
        print(run(chosen.gigabytes, chosen.receiver_gsamples))
    else:
        feed(chosen.feed)
