"""Frames from radios, sockets and recordings, with everything that goes wrong on the way."""

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phyemu.errors import ConfigError, RadioError
from phyemu.iq import RecordingWriter, open_recording
from phyemu.listening import (
    EndpointFeed,
    FrameListener,
    FrameStore,
    ListeningEnd,
    RadioFeed,
    frame_values,
    listen,
    recorded_frames,
)
from phyemu.live import InputCounts
from phyemu.radio import ReceivedBlock, RecordedRadio, StreamEvent
from phyemu.receiver import FrameStatus, ReceivedFrame, receive_frames
from phyemu.waveform import FrameFormat, modulate, psk, transmit_waveform
from phyemu.waveform.sent_frames import SentFrames

SIZE, COUNT = 400, 6
SENT = SentFrames(frame_format=FrameFormat(max_payload_symbols=SIZE), constellation=psk(4))
RATE = SENT.frame_format.sample_rate_hz


@cache
def _stream() -> np.ndarray:
    symbols = torch.randint(4, (COUNT * SIZE,), generator=torch.Generator().manual_seed(1))
    iq, _ = transmit_waveform(
        modulate(symbols, psk(4)), frame_format=SENT.frame_format, amplitude=1.0, gap_samples=500
    )
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((len(iq), 2)) @ [1, 1j]
    return (iq.numpy() + math.sqrt(0.5e-2) * noise).astype(np.complex64)


@cache
def _undisturbed() -> list[ReceivedFrame]:
    return receive_frames(
        [_stream()], frame_format=SENT.frame_format, constellation=SENT.constellation
    )


class _Feed:
    """Blocks as scripted."""

    name, sample_rate_hz, bad_samples = "script", RATE, 0

    def __init__(self, blocks: list[ReceivedBlock], *, error: Exception | None = None) -> None:
        self._blocks, self._error = blocks, error

    def blocks(self, stop: threading.Event) -> Iterator[ReceivedBlock]:
        yield from self._blocks
        if self._error is not None:
            raise self._error


def _block(begin: int, end: int, lost: int | None = 0, index: int | None = None) -> ReceivedBlock:
    return ReceivedBlock(
        iq=_stream()[None, begin:end],
        sample_index=begin if index is None else index,
        lost_samples=lost,
        event=None if lost == 0 else StreamEvent.OVERFLOW,
    )


@given(
    edges=st.lists(st.integers(0, len(_stream())), min_size=1, max_size=5, unique=True),
    lost=st.integers(0, 3000),
)
@settings(max_examples=10, deadline=None)
def test_whatever_is_lost_frames_keep_their_place(edges: list[int], lost: int) -> None:
    total = len(_stream())
    listener = FrameListener(SENT)
    frames: list[ReceivedFrame] = []
    begin = 0
    holes = []
    for end in [*sorted(edges), total]:
        before = holes[-1][1] - holes[-1][0] if holes and begin == holes[-1][1] else 0
        frames += listener.hear(_block(begin, max(begin, end), lost=before))
        begin = max(begin, end)
        if begin < total:
            holes.append((begin, min(begin + lost, total)))
            begin = holes[-1][1]
    frames += listener.finish()
    head = 2 * (SENT.frame_format.overhead_symbols(1) + SENT.frame_format.pulse_span_symbols)
    found = {f.frame_index: f for f in frames if f.frame_index is not None}
    assert len(found) == sum(f.frame_index is not None for f in frames)
    for whole in _undisturbed():
        start = whole.sample_start
        if any(b < start + head and e > start for b, e in holes if e > b):
            continue
        frame = found[whole.frame_index]
        assert frame.sample_start == start
        touched = any(b < start + whole.sample_count and e > start for b, e in holes if e > b)
        assert (frame.status is FrameStatus.OK) == (not touched)


def test_nan_and_absurd_samples_are_counted_and_erased() -> None:
    iq = _stream().copy()
    start = _undisturbed()[1].sample_start
    iq[start + 700 : start + 720] = np.nan
    iq[start + 800] = np.inf
    iq[start + 900] = 1e30
    listener = FrameListener(SENT)
    frames = listener.hear(ReceivedBlock(iq=iq[None], sample_index=0)) + listener.finish()
    assert listener.bad_samples == 22
    assert listener.num_samples == len(iq) - 22
    assert [frame.frame_index for frame in frames] == list(range(COUNT))
    assert [frame.status for frame in frames] == [
        FrameStatus.PARTIAL if index == 1 else FrameStatus.OK for index in range(COUNT)
    ]
    # Each hole, and the pulses that reach into it: 10, 1 and 1 symbols and 16 around each.
    assert 3 * 15 <= frames[1].erased_symbols <= 10 + 2 + 3 * 17


def test_a_gap_of_unknown_length_ends_the_frame_and_moves_nothing_before_it() -> None:
    start = _undisturbed()[2].sample_start
    cut = start + 900
    blocks = [_block(0, cut), _block(cut + 600, len(_stream()), lost=None, index=cut)]
    told: list[ReceivedFrame] = []
    summary = listen(_Feed(blocks), SENT, told.append)
    assert [(f.frame_index, f.status) for f in told] == [
        (index, FrameStatus.TRUNCATED if index == 2 else FrameStatus.OK) for index in range(COUNT)
    ]
    later = [frame.sample_start + 600 for frame in told[3:]]
    assert later == [frame.sample_start for frame in _undisturbed()[3:]]
    assert summary.gaps == 1
    assert summary.lost_samples is None
    assert summary.missing_frames == 0
    assert summary.frames == {"ok": 5, "partial": 0, "truncated": 1, "header-error": 0}
    assert summary.events == {"overflow": 1}


def test_frames_that_fall_into_a_gap_are_counted_by_their_indices() -> None:
    first, last = _undisturbed()[1].sample_start, _undisturbed()[4].sample_start
    blocks = [_block(0, first - 50), _block(last - 50, len(_stream()), lost=last - first)]
    told: list[ReceivedFrame] = []
    summary = listen(_Feed(blocks), SENT, told.append)
    assert [frame.frame_index for frame in told] == [0, 4, 5]
    assert told[1].sample_start == last
    assert summary.missing_frames == 3
    assert summary.lost_samples == last - first
    assert summary.num_samples == len(_stream()) - (last - first)
    assert "3 missing" in summary.line()


@pytest.mark.parametrize(("limit", "count"), [("num_frames", 2), ("duration_s", 3)])
def test_limits(limit: str, count: int) -> None:
    end = (_undisturbed()[count].sample_start - 10) / RATE
    told: list[ReceivedFrame] = []
    feed = _Feed([_block(b, b + 500) for b in range(0, len(_stream()) - 500, 500)])
    values = {"num_frames": count, "duration_s": end}
    summary = listen(feed, SENT, told.append, **{limit: values[limit]})
    assert [frame.frame_index for frame in told] == list(range(count))
    assert summary.ended_by is ListeningEnd.COMPLETE


def test_stop_ends_it_with_what_had_come() -> None:
    stop = threading.Event()
    start = _undisturbed()[4].sample_start

    class Endless(_Feed):
        def blocks(self, stop: threading.Event) -> Iterator[ReceivedBlock]:
            yield _block(0, start + 900)
            while not stop.is_set():
                time.sleep(0.01)
                yield ReceivedBlock(iq=np.zeros((1, 0), np.complex64), sample_index=0)

    told: list[ReceivedFrame] = []

    def note(frame: ReceivedFrame) -> None:
        told.append(frame)
        stop.set()

    summary = listen(Endless([]), SENT, note, stop=stop)
    assert summary.ended_by is ListeningEnd.INTERRUPTED
    assert [frame.status for frame in told] == [FrameStatus.OK] * 4 + [FrameStatus.TRUNCATED]
    idle = listen(Endless([]), SENT, told.append, idle_s=0.2)
    assert idle.ended_by is ListeningEnd.IDLE


def test_what_the_feed_held_when_it_was_stopped_is_heard() -> None:
    stop = threading.Event()
    start = _undisturbed()[4].sample_start

    class Holding(_Feed):
        def blocks(self, stop: threading.Event) -> Iterator[ReceivedBlock]:
            yield _block(0, start + 900)
            while not stop.is_set():
                time.sleep(0.01)
                yield ReceivedBlock(iq=np.zeros((1, 0), np.complex64), sample_index=start + 900)
            yield _block(start + 900, len(_stream()))  # small messages that were being gathered

    told: list[ReceivedFrame] = []

    def note(frame: ReceivedFrame) -> None:
        told.append(frame)
        stop.set()

    summary = listen(Holding([]), SENT, note, stop=stop)
    assert summary.ended_by is ListeningEnd.INTERRUPTED
    assert [frame.status for frame in told] == [FrameStatus.OK] * COUNT


def test_a_radio_that_never_sends_is_given_up() -> None:
    class Silent:
        name, num_channels, sample_rate_hz, live = "silent", 1, RATE, True

        def receive(self, num_samples: int) -> ReceivedBlock:
            time.sleep(0.01)
            return ReceivedBlock(iq=np.zeros((1, 0), np.complex64), sample_index=0)

    feed = RadioFeed(Silent(), stall_s=0.05)
    blocks = list(feed.blocks(threading.Event()))
    assert blocks[-1].event is StreamEvent.DISCONNECTED
    assert blocks[-1].detail == "no sample for 0.05 s"


def test_a_device_that_vanishes_and_one_that_fails() -> None:
    gone = ReceivedBlock(
        iq=np.zeros((1, 0), np.complex64),
        sample_index=5000,
        event=StreamEvent.DISCONNECTED,
        detail="no more of it",
    )
    summary = listen(_Feed([_block(0, 5000), gone]), SENT, lambda frame: None)
    assert summary.ended_by is ListeningEnd.DISCONNECTED
    assert summary.ended_by.is_failure
    assert summary.detail == "no more of it"
    with pytest.raises(RadioError, match="refused"):
        listen(_Feed([_block(0, 5000)], error=RadioError("refused")), SENT, lambda frame: None)


def test_another_sample_rate_is_refused() -> None:
    feed = _Feed([])
    feed.sample_rate_hz = 10e6
    with pytest.raises(ConfigError, match="samples come at 10 MHz, but the frames have 20 MHz"):
        listen(feed, SENT, lambda frame: None)


class _Source:
    """A source of messages; None drops one with as many samples as the number beside it."""

    def __init__(self, script: list[tuple[int, int, str]]) -> None:
        self.counts = InputCounts()
        self._script = iter(script)

    def receive(self, timeout_s: float) -> np.ndarray | None:
        step = next(self._script, None)
        if step is None:
            return None
        begin, end, reason = step
        if not reason:
            return _stream()[begin:end]
        self.counts.drop(reason, end - begin)
        return np.zeros(0, np.complex64)

    def close(self) -> None:
        pass


def test_messages_that_were_dropped_leave_gaps_of_their_length() -> None:
    start = _undisturbed()[2].sample_start
    script = [(b, b + 100, "") for b in range(0, len(_stream()) - 100, 100)]
    middle = (start + 800) // 100
    script[middle] = (*script[middle][:2], "not finite or out of range")
    told: list[ReceivedFrame] = []
    feed = EndpointFeed(_Source(script), name="source", sample_rate_hz=RATE)
    summary = listen(feed, SENT, told.append)
    assert summary.lost_samples == 100
    assert [frame.status for frame in told] == [
        FrameStatus.PARTIAL if index == 2 else FrameStatus.OK for index in range(COUNT)
    ]
    assert [f.sample_start for f in told] == [f.sample_start for f in _undisturbed()]
    # Where it is not known how much is missing, the frame ends there.
    script[middle] = (*script[middle][:2], "no whole samples")
    told.clear()
    feed = EndpointFeed(_Source(script), name="source", sample_rate_hz=RATE)
    assert listen(feed, SENT, told.append).lost_samples is None
    assert told[2].status is FrameStatus.TRUNCATED
    assert len(told) == COUNT
    # What came twice is not missing.
    script.insert(middle, (0, 100, "late or twice"))
    script[middle + 1] = (*script[middle + 1][:2], "")
    told.clear()
    feed = EndpointFeed(_Source(script), name="source", sample_rate_hz=RATE)
    assert listen(feed, SENT, told.append).gaps == 0
    assert {frame.status for frame in told} == {FrameStatus.OK}


@pytest.fixture
def gapped(tmp_path: Path) -> Path:
    """Return a recording that lacks 300 samples in the middle of its third frame."""
    path = tmp_path / "gapped.sigmf"
    cut = _undisturbed()[2].sample_start + 800
    with RecordingWriter(path, sample_rate_hz=RATE, datatype="cf32_le") as writer:
        writer.start_segment(global_index=1000)
        writer.write(_stream()[:cut])
        writer.start_segment(global_index=1000 + cut + 300, fields={"phyemu:lost_samples": 300})
        writer.write(_stream()[cut + 300 :])
    return path


def test_a_gap_in_a_recording_is_a_gap_for_its_frames(gapped: Path) -> None:
    with open_recording(gapped) as recording:
        frames = recorded_frames(recording, SENT)
        told: list[ReceivedFrame] = []
        summary = listen(RadioFeed(RecordedRadio(recording)), SENT, told.append)
        with pytest.raises(ConfigError, match=r"channel must be 0\.\.0, got 1"):
            RadioFeed(RecordedRadio(recording), channel=1)
    # On the timeline nothing has moved; the file lacks 300 samples.
    places = [frame.sample_start for frame in _undisturbed()]
    assert [f.sample_start for f in told] == places
    assert [f.sample_start for f in frames] == places[:3] + [place - 300 for place in places[3:]]
    assert [frame.status is FrameStatus.OK for frame in frames] == [True] * 2 + [False] + [True] * 3
    assert 150 <= frames[2].erased_symbols <= 150 + 18
    at_home = [replace(f, sample_start=t.sample_start) for f, t in zip(frames, told, strict=True)]
    assert [frame_values(f, RATE) for f in told] == [frame_values(f, RATE) for f in at_home]
    assert summary.lost_samples == 300


def test_frames_are_kept_while_they_come(tmp_path: Path) -> None:
    path = tmp_path / "frames.h5"
    with FrameStore(path, SENT, provenance={"source": "test"}) as store:
        for frame in _undisturbed():
            store.add(frame)
        assert not path.exists()
    with h5py.File(path) as file:
        names = file["frames"].attrs["status_names"].split(",")
        assert [names[code] for code in file["frames/status"]] == ["ok"] * COUNT
        for number, frame in enumerate(_undisturbed()):
            first = file["frames/first_symbol"][number]
            part = slice(first, first + file["frames/payload_symbols"][number])
            np.testing.assert_array_equal(file["symbols/points"][part], frame.points)
            np.testing.assert_array_equal(file["symbols/posteriors"][part], frame.posteriors)
            assert file["frames/sample_start"][number] == frame.sample_start
            assert file["frames/snr_db"][number] == frame.snr_db
        assert {item.attrs["unit"] for item in file["frames"].values()} >= {"dB", "samples"}


def test_a_store_survives_what_ends_the_stream(tmp_path: Path) -> None:
    path = tmp_path / "frames.h5"
    store = FrameStore(path, SENT, provenance={})
    store.add(_undisturbed()[0])
    store.__exit__(RadioError, RadioError("gone"), None)
    with h5py.File(path) as file:
        assert len(file["frames/status"]) == 1
    with FrameStore(tmp_path / "none.h5", SENT, provenance={}):
        pass
    with h5py.File(tmp_path / "none.h5") as file:
        assert file["symbols/posteriors"].shape == (0, 4)


@pytest.mark.parametrize("value", [0.0, math.inf, math.nan])
@pytest.mark.parametrize("name", ["duration_s", "idle_s"])
def test_times_to_listen_are_positive_and_finite(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be positive and finite, got {value}"):
        listen(_Feed([]), SENT, lambda frame: None, **{name: value})
