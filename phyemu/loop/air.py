"""The test images over the air: sent as frames, recorded, received from the recording, scored."""

from pathlib import Path

import numpy as np
import torch

from phyemu.channel import ChannelModel
from phyemu.datasets import ImageSet
from phyemu.evaluation import (
    RecordingScore,
    encode_images,
    load_exported,
    save_sent_images,
    score_recording,
)
from phyemu.iq import open_recording
from phyemu.loop.config import LoopConfig
from phyemu.loop.place import radio_at
from phyemu.progress import ProgressCallback, renamed
from phyemu.radio import record_bursts
from phyemu.waveform import NUM_FRAME_INDICES, build_frame, modulate

__all__ = ["over_the_air"]


def over_the_air(
    run: Path,
    model: ChannelModel,
    images: ImageSet,
    config: LoopConfig,
    recording: Path,
    *,
    start_s: float,
    stage: str,
    progress: ProgressCallback,
) -> RecordingScore:
    """Return how the PhyDNN of a run does on images that are sent through a channel.

    Head and tail are those that were exported; the tail is given nothing but the recording.

    Args:
        run: Run folder with head/ and tail/; what was sent is written to it.
        model: What the frames go through.
        images: What is sent.
        config: The loop's settings.
        recording: The recording to write.
        start_s: Time in the radio's session at which the first frame leaves [s].
        stage: Named in the progress.
        progress: Told of frames and samples.
    """
    phydnn = load_exported(run)
    sent = encode_images(phydnn, images, repetitions=config.air.passes)
    save_sent_images(sent, run / "sent.npz")
    amplitude = config.air.amplitude
    points = modulate(sent.symbols.flatten(), phydnn.constellation)
    bursts = []
    for index, payload in enumerate(torch.split(points, list(sent.payload_plan))):
        frame = build_frame(
            payload, frame_index=index % NUM_FRAME_INDICES, frame_format=phydnn.frame_format
        )
        bursts.append((amplitude * frame).numpy().astype(np.complex64))
    power = config.frame.reference_power(amplitude)
    radio = radio_at(model, config, power=power)
    radio.skip(round(start_s * radio.sample_rate_hz))
    record_bursts(
        radio,
        bursts,
        recording,
        interval_s=config.air.interval_s,
        description=f"Emulated: frames of test images through {model.name}",
        global_fields={
            "phyemu:waveform": "frames",
            "phyemu:frame_format": phydnn.frame_format.to_dict(),
            "phyemu:constellation": phydnn.constellation.to_dict(),
            "phyemu:reference_power": power,
        },
        force=True,
        stage=f"transmit {stage}",
        progress=progress,
    )

    with open_recording(recording) as received:
        return score_recording(
            received, run, sent=sent, progress=renamed(progress, f"receive {stage}")
        )
