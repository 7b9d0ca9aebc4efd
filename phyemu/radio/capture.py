"""From a radio into a recording: one thread receives, one writes, a bounded ring lies between.

The receiving thread never waits for the disk until the ring is full; then a real device reports an
overflow, which is recorded as the gap that it is, and an emulated or recorded radio just waits.
What lies in the ring is lost when the process is killed, so it holds no more than a second.
"""

import math
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ConfigError, RadioError, RecordingError
from phyemu.iq import RecordingWriter
from phyemu.progress import ProgressCallback, no_progress
from phyemu.radio.capture_summary import CaptureEnd, CaptureSummary
from phyemu.radio.radio import Radio
from phyemu.radio.stream import ReceivedBlock, StreamEvent

__all__ = ["capture_to_recording"]

# Threads look this often whether they should end [s].
_POLL_S = 0.1
# More slots than this hold nobody's disk up.
_MAX_SLOTS = 1024
# A block lasts so long [s], or as long as a whole packet of UHD's needs (some 2000 samples), and
# all that are received and not written so long together.
_BLOCK_S = 0.05
_MIN_BLOCK_SAMPLES = 1 << 11
_RING_S = 1.0
# At high rates memory is the bound: 1 MiB a block, 256 MiB in all, for each channel.
_MAX_BLOCK_SAMPLES = 1 << 17
_MAX_RING_SAMPLES = 1 << 25


@dataclass(slots=True)
class _State:
    """What the threads tell each other."""

    stop: threading.Event
    target: int | None
    started: datetime | None = None
    on_first: Callable[[], None] | None = None
    num_samples: int = 0
    num_segments: int = 0
    lost_samples: int | None = 0
    events: Counter[str] = field(default_factory=Counter)
    ended_by: CaptureEnd = CaptureEnd.COMPLETE
    detail: str = ""
    # The radio was asked to start at a time, and it came too late for it.
    timed: bool = False
    start_missed: bool = False


_Slot = NDArray[np.complex64]
_Item = tuple[_Slot | None, ReceivedBlock] | None


def capture_to_recording(
    radio: Radio,
    path: Path | str,
    *,
    num_samples: int | None = None,
    duration_s: float | None = None,
    datatype: str = "ci16_le",
    description: str | None = None,
    global_fields: Mapping[str, Any] | None = None,
    force: bool = False,
    block_samples: int | None = None,
    ring_samples: int | None = None,
    stall_s: float = 5.0,
    stop: threading.Event | None = None,
    on_first: Callable[[], None] | None = None,
    on_end: Callable[[RecordingWriter], None] | None = None,
    progress: ProgressCallback = no_progress,
) -> CaptureSummary:
    """Record what a radio receives, and return what became of it.

    A gap starts a new capture segment: its `core:global_index` is the position on the radio's
    timeline, `phyemu:gap` names the cause, `phyemu:lost_samples` its length where it is known.
    Ctrl-C, a vanished device, a stalled stream, a full disk and a failing radio end the recording
    early; everything up to that sample is in it and the summary says why. When the process is
    killed, or the recording cannot be closed, `phyemu.iq.repair_recording` finishes it.

    Args:
        radio: The radio; it stays the caller's to close.
        path: The recording to write (.sigmf, or the base name of a pair).
        num_samples: Samples per channel to record, gaps not counted, >= 1.
        duration_s: The same as a time [s]; without either it records until it is stopped.
        datatype: SigMF datatype of the samples.
        description: `core:description` of the recording.
        global_fields: SigMF global fields on top of the radio's own, such as `phyemu:*` of what
            was transmitted.
        force: Overwrite an existing recording.
        block_samples: Samples asked of the radio at once; None: 50 ms of them, but no fewer than
            2048 (as far as these last no quarter of a second) and no more than 2^17.
        ring_samples: Samples per channel that may be received and not yet written (8 bytes each),
            whole blocks and at least two; they are lost when the process is killed. None: as many
            whole blocks as last less than a second, but no more than 256 MiB a channel, of which
            only what is used is ever taken.
        stall_s: Time without a sample after which the stream counts as dead [s].
        stop: Ends the capture when set, as Ctrl-C does.
        on_first: Called from the receiving thread once the first sample has come, such as to
            start what is to be heard; it must not take long.
        on_end: Called before the recording is closed, to add what is known only now.
        progress: Called with the stage "capture" and the samples recorded.

    Raises:
        ConfigError: A length or size is out of range.
        RadioError: Not one sample came; nothing is written then.
        RecordingError: Not one sample can be written, or the recording cannot be closed.
    """
    target = _target(radio, num_samples, duration_s)
    block_samples, ring_samples = _sizes(radio.sample_rate_hz, block_samples, ring_samples)
    if not stall_s > 0:
        raise ConfigError(f"stall_s must be positive, got {stall_s}")
    state = _State(
        stop=threading.Event() if stop is None else stop,
        target=target,
        on_first=on_first,
        timed=radio.start_at_s is not None,
    )
    writer = RecordingWriter(
        path,
        sample_rate_hz=radio.sample_rate_hz,
        datatype=datatype,
        num_channels=radio.num_channels,
        center_frequency_hz=radio.center_frequency_hz,
        description=description,
        global_fields={**radio.metadata(), **(global_fields or {})},
        force=force,
    )
    try:
        # Here, where Ctrl-C ends the waiting.
        radio.await_start()
        block_samples = block_samples if target is None else min(block_samples, target)
        failure = _run(radio, writer, state, block_samples, ring_samples, stall_s, progress)
        # A full disk may have taken a part of the first block.
        if writer.num_samples == 0:
            if isinstance(failure, RecordingError):
                raise failure
            reason = state.detail or f"{state.ended_by}"
            raise RadioError(f"{radio.name}: not one sample came ({reason}); nothing is written")
        if on_end is not None:
            on_end(writer)
        written = _close(writer)
    except BaseException:
        # What was written stays, for the repair; the writer itself keeps what it cannot close.
        writer.leave()
        raise
    return CaptureSummary(
        path=written,
        # A full disk may have taken a part of the last block.
        num_samples=writer.num_samples,
        sample_rate_hz=radio.sample_rate_hz,
        center_frequency_hz=radio.center_frequency_hz,
        num_channels=radio.num_channels,
        num_segments=state.num_segments,
        lost_samples=state.lost_samples,
        events=dict(sorted(state.events.items())),
        num_clipped=writer.num_clipped,
        ended_by=state.ended_by,
        detail=state.detail,
        start_missed=state.start_missed,
    )


def _target(radio: Radio, num_samples: int | None, duration_s: float | None) -> int | None:
    if num_samples is not None and duration_s is not None:
        raise ConfigError("give num_samples or duration_s, not both")
    if duration_s is not None:
        if not 0 < duration_s < math.inf:
            raise ConfigError(f"duration_s must be positive, got {duration_s}")
        return max(1, round(duration_s * radio.sample_rate_hz))
    if num_samples is not None and num_samples < 1:
        raise ConfigError(f"num_samples must be at least 1, got {num_samples}")
    return num_samples


def _sizes(
    sample_rate_hz: float, block_samples: int | None, ring_samples: int | None
) -> tuple[int, int]:
    """Return the samples per channel of a block and of the ring; None: what suits the rate."""
    given_block, given_ring = block_samples, ring_samples
    if block_samples is None:
        wanted = max(_BLOCK_S * sample_rate_hz, min(_MIN_BLOCK_SAMPLES, sample_rate_hz / 4))
        block_samples = max(1, int(min(wanted, _MAX_BLOCK_SAMPLES)))
        if ring_samples is not None:
            block_samples = min(block_samples, max(1, ring_samples // 2))
    if ring_samples is None:
        # Less a block: that the driver gathers while the ring is full.
        wanted = min(_RING_S * sample_rate_hz, _MAX_RING_SAMPLES) - block_samples
        ring_samples = max(block_samples, int(wanted))
    if not 1 <= block_samples <= ring_samples:
        raise ConfigError(
            "need 1 <= block_samples <= ring_samples; got "
            f"block_samples={given_block}, ring_samples={given_ring}"
        )
    return block_samples, ring_samples


def _run(
    radio: Radio,
    writer: RecordingWriter,
    state: _State,
    block_samples: int,
    ring_samples: int,
    stall_s: float,
    progress: ProgressCallback,
) -> BaseException | None:
    """Run both threads to their end; return why they failed, None if they did not."""
    # Last in, first out: while the disk keeps up, only a few slots are ever touched.
    free: queue.LifoQueue[_Slot] = queue.LifoQueue()
    full: queue.SimpleQueue[_Item] = queue.SimpleQueue()
    for _ in range(min(_MAX_SLOTS, max(2, ring_samples // block_samples))):
        free.put(np.empty((radio.num_channels, block_samples), np.complex64))
    with ThreadPoolExecutor(2, thread_name_prefix="phyemu-capture") as pool:
        try:
            threads: list[Future[None]] = [
                pool.submit(_read, radio, free, full, state, block_samples, stall_s),
                pool.submit(_write, radio, writer, free, full, state),
            ]
        except BaseException:  # Ctrl-C while they start: the one that runs must not go on
            state.stop.set()
            raise
        while True:
            try:
                _, pending = wait(threads, timeout=_POLL_S, return_when=FIRST_EXCEPTION)
                lost = f"{state.lost_samples} lost" if state.lost_samples else ""
                progress("capture", state.num_samples, state.target or 0, lost)
                if not pending:
                    break
                if any(thread.done() and thread.exception() for thread in threads):
                    state.stop.set()
            except KeyboardInterrupt:
                state.stop.set()
    return _failure(threads, state)


def _close(writer: RecordingWriter) -> Path:
    """Close the recording; whoever presses Ctrl-C again waits until it is on the disk."""
    with ThreadPoolExecutor(1, thread_name_prefix="phyemu-close") as pool:
        closing = pool.submit(writer.close)
        while True:
            with suppress(KeyboardInterrupt):
                return closing.result()


def _failure(threads: list[Future[None]], state: _State) -> BaseException | None:
    for thread in threads:
        error = thread.exception()
        if error is None:
            continue
        if not isinstance(error, RadioError | RecordingError | OSError):
            raise error
        state.ended_by, state.detail = CaptureEnd.FAILED, " ".join(str(error).split())
        return error
    return None


def _read(
    radio: Radio,
    free: "queue.LifoQueue[_Slot]",
    full: "queue.SimpleQueue[_Item]",
    state: _State,
    block_samples: int,
    stall_s: float,
) -> None:
    """Receive until the target, the stream's end or `stop`; then tell the writer."""
    received = 0
    slot: _Slot | None = None
    last_sample = time.monotonic()
    try:
        while state.target is None or received < state.target:
            if state.stop.is_set():
                state.ended_by = CaptureEnd.INTERRUPTED
                return
            if slot is None:
                try:
                    slot = free.get(timeout=_POLL_S)
                except queue.Empty:
                    # The disk is behind; the radio is not to blame for this time.
                    last_sample = time.monotonic()
                    continue
            wanted = block_samples
            if state.target is not None:
                wanted = min(wanted, state.target - received)
            block = radio.receive(wanted, slot)
            now = time.monotonic()
            if block.num_samples:
                if state.started is None:
                    age = timedelta(seconds=block.num_samples / radio.sample_rate_hz)
                    state.started = datetime.now(UTC) - age
                    if state.on_first is not None:
                        state.on_first()
                received += block.num_samples
                full.put((slot, block))
                slot, last_sample = None, now
            elif block.event is not None:
                full.put((None, block))
            if block.event is not None and block.event.ends_stream:
                gone = block.event is StreamEvent.DISCONNECTED
                state.ended_by = CaptureEnd.DISCONNECTED if gone else CaptureEnd.STREAM_END
                state.detail = block.detail
                return
            if now - last_sample > stall_s:
                state.ended_by = CaptureEnd.STALLED
                state.detail = f"no sample for {stall_s:g} s"
                return
    finally:
        full.put(None)


def _write(
    radio: Radio,
    writer: RecordingWriter,
    free: "queue.LifoQueue[_Slot]",
    full: "queue.SimpleQueue[_Item]",
    state: _State,
) -> None:
    """Write what was received, a new segment after every gap, until the reader has ended."""
    cause: StreamEvent | None = None
    index_known = True
    while (item := full.get()) is not None:
        slot, block = item
        if block.event is not None:
            state.events[str(block.event)] += 1
            if block.event is StreamEvent.LATE_COMMAND and state.timed and not state.num_segments:
                state.start_missed = True
            if block.event.breaks_stream:
                cause = block.event
        if slot is None:
            continue
        if block.lost_samples is None:
            index_known = False
        # What was lost before the first sample is missing from no recording.
        if state.num_segments and state.lost_samples is not None:
            lost = block.lost_samples
            state.lost_samples = None if lost is None else state.lost_samples + lost
        if state.num_segments == 0 or cause is not None or block.lost_samples != 0:
            fields: dict[str, Any] = {}
            if state.num_segments:
                fields["phyemu:gap"] = str(cause or StreamEvent.SEQUENCE_GAP)
                if block.lost_samples is not None:
                    fields["phyemu:lost_samples"] = block.lost_samples
            writer.start_segment(
                center_frequency_hz=radio.center_frequency_hz,
                global_index=block.sample_index if index_known else None,
                datetime=_datetime(radio, state, block) if index_known else None,
                fields=fields,
            )
            state.num_segments += 1
            cause = None
        writer.write(block.iq if radio.num_channels > 1 else block.iq[0])
        state.num_samples += block.num_samples
        free.put(slot)


def _datetime(radio: Radio, state: _State, block: ReceivedBlock) -> str | None:
    if not radio.live or state.started is None:
        return None
    moment = state.started + timedelta(seconds=block.sample_index / radio.sample_rate_hz)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
