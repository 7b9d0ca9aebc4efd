"""Role `phydnn-transmit`: the head encodes the images at boot, and their frames go out in a circle.

The tail is never loaded: it is not there.
"""

import threading
from pathlib import Path
from typing import Any

import torch

from phyemu.dnn import evaluating
from phyemu.errors import ConfigError, RadioError
from phyemu.evaluation import (
    bytes_on_air,
    encode_images,
    load_exported_head,
    measure_side_latency,
)
from phyemu.iq import Recording, open_recording
from phyemu.node.content import IMAGES_FILE, load_images
from phyemu.node.roles.transmit import Transmit
from phyemu.node.roles.work import WorkTask
from phyemu.serving import AMPLITUDE, GAP_SAMPLES
from phyemu.waveform.transmission import write_symbols

__all__ = ["PhyDnnTransmit"]


class PhyDnnTransmit(Transmit):
    """Sends what the head makes of the images."""

    def __init__(self, task: WorkTask) -> None:
        """Take note of the task."""
        super().__init__(task)
        self._waveform: Path | None = None
        self._images: dict[str, Any] = {}
        self._pass: dict[str, float] = {}

    def _source(self, stop: threading.Event) -> Recording:
        folder = self._task.content / self._task.conf.phydnn.folder
        exported = load_exported_head(folder)
        images = load_images(folder / IMAGES_FILE)
        if not len(images) or images.image_shape != tuple(exported.head.card.image_shape):
            raise ConfigError(
                f"{folder / IMAGES_FILE}: {len(images)} images of {images.image_shape}, but the "
                f"head takes some of {tuple(exported.head.card.image_shape)}"
            )
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        head = exported.head.to(device)
        with evaluating(head):
            latency = measure_side_latency(head, images.images, device=device, stop=stop)

        def progress(stage: str, done: int, total: int, note: str = "") -> None:
            if stop.is_set():
                raise RadioError("was stopped while it encoded images")

        sent = encode_images(exported, images.to(device), progress=progress)
        self._task.scratch.mkdir(parents=True, exist_ok=True)
        path = self._waveform = write_symbols(
            self._task.scratch / "images.sigmf",
            sent.symbols.flatten(),
            exported.constellation,
            exported.frame_format,
            amplitude=AMPLITUDE,  # the samples are scaled to `peak_dbfs` then
            gap_samples=GAP_SAMPLES,
            description="phyemu frames of images: what this node transmits",
            global_fields={"phyemu:payload": {"kind": "images", "num_images": len(images)}},
        )
        count = {"symbols_per_image": exported.symbols_per_image, "order": exported.order}
        one_pass = bytes_on_air(num_images=len(images), frame_format=exported.frame_format, **count)
        batch = bytes_on_air(num_images=64, frame_format=exported.frame_format, **count)
        self._pass = {"payload": one_pass.payload, "overhead": one_pass.overhead}
        self._images = {
            "images_per_pass": len(images),
            **count,
            "bytes_of_64_images": {"payload": batch.payload, "overhead": batch.overhead},
            "head_s": (latency["single"] or {}).get("median_s"),
            "head_latency": latency,
        }
        return open_recording(path)

    def _told(self, passes: float) -> dict[str, Any]:
        recording = self._recording
        if recording is None:
            return {}
        num_images = self._images["images_per_pass"]
        air_s = recording.num_samples / recording.sample_rate_hz / num_images
        payload, overhead = (self._pass[name] * passes for name in ("payload", "overhead"))
        return {
            **self._images,
            "images": round(num_images * passes, 3),
            "air_s": air_s,
            "bytes_on_air": {
                "payload": payload,
                "overhead": overhead,
                "total": payload + overhead,
            },
        }

    def close(self) -> None:
        """Close the recording and delete it."""
        super().close()
        if self._waveform is not None:
            self._waveform.unlink(missing_ok=True)
