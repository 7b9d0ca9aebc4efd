"""Fitting: known worlds recorded, sounded, fitted; what comes back, how often intervals hold.

Each run is the whole chain: a realisation of a world through `EmulatedRadio` in bursts, the
recording sounded, the soundings fitted. Bias and coverage are over the seeds; a coverage of 95 %
leaves 5 % of the intervals without the truth, and with S seeds it is known to
sqrt(0.95 * 0.05 / S). PHYEMU_FITTING_SEEDS sets S (3 when it is not set; docs/fitting.md says how
many its table has).
"""

import math
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from phyemu.channel import (
    ChannelModel,
    Distribution,
    FrontEnd,
    NoiseLevel,
    TappedDelayLine,
    tdl_profile,
    tgn_profile,
)
from phyemu.channel.doppler import DopplerSpectrum
from phyemu.fitting import FitConfig, Interval, fit_channel
from phyemu.fitting.response_statistics import effective_snr_db
from phyemu.iq import open_recording
from phyemu.radio import EmulatedRadio, record_bursts
from phyemu.sounding import sound_recording
from phyemu.waveform.sounder import SounderFormat, sounder_waveform

SAMPLE_RATE_HZ = 20e6
AMPLITUDE = 0.1
INTERVAL_S = 10e-3
NUM_BURSTS = 200
CFO_HZ = 1500.0
SPREAD_S = 100e-9
FORMAT = SounderFormat(
    sample_rate_hz=SAMPLE_RATE_HZ, length=256, repetitions=9, gap_samples=2 * 256
)
WORLDS = ("tgn-b", "tgn-c", "tgn-d", "tdl-a", "tdl-b", "tdl-c", "tdl-d", "tdl-e")
DOPPLERS_HZ = (5.0, 20.0)
CN0S_DBHZ = (95.0, 80.0)
DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one fit says beside the truth: (estimate - truth, whether the interval holds it)."""

    doppler: tuple[float, bool]
    spread: tuple[float, bool]
    k_factor: tuple[float, bool]
    cn0: tuple[float, bool]
    cfo: tuple[float, bool]
    distance: float
    effective_frames: float


def world(name: str, doppler_hz: float, cn0_dbhz: float) -> TappedDelayLine:
    """Return the world as a channel model."""
    family, letter = name.split("-")
    bell = family == "tgn"
    return TappedDelayLine(
        profile=(
            tgn_profile(letter.upper())
            if bell
            else tdl_profile(letter.upper(), rms_delay_spread_s=SPREAD_S)
        ),
        noise=NoiseLevel(cn0_dbhz=Distribution.constant(cn0_dbhz)),
        doppler_hz=doppler_hz,
        spectrum=DopplerSpectrum.BELL if bell else DopplerSpectrum.JAKES,
        front_end=FrontEnd(
            cfo_hz=Distribution.constant(CFO_HZ), linewidth_hz=Distribution.constant(8.0)
        ),
    )


def resolved_k(model: TappedDelayLine) -> float:
    """Return K of the first path as the band sees it: with the taps that it cannot part from it."""
    profile = model.profile
    steady = profile.powers[0] * profile.k_factor[0] / (1 + profile.k_factor[0])
    near = sum(
        power
        for power, delay_s in zip(profile.powers, profile.delays_s, strict=True)
        if delay_s - profile.delays_s[0] < 0.5 / SAMPLE_RATE_HZ
    )
    return steady / (near - steady)


def snr_db(model: ChannelModel, seed: int) -> np.ndarray:
    """Return the SNR of draws of a model behind an equaliser over 10 MHz [dB]."""
    draw = model.draw(
        DRAWS,
        num_steps=1,
        interval_s=1.0,
        symbol_rate_hz=1.0,
        generator=torch.Generator().manual_seed(seed),
    )
    frequencies_hz = np.linspace(-5e6, 5e6, 64)
    turned = np.exp(-2j * np.pi * np.outer(draw.response.delays_s.numpy(), frequencies_hz))
    return effective_snr_db(
        draw.response.gains[:, 0].numpy() @ turned,
        noise_density=10.0 ** (-draw.snr_db.numpy() / 10.0),
        bandwidth_hz=10e6,
    )


def fit_once(name: str, doppler_hz: float, cn0_dbhz: float, seed: int) -> Run:
    """Return what a fit of one recording of the world says."""
    torch.set_num_threads(1)
    model = world(name, doppler_hz, cn0_dbhz)
    radio = EmulatedRadio(
        model,
        sample_rate_hz=SAMPLE_RATE_HZ,
        symbol_rate_hz=10e6,
        reference_power=AMPLITUDE**2,
        seed=seed,
    )
    burst = (AMPLITUDE * sounder_waveform(FORMAT)).numpy().astype(np.complex64)
    with tempfile.TemporaryDirectory() as folder:
        path = record_bursts(
            radio,
            [burst] * NUM_BURSTS,
            Path(folder) / "world.sigmf",
            interval_s=INTERVAL_S,
            datatype="cf32_le",
            global_fields={"phyemu:waveform": "sounder", "phyemu:sounder": FORMAT.to_dict()},
        )
        with open_recording(path) as recording:
            fit = fit_channel(sound_recording(recording), FitConfig(num_resamples=40, seed=seed))
    strongest = max(fit.paths, key=lambda item: item.power.value)
    truth_k = resolved_k(model)
    distance = stats.ks_2samp(snr_db(model, 2 * seed), snr_db(fit.model, 2 * seed + 1)).statistic
    return Run(
        doppler=_against(fit.doppler_hz, doppler_hz, relative=True),
        spread=_against(fit.rms_delay_spread_s, model.profile.rms_delay_spread_s(), relative=True),
        k_factor=(
            10 * math.log10(max(strongest.k_factor.value, 1e-3) / max(truth_k, 1e-3)),
            strongest.k_factor.contains(truth_k),
        ),
        cn0=_against(fit.cn0_dbhz, cn0_dbhz),
        cfo=_against(fit.cfo_hz, CFO_HZ),
        distance=float(distance),
        effective_frames=fit.effective_frames,
    )


def _against(interval: Interval, truth: float, *, relative: bool = False) -> tuple[float, bool]:
    error = interval.value - truth
    return (error / truth if relative else error), interval.contains(truth)


def run() -> str:
    """Return the table."""
    seeds = range(int(os.environ.get("PHYEMU_FITTING_SEEDS", "3")))
    cells = list(product(WORLDS, DOPPLERS_HZ, CN0S_DBHZ))
    jobs = [(*cell, 1000 * index + seed + 1) for index, cell in enumerate(cells) for seed in seeds]
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        runs = list(pool.map(fit_once, *zip(*jobs, strict=True)))
    lines = [
        "## Fit: known worlds, the whole chain",
        "",
        "| world | Doppler | C/N0 | worth | Doppler | RMS delay spread | K of the strongest path "
        "| C/N0 | CFO | KS of effective SNR |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    totals: dict[str, list[bool]] = {}
    for index, (name, doppler_hz, cn0_dbhz) in enumerate(cells):
        own = runs[index * len(seeds) : (index + 1) * len(seeds)]
        columns = []
        for field, unit, scale in (
            ("doppler", "%", 100.0),
            ("spread", "%", 100.0),
            ("k_factor", "dB", 1.0),
            ("cn0", "dB", 1.0),
            ("cfo", "Hz", 1.0),
        ):
            pairs = [getattr(item, field) for item in own]
            known = [error for error, _ in pairs if math.isfinite(error)]
            inside = [held for error, held in pairs if math.isfinite(error)]
            totals.setdefault(field, []).extend(inside)
            if field == "k_factor" and world(name, 1.0, 80.0).profile.k_factor[0] == 0:
                columns.append(f"Rayleigh: {sum(inside)}/{len(inside)}")
                continue
            columns.append(
                f"{scale * float(np.median(known)):+.2g} {unit}: {sum(inside)}/{len(inside)}"
                if known
                else "-"
            )
        worth = float(np.median([item.effective_frames for item in own]))
        distance = float(np.median([item.distance for item in own]))
        lines.append(
            f"| {name} | {doppler_hz:g} Hz | {cn0_dbhz:g} dB Hz | {worth:.0f} | "
            + " | ".join(columns)
            + f" | {distance:.3f} |"
        )
    shares = ", ".join(f"{name} {np.mean(held):.0%}" for name, held in totals.items())
    return (
        "\n".join(lines)
        + f"\n\nMedian error: intervals of 95 % that hold the truth, of {len(seeds)} seeds a row. "
        f"Over all rows: {shares}.\n"
    )
