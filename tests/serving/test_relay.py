"""The device in the middle: what it relays, how it numbers what is lost, whom it hears."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from phyemu.dnn import DeviceFormat
from phyemu.errors import CheckpointError, TransportError
from phyemu.evaluation import ImagePrediction, StreamCounts
from phyemu.iq import open_recording
from phyemu.listening import RadioFeed
from phyemu.radio import ReceivedBlock, RecordedRadio
from phyemu.receiver import ReceivedFrame
from phyemu.serving import (
    INTRODUCTION_INDEX,
    EncodedBatch,
    FrameSender,
    HeadSender,
    ImageAssembly,
    ImageBatch,
    ImageFraming,
    Outlet,
    Partner,
    Portion,
    ReceivedImages,
    RelayRun,
    RelayServer,
    SentImage,
    SentRecord,
    TailServer,
    batches_of,
    export_run,
    introduction_symbols,
    load_head_side,
    load_relay_side,
    load_tail_side,
    open_recording_outlet,
    relay_run,
    run_head,
    serve_relay,
    serve_tail,
)
from tests.serving.quiet_air import frame_of
from tests.untrained_chain import UntrainedChain


class Cutting:
    """An outlet whose frames of one number are silence."""

    def __init__(self, outlet: Outlet, cut: int | None) -> None:
        self._outlet, self._cut = outlet, cut

    def send(self, batch: EncodedBatch, stop: threading.Event) -> None:
        iq = batch.iq.copy()
        for begin, count, index, _ in batch.frames:
            if index == self._cut:
                iq[begin : begin + count] = 0
        self._outlet.send(dataclasses.replace(batch, iq=iq), stop)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outlet, name)


def sent_by_head(
    chain: UntrainedChain, path: Path, *, images_per_frame: int = 1, cut: int | None = None
) -> list[SentImage]:
    """Record what the head sends of the first 12 images."""
    batch = ImageBatch(
        images=chain.images[:12],
        names=tuple(f"image-{number}" for number in range(12)),
        indices=tuple(range(12)),
        labels=tuple(chain.labels[:12]),
    )
    sent: list[SentImage] = []
    head = load_head_side(chain.folder)
    with open_recording_outlet(path, head) as outlet:
        run_head(
            batches_of(batch, 12),
            HeadSender(head, images_per_frame=images_per_frame),
            Cutting(outlet, cut),
            sent.append,
            stop=threading.Event(),
        )
    return sent


def relayed(
    server: RelayServer, heard: Path, sent: Path, *, cut: int | None = None
) -> tuple[list[SentImage], RelayRun]:
    told: list[SentImage] = []
    with (
        open_recording(heard) as recording,
        open_recording_outlet(sent, server.relay.sending) as outlet,
    ):
        result = serve_relay(
            RadioFeed(RecordedRadio(recording)),
            server,
            Cutting(outlet, cut),
            told.append,
            stop=threading.Event(),
        )
    return told, result


def served(tail: TailServer, heard: Path) -> list[ImagePrediction]:
    told: list[ImagePrediction] = []
    with open_recording(heard) as recording:
        serve_tail(RadioFeed(RecordedRadio(recording)), tail, told.append)
    return told


@pytest.mark.parametrize(
    ("images_per_frame", "cuts", "lost"),
    [(1, (None, None), []), (1, (5, 8), [5, 8]), (3, (1, None), [3, 4, 5])],
)
def test_three_devices_answer_as_the_network_that_they_are_parts_of(
    images_per_frame: int,
    cuts: tuple[int | None, int | None],
    lost: list[int],
    untrained_chain: UntrainedChain,
    tmp_path: Path,
) -> None:
    first, second = tmp_path / "first.sigmf", tmp_path / "second.sigmf"
    theirs = sent_by_head(untrained_chain, first, images_per_frame=images_per_frame, cut=cuts[0])
    server = RelayServer(load_relay_side(untrained_chain.folder), SentRecord(theirs))
    passed, result = relayed(server, first, second, cut=cuts[1])
    tail = TailServer(load_tail_side(untrained_chain.folder), SentRecord(passed))
    told = served(tail, second)
    kept = [number for number in range(12) if number not in lost]
    expected = untrained_chain.directly(untrained_chain.images[kept])
    assert len(set(expected.argmax(-1).tolist())) > 1
    assert [image.prediction for image in told] == expected.argmax(-1).tolist()
    np.testing.assert_allclose([image.score for image in told], expected.amax(-1), atol=1e-4)
    # Names and classes come through both hops, and images that were lost on either are counted.
    assert [image.index for image in told] == kept
    assert [image.label for image in told] == [untrained_chain.labels[image] for image in kept]
    lost_before = [] if cuts[0] is None else [image for image in lost if image != cuts[1]]
    assert [image.name for image in passed] == [
        f"image-{number}" for number in range(12) if number not in lost_before
    ]
    score = tail.counts().score
    assert (score.images, score.images_lost, score.frames_unexpected) == (12, len(lost), 0)
    assert score.images_right == sum(image.label == image.prediction for image in told)
    counts = result.counts
    assert (counts.stream.images, counts.stream.images_lost) == (12, len(lost_before))
    assert (counts.partner, tail.counts().partner) == ("ours", "ours")
    assert result.images_sent == counts.encoded.images == len(passed)
    assert result.listening.missing_frames == counts.stream.frames_lost
    assert "the sender is that of this relay" in result.line()


@dataclasses.dataclass(frozen=True)
class Blind:
    """A relay whose symbols say nothing."""

    arriving: Any
    sending: Any

    def symbols(self, posteriors: NDArray[np.float32]) -> Tensor:
        return torch.zeros((len(posteriors), self.sending.symbols_per_image), dtype=torch.int64)


def blind(
    chain: UntrainedChain,
    arriving: tuple[int, int] = (256, 16384),
    sending: tuple[int, int] = (64, 16384),
) -> Blind:
    """Return one of which each hop has images of so many symbols, in frames of at most so many."""
    relay = load_relay_side(chain.folder)
    known = {256: relay.arriving, 64: relay.sending}
    ends = []
    for size, most in (arriving, sending):
        frame_format = dataclasses.replace(known[size].frame_format, max_payload_symbols=most)
        ends.append(dataclasses.replace(known[size], frame_format=frame_format))
    return Blind(*ends)


def introduced(end: Any) -> ReceivedFrame:
    return frame_of(introduction_symbols(end.card), INTRODUCTION_INDEX)


def passed_on(server: RelayServer, frames: list[ReceivedFrame]) -> list[ReceivedFrame]:
    """Return the frames that go on, one batch for each that came."""
    batches = [server.encode(server.hear(frame)) for frame in frames]
    batches.append(server.encode(server.finish()))
    going = [frame for batch in batches for frame in batch.frames]
    digits = introduction_symbols(server.relay.sending.card)
    return [
        frame_of(
            digits if index == INTRODUCTION_INDEX else torch.zeros(length, dtype=torch.int64),
            index,
        )
        for _, _, index, length in going
    ]


@settings(max_examples=20)
@given(
    missing=st.sets(st.integers(1, 22)),
    hops=st.sampled_from(
        [
            ((256, 16384), (64, 16384)),
            ((256, 130), (64, 16384)),
            ((64, 16384), (256, 130)),
            ((256, 130), (256, 130)),
            ((256, 2048), (64, 200)),
        ]
    ),
    images_per_frame=st.sampled_from([1, 4, 7]),
    first=st.sampled_from([0, 4086]),
)
def test_the_tail_counts_what_was_lost_before_the_relay(
    missing: set[int],
    hops: tuple[tuple[int, int], tuple[int, int]],
    images_per_frame: int,
    first: int,
    untrained_chain: UntrainedChain,
) -> None:
    relay = blind(untrained_chain, *hops)
    size = relay.arriving.symbols_per_image
    plan = ImageFraming(
        symbols_per_image=size,
        frame_format=relay.arriving.frame_format,
        images_per_frame=images_per_frame if hops[0][1] > size else 1,
    )
    sent = list(plan.frames(torch.zeros((24, size), dtype=torch.int64), first_index=first))
    # The first and the last one come, or nobody could tell.
    arriving = [introduced(relay.arriving)] + [
        frame_of(frame.symbols, frame.frame_index)
        for number, frame in enumerate(sent)
        if number not in missing or number == len(sent) - 1
    ]
    server = RelayServer(relay)
    going = passed_on(server, arriving)
    tail = ImageAssembly(relay.sending, StreamCounts(), listener="tail", needs_introduction=True)
    came = [images for frame in going for images in tail.hear(frame)]
    stream = server.counts().stream
    assert sum(len(images.posteriors) for images in came) == stream.images - stream.images_lost
    assert (tail.counts.images, tail.counts.images_lost) == (stream.images, stream.images_lost)
    assert (tail.counts.restarts, tail.counts.frames_unexpected) == (0, 0)
    assert stream.images == 24


@pytest.mark.parametrize(
    ("missing", "restarts"), [(2046, 0), (2047, 1), (2048, 1), (4094, 1), (4095, 1), (4096, 1)]
)
@pytest.mark.parametrize("first", [0, 4000])
def test_more_frames_than_can_be_counted_are_a_new_beginning(
    missing: int, restarts: int, first: int, untrained_chain: UntrainedChain
) -> None:
    side = blind(untrained_chain).sending
    sender = FrameSender(side)
    tail = ImageAssembly(side, StreamCounts(), listener="tail", needs_introduction=True)
    image = torch.zeros((1, 64), dtype=torch.int64)

    def describe(row: int, frame: int, position: int) -> SentImage:
        return SentImage(name="", frame=frame, position=position)

    for num_missing in (first, missing, 1):
        portion = Portion(symbols=image, describe=describe, num_missing=num_missing)
        for _, _, index, _ in sender.encode([portion]).frames:
            # A new beginning is found without its introduction, too.
            if index != INTRODUCTION_INDEX or not tail.counts.images:
                payload = introduction_symbols(side.card) if index == INTRODUCTION_INDEX else image
                tail.hear(frame_of(payload.flatten(), index))
    assert sender.counts.restarts == restarts + (first > 2046)
    assert sender.counts.introductions == 1 + restarts
    assert tail.counts.restarts == restarts
    assert tail.counts.images_lost == tail.counts.frames_lost == 1 + (0 if restarts else missing)


def test_a_frame_lost_before_the_relay_may_be_too_many_behind_it(
    untrained_chain: UntrainedChain,
) -> None:
    relay = blind(untrained_chain, (64, 16384), (256, 130))
    frames = [frame_of(torch.zeros(64 * 64, dtype=torch.int64), number) for number in (0, 17, 18)]
    server = RelayServer(relay)
    tail = ImageAssembly(relay.sending, StreamCounts(), listener="tail", needs_introduction=True)
    came = [
        images
        for frame in passed_on(server, [introduced(relay.arriving), *frames])
        for images in tail.hear(frame)
    ]
    counts = server.counts()
    assert (counts.stream.images_lost, counts.encoded.restarts) == (1024, 1)
    assert "began anew 1 times" in counts.line()
    assert len(came) == 3 * 64
    assert (tail.counts.images_lost, tail.counts.restarts) == (0, 1)


def test_images_are_relayed_only_behind_an_introduction_of_their_sender(
    untrained_chain: UntrainedChain,
) -> None:
    relay = blind(untrained_chain)
    card = dataclasses.replace(relay.arriving.card, embedding_sha256="0123456789abcdef" * 4)
    stranger = frame_of(introduction_symbols(card), INTRODUCTION_INDEX)
    images = [frame_of(torch.zeros(256, dtype=torch.int64), number) for number in range(20)]
    server = RelayServer(relay)
    assert passed_on(server, images[:2]) == []
    assert passed_on(server, [stranger, images[2]]) == []
    assert "another dictionary than this relay" in (server.stranger or "")
    assert "listen to the device before this one" in (server.stranger or "")
    counts = server.counts()
    assert (counts.partner, counts.strangers, counts.stream.frames_unexpected) == ("other", 1, 3)
    going = passed_on(server, [introduced(relay.arriving), images[3], images[4]])
    assert [frame.frame_index for frame in going] == [INTRODUCTION_INDEX, 0, 1]
    # It introduces itself by what it sends with, whenever its sender does.
    assert server.relay.sending.card.embedding_sha256 != relay.arriving.card.embedding_sha256
    again = passed_on(server, [introduced(relay.arriving), images[5], images[6]])
    assert [frame.frame_index for frame in again] == [INTRODUCTION_INDEX, 2, 3]
    assert server.counts().encoded.introductions == 2


def test_a_tail_that_hears_head_and_relay_takes_no_image_of_the_head(
    untrained_chain: UntrainedChain,
) -> None:
    # Images as large on both links, in frames of nearly the same numbers.
    relay = blind(untrained_chain)
    tail, head = relay.sending, introduced(relay.arriving)
    symbols = torch.zeros(tail.symbols_per_image, dtype=torch.int64)
    stream = ImageAssembly(tail, StreamCounts(), listener="tail", needs_introduction=True)

    def heard(*numbers: int) -> list[int]:
        frames = [frame_of(symbols, number) for number in numbers]
        return [images.frame for frame in frames for images in stream.hear(frame)]

    stream.hear(introduced(tail))
    assert heard(0, 1, 2) == [0, 1, 2]
    stream.hear(head)
    # Of the head 3, 4, 5; of the relay 3, 4: nobody can tell which is which.
    assert heard(3, 4, 3, 5, 4) == []
    stream.hear(introduced(tail))
    assert heard(5, 6) == [5, 6]
    assert stream.counts.frames_unexpected == 5
    assert (stream.counts.images, stream.counts.images_lost) == (7, 2)


def test_an_introduction_that_nobody_understands_lets_no_image_in(
    untrained_chain: UntrainedChain,
) -> None:
    arriving = blind(untrained_chain).arriving
    clear = introduced(arriving)
    drowned = dataclasses.replace(clear, posteriors=np.full_like(clear.posteriors, 0.25))
    image = frame_of(torch.zeros(256, dtype=torch.int64), 0)
    stream = ImageAssembly(arriving, StreamCounts(), listener="relay", needs_introduction=True)
    assert stream.hear(drowned) == []
    assert stream.partner is Partner.UNREADABLE
    assert stream.hear(image) == []
    assert stream.counts.frames_unexpected == 1
    stream.hear(clear)
    assert len(stream.hear(image)) == 1


def test_head_and_tail_of_a_chain_cannot_be_mistaken_for_two_devices(
    untrained_chain: UntrainedChain, tmp_path: Path
) -> None:
    path = tmp_path / "head.sigmf"
    sent_by_head(untrained_chain, path)
    # Even were the images as large on both hops, and the introduction lost.
    tail = load_tail_side(untrained_chain.folder)
    server = TailServer(tail)
    assert served(server, path) == []
    counts = server.counts()
    assert (counts.partner, counts.strangers) == ("other", 1)
    symbols = torch.zeros(tail.symbols_per_image, dtype=torch.int64)
    hearing = ReceivedImages(tail)
    assert [told for number in range(9) for told in hearing.hear(frame_of(symbols, number))] == []
    assert hearing.score.frames_unexpected == 9
    hearing.hear(introduced(tail))
    assert len(hearing.hear(frame_of(symbols, 9))) == 1


def test_a_head_that_begins_anew_has_its_record_read_anew(
    untrained_chain: UntrainedChain,
) -> None:
    relay = blind(untrained_chain)
    record = SentRecord(
        SentImage(name=f"image-{number}", frame=number, position=0) for number in range(6)
    )
    server = RelayServer(relay, record)
    images = [frame_of(torch.zeros(256, dtype=torch.int64), number) for number in range(9)]
    names: list[tuple[str, int]] = []
    for frame in [introduced(relay.arriving), *images[:8], introduced(relay.arriving), *images[:2]]:
        batch = server.encode(server.hear(frame))
        names += [(image.name, image.frame) for image in batch.images]
    # Its own numbers go on: whoever hears it loses nothing.
    known = [f"image-{number}" for number in (*range(6), 0, 1)]
    assert names == list(zip([*known[:6], "6.0", "7.0", *known[6:]], range(10), strict=True))
    assert server.counts().stream.restarts == 1


def test_a_sender_whose_numbers_jump_goes_on_in_its_record(
    untrained_chain: UntrainedChain,
) -> None:
    relay = blind(untrained_chain)
    places = (("early", 977), ("before", 2000), ("late", 977))
    record = SentRecord(SentImage(name=name, frame=frame, position=0) for name, frame in places)
    server = RelayServer(relay, record)
    image = torch.zeros(256, dtype=torch.int64)
    server.hear(introduced(relay.arriving))
    for name, frame in places:
        (sent,) = server.encode(server.hear(frame_of(image, frame))).images
        assert sent.name == name
    assert server.counts().stream.restarts == 1


class Endless:
    """A feed whose frames are followed by nothing, until it is told to stop."""

    name = "air"
    bad_samples = 0

    def __init__(self, path: Path) -> None:
        with open_recording(path) as recording:
            self._iq = recording.read_channels()
            self.sample_rate_hz = recording.sample_rate_hz

    def blocks(self, stop: threading.Event) -> Iterator[ReceivedBlock]:
        yield ReceivedBlock(iq=self._iq, sample_index=0)
        while not stop.is_set():
            yield ReceivedBlock(iq=self._iq[:, :0], sample_index=self._iq.shape[1])
            stop.wait(0.01)


class Failing:
    """An outlet that takes the first image, and calls a function then."""

    name = "nowhere"
    num_gone = 0

    def __init__(self, on_first: Callable[[threading.Event], None]) -> None:
        self._on_first = on_first

    def send(self, batch: EncodedBatch, stop: threading.Event) -> None:
        self.num_gone = batch.image_ends[0]
        self._on_first(stop)

    def settle(self) -> None:
        pass

    def finish(self, stop: threading.Event) -> None:
        assert stop.is_set()

    def counts(self) -> dict[str, int]:
        return {"samples": self.num_gone}


def test_whoever_ends_the_sending_ends_the_listening(
    untrained_chain: UntrainedChain, tmp_path: Path
) -> None:
    path = tmp_path / "first.sigmf"
    sent_by_head(untrained_chain, path)
    relay = load_relay_side(untrained_chain.folder)

    def gone(stop: threading.Event) -> None:
        raise TransportError("whoever took the samples is gone")

    told: list[SentImage] = []
    with pytest.raises(TransportError, match="is gone"):
        serve_relay(
            Endless(path),
            RelayServer(relay),
            Failing(gone),
            told.append,
            stop=threading.Event(),
        )
    # What went out before is told.
    assert [image.frame for image in told] == [0]
    result = serve_relay(
        Endless(path),
        RelayServer(relay),
        Failing(threading.Event.set),
        told.append,
        stop=threading.Event(),
    )
    assert (len(told), result.images_sent, result.was_stopped) == (2, 1, True)
    assert result.line().endswith("stopped")


def test_ctrl_c_behind_the_listening_stops_the_sending(
    untrained_chain: UntrainedChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "first.sigmf"
    sent_by_head(untrained_chain, path)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(relay_run, "end_or_stop", interrupted)
    stopped = []

    def held_up(stop: threading.Event) -> None:
        stopped.append(stop.wait(20))

    with open_recording(path) as recording, pytest.raises(KeyboardInterrupt):
        serve_relay(
            RadioFeed(RecordedRadio(recording)),
            RelayServer(load_relay_side(untrained_chain.folder)),
            Failing(held_up),
            lambda _: None,
            stop=threading.Event(),
        )
    assert stopped == [True]


def test_a_relay_for_a_device_makes_the_symbols_of_the_run(
    untrained_chain: UntrainedChain, tmp_path: Path
) -> None:
    written = export_run(untrained_chain.folder, tmp_path, DeviceFormat.TORCHSCRIPT)
    assert [path.relative_to(tmp_path).as_posix() for path in written] == [
        "head/m4.pt",
        "relay1/m4.pt",
        "tail/m4.pt",
    ]
    ours = load_relay_side(untrained_chain.folder)
    theirs = load_relay_side(tmp_path, device_format=DeviceFormat.TORCHSCRIPT)
    generator = np.random.default_rng(7)
    posteriors = generator.dirichlet(np.full(4, 0.3), (5, 256)).astype(np.float32)
    assert torch.equal(theirs.symbols(posteriors), ours.symbols(posteriors))
    assert theirs.arriving.card == ours.arriving.card
    assert theirs.sending.card == ours.sending.card
    with pytest.raises(CheckpointError, match=r"holds no exported relay2 .*there is one relay"):
        load_relay_side(untrained_chain.folder, relay=2)
    with pytest.raises(CheckpointError, match="there is one for devices: give --format torchscr"):
        load_relay_side(tmp_path)


def test_of_several_relays_one_must_be_named(
    untrained_chain: UntrainedChain, tmp_path: Path
) -> None:
    for number in (1, 2):
        (tmp_path / f"relay{number}").symlink_to(untrained_chain.folder / "relay1")
    with pytest.raises(CheckpointError, match=r"holds relay1, relay2; say which one .*: --relay K"):
        load_relay_side(tmp_path)
    assert load_relay_side(tmp_path, relay=2).arriving.symbols_per_image == 256
