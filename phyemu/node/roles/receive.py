"""Role `receive`: frames of a known format are received, and their symbols kept."""

import threading
from collections import Counter
from typing import Any

from phyemu.errors import RadioError, RecordingError
from phyemu.iq import open_recording
from phyemu.listening import (
    FrameListener,
    FrameStore,
    ListeningSummary,
    RadioFeed,
    listen,
    rehearse_receiver,
)
from phyemu.listening.summary import FrameCounts
from phyemu.node.roles.work import Stretch, WorkTask
from phyemu.radio import Radio
from phyemu.receiver import ReceivedFrame
from phyemu.waveform.sent_frames import SentFrames, sent_frames

__all__ = ["Receive"]


class Receive:
    """Receives frames into a file for each stretch, flushed twice a second."""

    def __init__(self, task: WorkTask) -> None:
        """Take note of the task."""
        self._task = task
        self._sent: SentFrames | None = None
        self._store: FrameStore | None = None
        # The thread that hears frames and the one that flushes and counts them share what follows.
        self._storing = threading.Lock()
        self._status: Counter[str] = Counter()
        self._listened: list[ListeningSummary] = []
        self._listener: FrameListener | None = None
        # Of the stretch at work or the last one, and of the one before it.
        self._heard, self._heard_before = FrameCounts(), FrameCounts()
        self._bytes_left = task.conf.receive.max_bytes
        self._not_kept = 0

    def prepare(self, radio: Radio, stop: threading.Event) -> None:
        """Learn what the frames are, and load the receiver."""
        self._sent = sent = self._expected(radio)
        rate_hz = sent.frame_format.sample_rate_hz
        if abs(radio.sample_rate_hz - rate_hz) > 1e-3 * rate_hz:
            raise RadioError(
                f"{radio.name}: runs at {radio.sample_rate_hz / 1e6:g} MHz, but the frames have "
                f"{rate_hz / 1e6:g} MHz; set sample_rate_hz in [radio] of radio.conf"
            )
        rehearse_receiver(sent)

    def _expected(self, radio: Radio) -> SentFrames:
        """Return what the frames are."""
        path = self._task.content / self._task.conf.receive.like
        if not path.exists():
            raise RecordingError(
                f"{path}: no such recording, so nothing tells what the frames are; put what is "
                "transmitted into the image: phyemu colosseum package"
            )
        with open_recording(path) as like:
            return sent_frames(like.global_fields, name=path.name)

    @property
    def occupied_hz(self) -> float:
        """Return the band of the frames [Hz]."""
        return 0.0 if self._sent is None else self._sent.frame_format.bandwidth_hz

    def run(self, radio: Radio, stretch: Stretch) -> None:
        """Listen until the stretch ends."""
        task, sent = self._task, self._sent
        if sent is None:
            raise RadioError(f"{radio.name}: nothing tells what the frames are")
        self._begin(stretch)
        origin = {
            "source": radio.name,
            "sample_rate_hz": radio.sample_rate_hz,
            "center_frequency_hz": radio.center_frequency_hz,
            "job": stretch.labels(task),
        }
        path = task.folder / f"frames-{stretch.number:04d}.h5"
        with FrameStore(path, sent, provenance=origin) as store:
            listener = FrameListener(sent)
            with self._storing:
                self._store, self._listener = store, listener
                if self._heard.status:
                    self._heard, self._heard_before = FrameCounts(), self._heard
            try:
                summary = listen(
                    RadioFeed(radio, stall_s=task.stall_s),
                    sent,
                    self._take,
                    stop=stretch.stop,
                    listener=listener,
                )
            finally:
                with self._storing:
                    self._store = None
        with self._storing:
            self._listener = None
            self._listened.append(summary)
        self._end()
        if summary.ended_by.is_failure:
            raise RadioError(f"{radio.name}: the device is gone ({summary.detail})")

    def _begin(self, stretch: Stretch) -> None:
        """Get ready for the frames of a stretch."""

    def _end(self) -> None:
        """Take note that no more frames of it come."""

    def _take(self, frame: ReceivedFrame) -> None:
        self._status[str(frame.status)] += 1
        with self._storing:
            self._heard.add(frame)
            if self._store is not None and self._bytes_left > 0:
                self._store.add(frame)
                self._bytes_left -= frame.points.nbytes + frame.posteriors.nbytes
            else:
                self._not_kept += 1
        self._hear(frame)

    def _hear(self, frame: ReceivedFrame) -> None:
        """Make something of a frame."""

    def counts(self) -> dict[str, Any]:
        """Return what became of the frames."""
        with self._storing:
            listened: list[ListeningSummary | FrameListener]
            listened = [*self._listened, *filter(None, [self._listener])]
            levels = self._heard.medians()
            if levels[0] is None:
                levels = self._heard_before.medians()
        status = dict(sorted(self._status.items()))
        lost = [each.lost_samples for each in listened]
        return {
            # Those whose header names them, as for whoever reads the files.
            "frames": sum(status.get(name, 0) for name in ("ok", "partial", "truncated")),
            "frame_status": status,
            "frames_not_kept": self._not_kept,
            "samples": sum(each.num_samples for each in listened),
            "gaps": sum(each.gaps for each in listened),
            "lost_samples": None if None in lost else sum(filter(None, lost)),
            "snr_db": levels[0],
            "cfo_hz": levels[2],
        }

    def keep(self) -> None:
        """Flush the frames that came."""
        with self._storing:
            if self._store is not None:
                self._store.flush()

    def close(self) -> None:
        """Do nothing: the files are closed."""
