"""A live stream: sources, a channel and sinks, a thread each, with bounded queues between them.

Nothing is thrown away for want of time: a slow sink fills the queues, then the source waits, and
whoever sends is held up by its transport (or, where that cannot, loses samples there).
"""

import math
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.errors import ConfigError
from phyemu.live.block_queue import LiveBlock
from phyemu.live.ends import BLOCK_SAMPLES, POLL_S, InputEnd, OutputEnd, StreamState, joined
from phyemu.live.pacer import Pacer
from phyemu.live.schedule import ScheduledChannel
from phyemu.live.statistics import LiveEnd, LiveMeter, LiveStatistics
from phyemu.live.transport import InputCounts, SampleSink, SampleSource

__all__ = ["LiveChannel", "OneLink", "run_live", "run_live_network"]

# Paced samples leave in pieces of this length [s].
_PACED_PIECE_S = 2e-3

Samples = NDArray[np.complex64]


class LiveChannel(Protocol):
    """What stands between sources and sinks, by their names.

    Attributes:
        latency_samples: So many samples, at most, the output is behind the input.
    """

    latency_samples: int

    @property
    def name(self) -> str:
        """Name of what the next sample goes through."""

    def process(self, sent: Mapping[str, Samples]) -> Mapping[str, Samples]:
        """Return the output samples that these complete; all inputs have one length."""

    def flush(self) -> Mapping[str, Samples]:
        """Return the output samples that are still due, and end the stream."""

    def heard_by(self, sink: str) -> Collection[str]:
        """Return the sources whose samples reach a sink."""


def run_live(
    source: SampleSource,
    channel: ScheduledChannel,
    sink: SampleSink,
    *,
    sample_rate_hz: float,
    reference_power: float,
    pace: bool = False,
    keep_latency: bool = False,
    duration_s: float | None = None,
    idle_s: float | None = None,
    grace_s: float = 3.0,
    report: Callable[[LiveStatistics], None] | None = None,
    report_interval_s: float = 1.0,
) -> LiveStatistics:
    """Send samples from a source through a channel to a sink until one of them ends.

    However it ends, the channel is flushed and what is under way is passed on, for at most
    `grace_s` after Ctrl-C; a second Ctrl-C leaves it behind. Called from the main thread, which
    only waits, so that Ctrl-C meets no sample half done. Source and sink stay the caller's to
    close.

    Args:
        source: Brings samples.
        channel: Not used before.
        sink: Takes samples.
        sample_rate_hz: Rate of the samples [Hz].
        reference_power: What the channel's SNR refers to, for the statistics.
        pace: Let samples leave in real time, and no faster.
        keep_latency: Put the channel's latency in front, as silence: then as many samples have
            left as have come in, at any time, as peers in lock-step need.
        duration_s: Length of the input to take [s of samples]; None: all.
        idle_s: End when no sample came for so long after the first [s]; None: wait for ever.
        grace_s: Time to pass on what is under way after Ctrl-C [s].
        report: Called with the statistics every `report_interval_s`.
        report_interval_s: See there [s].

    Raises:
        ConfigError: A setting is out of range.
        TransportError: Source or sink failed.
    """

    def report_one(all_statistics: Mapping[str, LiveStatistics]) -> None:
        if report is not None:
            report(all_statistics[""])

    return run_live_network(
        {"": source},
        OneLink(channel),
        {"": sink},
        sample_rate_hz=sample_rate_hz,
        reference_power=reference_power,
        pace=pace,
        keep_latency=keep_latency,
        duration_s=duration_s,
        idle_s=idle_s,
        grace_s=grace_s,
        report=None if report is None else report_one,
        report_interval_s=report_interval_s,
    )[""]


def run_live_network(
    sources: Mapping[str, SampleSource],
    channel: LiveChannel,
    sinks: Mapping[str, SampleSink],
    *,
    sample_rate_hz: float,
    reference_power: float | Mapping[str, float],
    pace: bool = False,
    keep_latency: bool = False,
    duration_s: float | None = None,
    idle_s: float | None = None,
    grace_s: float = 3.0,
    report: Callable[[Mapping[str, LiveStatistics]], None] | None = None,
    report_interval_s: float = 1.0,
) -> dict[str, LiveStatistics]:
    """Send samples of several nodes through a network to several nodes: `run_live` for many.

    All inputs advance together, sample by sample: one that brings nothing holds up the others. One
    that has ended is silent from there on, and the stream ends when all have.

    Args:
        sources: Bring samples, by node.
        channel: Takes the samples of all sources, gives those of all sinks.
        sinks: Take samples, by node; they may be other nodes than those of the sources.
        sample_rate_hz: See `run_live`, as for all that follow.
        reference_power: See there; of all, or by node.
        pace: See there.
        keep_latency: See there.
        duration_s: See there, for each source.
        idle_s: See there, for each source.
        grace_s: See there.
        report: Called with the statistics of each node.
        report_interval_s: See there.

    Raises:
        ConfigError: A setting is out of range.
        TransportError: A source or sink failed.
    """
    for name, value in (("duration_s", duration_s), ("idle_s", idle_s)):
        if value is not None and not 0 < value < math.inf:
            raise ConfigError(f"{name} must be positive and finite, got {value}")
    state = StreamState()
    nodes = tuple(dict.fromkeys((*sources, *sinks)))
    powers = (
        reference_power
        if isinstance(reference_power, Mapping)
        else dict.fromkeys(nodes, reference_power)
    )
    # A node that only hears has no power that an SNR could refer to.
    meters = {name: LiveMeter(sample_rate_hz, powers.get(name, 0.0)) for name in nodes}
    piece = max(1, round(_PACED_PIECE_S * sample_rate_hz)) if pace else BLOCK_SAMPLES
    lead = channel.latency_samples if keep_latency else 0
    stream = _LiveStream(
        inputs={
            name: InputEnd(
                source,
                meters[name],
                state,
                target=None if duration_s is None else max(1, round(duration_s * sample_rate_hz)),
                idle_s=idle_s,
            )
            for name, source in sources.items()
        },
        channel=channel,
        outputs={
            name: OutputEnd(
                sink,
                meters[name],
                state,
                pacer=Pacer(sample_rate_hz) if pace else None,
                piece_samples=piece,
                lead_samples=lead,
            )
            for name, sink in sinks.items()
        },
        meters=meters,
        state=state,
        lead_samples=lead,
    )
    for name, output in stream.outputs.items():
        heard = channel.heard_by(name)
        output.gaps = tuple(end.gaps for node, end in stream.inputs.items() if node in heard)
    return _supervise(stream, grace_s, report, report_interval_s)


def _supervise(
    stream: "_LiveStream",
    grace_s: float,
    report: Callable[[Mapping[str, LiveStatistics]], None] | None,
    report_interval_s: float,
) -> dict[str, LiveStatistics]:
    state = stream.state
    next_report = time.monotonic() + report_interval_s
    deadline = math.inf
    with ThreadPoolExecutor(stream.num_threads, thread_name_prefix="phyemu-live") as pool:
        threads = stream.start(pool)
        pending = set(threads)
        while pending:
            try:
                _, pending = wait(pending, timeout=POLL_S)
                now = time.monotonic()
                if report is not None and now >= next_report:
                    next_report = now + report_interval_s
                    if stream.has_begun:
                        report(stream.snapshot(LiveEnd.RUNNING))
                if now > deadline or any(
                    thread.done() and thread.exception() for thread in threads
                ):
                    state.stop.set()
                    state.abort.set()
            except KeyboardInterrupt:
                deadline = time.monotonic() + (0 if state.stop.is_set() else grace_s)
                if not state.stop.is_set():
                    state.ended_by = LiveEnd.INTERRUPTED
                    state.stop.set()
    for thread in threads:
        thread.result()
    if state.abort.is_set():
        stream.count_unsent()
    return stream.snapshot(state.ended_by)


@dataclass(frozen=True, kw_only=True, slots=True)
class _LiveStream:
    """The ends, the channel between them, and what they share."""

    inputs: Mapping[str, InputEnd]
    channel: LiveChannel
    outputs: Mapping[str, OutputEnd]
    meters: Mapping[str, LiveMeter]
    state: StreamState
    lead_samples: int

    @property
    def num_threads(self) -> int:
        """Return the number of threads."""
        return len(self.inputs) + 1 + len(self.outputs)

    def start(self, pool: ThreadPoolExecutor) -> list[Future[None]]:
        """Start the threads."""
        ends = [end.run for end in self.inputs.values()]
        ends += [end.run for end in self.outputs.values()]
        return [pool.submit(work) for work in (self._apply, *ends)]

    @property
    def has_begun(self) -> bool:
        """Whether a sample has come."""
        return any(meter.num_received > 0 for meter in self.meters.values())

    def count_unsent(self) -> None:
        """Count what was received, or held back at the start, and no longer left."""
        received = max(self.meters[name].num_received for name in self.inputs)
        for name in self.outputs:
            meter = self.meters[name]
            meter.unsent_samples = max(0, received + self.lead_samples - meter.num_sent)

    def snapshot(self, ended_by: LiveEnd) -> dict[str, LiveStatistics]:
        """Return how it goes, by node."""
        return {
            name: meter.snapshot(
                self.channel.name,
                self.inputs[name].source.counts if name in self.inputs else InputCounts(),
                self.outputs[name].sink if name in self.outputs else None,
                ended_by,
            )
            for name, meter in self.meters.items()
        }

    def _apply(self) -> None:
        # Path gains are small work, for which torch would wake and await all its threads: where
        # the processor has other work, that takes a hundred times as long as the gains.
        num_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            self._apply_all()
        finally:
            torch.set_num_threads(num_threads)
            for output in self.outputs.values():
                output.queue.close()

    def _apply_all(self) -> None:
        if self.lead_samples:
            silence = np.zeros(self.lead_samples, np.complex64)
            self._put(dict.fromkeys(self.outputs, silence), time.monotonic())
        waiting = {name: _Waiting() for name in self.inputs}
        while True:
            for name, item in waiting.items():
                if not item.ended and not item.count:
                    item.take(self.inputs[name])
            if self.state.abort.is_set():
                return
            lengths = [item.count for item in waiting.values() if not item.ended]
            # Those that have ended are silent from there on.
            count = min(lengths) if lengths else max(item.count for item in waiting.values())
            if count:
                arrival_s = min(item.arrival_s for item in waiting.values() if item.count)
                sent = {name: item.pop(count) for name, item in waiting.items()}
                self._put(self.channel.process(sent), arrival_s)
            elif not lengths:
                break
        # The end itself has just arrived, however long ago the last sample did.
        self._put(self.channel.flush(), time.monotonic())

    def _put(self, heard: Mapping[str, Samples], arrival_s: float) -> None:
        for name, output in self.outputs.items():
            self.state.put(output.queue, LiveBlock(heard[name], arrival_s))


class _Waiting:
    """Samples of one input that wait for those of the others."""

    def __init__(self) -> None:
        self.iq: Samples = np.zeros(0, np.complex64)
        self.arrival_s = 0.0
        self.ended = False

    @property
    def count(self) -> int:
        """Return the number of samples."""
        return len(self.iq)

    def take(self, source: InputEnd) -> None:
        """Take what has come, and wait a little if that is nothing."""
        blocks = source.queue.take(BLOCK_SAMPLES, POLL_S)
        if blocks is None:
            self.ended = True
        elif blocks:
            self.iq, self.arrival_s = joined(blocks), blocks[0].arrival_s

    def pop(self, count: int) -> Samples:
        """Return the next samples, zeros behind the end."""
        taken, self.iq = self.iq[:count], self.iq[count:]
        if len(taken) == count:
            return taken
        return np.concatenate([taken, np.zeros(count - len(taken), np.complex64)])


class OneLink:
    """A scheduled channel between one source and one sink, both without a name."""

    def __init__(self, channel: ScheduledChannel) -> None:
        self._channel = channel
        self.latency_samples = channel.latency_samples

    @property
    def name(self) -> str:
        """Return the name of the channel that the next sample goes through."""
        return self._channel.name

    def process(self, sent: Mapping[str, Samples]) -> Mapping[str, Samples]:
        """Return the output samples that the input completes."""
        return {"": self._channel.process(sent[""])}

    def flush(self) -> Mapping[str, Samples]:
        """Return what is still due."""
        return {"": self._channel.flush()}

    def heard_by(self, sink: str) -> Collection[str]:
        """Return the only source."""
        return ("",)
