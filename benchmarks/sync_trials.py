"""Frames through a channel, one a row, and what the receiver makes of each.

A row is silence, a frame of 64 symbols at a place between the samples, silence; rows follow one
another without a break, as one stream. Every row has a channel, noise and a frame of its own. What
is judged is `FrameReceiver`, by code that shares nothing with it but the frame.
"""

import dataclasses
import functools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest

from benchmarks.sync_interferers import Interferer
from phyemu.channel import Awgn, ChannelDraw, Distribution, FrontEnd, apply_draw, tgn
from phyemu.receiver import FrameReceiver, FrameStatus, ReceivedFrame, ReceiverConfig
from phyemu.waveform import FrameFormat, build_frame, psk

__all__ = [
    "FORMAT",
    "POINTS",
    "Cell",
    "Outcome",
    "Rows",
    "interval",
    "judge",
    "make_rows",
    "measure",
]

PAYLOAD_SYMBOLS = 64
# A header that is wrong but passes its check would otherwise take the rows behind it along.
FORMAT = FrameFormat(max_payload_symbols=PAYLOAD_SYMBOLS)
POINTS = psk(4)
ROW_SAMPLES = 1700
FIRST_START = 500
BATCH = 250
# A preamble taken for its own repetition, 64 samples away, or at a wrong carrier for itself moved
# by 10, is no detection.
NEAR_SAMPLES = 8


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One point of a curve.

    Attributes:
        channel: "awgn", or the letter of a TGn model.
        snr_db: Of a symbol where the channel has power one [dB].
        cfo_hz: Carrier offset [Hz].
        sfo_ppm: Clock offset [ppm].
        interferer: What else is on the air; None: nothing.
    """

    channel: str
    snr_db: float
    cfo_hz: float = 0.0
    sfo_ppm: float = 0.0
    interferer: Interferer | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Rows:
    """Frames as received, and the truth.

    Attributes:
        iq: (rows, ROW_SAMPLES), complex64.
        first: Where the first path of each frame begins in its row [samples], (rows,), float64.
        strongest: And where the response peaks within the band, (rows,).
        power: Power of all that arrives within the band of each row, (rows,).
    """

    iq: NDArray[np.complex64]
    first: NDArray[np.float64]
    strongest: NDArray[np.float64]
    power: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a cell's frames.

    Attributes:
        frames: Sent.
        detected: With a preamble found within NEAR_SAMPLES of the strongest path.
        headers: Whose index and length were read right.
        timely: Detected to within one sample of the strongest path.
        false: Reported where there was none.
        cfo_rms_hz: Of the carrier offset over the frames read [Hz]; NaN: none.
        cfo_mean_hz: Mean error of the same.
        early_samples, late_samples: 1st and 99th percentile of the timing against the first path.
    """

    frames: int
    detected: int
    headers: int
    timely: int
    false: int
    cfo_rms_hz: float
    cfo_mean_hz: float
    early_samples: float
    late_samples: float


def interval(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % interval of Clopper and Pearson of a share."""
    found = binomtest(count, total).proportion_ci(0.95, method="exact")
    return float(found.low), float(found.high)


@functools.lru_cache(maxsize=4)
def _frames(count: int) -> NDArray[np.complex64]:
    """Return frames of random payload with the indices 0, 1, ..., (count, samples)."""
    generator = torch.Generator().manual_seed(count)
    symbols = torch.randint(POINTS.order, (count, PAYLOAD_SYMBOLS), generator=generator)
    made = [
        build_frame(points, frame_index=index, frame_format=FORMAT)
        for index, points in enumerate(POINTS.points[symbols])
    ]
    return torch.stack(made).numpy()


def _strongest(draw: ChannelDraw) -> NDArray[np.float64]:
    """Return where each response peaks behind pulse and matched filter [samples]."""
    gains = draw.response.gains[:, 0].numpy()
    delays = draw.response.delays_s.numpy() * FORMAT.sample_rate_hz
    grid = np.arange(-32, 24 * 16) / 16.0
    peaks: NDArray[np.float64] = grid[np.abs(gains @ _pulse(grid[:, None] - delays).T).argmax(1)]
    return peaks


def _pulse(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the raised-cosine pulse at distances from its peak."""
    symbols = samples / FORMAT.samples_per_symbol
    below = 1.0 - np.square(2.0 * FORMAT.rolloff * symbols)
    below = np.where(np.abs(below) < 1e-6, 1e-6, below)
    pulse: NDArray[np.float64] = np.sinc(symbols) * np.cos(np.pi * FORMAT.rolloff * symbols) / below
    return pulse


def _power(draw: ChannelDraw) -> NDArray[np.float64]:
    """Return the energy of a symbol's pulse behind each response; paths closer than that add up."""
    gains = draw.response.gains[:, 0].numpy().astype(np.complex128)
    delays = draw.response.delays_s.numpy() * FORMAT.sample_rate_hz
    together = _pulse(delays[:, None] - delays)
    power: NDArray[np.float64] = np.einsum("rk,kl,rl->r", gains.conj(), together, gains).real
    return power


def make_rows(cell: Cell, count: int, seed: int) -> Rows:
    """Return frames through the channel of a cell."""
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    frames = _frames(count)
    places = FIRST_START + rng.uniform(0, 128, count)
    whole = np.floor(places).astype(int)
    clean = np.zeros((count, ROW_SAMPLES), np.complex64)
    clean[np.arange(count)[:, None], whole[:, None] + np.arange(frames.shape[1])] = frames
    turns = np.outer(places - whole, np.fft.fftfreq(ROW_SAMPLES))
    clean = np.fft.ifft(np.fft.fft(clean) * np.exp(-2j * np.pi * turns)).astype(np.complex64)
    model = (
        Awgn(cell.snr_db)
        if cell.channel == "awgn"
        else tgn(cell.channel, snr_db=cell.snr_db, doppler_hz=0.0)
    )
    draw = model.draw(
        count,
        num_steps=1,
        interval_s=1e-3,
        symbol_rate_hz=FORMAT.symbol_rate_hz,
        generator=generator,
    )
    front_end = FrontEnd(
        cfo_hz=Distribution.constant(cell.cfo_hz), sfo_ppm=Distribution.constant(cell.sfo_ppm)
    )
    draw = dataclasses.replace(draw, impairments=front_end.draw(count, generator=generator))
    received = apply_draw(
        torch.from_numpy(clean),
        draw,
        sample_rate_hz=FORMAT.sample_rate_hz,
        symbol_rate_hz=FORMAT.symbol_rate_hz,
        reference_power=FORMAT.reference_power(1.0),
        generator=generator,
    ).numpy()
    if cell.interferer is not None:
        power = FORMAT.reference_power(1.0)
        received = received + cell.interferer.samples(received.size, power, rng).reshape(
            received.shape
        )
    return Rows(
        iq=received.astype(np.complex64),
        first=places,
        strongest=places + _strongest(draw),
        power=_power(draw),
    )


def _received(iq: NDArray[np.complex64], config: ReceiverConfig | None) -> list[ReceivedFrame]:
    receiver = FrameReceiver(FORMAT, POINTS, config)
    return [*receiver.process(iq), *receiver.finish()]


def judge(rows: Rows, cell: Cell, config: ReceiverConfig | None = None) -> list[dict[str, float]]:
    """Return what was made of each row: NaN where there is nothing to say.

    `late`: timing against the first path; `off`: against the strongest; `false`: reports of frames
    that are not there; `header`: 1 where it was read right; `cfo`: error of the carrier offset.
    """
    count = len(rows.iq)
    nothing = {"late": np.nan, "off": np.nan, "false": 0.0, "header": 0.0, "cfo": np.nan}
    found = [dict(nothing) for _ in range(count)]
    for frame in _received(rows.iq.reshape(-1), config):
        row = min(frame.sample_start // ROW_SAMPLES, count - 1)
        place = frame.sample_start + frame.timing_samples - row * ROW_SAMPLES
        off = place - rows.strongest[row]
        if abs(off) > NEAR_SAMPLES or not np.isnan(found[row]["off"]):
            found[row]["false"] += 1
            continue
        found[row] |= {"off": off, "late": place - rows.first[row]}
        right = frame.status is FrameStatus.OK and frame.frame_index == row
        if right and frame.received_symbols == PAYLOAD_SYMBOLS:
            found[row] |= {"header": 1.0, "cfo": frame.cfo_hz - cell.cfo_hz}
    return found


def measure(cell: Cell, *, frames: int, seed: int, config: ReceiverConfig | None = None) -> Outcome:
    """Return what comes of at least that many frames, in batches."""
    judged: list[dict[str, float]] = []
    for batch in range(-(-frames // BATCH)):
        size = min(BATCH, frames - len(judged))
        judged += judge(make_rows(cell, size, seed * 1000 + batch), cell, config)
    column = {name: np.array([row[name] for row in judged]) for name in judged[0]}
    there = ~np.isnan(column["off"])
    cfo = column["cfo"][~np.isnan(column["cfo"])]
    late = column["late"][there]
    early, last = np.percentile(late, [1, 99]) if len(late) else (np.nan, np.nan)
    return Outcome(
        frames=len(judged),
        detected=int(there.sum()),
        headers=int(column["header"].sum()),
        timely=int((np.abs(column["off"][there]) <= 1.0).sum()),
        false=int(column["false"].sum()),
        cfo_rms_hz=float(np.sqrt(np.square(cfo).mean())) if len(cfo) else float("nan"),
        cfo_mean_hz=float(cfo.mean()) if len(cfo) else float("nan"),
        early_samples=float(early),
        late_samples=float(last),
    )
