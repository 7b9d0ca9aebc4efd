"""The report of a run, from its artefacts alone."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu import __version__
from phyemu.channel import ChannelModel, load_model, world
from phyemu.evaluation import exported_waveform, load_sent_images
from phyemu.iq import open_recording, survey_samples
from phyemu.loop.config import LoopConfig
from phyemu.loop.folder import RunFolder
from phyemu.loop.keepsakes import Keepsake, load_keepsake
from phyemu.loop.table import LoopResult
from phyemu.report import (
    ReportPage,
    Section,
    constellation_figure,
    loss_figure,
    power_delay_profile_figure,
    spectrogram_figure,
    write_report,
)
from phyemu.training import from_table, read_toml
from phyemu.waveform import frame_layout, matched_filter

__all__ = ["write_loop_report"]

_PROFILE_DRAWS = 400
_PROFILE_BINS = 256
_PROFILE_OVERSAMPLING = 8
_SPECTROGRAM_ROWS = 128
_SHOWN = ("fitted", "world")


def write_loop_report(folder: Path, path: Path) -> Path:
    """Write the report of a finished loop to `path` and return it.

    Raises:
        ConfigError: The folder is no run, or a stage is missing.
    """
    run = RunFolder.reopen(folder)
    config = from_table(LoopConfig, read_toml(folder / "loop.toml"), where=str(folder))
    result = LoopResult.from_dict(run.result("result"))
    name = "-".join(_SHOWN)
    recording = folder / "recordings" / f"{name}.sigmf"
    kept = load_keepsake(folder / "receptions" / f"{name}.npz")
    page = ReportPage(
        title="phyemu loop",
        summary=result.finding(),
        columns=result.columns,
        rows=result.cells(),
        notes=[*_notes(run, result), *result.warnings],
        sections=[
            _profile_section(folder, config),
            _spectrogram_section(recording),
            _constellation_section(folder, recording, kept),
            *_training_sections(run),
        ],
        settings=run.settings,
        provenance={
            "phyemu": __version__,
            "run": str(folder),
            "seed": config.seed,
            "channel from": ", ".join(config.captures) or f"world {config.world}",
        },
    )
    return write_report(page, path)


def _notes(run: RunFolder, result: LoopResult) -> list[str]:
    fit = run.result("fit")
    notes = [
        f"The channel was fitted to {fit['frames']} sounding frames: {len(fit['paths'])} paths, "
        f"C/N0 {fit['cn0_dbhz']:.1f} dB Hz; it never saw the world's parameters.",
        "Every row is decoded from a recording by the receiver, which is told the waveform and "
        "nothing of the channel. SER: share of symbols received wrongly. SNR: mean of what the "
        "receiver estimated. bytes/64: on the air for 64 images, every symbol counted as "
        "log2(M) / 8 bytes, preambles, headers and pilots included.",
    ]
    if fit.get("holdout"):
        check = fit["holdout"]
        notes.append(
            f"Held-out check on {check['frames']} frames: best of the alternatives is "
            f"{check['best_model']}; KS distance of the effective SNR "
            f"{check['ks_effective_snr']:.2f} (critical {check['ks_critical']:.2f})."
        )
    return notes


def _profile_section(folder: Path, config: LoopConfig) -> Section:
    fitted = load_model(folder / "channel.h5")
    profiles = {"fit": _profile(fitted, config)}
    caption = "Mean power over delay of the fitted channel, as a 20 MHz receiver sees it."
    if not config.captures:
        profiles = {"world": _profile(world(config.world).model, config), **profiles}
        caption = (
            "Mean power over delay of the emulated world and of the channel that was fitted to its "
            "recording, both as a receiver of this bandwidth sees them."
        )
    return Section(
        heading="Power delay profile",
        caption=caption,
        figure=power_delay_profile_figure(profiles),
    )


def _profile(
    model: ChannelModel, config: LoopConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean band-limited profile around its peak: (delays_s, powers)."""
    rate_hz = config.frame.sample_rate_hz
    draw = model.draw(
        _PROFILE_DRAWS,
        num_steps=1,
        interval_s=1e-3,
        symbol_rate_hz=config.frame.symbol_rate_hz,
        generator=torch.Generator().manual_seed(0),
    )
    bins = torch.arange(_PROFILE_BINS, dtype=torch.float64) / _PROFILE_BINS - 0.5
    transfer = draw.response.frequency_response(bins * rate_hz)[:, 0].numpy()
    window = np.blackman(_PROFILE_BINS)
    size = _PROFILE_BINS * _PROFILE_OVERSAMPLING
    power = np.mean(np.square(np.abs(np.fft.ifft(transfer * window, size, axis=-1))), axis=0)
    # From a little before the peak to as far as the period of the transform reaches.
    power = np.roll(power, size // 4 - int(power.argmax()))
    delays_s = (np.arange(size) - size // 4) / (_PROFILE_OVERSAMPLING * rate_hz)
    shown = (delays_s > -0.3e-6) & (delays_s < 1.2e-6)
    return delays_s[shown], power[shown]


def _spectrogram_section(recording: Path) -> Section:
    with open_recording(recording) as received:
        survey = survey_samples(received)
    rows = survey.spectrogram_db.shape[0] // _SPECTROGRAM_ROWS
    power = 10 ** (survey.spectrogram_db / 10)
    merged = power.reshape(_SPECTROGRAM_ROWS, rows, -1).mean(axis=1)
    return Section(
        heading="Spectrogram of the recording",
        caption="Frames as recorded, one after the other; the silence between bursts was not kept.",
        figure=spectrogram_figure(
            survey.times_s,
            survey.frequencies_hz.reshape(_SPECTROGRAM_ROWS, rows).mean(axis=1),
            10 * np.log10(merged),
        ),
    )


def _constellation_section(folder: Path, recording: Path, kept: Keepsake) -> Section:
    run = folder / f"phydnn-{_SHOWN[0]}"
    waveform = exported_waveform(run)
    frame_format = waveform.frame_format
    payload = load_sent_images(run / "sent.npz").payload_plan[0]
    # A frame of typical quality, its carrier offset removed, at the symbol instants.
    number = int(np.argsort(kept.snr_db)[kept.snr_db.size // 2])
    start = int(kept.sample_start[number])
    count = frame_format.frame_samples(payload)
    with open_recording(recording) as received:
        iq = received.read(start, min(count, received.num_samples - start))
    turns = kept.cfo_hz[number] / frame_format.sample_rate_hz * np.arange(iq.size)
    level = torch.from_numpy((iq * np.exp(-2j * np.pi * turns)).astype(np.complex64))
    filtered = matched_filter(level, frame_format.pulse_taps()).numpy()
    positions = frame_layout(frame_format, payload).payload_positions.numpy()
    instants = frame_format.pulse_delay_samples + positions * frame_format.samples_per_symbol
    before = filtered[instants[instants < filtered.size]]
    return Section(
        heading="Constellation before and after equalisation",
        caption=(
            "Left: matched-filter output of one frame of median SNR, its carrier offset removed. "
            "Right: equaliser output over all frames."
        ),
        figure=constellation_figure(before, kept.points, waveform.constellation.points.numpy()),
    )


def _training_sections(run: RunFolder) -> list[Section]:
    losses: dict[str, list[float]] = {}
    accuracy: dict[str, list[float]] = {}
    for stage, name in (
        ("backbone", "backbone"),
        ("phydnn-awgn", "PhyDNN, AWGN"),
        ("phydnn-fitted", "PhyDNN, fitted channel"),
    ):
        epochs = run.result(stage)["epochs"]
        if epochs:
            losses[name] = [epoch["losses"]["total"] for epoch in epochs]
            accuracy[name] = [epoch["validation_accuracy"] for epoch in epochs]
    return [
        Section(
            heading="Training loss",
            caption="Mean of the total loss (Eq. 8 of the paper for the PhyDNNs) over each epoch.",
            figure=loss_figure(losses),
        ),
        Section(
            heading="Validation accuracy",
            caption="Of each PhyDNN through the channel that it was trained through.",
            figure=loss_figure(accuracy, y="accuracy [%]"),
        ),
    ]
