"""Channels that take turns while a stream runs: `0s=office-nlos,10s=tgn-d:15`."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from phyemu.channel import ChannelModel, ChannelStream, load_channel
from phyemu.errors import ConfigError
from phyemu.live.times import TIME, parse_time_s

__all__ = ["ScheduledChannel", "ScheduledModel", "check_rate", "parse_schedule"]

# The kernels are compiled for arrays that may be written to and for those that may not, such as the
# bytes of a message.
_SILENCE = (np.zeros(1, np.complex64), np.frombuffer(bytes(8), np.complex64))
_START = re.compile(rf"(?:^|,)\s*({TIME})=")


@dataclass(frozen=True, slots=True)
class ScheduledModel:
    """A channel and when it begins.

    Attributes:
        start_s: Time of its first sample in the stream that comes in [s].
        model: The channel.
    """

    start_s: float
    model: ChannelModel


def parse_schedule(
    text: str, *, load: Callable[[str], ChannelModel] = load_channel
) -> tuple[ScheduledModel, ...]:
    """Return the channels of a `--channel` spec: one, or several with times.

    Args:
        text: A spec as `load` reads it, or `TIME=SPEC,TIME=SPEC...` with times such as
            0s, 500ms, 1.5s, 2min, 1h that begin at 0 and rise.
        load: Returns the channel of a spec.

    Raises:
        ConfigError: The times are not such, or a spec is none.

    >>> [part.start_s for part in parse_schedule("0s=awgn:20,500ms=mixture:awgn:3,awgn:9")]
    [0.0, 0.5]
    """
    starts = list(_START.finditer(text))
    if not starts:
        return (ScheduledModel(0.0, load(text)),)
    if starts[0].start() != 0:
        raise ConfigError(f"--channel {text}: a list begins with a time, as in 0s=awgn:20")
    times = [parse_time_s(match[1]) or 0.0 for match in starts]
    if times[0] != 0 or any(later <= time for time, later in pairwise(times)):
        raise ConfigError(f"--channel {text}: times begin at 0s and rise; got {times} s")
    ends = [match.start() for match in starts[1:]] + [len(text)]
    return tuple(
        ScheduledModel(time, load(text[match.end() : end]))
        for time, match, end in zip(times, starts, ends, strict=True)
    )


class ScheduledChannel:
    """Applies channels in turn to a stream, each to its own stretch of the input.

    The output is that of `phyemu emulate` on each stretch by itself, one after the other: each
    channel begins with silence before its first sample, ends with its last, and its latency is
    taken out. Channel number i is drawn with the seed plus i, so that two of a kind differ.

    Attributes:
        latency_samples: The largest latency of the channels: so many samples, at most, the output
            is behind the input.
        num_samples: Samples that came in.
    """

    def __init__(
        self,
        schedule: Sequence[ScheduledModel],
        *,
        sample_rate_hz: float,
        symbol_rate_hz: float,
        reference_power: float,
        seed: int,
        interval_s: float = 1e-3,
    ) -> None:
        """Draw every channel, and run each once, so that its kernels are compiled by now.

        Args:
            schedule: The channels, the first one from time 0 on.
            sample_rate_hz: Rate of the samples [Hz].
            symbol_rate_hz: Rate of the symbols that the SNR refers to [Hz].
            reference_power: Mean sample power that the SNR refers to, linear, full scale 1.
            seed: Everything random comes from it.
            interval_s: Time between two updates of the gains [s].

        Raises:
            ConfigError: A setting is out of range, or a channel was measured at another rate.
        """
        if not (math.isfinite(sample_rate_hz) and sample_rate_hz > 0):
            raise ConfigError(f"sample_rate_hz must be positive, got {sample_rate_hz}")
        self.names = tuple(part.model.name for part in schedule)
        self._streams: list[ChannelStream] = []
        for index, part in enumerate(schedule):
            check_rate(part.model, sample_rate_hz)
            draw = partial(
                ChannelStream,
                part.model,
                sample_rate_hz=sample_rate_hz,
                symbol_rate_hz=symbol_rate_hz,
                reference_power=reference_power,
                seed=seed + index,
                interval_s=interval_s,
            )
            rehearsal = draw()
            for silence in _SILENCE:
                rehearsal.process(silence)
            self._streams.append(draw())
        self._ends: list[float] = [
            float(round(part.start_s * sample_rate_hz)) for part in schedule[1:]
        ]
        self._ends.append(math.inf)
        self._index = 0
        self._to_drop = self._streams[0].latency_samples
        self.num_samples = 0
        self.latency_samples = max(stream.latency_samples for stream in self._streams)

    @property
    def name(self) -> str:
        """Name of the channel that the next sample goes through."""
        return self.names[self._index]

    @property
    def snr_db(self) -> float:
        """SNR of its realisation [dB]."""
        return self._streams[self._index].realisation.snr_db

    def process(self, iq: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Return the output samples that `iq` completes, (num_samples,), complex64."""
        parts: list[NDArray[np.complex64]] = []
        while len(iq):
            room = self._ends[self._index] - self.num_samples
            if room <= 0:
                parts.append(self._finish_channel())
                self._index += 1
                self._to_drop = self._streams[self._index].latency_samples
                continue
            stretch = iq if room >= len(iq) else iq[: int(room)]
            parts.append(self._trim(self._streams[self._index].process(stretch)))
            self.num_samples += len(stretch)
            iq = iq[len(stretch) :]
        return parts[0] if len(parts) == 1 else np.concatenate(parts or [iq])

    def flush(self) -> NDArray[np.complex64]:
        """Return the output samples that are still due, and end the stream."""
        return self._finish_channel()

    def _finish_channel(self) -> NDArray[np.complex64]:
        return self._trim(self._streams[self._index].flush())

    def _trim(self, out: NDArray[np.complex64]) -> NDArray[np.complex64]:
        dropped = min(self._to_drop, len(out))
        self._to_drop -= dropped
        return out[dropped:]


def check_rate(model: ChannelModel, sample_rate_hz: float) -> None:
    """Raise ConfigError when a channel was measured at another rate."""
    rate_hz = float(getattr(model, "sample_rate_hz", 0.0) or 0.0)
    if rate_hz and not math.isclose(rate_hz, sample_rate_hz, rel_tol=1e-6):
        raise ConfigError(
            f"--rate {sample_rate_hz / 1e6:g}M, but channel {model.name} was measured at "
            f"{rate_hz / 1e6:g} MHz; run at that rate, or fit it again at this one (phyemu fit)"
        )
