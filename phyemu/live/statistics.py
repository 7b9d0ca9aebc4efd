"""How a live stream goes: rates, latency, and whatever was not passed on."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from phyemu.live.transport import InputCounts, SampleSink
from phyemu.units import power_to_db

__all__ = ["LiveEnd", "LiveMeter", "LiveStatistics"]


class LiveEnd(StrEnum):
    """Why a live stream ended."""

    RUNNING = "running"
    """It has not."""
    STREAM_END = "end"
    """The source said that no more will come."""
    COMPLETE = "complete"
    """All samples that were asked for."""
    IDLE = "idle"
    """No sample came for the time given."""
    INTERRUPTED = "interrupted"
    """Ctrl-C."""
    CLOSED = "closed"
    """Whoever took the samples is gone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveStatistics:
    """A live stream at one moment.

    Attributes:
        elapsed_s: Time since the first sample came [s].
        num_received: Samples that came in and were good.
        num_sent: Samples that the sink took.
        rate_hz: Samples sent per second, since the last line or, in the summary, in all [Hz].
        realtime_factor: Of the stream's sample rate.
        latency_s: Mean time from a block's arrival to its departure over the same span [s].
        max_latency_s: Longest such time in all [s].
        input_power: Mean power of all samples that came in, linear, full scale 1.
        reference_power: Power that the SNR refers to, likewise.
        channel: Channel that the last sample went through.
        dropped: Messages dropped, by reason.
        dropped_samples: Samples in them.
        silenced_samples: Bad samples of a byte stream that became zeros.
        num_gaps: Gaps of a recording.
        gap_samples: Samples missing in a recording that zeros stand for.
        lost_messages: Messages that never came; None: the transport does not tell.
        num_ignored: Requests and subscriptions at the sink that made no sense.
        num_clipped: Samples that the sink's format had to clip.
        num_stalls: Breaks of more than 0.1 s in a paced stream: nothing came, or the sink took
            nothing.
        unsent_samples: Samples left behind because the sink did not take them.
        ended_by: Why it ended.
    """

    elapsed_s: float
    num_received: int
    num_sent: int
    rate_hz: float
    realtime_factor: float
    latency_s: float
    max_latency_s: float
    input_power: float
    reference_power: float
    channel: str
    dropped: Mapping[str, int]
    dropped_samples: int
    silenced_samples: int
    num_gaps: int
    gap_samples: int
    lost_messages: int | None
    num_ignored: int
    num_clipped: int
    num_stalls: int
    unsent_samples: int
    ended_by: LiveEnd

    def line(self) -> str:
        """Return the statistics as one line for people."""
        parts = [
            f"{self.elapsed_s:.1f} s: {self.num_received} samples in, {self.num_sent} out, "
            f"{self.rate_hz / 1e6:.2f} Msps (real time x {self.realtime_factor:.2f})",
            f"latency {self.latency_s * 1e3:.1f} ms (at most {self.max_latency_s * 1e3:.1f})",
            f"channel {self.channel}",
            self._drops(),
        ]
        if self.num_ignored:
            parts.append(f"{self.num_ignored} requests ignored")
        if self.num_clipped:
            parts.append(f"{self.num_clipped} clipped")
        if self.num_stalls:
            parts.append(f"{self.num_stalls} pauses")
        if self.unsent_samples:
            parts.append(f"{self.unsent_samples} not taken by the sink")
        if self.ended_by is not LiveEnd.RUNNING:
            parts.append(f"ended: {self.ended_by}")
        return ", ".join(parts)

    def _drops(self) -> str:
        reasons = [f"{count} {reason}" for reason, count in self.dropped.items()]
        text = f"{sum(self.dropped.values())} messages dropped"
        if reasons:
            text += f" ({', '.join(reasons)}; {self.dropped_samples} samples)"
        if self.silenced_samples:
            text += f", {self.silenced_samples} bad samples silenced"
        if self.num_gaps:
            text += f", {self.gap_samples} zeros for {self.num_gaps} gaps"
        if self.lost_messages is None:
            return f"{text}, lost ones not visible"
        return f"{text}, {self.lost_messages} lost" if self.lost_messages else text

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics with JSON types only; powers in dBFS."""
        values = asdict(self) | {"ended_by": str(self.ended_by), "dropped": dict(self.dropped)}
        for name in ("input_power", "reference_power"):
            power = values.pop(name)
            values[f"{name}_dbfs"] = power_to_db(power) if power > 0 else None
        return values


class LiveMeter:
    """Collects what the threads of a live stream count; each number has one thread that writes it.

    Attributes:
        num_received: Samples that came in.
        num_sent: Samples that the sink took.
        energy: Sum of the power of all samples that came in.
        num_stalls: Breaks of the pace.
        unsent_samples: Samples left behind.
    """

    def __init__(
        self,
        sample_rate_hz: float,
        reference_power: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate_hz = sample_rate_hz
        self._reference_power = reference_power
        self._clock = clock
        self._started_s: float | None = None
        self._last: tuple[float, int, float, int] | None = None
        self._latency_sum_s = 0.0
        self._num_latencies = 0
        self._max_latency_s = 0.0
        self.num_received = 0
        self.num_sent = 0
        self.energy = 0.0
        self.num_stalls = 0
        self.unsent_samples = 0

    def received(self, num_samples: int) -> float:
        """Note samples that came in, and return the time [s]."""
        now = self._clock()
        if self._started_s is None:
            self._started_s = now
        self.num_received += num_samples
        return now

    def departed(self, arrival_s: float) -> None:
        """Note that a block that arrived at that time has left."""
        now = self._clock()
        if self._started_s is None:
            self._started_s = arrival_s
        latency_s = now - arrival_s
        self._latency_sum_s += latency_s
        self._num_latencies += 1
        self._max_latency_s = max(self._max_latency_s, latency_s)

    def snapshot(
        self, channel: str, counts: InputCounts, sink: SampleSink | None, ended_by: LiveEnd
    ) -> LiveStatistics:
        """Return the statistics since the last snapshot or, when it has ended, of the whole."""
        now = self._clock()
        started = now if self._started_s is None else self._started_s
        begin: tuple[float, int, float, int] = (started, 0, 0.0, 0)
        if ended_by is LiveEnd.RUNNING and self._last is not None:
            begin = self._last
        self._last = (now, self.num_sent, self._latency_sum_s, self._num_latencies)
        span_s = now - begin[0]
        rate_hz = (self.num_sent - begin[1]) / span_s if span_s > 0 else 0.0
        num_latencies = self._num_latencies - begin[3]
        return LiveStatistics(
            elapsed_s=now - started,
            num_received=self.num_received,
            num_sent=self.num_sent,
            rate_hz=rate_hz,
            realtime_factor=rate_hz / self._rate_hz,
            latency_s=(self._latency_sum_s - begin[2]) / num_latencies if num_latencies else 0.0,
            max_latency_s=self._max_latency_s,
            input_power=self.energy / self.num_received if self.num_received else 0.0,
            reference_power=self._reference_power,
            channel=channel,
            dropped=dict(counts.dropped),
            dropped_samples=counts.dropped_samples,
            silenced_samples=counts.silenced_samples,
            num_gaps=counts.num_gaps,
            gap_samples=counts.gap_samples,
            lost_messages=counts.lost_messages,
            num_ignored=0 if sink is None else sink.num_ignored,
            num_clipped=0 if sink is None else sink.num_clipped,
            num_stalls=self.num_stalls,
            unsent_samples=self.unsent_samples,
            ended_by=ended_by,
        )
