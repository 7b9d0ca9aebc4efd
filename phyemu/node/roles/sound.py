"""Role `sound`: short stretches of what is heard are recorded and sounded while the job runs.

Each window gives a file of soundings of its own, which appears whole: nothing that is there already
is touched again, whenever the container is killed. `phyemu fit` takes the folder as it is.
"""

import threading
from pathlib import Path
from typing import Any

import numpy as np

from phyemu.errors import RadioError, RecordingError, SyncError
from phyemu.iq import Recording, open_recording
from phyemu.node.roles.draining import drain
from phyemu.node.roles.occupied_band import occupied_hz
from phyemu.node.roles.work import Stretch, WorkTask
from phyemu.radio import CaptureEnd, Radio, capture_to_recording, sent_fields
from phyemu.sounding import Sounding, save_soundings, sound_recording

__all__ = ["Sound"]

# A reference of at most this length is sounded itself at first [s]: it loads compiled code, and
# shows that it is one.
_REHEARSED_S = 2.0
# |I| or |Q| from here on is the last code of a converter of 14 bit or more.
_CLIPS_AT = 1.0 - 1.5 * 2.0**-13
_BLOCK = 1 << 20


class Sound:
    """Records and sounds windows, measured in samples: a slow machine skips none of a recording."""

    def __init__(self, task: WorkTask) -> None:
        """Take note of the task."""
        self._task = task
        self._reference: Recording | None = None
        self._windows = 0
        self._silent = 0
        self._frames = 0
        self._clipped = 0
        self._last: dict[str, Any] = {}
        self._problem = ""

    def prepare(self, radio: Radio, stop: threading.Event) -> None:
        """Open the reference, and sound it."""
        path = self._task.content / self._task.conf.sound.reference
        if not path.exists():
            raise RecordingError(
                f"{path}: no such recording; put what is transmitted into the image: "
                "phyemu colosseum package"
            )
        self._reference = reference = open_recording(path)
        if abs(reference.sample_rate_hz - radio.sample_rate_hz) > 1e-6 * radio.sample_rate_hz:
            raise RecordingError(
                f"{path.name}: made for {reference.sample_rate_hz:.0f} Hz, but {radio.name} runs "
                f"at {radio.sample_rate_hz:.0f} Hz"
            )
        if reference.duration_s <= _REHEARSED_S:
            sound_recording(reference, reference=reference)

    @property
    def occupied_hz(self) -> float:
        """Return the band of what is sounded [Hz]."""
        return 0.0 if self._reference is None else occupied_hz(self._reference)

    def run(self, radio: Radio, stretch: Stretch) -> None:
        """Sound a window each `every_s` until the stretch ends."""
        section, rate_hz = self._task.conf.sound, radio.sample_rate_hz
        first: int | None = None
        begin: int | None = None
        while not stretch.stop.is_set():
            if begin is not None:
                due = begin + round(section.every_s * rate_hz)
                stall_s = self._task.stall_s
                if drain(radio, stretch.stop, stall_s=stall_s, until_index=due) is None:
                    return
            path = self._task.folder / f"window-{self._windows + 1:04d}.sigmf"
            if not self._record(radio, stretch, path):
                return
            with open_recording(path) as window:
                index = window.captures[0].global_index
                # Where a stream has lost its place, the last window's length is all that is known.
                begin = (begin or 0) + window.num_samples if index is None else index
                first = begin if first is None else first
                self._windows += 1
                self._sound(window, stretch, stretch.begin_s + (begin - first) / rate_hz)
            if not section.keep_samples:
                path.unlink()

    def _record(self, radio: Radio, stretch: Stretch, path: Path) -> bool:
        """Record a window; return whether it is whole."""
        task = self._task
        fields = {} if self._reference is None else sent_fields(self._reference)
        # Samples that nobody keeps are sounded as they come, also beyond full scale.
        datatype = "ci16_le" if task.conf.sound.keep_samples else "cf32_le"
        try:
            summary = capture_to_recording(
                radio,
                path,
                num_samples=max(1, round(task.conf.sound.window_s * radio.sample_rate_hz)),
                datatype=datatype,
                description=f"phyemu node {task.conf.job.node}: window to sound",
                global_fields={**fields, "phyemu:job": stretch.labels(task)},
                stall_s=task.stall_s,
                stop=stretch.stop,
            )
        except RadioError:
            if stretch.stop.is_set():
                return False
            raise
        if summary.ended_by is CaptureEnd.COMPLETE:
            return True
        summary.path.unlink()  # a part of a window
        if summary.ended_by.is_failure:
            raise RadioError(f"{radio.name}: {summary.line()}")
        return False

    def _sound(self, window: Recording, stretch: Stretch, begin_s: float) -> None:
        task, number = self._task, self._windows
        clipped = _clipped_samples(window)
        self._clipped += clipped
        try:
            links = sound_recording(window, reference=self._reference)
        except SyncError as exc:
            # The transmitter may be silent, or too weak: that is a result.
            self._silent += 1
            self._problem = str(exc)
            return
        save_soundings(
            links,
            task.folder / f"soundings-{number:04d}.h5",
            provenance={
                "command": "phyemu colosseum node",
                "job": stretch.labels(task),
                "window": number,
                "begin_s": begin_s,
                "clipped_samples": clipped,
            },
        )
        self._frames += links[0].num_frames
        self._last = _described(links[0])

    def counts(self) -> dict[str, Any]:
        """Return how many windows were sounded, and what the last one said."""
        return {
            "windows": self._windows,
            "windows_without_signal": self._silent,
            "soundings": self._frames,
            "clipped_samples": self._clipped,
            "last": self._last,
            "last_problem": self._problem,
        }

    def keep(self) -> None:
        """Do nothing: each window is on the disk when it is sounded."""

    def close(self) -> None:
        """Close the reference."""
        if self._reference is not None:
            self._reference.close()


def _clipped_samples(window: Recording) -> int:
    """Return the samples whose I or Q is where a converter ends."""
    count = 0
    for block in window.blocks(_BLOCK):
        beyond = np.abs(block.view(np.float32)) >= _CLIPS_AT
        count += int(np.count_nonzero(beyond[0::2] | beyond[1::2]))
    return count


def _described(link: Sounding) -> dict[str, Any]:
    return {
        "paths": link.paths.num_paths,
        "received_power_dbfs": round(float(link.received_power_dbfs.mean()), 2),
        "cn0_dbhz": round(float(link.cn0_dbhz.mean()), 2),
        "delay_spread_s": float(link.rms_delay_spread_s.mean()),
    }
