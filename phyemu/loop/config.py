"""The settings of the closed loop."""

import math
from dataclasses import dataclass, field, replace

from phyemu.errors import ConfigError
from phyemu.training import TrainConfig, preset
from phyemu.waveform import FrameFormat, SounderFormat

__all__ = ["AirConfig", "LoopConfig", "SoundingRun", "default_training"]

_AWGN = "awgn:12"  # the paper's training channel (Sec. IV-B)
# Symbols of a frame. Frames see one state of the channel each: short ones see more of its fading.
_DIGITS_FRAME_SYMBOLS = 4096
_FRAME_SYMBOLS = 8192


def default_training(dataset: str, *, seed: int = 0) -> TrainConfig:
    """Return the training settings of the loop for a dataset: its preset, through AWGN at 12 dB."""
    symbols = _DIGITS_FRAME_SYMBOLS if dataset == "digits" else _FRAME_SYMBOLS
    return replace(
        preset(dataset, _AWGN, seed=seed), frame=FrameFormat(max_payload_symbols=symbols)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class SoundingRun:
    """How the place is sounded.

    Attributes:
        bursts: Bursts of the sounder into an emulated world, >= 10.
        interval_s: From burst to burst [s]; the channel should change in between.
        length: Samples of one period of the sounder.
        repetitions: Periods per burst.
        max_paths: Most paths that are fitted, 1 to 64.
        holdout: Share of the frames that check the fit, in (0, 0.5].
    """

    bursts: int = 320
    interval_s: float = 0.1
    length: int = 512
    repetitions: int = 9
    max_paths: int = 16
    holdout: float = 0.3

    def __post_init__(self) -> None:
        if self.bursts < 10:
            raise ConfigError(f"sounding.bursts must be at least 10, got {self.bursts}")
        if not (math.isfinite(self.interval_s) and self.interval_s > 0):
            raise ConfigError(f"sounding.interval_s must be positive, got {self.interval_s}")
        if not 0 < self.holdout <= 0.5:
            raise ConfigError(f"sounding.holdout must lie in (0, 0.5], got {self.holdout}")

    def sounder_format(self, sample_rate_hz: float) -> SounderFormat:
        """Return what the sounder transmits."""
        return SounderFormat(
            sample_rate_hz=sample_rate_hz,
            length=self.length,
            repetitions=self.repetitions,
            gap_samples=2 * self.length,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class AirConfig:
    """How the test images go over the air.

    Attributes:
        amplitude: Of a transmitted symbol, full scale 1; pulses peak some 30 % above it.
        receive_gain_db: Of the receiver, so that fading does not clip [dB].
        passes: How often the test images are sent, >= 1: more passes see more of the fading.
        max_images: At most so many test images; None: all.
        interval_s: From frame to frame [s].
    """

    amplitude: float = 0.5
    receive_gain_db: float = -6.0
    passes: int = 8
    max_images: int | None = None
    interval_s: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.amplitude < 0.75:
            raise ConfigError(
                "air.amplitude must lie in (0, 0.75), so that pulses do not clip, "
                f"got {self.amplitude}"
            )
        if self.passes < 1 or (self.max_images or 1) < 1:
            raise ConfigError("air.passes and air.max_images must be at least 1")
        if not (math.isfinite(self.interval_s) and self.interval_s > 0):
            raise ConfigError(f"air.interval_s must be positive, got {self.interval_s}")


@dataclass(frozen=True, kw_only=True, slots=True)
class LoopConfig:
    """One run of the loop. The defaults are the embedded default: no files, no radio.

    Attributes:
        world: Emulated world that stands for the laboratory; unused with `captures`.
        captures: Recordings, or soundings of them (.h5), whose channel is used instead; part of
            their frames is held out and stands for the world.
        transmitter: Which link of the captures, strongest first.
        snr_db: Mean SNR at the matched filter at which the channel of `captures` is used [dB];
            None: as measured.
        sounding: Sounding and fit.
        air: The test images on the air.
        train: Data, backbone, PhyDNN, frames, seed; its channel is what is compared with, AWGN at
            12 dB in the paper.
    """

    world: str = "office-nlos"
    captures: tuple[str, ...] = ()
    transmitter: int = 0
    snr_db: float | None = None
    sounding: SoundingRun = field(default_factory=SoundingRun)
    air: AirConfig = field(default_factory=AirConfig)
    train: TrainConfig = field(default_factory=lambda: default_training("digits"))

    def __post_init__(self) -> None:
        if self.transmitter < 0:
            raise ConfigError(f"transmitter must not be negative, got {self.transmitter}")
        if self.snr_db is not None and not self.captures:
            raise ConfigError("snr_db needs captures: an emulated world has an SNR of its own")
        if self.snr_db is not None and not math.isfinite(self.snr_db):
            raise ConfigError(f"snr_db must be finite, got {self.snr_db}")

    @property
    def seed(self) -> int:
        """Every draw comes from it."""
        return self.train.seed

    @property
    def frame(self) -> FrameFormat:
        """Frames on the air."""
        return self.train.frame
