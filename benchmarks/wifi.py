"""Wi-Fi: samples per second of an idle stream, frames per second of traffic.

Beside ours stands one step of it by SciPy: the correlation with one L-LTF symbol, which finds no
carrier offset. GNU Radio's gr-ieee802-11, the nearest tool, is not among the packages installed.
"""

import time

import numpy as np
import scipy.signal

from benchmarks.harness import Table, compare
from benchmarks.wifi_traffic import STATION, data_octets, stream_of, transmitter
from phyemu.wifi import WifiReception, detect_wifi_frames, l_ltf, receive_wifi_frame

IDLE_SAMPLES = 4_000_000
BLOCK_SAMPLES = 1 << 18
RARE_FRAMES = 8
NUM_EXCHANGES = 20


def receive(iq: np.ndarray) -> list[WifiReception]:
    """Return what our receiver finds in a stream that comes in blocks."""
    blocks = (iq[begin : begin + BLOCK_SAMPLES] for begin in range(0, len(iq), BLOCK_SAMPLES))
    frames = detect_wifi_frames(blocks, sample_rate_hz=20e6)
    return [receive_wifi_frame(frame, lambda start, n: iq[start : start + n]) for frame in frames]


def detect(iq: np.ndarray) -> int:
    """Return the number of preambles, without looking behind them."""
    blocks = (iq[begin : begin + BLOCK_SAMPLES] for begin in range(0, len(iq), BLOCK_SAMPLES))
    return len(detect_wifi_frames(blocks, sample_rate_hz=20e6))


def correlate(iq: np.ndarray) -> int:
    """Return the samples at which the correlation with an L-LTF symbol stands out."""
    template = l_ltf()[32:96].numpy()
    match = scipy.signal.oaconvolve(iq, template[::-1].conj(), mode="valid")
    energy = np.convolve(np.square(np.abs(iq)), np.ones(len(template), np.float32), mode="valid")
    return int(np.count_nonzero(np.square(np.abs(match)) > 0.5 * len(template) * energy))


def run() -> list[Table]:
    """Return the tables of an idle stream, of one with few frames, and of traffic."""
    made = transmitter()
    frame = made.ht_frame(data_octets(1470), 7)
    ack = made.legacy_frame(made.ack_mpdu(STATION), 24)
    idle = stream_of([np.zeros(IDLE_SAMPLES, np.complex64)], snr_db=30.0, seed=0)
    rare = idle.copy()
    for start in range(1000, len(rare) - len(frame), len(rare) // RARE_FRAMES):
        rare[start : start + len(frame)] += frame
    candidates = {
        "phyemu, no frame": lambda: receive(idle),
        f"phyemu, {RARE_FRAMES} frames of 1500 octets decoded": lambda: receive(rare),
        "SciPy oaconvolve with the L-LTF, no CFO": lambda: correlate(idle),
    }
    note = "Medians of 5 interleaved rounds in CPU time, one thread."
    rows = compare(candidates, units=len(idle), rounds=5, clock=time.process_time)
    title = "Wi-Fi: a stream that is mostly idle"
    tables = [Table(title=title, unit="samples", rows=rows, note=note)]
    traffic = stream_of([frame, ack] * NUM_EXCHANGES, snr_db=30.0, seed=1)
    verdicts = [reception.content.fcs_ok for reception in receive(traffic)]
    if verdicts != [True] * (2 * NUM_EXCHANGES):
        raise RuntimeError(f"{verdicts.count(True)} of {2 * NUM_EXCHANGES} frames received")
    candidates = {
        "phyemu, found and decoded": lambda: receive(traffic),
        "phyemu, found only": lambda: detect(traffic),
    }
    rows = compare(candidates, units=2 * NUM_EXCHANGES, rounds=5, clock=time.process_time)
    title = "Wi-Fi: data frames of 1500 octets at 65 Mb/s, each with its ACK"
    return [*tables, Table(title=title, unit="frames", rows=rows, note=note)]
