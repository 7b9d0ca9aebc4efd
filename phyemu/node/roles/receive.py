"""Role `receive`: frames of a known format are received, and their symbols kept."""

import threading
from collections import Counter
from typing import Any

from phyemu.errors import RadioError, RecordingError
from phyemu.iq import open_recording
from phyemu.listening import FrameStore, ListeningSummary, RadioFeed, listen, rehearse_receiver
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
        # The thread that hears frames and the one that flushes them share the store.
        self._storing = threading.Lock()
        self._status: Counter[str] = Counter()
        self._listened: list[ListeningSummary] = []
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
            self._store = store
            try:
                summary = listen(
                    RadioFeed(radio, stall_s=task.stall_s), sent, self._take, stop=stretch.stop
                )
            finally:
                with self._storing:
                    self._store = None
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
        listened = list(self._listened)
        status = dict(sorted(self._status.items()))
        lost = [summary.lost_samples for summary in listened]
        return {
            # Those whose header names them, as for whoever reads the files.
            "frames": sum(status.get(name, 0) for name in ("ok", "partial", "truncated")),
            "frame_status": status,
            "frames_not_kept": self._not_kept,
            "samples": sum(summary.num_samples for summary in listened),
            "gaps": sum(summary.gaps for summary in listened),
            "lost_samples": None if None in lost else sum(filter(None, lost)),
            "snr_db": listened[-1].snr_db if listened else None,
            "cfo_hz": listened[-1].cfo_hz if listened else None,
        }

    def keep(self) -> None:
        """Flush the frames that came."""
        with self._storing:
            if self._store is not None:
                self._store.flush()

    def close(self) -> None:
        """Do nothing: the files are closed."""
