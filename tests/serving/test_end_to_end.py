"""A head and a tail against each other, over emulated air, a recording and sockets."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from phyemu.channel import load_channel
from phyemu.datasets import ImageSet
from phyemu.dnn import DeviceFormat, Lookup, evaluating
from phyemu.errors import ConfigError, RadioError
from phyemu.evaluation import ExportedHead, ExportedPhyDnn, ImagePrediction
from phyemu.iq import open_recording
from phyemu.listening import EndpointFeed, RadioFeed
from phyemu.live import (
    Role,
    ScheduledChannel,
    open_sink,
    open_source,
    parse_endpoint,
    parse_schedule,
    run_live,
)
from phyemu.radio import EmulatedRadio, RecordedRadio
from phyemu.serving import (
    HeadSender,
    ImageBatch,
    RadioOutlet,
    SentImage,
    SinkOutlet,
    TailServer,
    batches_of,
    export_run,
    load_head_side,
    load_tail_side,
    open_recording_outlet,
    run_head,
    serve_tail,
)


def named(images: ImageSet) -> ImageBatch:
    return ImageBatch(
        images=images.images, names=tuple(f"image-{number}" for number in range(len(images)))
    )


def directly(phydnn: ExportedPhyDnn, images: ImageSet) -> list[int]:
    """Return the classes over an air without noise, by head and tail alone."""
    with evaluating(phydnn.head), evaluating(phydnn.tail):
        symbols = phydnn.head(images.images)
        posteriors = torch.nn.functional.one_hot(symbols, phydnn.order).float()
        classes: list[int] = phydnn.tail(posteriors, Lookup.HARD).argmax(-1).tolist()
    assert len(set(classes)) > 1
    return classes


def joined(sent: list[SentImage], told: list[ImagePrediction]) -> dict[str, int]:
    """Return the class of each image by its name, by what both sides say of frames."""
    places = {(image.frame, image.position): image.name for image in sent}
    assert len(places) == len(sent)
    return {places[image.frame or 0, image.position or 0]: image.prediction for image in told}


@pytest.mark.parametrize("images_per_frame", [1, 5])
def test_predictions_over_emulated_air_are_those_of_head_and_tail(
    images_per_frame: int, run: Path, phydnn: ExportedPhyDnn, images: ImageSet
) -> None:
    head, tail = load_head_side(run), load_tail_side(run)
    rate_hz = head.frame_format.sample_rate_hz
    sender = HeadSender(head, images_per_frame=images_per_frame, frames_between=4)
    power = head.frame_format.reference_power(0.4)
    with EmulatedRadio(
        load_channel("awgn:30"),
        sample_rate_hz=rate_hz,
        symbol_rate_hz=rate_hz / 2,
        reference_power=power,
        seed=1,
    ) as radio:
        sent: list[SentImage] = []
        result = run_head(
            batches_of(named(images), 5),
            sender,
            RadioOutlet(radio),
            sent.append,
            stop=threading.Event(),
        )
        told: list[ImagePrediction] = []
        server = TailServer(tail)
        summary = serve_tail(
            RadioFeed(radio),
            server,
            told.append,
            duration_s=(result.counts.samples + 5000) / rate_hz,
        )
    assert [image.name for image in sent] == list(named(images).names)
    expected = dict(zip(named(images).names, directly(phydnn, images), strict=True))
    assert joined(sent, told) == expected
    counts = server.counts()
    assert counts.partner == "ours"
    assert (counts.score.images, counts.score.images_lost, summary.missing_frames) == (12, 0, 0)
    assert result.counts.introductions == (3 if images_per_frame == 1 else 1)
    assert counts.tail_median_s is not None
    assert "the sender is that of this tail" in counts.line()


def test_a_recording_tells_a_tail_all_it_needs(
    run: Path, phydnn: ExportedPhyDnn, images: ImageSet, tmp_path: Path
) -> None:
    export_run(run, tmp_path, DeviceFormat.TORCHSCRIPT)
    head = load_head_side(tmp_path, device_format=DeviceFormat.TORCHSCRIPT)
    path = tmp_path / "sent.sigmf"
    sent: list[SentImage] = []
    with open_recording_outlet(path, head) as outlet:
        run_head(
            batches_of(named(images), 4, passes=2),
            HeadSender(head),
            outlet,
            sent.append,
            stop=threading.Event(),
        )
    told: list[ImagePrediction] = []
    tail = load_tail_side(tmp_path, device_format=DeviceFormat.TORCHSCRIPT)
    with open_recording(path) as recording:
        assert len(recording.annotations) == 25
        serve_tail(RadioFeed(RecordedRadio(recording)), TailServer(tail), told.append)
    assert [image.prediction for image in told] == 2 * directly(phydnn, images)
    assert [image.frame for image in told] == [image.frame for image in sent]


def test_head_and_tail_talk_over_sockets_with_an_emulator_between(
    run: Path, phydnn: ExportedPhyDnn, images: ImageSet, free_port: Callable[[], int]
) -> None:
    pytest.importorskip("zmq", reason="needs pyzmq")
    there, back = free_port(), free_port()
    head, tail = load_head_side(run), load_tail_side(run)
    rate_hz = head.frame_format.sample_rate_hz
    stop = threading.Event()
    told: list[ImagePrediction] = []
    sent: list[SentImage] = []
    rehearsed = HeadSender(head)
    num_samples = sum(len(rehearsed.encode(part).iq) for part in batches_of(named(images), 4))
    channel = ScheduledChannel(
        parse_schedule("awgn:30"),
        sample_rate_hz=rate_hz,
        symbol_rate_hz=rate_hz / 2,
        reference_power=head.frame_format.reference_power(0.4),
        seed=1,
    )

    def air() -> None:
        source = parse_endpoint(f"zmq+pull://127.0.0.1:{there}", Role.SOURCE)
        sink = parse_endpoint(f"zmq+push://127.0.0.1:{back}", Role.SINK)
        with open_source(source) as heard, open_sink(sink) as passed:
            run_live(
                heard,
                channel,
                passed,
                sample_rate_hz=rate_hz,
                reference_power=head.frame_format.reference_power(0.4),
                duration_s=num_samples / rate_hz,
            )

    def device() -> None:
        end = parse_endpoint(f"zmq+push://127.0.0.1:{there}", Role.SINK)
        with open_sink(end) as sink:
            outlet = SinkOutlet(sink, name=end.text)
            run_head(batches_of(named(images), 4), HeadSender(head), outlet, sent.append, stop=stop)
            assert outlet.counts()["samples"] > 0

    with ThreadPoolExecutor(2) as pool:
        try:
            working = [pool.submit(air), pool.submit(device)]
            listening = parse_endpoint(f"zmq+pull://127.0.0.1:{back}", Role.SOURCE)
            with open_source(listening) as source:
                feed = EndpointFeed(source, name=listening.text, sample_rate_hz=rate_hz)
                # Twelve frames of images and an introduction.
                serve_tail(feed, TailServer(tail), told.append, num_frames=13)
        finally:
            stop.set()
        for thread in working:
            thread.result()
    expected = dict(zip(named(images).names, directly(phydnn, images), strict=True))
    assert joined(sent, told) == expected


def test_the_head_of_another_run_is_told_once_and_its_images_are_left_out(
    run: Path, images: ImageSet, tmp_path: Path
) -> None:
    head = load_head_side(run)
    assert isinstance(head, ExportedHead)
    other = dataclasses.replace(head.card, embedding_sha256="77" * 32)
    head.head.card = other
    path = tmp_path / "sent.sigmf"
    with open_recording_outlet(path, head) as outlet:
        run_head(
            batches_of(named(images), 4),
            HeadSender(head, frames_between=3),
            outlet,
            lambda _: None,
            stop=threading.Event(),
        )
    told: list[ImagePrediction] = []
    strangers: list[str] = []
    server = TailServer(load_tail_side(run))
    with open_recording(path) as recording:
        feed = RadioFeed(RecordedRadio(recording))
        serve_tail(feed, server, told.append, on_stranger=strangers.append)
    assert told == []
    assert len(strangers) == 1
    assert "another dictionary than this tail" in strangers[0]
    counts = server.counts()
    assert (counts.partner, counts.strangers) == ("other", 4)
    assert "4 introductions of strangers" in counts.line()


def test_nothing_to_send_is_refused(run: Path) -> None:
    class Nowhere:
        name = "nowhere"
        num_gone = 0

        def send(self, batch: object, stop: threading.Event) -> None:
            raise AssertionError

        def settle(self) -> None:
            raise AssertionError

        def finish(self, stop: threading.Event) -> None:
            raise AssertionError

        def counts(self) -> dict[str, int]:
            return {"samples": 0}

    sender = HeadSender(load_head_side(run))
    with pytest.raises(ConfigError, match="no image to send"):
        run_head([], sender, Nowhere(), lambda _: None, stop=threading.Event())


def test_a_radio_that_vanishes_is_one_line(run: Path, images: ImageSet) -> None:
    from phyemu.radio.stream import TransmitEnd, TransmitReport

    class Gone:
        num_samples = 7

        def wait(self, timeout_s: float | None = None) -> TransmitReport:
            return TransmitReport(
                num_samples=7, ended_by=TransmitEnd.DISCONNECTED, detail="unplugged"
            )

        def stop(self) -> None:
            raise AssertionError

    class Radio:
        name = "usrp 30F1"

        def transmit(self, iq: object) -> Gone:
            return Gone()

    outlet = RadioOutlet(Radio())  # type: ignore[arg-type]
    sender = HeadSender(load_head_side(run))
    with pytest.raises(RadioError, match=r"usrp 30F1: transmitted 7 samples, .*unplugged"):
        run_head(
            batches_of(named(images), 1), sender, outlet, lambda _: None, stop=threading.Event()
        )
    assert outlet.counts()["samples"] == 7


def test_stopping_takes_back_what_has_not_gone_out(run: Path, images: ImageSet) -> None:
    from phyemu.radio.stream import TransmitEnd, TransmitReport

    stop = threading.Event()
    stopped: list[int] = []

    class Endless:
        num_samples = 3

        def wait(self, timeout_s: float | None = None) -> TransmitReport | None:
            if stopped:
                return TransmitReport(num_samples=3, ended_by=TransmitEnd.STOPPED)
            stop.set()
            return None

        def stop(self) -> None:
            stopped.append(1)

    class Radio:
        name = "usrp"

        def transmit(self, iq: object) -> Endless:
            return Endless()

    outlet = RadioOutlet(Radio())  # type: ignore[arg-type]
    sent: list[SentImage] = []
    result = run_head(
        batches_of(named(images), 1, passes=None),
        HeadSender(load_head_side(run)),
        outlet,
        sent.append,
        stop=stop,
    )
    assert result.was_stopped
    assert (sent, result.images_sent) == ([], 0)
    assert "0 of 3 images sent" in result.line()
    assert result.counts.images == 3
    assert len(stopped) == 3
    assert result.outlet["samples"] == 9


def test_images_are_told_when_they_have_gone_out_and_no_sooner(run: Path, images: ImageSet) -> None:
    from phyemu.radio.stream import TransmitEnd, TransmitReport

    head = load_head_side(run)
    rehearsed = HeadSender(head)
    ends = rehearsed.encode(next(batches_of(named(images), 4))).image_ends
    second = rehearsed.encode(named(images)).image_ends[0]
    stop = threading.Event()
    sent: list[SentImage] = []
    told_before: list[int] = []

    class Slow:
        def __init__(self, number: int, num_samples: int) -> None:
            self.number, self.num_samples = number, num_samples

        def wait(self, timeout_s: float | None = None) -> TransmitReport | None:
            if self.number == 0 and not stop.is_set():
                # Not before the third batch waits behind it.
                told_before.append(len(sent))
                if len(told_before) < 3:
                    return None
                return TransmitReport(
                    num_samples=self.num_samples, ended_by=TransmitEnd.COMPLETE, detail=""
                )
            if not stop.is_set():
                stop.set()
                return None
            # Stopped within the second image of the second batch; the third one has not begun.
            count = second + 1 if self.number == 1 else 0
            return TransmitReport(num_samples=count, ended_by=TransmitEnd.STOPPED)

        def stop(self) -> None:
            pass

    class Radio:
        name = "usrp"
        number = 0

        def transmit(self, iq: NDArray[np.complex64]) -> Slow:
            self.number += 1
            return Slow(self.number - 1, len(iq))

    outlet = RadioOutlet(Radio())  # type: ignore[arg-type]
    batches = batches_of(named(images), 4, passes=2)
    result = run_head(batches, HeadSender(head), outlet, sent.append, stop=stop)
    assert told_before[:3] == [0, 0, 0]
    assert len(ends) == 4
    assert [image.name for image in sent] == [f"image-{number}" for number in range(5)]
    assert result.images_sent == 5
    assert result.counts.images > 5


def test_what_went_out_before_the_radio_vanished_is_told(run: Path, images: ImageSet) -> None:
    from phyemu.radio.stream import TransmitEnd, TransmitReport

    head = load_head_side(run)
    first = HeadSender(head).encode(named(images)).image_ends[0]

    class Gone:
        def wait(self, timeout_s: float | None = None) -> TransmitReport:
            return TransmitReport(num_samples=first, ended_by=TransmitEnd.DISCONNECTED, detail="x")

    class Radio:
        name = "usrp"

        def transmit(self, iq: object) -> Gone:
            return Gone()

    sent: list[SentImage] = []
    outlet = RadioOutlet(Radio())  # type: ignore[arg-type]
    with pytest.raises(RadioError, match="usrp"):
        run_head([named(images)], HeadSender(head), outlet, sent.append, stop=threading.Event())
    assert [image.name for image in sent] == ["image-0"]


def test_with_nothing_to_send_what_has_gone_out_meanwhile_is_told(
    run: Path, images: ImageSet
) -> None:
    from phyemu.radio.stream import TransmitEnd, TransmitReport

    class OnItsWay:
        def wait(self, timeout_s: float | None = None) -> TransmitReport | None:
            return TransmitReport(num_samples=1, ended_by=TransmitEnd.COMPLETE)

    class Radio:
        name = "usrp"

        def transmit(self, iq: object) -> OnItsWay:
            return OnItsWay()

    sent: list[SentImage] = []

    def watched() -> Iterator[ImageBatch]:
        batch = named(images)
        yield batch
        assert sent == []
        yield batch.part(0, 0)
        assert len(sent) == len(images)

    outlet = RadioOutlet(Radio())  # type: ignore[arg-type]
    run_head(
        watched(), HeadSender(load_head_side(run)), outlet, sent.append, stop=threading.Event()
    )
