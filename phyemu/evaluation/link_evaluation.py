"""Accuracy and symbol errors of a PhyDNN over a channel model, at one SNR or over a range."""

import math
from collections.abc import Sequence
from enum import StrEnum

import torch
from torch import Tensor

from phyemu.channel import ChannelModel, with_snr
from phyemu.datasets import ImageSet
from phyemu.dnn import Lookup
from phyemu.errors import ConfigError
from phyemu.link import Fidelity, build_link
from phyemu.progress import ProgressCallback, no_progress

from .air_bytes import bytes_on_air
from .exported import ExportedPhyDnn
from .frame_channel import frames_through, mean_snr_db
from .reception_score import score_frames
from .result import Evaluation
from .transmission import encode_images

__all__ = ["EvaluationFidelity", "evaluate_phydnn", "snr_range", "sweep_snr"]

_MAX_POINTS = 200


class EvaluationFidelity(StrEnum):
    """What an evaluation goes through."""

    SYMBOL = "symbol"
    """The equivalent channel of each symbol: fast, no frames."""

    WAVEFORM = "waveform"
    """The waveform link of training: frames whose place is known."""

    FRAMES = "frames"
    """Frames through the channel to the stream receiver, each over a draw of its own."""


def evaluate_phydnn(
    phydnn: ExportedPhyDnn,
    channel: ChannelModel,
    images: ImageSet,
    *,
    fidelity: EvaluationFidelity,
    seed: int,
    lookup: Lookup | None = None,
    repetitions: int = 1,
    symbols: Tensor | None = None,
    progress: ProgressCallback = no_progress,
) -> Evaluation:
    """Return how an exported PhyDNN does over a channel.

    Args:
        phydnn: Head and tail as deployed.
        channel: The channel.
        images: What is classified.
        fidelity: What stands between head and tail.
        seed: Of channel and noise; the same seed gives the same result.
        lookup: Hard, soft or learned; None: as in training.
        repetitions: Passes over the images, each through new channels, >= 1.
        symbols: What the head sends for these images (`encode_images`), where it has run already;
            frames are made anew.
        progress: Told of the frames sent.

    Raises:
        ConfigError: There are no images, or `repetitions` is below 1.
    """
    if not len(images) or repetitions < 1:
        raise ConfigError(f"there is nothing to evaluate: {len(images)} images, {repetitions=}")
    if fidelity is EvaluationFidelity.FRAMES:
        return _over_frames(phydnn, channel, images, seed, lookup, repetitions, progress)
    link = build_link(
        channel, phydnn.constellation, phydnn.frame_format, fidelity=Fidelity(fidelity)
    )
    # Who only sends or receives loads this package, too, and no training with it.
    from phyemu.training import score_over_link

    score = score_over_link(
        phydnn.joined(),
        link,
        images,
        seed=seed,
        lookup=phydnn.lookup if lookup is None else lookup,
        repetitions=repetitions,
        symbols=symbols,
    )
    batch = bytes_on_air(
        num_images=64,
        symbols_per_image=phydnn.symbols_per_image,
        order=phydnn.order,
        frame_format=phydnn.frame_format,
    )
    return Evaluation(
        channel=channel.name,
        fidelity=fidelity,
        num_images=score.num_images,
        accuracy=score.accuracy,
        ser=score.ser if score.ser is not None else math.nan,
        frames_sent=0,
        frames_lost=0,
        bytes_on_air_per_batch_of_64=batch.total,
        snr_db=mean_snr_db(channel, phydnn.frame_format, seed),
    )


def _over_frames(
    phydnn: ExportedPhyDnn,
    channel: ChannelModel,
    images: ImageSet,
    seed: int,
    lookup: Lookup | None,
    repetitions: int,
    progress: ProgressCallback,
) -> Evaluation:
    sent = encode_images(phydnn, images, repetitions=repetitions)
    received = frames_through(
        sent.symbols.flatten(),
        sent.payload_plan,
        channel,
        constellation=phydnn.constellation,
        frame_format=phydnn.frame_format,
        generator=torch.Generator().manual_seed(seed),
        progress=progress,
    )
    return score_frames(
        received,
        sent,
        phydnn,
        channel=channel.name,
        fidelity=EvaluationFidelity.FRAMES,
        lookup=lookup,
    ).evaluation


def snr_range(text: str) -> tuple[float, ...]:
    """Return the SNRs that "START:STOP:STEP" (both ends included) or "A,B,C" names [dB].

    >>> snr_range("4:8:2")
    (4.0, 6.0, 8.0)

    Raises:
        ConfigError: The text is neither, or names more than 200.
    """
    try:
        if ":" in text:
            start, stop, step = (float(word) for word in text.split(":"))
            count = min(int((stop - start) / step + 1e-9) + 1, _MAX_POINTS + 1)
            values = [start + step * k for k in range(count)]
        else:
            values = [float(word) for word in text.split(",")]
    except (ValueError, ZeroDivisionError, OverflowError) as exc:
        raise ConfigError(
            f"SNR {text!r}: write START:STOP:STEP or A,B,C in dB, as in --snr 4:20:2"
        ) from exc
    if not values:
        raise ConfigError(
            f"SNR {text!r}: steps of {step:g} dB lead away from {stop:g} dB; give "
            f"--snr {stop:g}:{start:g}:{step:g} or --snr {start:g}:{stop:g}:{-step:g}"
        )
    if not 0 < len(values) <= _MAX_POINTS or not all(math.isfinite(value) for value in values):
        raise ConfigError(f"SNR {text!r} must name 1 to {_MAX_POINTS} finite values in dB")
    return tuple(values)


def sweep_snr(
    phydnn: ExportedPhyDnn,
    channel: ChannelModel,
    images: ImageSet,
    snrs_db: Sequence[float],
    *,
    fidelity: EvaluationFidelity,
    seed: int,
    lookup: Lookup | None = None,
    repetitions: int = 1,
    progress: ProgressCallback = no_progress,
) -> list[Evaluation]:
    """Return a result for each SNR, everything else of the channel as it was.

    Args:
        phydnn: Head and tail as deployed.
        channel: The channel; its own SNR does not count.
        images: What is classified.
        snrs_db: SNRs of the link [dB].
        fidelity: What stands between head and tail.
        seed: The same for each SNR.
        lookup: Hard, soft or learned; None: as in training.
        repetitions: Passes over the images at each SNR, >= 1.
        progress: Told of the SNRs done.

    Raises:
        ConfigError: The channel has no SNR to set, or there is nothing to evaluate.
    """
    results = []
    for done, snr_db in enumerate(snrs_db):
        progress("SNR sweep", done, len(snrs_db), f"{snr_db:g} dB")
        results.append(
            evaluate_phydnn(
                phydnn,
                with_snr(channel, snr_db),
                images,
                fidelity=fidelity,
                seed=seed,
                lookup=lookup,
                repetitions=repetitions,
            )
        )
    progress("SNR sweep", len(snrs_db), len(snrs_db))
    return results
