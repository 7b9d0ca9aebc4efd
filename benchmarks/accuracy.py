"""Accuracy of sounding: tap tables through the emulator, and errors beside the Cramer-Rao bound.

The tap tables are all links of the published scenarios 90001, 90002 and 90003, and tables drawn at
random: 2 to 4 taps anywhere (off the sample grid), at least 1 / bandwidth apart, within 30 dB; and
more of these whose neighbours are all 1 to 1.3 / bandwidth apart.
Each goes through `ChannelStream` at 20 dB SNR per sample and is sounded 20 times, twice: 20 bursts
of one recording, which share their delays, and each burst alone, as one repetition that knows of
no other.

What is found is judged here, by code that the estimator does not use. A tap counts when it is
within 30 dB of the strongest and at least 1 / bandwidth away from its neighbours; the bandwidth is
the sample rate. Taps closer than that act as one, whose delay and gain depend on the band: they are
judged by the response they give together.
"""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.accuracy_bound import bound_table
from phyemu.channel import ImpulseResponse, MeasuredChannel, NoiseLevel
from phyemu.channel.stream import ChannelStream
from phyemu.colosseum import load_scenario
from phyemu.iq import open_recording, write_recording
from phyemu.library import find_in_library
from phyemu.sounding import Sounding, sound_recording
from phyemu.waveform.sounder import SounderFormat, sounder_waveform

__all__ = ["Score", "TapTable", "published_tables", "random_tables", "run", "score", "sounded"]

SCENARIOS = ("90001", "90002", "90003")
# Sample rate and bandwidth of the sounder; None: all of the rate.
SETTINGS: tuple[tuple[float, float | None], ...] = ((100e6, None), (20e6, None), (100e6, 20e6))
SNR_DB = 20.0
REPETITIONS = 20
RANGE_DB = 30.0
AMPLITUDE = 0.2
RANDOM_TABLES = 60


@dataclass(frozen=True, kw_only=True)
class TapTable:
    """The taps of one link: delays from the first tap on [s], and complex amplitudes."""

    name: str
    delays_s: NDArray[np.float64]
    gains: NDArray[np.complex128]


@dataclass(frozen=True, kw_only=True)
class Score:
    """What one sounding found of a tap table.

    Attributes:
        wanted: Taps that had to be found.
        missed: How many of them were not.
        false: Paths that lie at no tap, not even within 1 / bandwidth of a weak or a close one.
        delay_errors_s: Of the taps found, absolute [s].
        gain_errors_db: Of the taps found, absolute [dB].
        response_error_db: Power of the error of the paths' response over that of the true response,
            within the measured band [dB].
    """

    wanted: int
    missed: int
    false: int
    delay_errors_s: tuple[float, ...]
    gain_errors_db: tuple[float, ...]
    response_error_db: float


def published_tables() -> list[TapTable]:
    """Return every link of the published scenarios, one direction each (both are the same)."""
    tables = []
    for number in SCENARIOS:
        scenario = load_scenario(find_in_library(number, "colosseum"))
        for (tx, rx), response in sorted(scenario.links.items()):
            if tx < rx:
                delays_s = response.delays_s.numpy()
                gains = response.gains[0].numpy().astype(complex)
                tables.append(
                    TapTable(
                        name=f"{number} {tx}-{rx}", delays_s=delays_s - delays_s.min(), gains=gains
                    )
                )
    return tables


def random_tables(
    count: int, *, bandwidth_hz: float, seed: int, crowded: bool = False
) -> list[TapTable]:
    """Return tables of 2 to 4 taps anywhere, at least 1 / bandwidth apart, within 30 dB.

    `crowded`: no neighbours are further apart than 1.3 / bandwidth.
    """
    rng = np.random.default_rng(seed)
    tables = []
    for index in range(count):
        size = int(rng.integers(2, 5))
        # Half of the steps are short, where taps overlap; the others spread over 100 / bandwidth.
        steps = 1.0 + np.where(
            rng.random(size - 1) < 0.5, 2.0 * rng.random(size - 1), 100.0 * rng.random(size - 1)
        )
        if crowded:
            steps = 1.0 + 0.3 * rng.random(size - 1)
        delays = np.concatenate([[0.0], np.cumsum(steps)]) / bandwidth_hz
        levels_db = -RANGE_DB * rng.random(size)
        levels_db += -levels_db.max()
        phases = np.exp(2j * np.pi * rng.random(size))
        name = f"{'crowded' if crowded else 'random'} {index}"
        tables.append(TapTable(name=name, delays_s=delays, gains=10 ** (levels_db / 20) * phases))
    return tables


def sounded(
    table: TapTable,
    *,
    sample_rate_hz: float,
    bandwidth_hz: float | None = None,
    bursts: int,
    alone: int,
    seed: int,
) -> list[Sounding]:
    """Return the sounding of a recording of `bursts`, then those of the first `alone` by itself.

    The recordings are 16-bit integers, as a radio makes them.
    """
    # A part of the band has the same number of frequencies in a longer period.
    length = 1024 * round(sample_rate_hz / (bandwidth_hz or sample_rate_hz))
    sounder = SounderFormat(
        sample_rate_hz=sample_rate_hz,
        bandwidth_hz=bandwidth_hz,
        length=length,
        gap_samples=3 * length,
    )
    model = MeasuredChannel(
        name=table.name,
        responses=ImpulseResponse(
            torch.from_numpy(table.gains[None].astype(np.complex64)),
            torch.from_numpy(table.delays_s),
            1e-3,
        ),
        noise=NoiseLevel.of_snr_db(SNR_DB),
    )
    stream = ChannelStream(
        model,
        sample_rate_hz=sample_rate_hz,
        symbol_rate_hz=sample_rate_hz,
        reference_power=AMPLITUDE**2,
        seed=seed,
    )
    silence = np.zeros(sounder.gap_samples, np.complex64)
    burst = np.concatenate([(AMPLITUDE * sounder_waveform(sounder)).numpy(), silence])
    sent = np.concatenate([silence, np.tile(burst, bursts), silence])
    iq = np.asarray(stream.process(sent))
    size = len(burst)
    stretches = [iq, *[iq[k * size : (k + 1) * size + len(silence)] for k in range(alone)]]
    fields = {"phyemu:waveform": "sounder", "phyemu:sounder": sounder.to_dict()}
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for index, stretch in enumerate(stretches):
            path = write_recording(
                Path(folder) / f"{index}.sigmf",
                stretch,
                sample_rate_hz=sample_rate_hz,
                global_fields=fields,
            )
            with open_recording(path) as recording:
                (sounding,) = sound_recording(recording)
            found.append(sounding)
    return found


def score(table: TapTable, sounding: Sounding, *, bandwidth_hz: float) -> Score:
    """Return how well a sounding of `sounded` matches the table it came from."""
    resolution_s = 1.0 / bandwidth_hz
    # The emulator scales a link to unit power, the sounder sends `AMPLITUDE`.
    scale = np.sqrt(np.sum(np.square(np.abs(table.gains)))) / AMPLITUDE
    delays_s = sounding.paths.delays_s.numpy()
    level_db = 10 * np.log10(sounding.paths.powers().numpy()) + 20 * np.log10(scale)
    true_db = 20 * np.log10(np.abs(table.gains))
    apart = np.abs(table.delays_s[:, None] - table.delays_s)
    np.fill_diagonal(apart, np.inf)
    # A delay of 50 ns at 20 Msps is 1 / bandwidth apart, whatever rounding says.
    resolved = apart.min(axis=1, initial=np.inf) >= resolution_s * (1 - 1e-9)
    wanted = resolved & (true_db >= true_db.max() - RANGE_DB - 1e-9)
    delay_errors, gain_errors, missed = [], [], 0
    free = np.ones(len(delays_s), bool)
    for index in np.flatnonzero(wanted).tolist():
        distance = np.abs(delays_s - table.delays_s[index])
        distance[~free] = np.inf
        nearest = int(distance.argmin())
        if distance[nearest] > resolution_s / 2:
            missed += 1
            continue
        free[nearest] = False
        delay_errors.append(float(distance[nearest]))
        gain_errors.append(float(abs(level_db[nearest] - true_db[index])))
    # Left over are paths at weak or close taps, as near as the band can tell, or at none.
    others = table.delays_s[~wanted]
    false = sum(
        not (np.abs(others - delay) <= resolution_s).any() for delay in delays_s[free].tolist()
    )
    return Score(
        wanted=int(wanted.sum()),
        missed=missed,
        false=false,
        delay_errors_s=tuple(delay_errors),
        gain_errors_db=tuple(gain_errors),
        response_error_db=_response_error_db(table, sounding),
    )


def _response_error_db(table: TapTable, sounding: Sounding) -> float:
    """Return the error of the response of the paths of the first frame.

    Where delay 0 lies, the level and the phase are choices of the sounder: they are fitted.
    """
    frequencies = sounding.frequencies_hz
    true = np.exp(-2j * np.pi * np.outer(frequencies, table.delays_s)) @ table.gains
    steering = np.exp(-2j * np.pi * np.outer(frequencies, sounding.paths.delays_s.numpy()))
    found = steering @ sounding.paths.gains[0].numpy()
    # Shifts of up to a quarter of the period, 32 to a sample, by a zero-padded FFT.
    spacing = float(np.diff(frequencies).min())
    size = 32 * round(sounding.sample_rate_hz / spacing)
    match = np.abs(np.fft.ifft(found * true.conj(), size)) * size
    energy = np.square(np.abs(found)).sum() * np.square(np.abs(true)).sum()
    return float(10 * np.log10(max(1.0 - match.max() ** 2 / energy, 1e-12)))


def _judged(
    tables: Iterable[TapTable], *, sample_rate_hz: float, bandwidth_hz: float | None, alone: int
) -> tuple[list[list[Score]], list[list[Score]]]:
    """Return the scores of each table: of all bursts together, and of bursts by themselves."""
    together, apart = [], []
    for seed, table in enumerate(tables):
        found = sounded(
            table,
            sample_rate_hz=sample_rate_hz,
            bandwidth_hz=bandwidth_hz,
            bursts=REPETITIONS,
            alone=alone,
            seed=seed,
        )
        scores = [
            score(table, sounding, bandwidth_hz=bandwidth_hz or sample_rate_hz)
            for sounding in found
        ]
        together.append(scores[:1])
        apart.append(scores[1:])
    return together, apart


def _row(links: str, band: str, judged: list[list[Score]]) -> str:
    scores = [score for each in judged for score in each]
    delays_ns = 1e9 * np.array([error for score in scores for error in score.delay_errors_s])
    levels = np.array([error for score in scores for error in score.gain_errors_db])
    return (
        f"| {links} | {band} | {sum(s.wanted for s in scores)} | "
        f"{sum(s.missed for s in scores)} | {sum(s.false for s in scores)} | "
        f"{np.median(delays_ns):.3f} ({delays_ns.max():.2f}) | "
        f"{np.median(levels):.3f} ({levels.max():.2f}) |"
    )


def _remarks(
    tables: list[TapTable], bandwidth_hz: float, band: str, judged: list[list[Score]]
) -> list[str]:
    """Return a line on every table with misses, false paths, or taps too close to be told apart."""
    remarks = []
    for table, scores in zip(tables, judged, strict=True):
        missed, false = sum(s.missed for s in scores), sum(s.false for s in scores)
        close = np.diff(np.sort(table.delays_s)).min(initial=np.inf) * bandwidth_hz < 1 - 1e-9
        if missed or false or close:
            worst = max(score.response_error_db for score in scores)
            remarks.append(
                f"* {table.name}, {band}: {missed} missed, {false} false, the response reproduced "
                f"to {worst:.0f} dB"
            )
    return remarks


def run() -> str:
    """Return the tables of errors on the tap tables and against the bound; draw the latter."""
    torch.set_num_threads(1)
    lines = [
        "## Sounding: tap tables at 20 dB SNR",
        "",
        "| links | sounder | taps wanted | missed | false | delay error, median (largest) [ns] "
        "| gain error, median (largest) [dB] |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    remarks: list[str] = []
    for rate, part in SETTINGS:
        band = f"{rate / 1e6:g} Msps" + ("" if part is None else f", {part / 1e6:g} MHz of it")
        width = part or rate
        for label, tables, alone in (
            ("published", published_tables(), REPETITIONS if part is None else 2),
            ("random", random_tables(RANDOM_TABLES, bandwidth_hz=width, seed=7), 2),
            (
                "crowded",
                random_tables(RANDOM_TABLES, bandwidth_hz=width, seed=8, crowded=True),
                2,
            ),
        ):
            together, apart = _judged(tables, sample_rate_hz=rate, bandwidth_hz=part, alone=alone)
            number = f"{len(tables)} {label}"
            lines.append(_row(f"{number}, {REPETITIONS} bursts together", band, together))
            lines.append(_row(f"{number}, {alone} single bursts each", band, apart))
            remarks += _remarks(tables, width, band, together)
    lines += ["", "Links with misses, false paths, or taps that the band cannot tell apart:", ""]
    return "\n".join([*lines, *remarks, "", bound_table()])
