"""From an endpoint to the transport behind it."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from phyemu.errors import ConfigError, PhyemuError, TransportError
from phyemu.iq import open_recording
from phyemu.iq.sample_format import sample_format
from phyemu.live.endpoint import Endpoint, EndpointKind
from phyemu.live.pipe import PipeSink, PipeSource, ensure_fifo, without_blocking
from phyemu.live.recording import RecordingSink, RecordingSource
from phyemu.live.transport import SampleSink, SampleSource
from phyemu.live.udp import UdpSink, UdpSource
from phyemu.live.zeromq import ZmqSink, ZmqSource

__all__ = ["open_sink", "open_source"]


@contextmanager
def open_source(endpoint: Endpoint) -> Iterator[SampleSource]:
    """Yield the source behind an endpoint, and close it.

    Raises:
        TransportError: It cannot be opened.
        RecordingError: Nor can a recording be read.
        ConfigError: It has no such channel, or ends before its start.
    """
    if endpoint.kind is EndpointKind.RECORDING:
        with open_recording(endpoint.path) as recording:
            yield RecordingSource(endpoint, recording)
        return
    with _fifo(endpoint):
        source = _source(endpoint)
        try:
            yield source
        finally:
            source.close()


@contextmanager
def open_sink(
    endpoint: Endpoint, *, sample_rate_hz: float | None = None, force: bool = False
) -> Iterator[SampleSink]:
    """Yield the sink behind an endpoint, and close it.

    Args:
        endpoint: Where samples go.
        sample_rate_hz: Their rate, which a recording has to know [Hz].
        force: Overwrite a recording that exists.

    Raises:
        TransportError: It cannot be opened.
        RecordingError: Nor can a recording be written.
        ConfigError: A recording without a rate.
    """
    if endpoint.kind is EndpointKind.RECORDING:
        if sample_rate_hz is None:
            raise ConfigError(f"{endpoint.text}: a recording needs the sample rate")
        recording = RecordingSink(endpoint, sample_rate_hz=sample_rate_hz, force=force)
        try:
            yield recording
        except BaseException:
            # What came until then is kept, whatever went wrong.
            with suppress(PhyemuError):
                recording.close()
            raise
        recording.close()
        return
    with _fifo(endpoint):
        sink = _sink(endpoint)
        try:
            yield sink
        finally:
            sink.close()


@contextmanager
def _fifo(endpoint: Endpoint) -> Iterator[None]:
    """Make the named pipe that is missing, and take it away again."""
    made = endpoint.kind is EndpointKind.FIFO and ensure_fifo(
        Path(endpoint.path), name=endpoint.text
    )
    try:
        yield
    finally:
        if made:
            Path(endpoint.path).unlink(missing_ok=True)


def _source(endpoint: Endpoint) -> SampleSource:
    if endpoint.kind is EndpointKind.UDP:
        return UdpSource(endpoint)
    if endpoint.kind.is_zmq:
        return ZmqSource(endpoint)
    samples = sample_format(endpoint.datatype, where=endpoint.text)
    if endpoint.kind is EndpointKind.FIFO:
        try:
            # Without waiting for somebody who writes: that comes with the first samples.
            descriptor = os.open(endpoint.path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as exc:
            raise TransportError(f"{endpoint.text}: cannot be opened: {exc.strerror}") from exc
        return PipeSource(descriptor, samples, name=endpoint.text)
    return PipeSource(0, samples, name="standard input")


def _sink(endpoint: Endpoint) -> SampleSink:
    if endpoint.kind is EndpointKind.UDP:
        return UdpSink(endpoint)
    if endpoint.kind.is_zmq:
        return ZmqSink(endpoint)
    samples = sample_format(endpoint.datatype, where=endpoint.text)
    if endpoint.kind is EndpointKind.FIFO:
        return PipeSink(Path(endpoint.path), samples, name=endpoint.text)
    if stat.S_ISCHR(os.fstat(1).st_mode) and os.isatty(1):
        raise TransportError("-: standard output is a terminal; send it on, as in -o - > rx.cf32")
    return PipeSink(without_blocking(1), samples, name="standard output")
