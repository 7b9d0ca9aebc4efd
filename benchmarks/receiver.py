"""The receiver: samples per second of an idle stream, symbols per second of frames back to back.

Beside them stand what a careful NumPy user would write for one step each (the preamble's
correlation; matched filter and nearest point with everything known) and the copy roof. No tool
with the same frame exists to compare the whole with.
"""

import math
import time

import numpy as np
import scipy.signal
import torch

from benchmarks.harness import Table, compare
from phyemu.receiver import FrameReceiver, ReceivedFrame
from phyemu.waveform import (
    FrameFormat,
    frame_layout,
    modulate,
    preamble_points,
    psk,
    transmit_waveform,
)
from phyemu.waveform.pulse import shape_pulses

IDLE_SAMPLES = 4_000_000
NUM_FRAMES = 8
PAYLOAD_SYMBOLS = 16_384
BLOCK_SAMPLES = 1 << 18
SNR_DB = 15.0
CFO_HZ = 61e3
FORMAT = FrameFormat()
POINTS = psk(8)
ROUNDS = 7


def noise(num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Return white noise at SNR_DB below symbols of amplitude 1."""
    both = rng.standard_normal(2 * num_samples, dtype=np.float32).view(np.complex64)
    return both * np.float32(math.sqrt(0.5) * 10 ** (-SNR_DB / 20))


def frames(rng: np.random.Generator) -> np.ndarray:
    """Return frames back to back as they arrive."""
    generator = torch.Generator().manual_seed(1)
    symbols = torch.randint(POINTS.order, (PAYLOAD_SYMBOLS * NUM_FRAMES,), generator=generator)
    sent, _ = transmit_waveform(
        modulate(symbols, POINTS), frame_format=FORMAT, amplitude=1.0, gap_samples=0
    )
    iq = np.pad(sent.numpy(), (0, 1000))
    turned = iq * np.exp(2j * np.pi * CFO_HZ / FORMAT.sample_rate_hz * np.arange(len(iq)))
    return (turned + noise(len(iq), rng)).astype(np.complex64)


def receive(iq: np.ndarray) -> list[ReceivedFrame]:
    """Return what our receiver finds in a stream that comes in blocks."""
    receiver = FrameReceiver(FORMAT, POINTS)
    found = []
    for begin in range(0, len(iq), BLOCK_SAMPLES):
        found += receiver.process(iq[begin : begin + BLOCK_SAMPLES])
    return found + receiver.finish()


def correlate(iq: np.ndarray, template: np.ndarray) -> int:
    """Return the samples at which the preamble's correlation stands out; no carrier offset."""
    match = scipy.signal.oaconvolve(iq, template[::-1].conj(), mode="valid")
    energy = np.convolve(np.square(np.abs(iq)), np.ones(len(template), np.float32), mode="valid")
    peaks = np.square(np.abs(match)) > 0.5 * np.vdot(template, template).real * energy
    return int(np.count_nonzero(peaks))


def decide_only(iq: np.ndarray, pulse: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Return decisions of frames whose place and carrier are known and whose channel is one tap.

    Carrier, matched filter, one sample a symbol, nearest point: no synchronisation, no equaliser,
    no tracking, no posteriors.
    """
    turn = np.exp(-2j * np.pi * CFO_HZ / FORMAT.sample_rate_hz * np.arange(len(iq)))
    filtered = scipy.signal.oaconvolve(iq * turn.astype(np.complex64), pulse)
    positions = frame_layout(FORMAT, PAYLOAD_SYMBOLS).payload_positions.numpy()
    delay = 2 * FORMAT.pulse_delay_samples
    places = begins[:, None] + delay + positions * FORMAT.samples_per_symbol
    angle = np.angle(filtered[places])
    return np.rint(angle * (POINTS.order / (2 * np.pi))).astype(np.int64) % POINTS.order


def run() -> list[Table]:
    """Return the tables of an idle and of a full stream."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    idle = noise(IDLE_SAMPLES, rng)
    copied = np.empty_like(idle)
    template = shape_pulses(
        preamble_points(FORMAT),
        FORMAT.pulse_taps(),
        samples_per_symbol=FORMAT.samples_per_symbol,
    ).numpy()
    candidates = {
        "phyemu FrameReceiver, CFO up to 100 kHz": lambda: receive(idle),
        "SciPy oaconvolve with the preamble, no CFO": lambda: correlate(idle, template),
        "copying the array (the roof)": lambda: np.copyto(copied, idle),
    }
    rows = compare(candidates, units=IDLE_SAMPLES, rounds=ROUNDS, clock=time.process_time)
    note = f"CPU time of one core, medians of {ROUNDS} interleaved rounds."
    title = "Receive: a stream without frames"
    tables = [Table(title=title, unit="samples", rows=rows, note=note)]
    busy = frames(rng)
    received = [frame for frame in receive(busy) if frame.frame_index is not None]
    if len(received) != NUM_FRAMES:
        raise RuntimeError(f"{len(received)} of {NUM_FRAMES} frames received")
    begins = np.array([frame.sample_start for frame in received])
    pulse = FORMAT.pulse_taps().numpy().astype(np.float32)
    candidates = {
        "phyemu FrameReceiver, all of it": lambda: receive(busy),
        "NumPy, place and carrier and channel known": lambda: decide_only(busy, pulse, begins),
        "copying the samples (the roof)": lambda: np.copyto(copied[: len(busy)], busy),
    }
    work = PAYLOAD_SYMBOLS * NUM_FRAMES
    rows = compare(candidates, units=work, rounds=ROUNDS, clock=time.process_time)
    title = f"Receive: frames of {PAYLOAD_SYMBOLS} symbols back to back, 8-PSK at {SNR_DB:g} dB"
    return [*tables, Table(title=title, unit="symbols", rows=rows, note=note)]
