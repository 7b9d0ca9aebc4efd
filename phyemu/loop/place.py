"""The place whose channel the loop is about: an emulated world, or what real captures hold back.

The loop sounds it and sends frames through it, and knows nothing else of it.
"""

import math
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from phyemu.channel import ChannelModel, with_snr, world
from phyemu.errors import FitError
from phyemu.fitting import FitConfig, FitMethod, fit_channel
from phyemu.iq import open_recording
from phyemu.link import folded_power
from phyemu.loop.config import LoopConfig
from phyemu.progress import ProgressCallback
from phyemu.radio import EmulatedRadio, record_bursts
from phyemu.sounding import (
    Sounding,
    SoundingConfig,
    load_soundings,
    save_soundings,
    sound_recording,
)
from phyemu.waveform import sounder_waveform

__all__ = [
    "CARRIER_HZ",
    "CapturedPlace",
    "EmulatedPlace",
    "Place",
    "at_snr",
    "place_of",
    "radio_at",
]

CARRIER_HZ = 2.4e9
_MIN_FRAMES = 4
_LEVEL_DRAWS = 1024


class Place(Protocol):
    """Where the loop takes its soundings, and what its frames go through."""

    def sound(self, folder: Path, progress: ProgressCallback) -> list[Sounding]:
        """Return the soundings that the fit may use; recordings are left in `folder`."""

    def channel(self) -> ChannelModel:
        """Return what the frames go through; the loop only transmits into it."""

    def warnings(self) -> tuple[str, ...]:
        """Return what of the place could not be used, each a sentence."""


def place_of(config: LoopConfig) -> Place:
    """Return the place that the settings name."""
    return CapturedPlace(config) if config.captures else EmulatedPlace(config)


def radio_at(model: ChannelModel, config: LoopConfig, *, power: float) -> EmulatedRadio:
    """Return a radio in `model` whose session depends on the loop's seed alone.

    Args:
        model: The channel.
        config: The loop's settings.
        power: Mean sample power while transmitting with all symbols at peak.
    """
    return EmulatedRadio(
        model,
        sample_rate_hz=config.frame.sample_rate_hz,
        symbol_rate_hz=config.frame.symbol_rate_hz,
        reference_power=power,
        seed=config.seed,
        center_frequency_hz=CARRIER_HZ,
        gain_db=config.air.receive_gain_db,
    )


def at_snr(model: ChannelModel, config: LoopConfig) -> ChannelModel:
    """Return the model at the SNR that the settings ask for; as it is where they ask for none.

    The mean is taken behind the matched filter, over the band of the frames: paths that a receiver
    cannot tell apart add up or cancel there, so that the sum of their powers would mislead.
    """
    if config.snr_db is None:
        return model
    draw = model.draw(
        _LEVEL_DRAWS,
        num_steps=1,
        interval_s=1e-3,
        symbol_rate_hz=config.frame.symbol_rate_hz,
        generator=torch.Generator().manual_seed(config.seed),
    )
    power = folded_power(
        draw.response, symbol_rate_hz=config.frame.symbol_rate_hz, rolloff=config.frame.rolloff
    )
    return with_snr(model, config.snr_db - 10 * math.log10(float(power.mean())))


class EmulatedPlace:
    """An emulated world, sounded with our own sounder."""

    def __init__(self, config: LoopConfig) -> None:
        """Name the world of the settings; raises ConfigError when it is unknown."""
        self._config = config
        self._world = world(config.world)

    def channel(self) -> ChannelModel:
        """Return the world's channel."""
        return self._world.model

    def warnings(self) -> tuple[str, ...]:
        """Return nothing: all of the world is used."""
        return ()

    def sound(self, folder: Path, progress: ProgressCallback) -> list[Sounding]:
        """Transmit bursts into the world, record them, and sound the recording."""
        config = self._config
        # As strong on the air as the frames: the same mean power, so that the radio sees one link.
        power = config.frame.reference_power(config.air.amplitude)
        sounder = config.sounding.sounder_format(config.frame.sample_rate_hz)
        burst = (power**0.5 * sounder_waveform(sounder)).numpy().astype(np.complex64)
        path = record_bursts(
            radio_at(self._world.model, config, power=power),
            [burst] * config.sounding.bursts,
            folder / "sounding.sigmf",
            interval_s=config.sounding.interval_s,
            description=f"Emulated: sounding bursts through the world {self._world.name}",
            global_fields={
                "phyemu:waveform": "sounder",
                "phyemu:sounder": sounder.to_dict(),
                "phyemu:reference_power": power,
            },
            force=True,
            stage="record sounding",
            progress=progress,
        )
        return _sound([path], config, folder, progress)


class CapturedPlace:
    """A link in real recordings: the first frames are for the fit, the last ones stand for it.

    What was sounded already (.h5) is taken as it is, recordings are sounded.
    """

    def __init__(self, config: LoopConfig) -> None:
        """Name the recordings of the settings."""
        self._config = config
        self._soundings: list[Sounding] | None = None
        self._left_out: tuple[str, ...] = ()

    def sound(self, folder: Path, progress: ProgressCallback) -> list[Sounding]:
        """Sound the recordings and return the frames that are not held out."""
        fitted, _ = self._split(folder, progress)
        return fitted

    def channel(self) -> ChannelModel:
        """Return the measured responses of the held-out frames, played back.

        Raises:
            FitError: `sound` was not called, or too few frames are held out.
        """
        config = self._config
        _, held_out = self._split(None, None)
        fit = fit_channel(
            held_out,
            FitConfig(
                name="held-out frames",
                method=FitMethod.MEASURED,
                transmitter=config.transmitter,
                max_paths=config.sounding.max_paths,
                seed=config.seed,
            ),
        )
        return at_snr(fit.model, config)

    def _split(
        self, folder: Path | None, progress: ProgressCallback | None
    ) -> tuple[list[Sounding], list[Sounding]]:
        if self._soundings is None:
            if folder is None or progress is None:
                raise FitError("the captures have not been sounded")
            paths = [Path(name) for name in self._config.captures]
            self._soundings = _sound(paths, self._config, folder, progress)
        fitted, held_out, left_out = [], [], []
        for sounding in self._soundings:
            if sounding.transmitter != self._config.transmitter:
                continue
            kept = round(sounding.num_frames * (1 - self._config.sounding.holdout))
            if min(kept, sounding.num_frames - kept) < _MIN_FRAMES:
                left_out.append(
                    f"{sounding.recording_name} was left out: its {sounding.num_frames} frames of "
                    f"transmitter {sounding.transmitter} are too few to hold some out"
                )
                continue
            index = np.arange(sounding.num_frames)
            fitted.append(sounding.select(index[:kept]))
            held_out.append(sounding.select(index[kept:]))
        if not fitted:
            raise FitError(
                f"{', '.join(self._config.captures)}: too few frames of transmitter "
                f"{self._config.transmitter} to fit and to hold some out; give longer captures"
            )
        self._left_out = tuple(left_out)
        return fitted, held_out

    def warnings(self) -> tuple[str, ...]:
        """Return which recordings hold too few frames."""
        return self._left_out


def _sound(
    paths: list[Path], config: LoopConfig, folder: Path, progress: ProgressCallback
) -> list[Sounding]:
    found: list[Sounding] = []
    for number, path in enumerate(paths):
        if path.suffix == ".h5":
            soundings = load_soundings(path)
        else:
            sounding = SoundingConfig(max_paths=config.sounding.max_paths)
            with open_recording(path) as recording:
                soundings = sound_recording(recording, sounding, progress=progress)
        save_soundings(soundings, folder / f"sounding-{number}.h5", force=True)
        found += soundings
    return found
