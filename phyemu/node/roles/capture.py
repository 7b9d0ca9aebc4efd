"""Role `capture`: what is heard goes into recordings, one for each stretch."""

import threading
from typing import Any

from phyemu.errors import RadioError
from phyemu.iq.sample_format import sample_format
from phyemu.node.roles.draining import drain
from phyemu.node.roles.work import Stretch, WorkTask
from phyemu.radio import CaptureSummary, Radio, capture_to_recording

__all__ = ["Capture"]


class Capture:
    """Records until `max_bytes` are there; the radio is listened to beyond that, and watched."""

    def __init__(self, task: WorkTask) -> None:
        """Take note of the task."""
        self._task = task
        self._bytes_left = task.conf.capture.max_bytes
        self._bytes_per_sample = 0
        self._rate_hz = 0.0
        self._captures: list[dict[str, Any]] = []
        self._samples_now = 0
        self._full = False

    def prepare(self, radio: Radio, stop: threading.Event) -> None:
        """Refuse a datatype that nobody knows."""
        datatype = self._task.conf.capture.datatype
        stored = sample_format(datatype, where="radio.conf: [capture] datatype")
        self._rate_hz = radio.sample_rate_hz
        self._bytes_per_sample = stored.sample_bytes * radio.num_channels

    @property
    def occupied_hz(self) -> float:
        """Return the band that is recorded [Hz]."""
        return self._rate_hz

    def run(self, radio: Radio, stretch: Stretch) -> None:
        """Record, and drop what comes when there is enough."""
        room = int(self._bytes_left // self._bytes_per_sample)
        if room:
            self._record(radio, stretch, room)
        else:
            self._full = True
        if self._full:
            drain(radio, stretch.stop, stall_s=self._task.stall_s)

    def _record(self, radio: Radio, stretch: Stretch, room: int) -> None:
        task = self._task

        def progress(stage: str, done: int, total: int, note: str = "") -> None:
            self._samples_now = done

        try:
            summary = capture_to_recording(
                radio,
                task.folder / f"capture-{stretch.number:04d}.sigmf",
                num_samples=room,
                datatype=task.conf.capture.datatype,
                description=f"phyemu node {task.conf.job.node}: capture",
                global_fields={"phyemu:job": stretch.labels(task)},
                stall_s=task.stall_s,
                stop=stretch.stop,
                progress=progress,
            )
        except RadioError:
            if stretch.stop.is_set():
                return  # it ended before its first sample
            raise
        finally:
            self._samples_now = 0
        self._bytes_left -= summary.num_samples * self._bytes_per_sample
        self._captures.append(_entry(summary))
        self._full = summary.num_samples == room
        if summary.ended_by.is_failure:
            raise RadioError(f"{radio.name}: {summary.line()}")

    def counts(self) -> dict[str, Any]:
        """Return what was recorded."""
        captures = list(self._captures)
        lost = [entry["lost_samples"] for entry in captures]
        return {
            "captures": captures,
            "samples": sum(entry["num_samples"] for entry in captures) + self._samples_now,
            "lost_samples": None if None in lost else sum(lost),
            "clipped_samples": sum(entry["num_clipped"] for entry in captures),
            "max_bytes_reached": self._full,
        }

    def keep(self) -> None:
        """Do nothing: recordings are journalled as they come."""

    def close(self) -> None:
        """Do nothing: recordings are closed."""


def _entry(summary: CaptureSummary) -> dict[str, Any]:
    return summary.to_dict() | {"path": summary.path.name}
