"""The receiver: samples per second of an idle stream, of a mostly idle one, of frames back to back.

Beside it stand what a careful NumPy user would write for one step each (the preamble's
correlation; matched filter and nearest point with everything known), GNU Radio's blocks for a PSK
stream without frames, and the copy roof. No tool with the same frame exists to compare the whole
with.
"""

import math
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import scipy.signal
import torch

from benchmarks.harness import Skipped, Table, compare
from benchmarks.peer_process import PeerAbsentError, gnuradio
from phyemu.receiver import FrameReceiver, ReceivedFrame
from phyemu.waveform import (
    Constellation,
    FrameFormat,
    frame_layout,
    modulate,
    preamble_points,
    psk,
    transmit_waveform,
)
from phyemu.waveform.pulse import shape_pulses

IDLE_SAMPLES = 4_000_000
BUSY_SAMPLES = 500_000
OCCUPIED = 0.05  # part of the time of the mostly idle stream
BLOCK_SAMPLES = 1 << 18
SNR_DB = {4: 10.0, 8: 15.0, 16: 20.0}
CFO_HZ = 61e3
FORMAT = FrameFormat()
POINTS = psk(8)
ROUNDS = 7
SIZES = (16_384, 4_000, 1_000, 256)  # payload symbols
NOTE = f"CPU time of one core, medians of {ROUNDS} interleaved rounds."


def noise(num_samples: int, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """Return white noise below symbols of amplitude 1."""
    both = rng.standard_normal(2 * num_samples, dtype=np.float32).view(np.complex64)
    return both * np.float32(math.sqrt(0.5) * 10 ** (-snr_db / 20))


def frames(
    size: int,
    num_frames: int,
    *,
    gap_samples: int = 0,
    points: Constellation = POINTS,
    samples_per_symbol: int = 2,
) -> np.ndarray:
    """Return frames of `size` symbols as they arrive."""
    frame_format = FrameFormat(max_payload_symbols=size, samples_per_symbol=samples_per_symbol)
    generator = torch.Generator().manual_seed(1)
    symbols = torch.randint(points.order, (size * num_frames,), generator=generator)
    sent, _ = transmit_waveform(
        modulate(symbols, points),
        frame_format=frame_format,
        amplitude=1.0,
        gap_samples=gap_samples,
    )
    iq = np.pad(sent.numpy(), (0, 1000))
    turned = iq * np.exp(2j * np.pi * CFO_HZ / FORMAT.sample_rate_hz * np.arange(len(iq)))
    rng = np.random.default_rng(size)
    return (turned + noise(len(iq), SNR_DB[points.order], rng)).astype(np.complex64)


def receive(
    iq: np.ndarray, points: Constellation = POINTS, frame_format: FrameFormat = FORMAT
) -> list[ReceivedFrame]:
    """Return what our receiver finds in a stream that comes in blocks."""
    receiver = FrameReceiver(frame_format, points)
    found = []
    for begin in range(0, len(iq), BLOCK_SAMPLES):
        found += receiver.process(iq[begin : begin + BLOCK_SAMPLES])
    return found + receiver.finish()


def received_all(iq: np.ndarray, num_frames: int) -> list[ReceivedFrame]:
    """Return the frames of a stream.

    Raises:
        RuntimeError: There are fewer or more of them.
    """
    found = [frame for frame in receive(iq) if frame.frame_index is not None]
    if len(found) != num_frames:
        raise RuntimeError(f"{len(found)} of {num_frames} frames received")
    return found


def correlate(iq: np.ndarray, template: np.ndarray) -> int:
    """Return the samples at which the preamble's correlation stands out; no carrier offset."""
    match = scipy.signal.oaconvolve(iq, template[::-1].conj(), mode="valid")
    energy = np.convolve(np.square(np.abs(iq)), np.ones(len(template), np.float32), mode="valid")
    peaks = np.square(np.abs(match)) > 0.5 * np.vdot(template, template).real * energy
    return int(np.count_nonzero(peaks))


def decide_only(iq: np.ndarray, pulse: np.ndarray, begins: np.ndarray, size: int) -> np.ndarray:
    """Return decisions of frames whose place and carrier are known and whose channel is one tap.

    Carrier, matched filter, one sample a symbol, nearest point: no synchronisation, no equaliser,
    no tracking, no posteriors.
    """
    turn = np.exp(-2j * np.pi * CFO_HZ / FORMAT.sample_rate_hz * np.arange(len(iq)))
    filtered = scipy.signal.oaconvolve(iq * turn.astype(np.complex64), pulse)
    positions = frame_layout(FORMAT, size).payload_positions.numpy()
    delay = 2 * FORMAT.pulse_delay_samples
    places = begins[:, None] + delay + positions * FORMAT.samples_per_symbol
    angle = np.angle(filtered[places])
    return np.rint(angle * (POINTS.order / (2 * np.pi))).astype(np.int64) % POINTS.order


def idle_tables() -> list[Table]:
    """Return the tables of a stream without frames and of one with few."""
    template = shape_pulses(
        preamble_points(FORMAT),
        FORMAT.pulse_taps(),
        samples_per_symbol=FORMAT.samples_per_symbol,
    ).numpy()
    size = 4_000
    busy = FORMAT.frame_samples(size)
    gap = round(busy * (1.0 / OCCUPIED - 1.0))
    num_frames = IDLE_SAMPLES // (busy + gap)
    few = frames(size, num_frames, gap_samples=gap)
    received_all(few, num_frames)
    streams = {
        "Receive: a stream without frames": noise(IDLE_SAMPLES, 15.0, np.random.default_rng(0)),
        f"Receive: frames of {size} symbols {OCCUPIED:.0%} of the time": few,
    }
    tables = []
    for title, iq in streams.items():
        copied = np.empty_like(iq)
        candidates: dict[str, Callable[[], object]] = {
            "phyemu FrameReceiver, CFO up to 100 kHz": lambda iq=iq: receive(iq),
            "SciPy oaconvolve with the preamble, no CFO": lambda iq=iq: correlate(iq, template),
            "copying the array (the roof)": lambda iq=iq, out=copied: np.copyto(out, iq),
        }
        rows = compare(candidates, units=len(iq), rounds=ROUNDS, clock=time.process_time)
        tables.append(Table(title=title, unit="samples", rows=rows, note=NOTE))
    return tables


def busy_table(size: int) -> Table:
    """Return the table of frames of `size` symbols back to back."""
    num_frames = -(-BUSY_SAMPLES // FORMAT.frame_samples(size))
    iq = frames(size, num_frames)
    begins = np.array([frame.sample_start for frame in received_all(iq, num_frames)])
    pulse = FORMAT.pulse_taps().numpy().astype(np.float32)
    copied = np.empty_like(iq)
    candidates: dict[str, Callable[[], object]] = {
        "phyemu FrameReceiver, all of it": lambda: receive(iq),
        "NumPy, place and carrier and channel known": lambda: decide_only(iq, pulse, begins, size),
    }
    skipped = []
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        path = Path(folder) / "frames.cf32"
        iq.tofile(path)
        try:
            peer = stack.enter_context(gnuradio())
            name = f"GNU Radio {peer.version} PSK stream: clock, equaliser, Costas, points"
            theirs = peer.candidate(
                "psk_receiver",
                num_samples=len(iq),
                path=str(path),
                samples_per_symbol=FORMAT.samples_per_symbol,
                rolloff=FORMAT.rolloff,
            )
            theirs()
            candidates[name] = theirs
        except PeerAbsentError as exc:
            skipped.append(Skipped(name="GNU Radio", reason=str(exc)))
        candidates["copying the samples (the roof)"] = lambda: np.copyto(copied, iq)
        rows = compare(candidates, units=len(iq), rounds=ROUNDS, clock=time.process_time)
    title = f"Receive: frames of {size} symbols back to back, 8-PSK at {SNR_DB[8]:g} dB"
    return Table(title=title, unit="samples", rows=rows, skipped=skipped, note=NOTE)


def sizes_table() -> str:
    """Return what frames of several sizes, back to back, cost; Markdown."""
    cases = [(psk(8), 2), (psk(4), 2), (psk(16), 2), (psk(8), 4)]
    lines = []
    for points, sps in cases:
        frame_format = FrameFormat(samples_per_symbol=sps)
        cells = []
        for size in SIZES:
            count = max(BUSY_SAMPLES // frame_format.frame_samples(size), 2)
            iq = frames(size, count, points=points, samples_per_symbol=sps)
            row = compare(
                {"": lambda iq=iq, p=points, f=frame_format: receive(iq, p, f)},
                units=len(iq),
                rounds=ROUNDS,
                clock=time.process_time,
            )[0]
            cells.append(f"{row.rate / 1e6:.1f}")
        lines.append(f"| {points.order}-PSK, {sps} samples a symbol | {' | '.join(cells)} |\n")
    head = " | ".join(f"{size} symbols" for size in SIZES)
    rule = " | ".join("---:" for _ in SIZES)
    return (
        "## Receive: frames back to back, by their size\n\n"
        f"| Msamples/s | {head} |\n| --- | {rule} |\n{''.join(lines)}\n{NOTE}\n"
    )


def run() -> list[Table | str]:
    """Return the tables of idle, of mostly idle and of full streams."""
    torch.set_num_threads(1)
    return [*idle_tables(), *(busy_table(size) for size in SIZES[:2]), sizes_table()]
