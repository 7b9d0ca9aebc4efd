"""One face for radios and for the streams of other programs: blocks of one channel, with gaps."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ConfigError
from phyemu.live import SampleSource
from phyemu.radio import Radio, ReceivedBlock, StreamEvent

__all__ = ["EndpointFeed", "RadioFeed", "SampleFeed"]

# Feeds look this often whether they should end [s].
_POLL_S = 0.05
# Samples asked of a radio at once, and those of small messages that are put together.
_BLOCK_SAMPLES = 1 << 15
# Messages that were dropped whole and in their turn: so many samples are missing where they were.
_WHOLE = frozenset({"not finite or out of range"})
# Those that had no place in the stream: nothing is missing for want of them.
_BESIDE = frozenset({"late or twice"})


class SampleFeed(Protocol):
    """Brings the samples of one channel, block by block."""

    @property
    def name(self) -> str:
        """Return a short name for messages."""

    @property
    def sample_rate_hz(self) -> float:
        """Return the sample rate [Hz]."""

    @property
    def bad_samples(self) -> int:
        """Return how many samples became zeros because they were no numbers, or beyond reason."""

    def blocks(self, stop: threading.Event) -> Iterator[ReceivedBlock]:
        """Yield (1, num_samples) blocks until the stream ends or `stop` is set; some are empty.

        The samples of a block are the caller's.
        """


class RadioFeed:
    """The samples of one channel of a radio."""

    def __init__(self, radio: Radio, *, channel: int = 0, stall_s: float = 5.0) -> None:
        """Take note of the radio; it stays the caller's to close.

        Args:
            radio: Any; nobody else may receive from it.
            channel: Which of its channels.
            stall_s: Time without a sample after which a real radio counts as gone [s].

        Raises:
            ConfigError: It has no such channel.
        """
        if not 0 <= channel < radio.num_channels:
            raise ConfigError(
                f"{radio.name}: channel must be 0..{radio.num_channels - 1}, got {channel}"
            )
        self._radio = radio
        self._channel = channel
        self._stall_s = stall_s

    @property
    def name(self) -> str:
        """Return the name of the radio."""
        return self._radio.name

    @property
    def sample_rate_hz(self) -> float:
        """Return the rate that the radio really runs at [Hz]."""
        return self._radio.sample_rate_hz

    @property
    def bad_samples(self) -> int:
        """Return 0: a radio's samples come as they are."""
        return 0

    def blocks(self, stop: threading.Event) -> Iterator[ReceivedBlock]:
        """Yield what the radio receives; a real one that brings nothing for long counts as gone."""
        heard_s = time.monotonic()
        while not stop.is_set():
            block = self._radio.receive(_BLOCK_SAMPLES)
            now = time.monotonic()
            if block.num_samples:
                heard_s = now
            elif self._radio.live and block.event is not StreamEvent.DISCONNECTED:
                if now - heard_s > self._stall_s:
                    detail = f"no sample for {self._stall_s:g} s"
                    block = replace(block, event=StreamEvent.DISCONNECTED, detail=detail)
            yield replace(block, iq=block.iq[self._channel : self._channel + 1])
            if block.event is not None and block.event.ends_stream:
                return


class EndpointFeed:
    """The samples of another program, from a socket, a pipe or standard input.

    What the transport lost or dropped becomes a gap before the samples that came with the news.
    """

    def __init__(self, source: SampleSource, *, name: str, sample_rate_hz: float) -> None:
        """Take note of the source; it stays the caller's to close.

        Args:
            source: Not used by anybody else.
            name: For messages.
            sample_rate_hz: Rate of the samples, which they do not tell [Hz].
        """
        self._source = source
        self._name = name
        self._rate_hz = sample_rate_hz

    @property
    def name(self) -> str:
        """Return the name of the source."""
        return self._name

    @property
    def sample_rate_hz(self) -> float:
        """Return the rate that was stated [Hz]."""
        return self._rate_hz

    @property
    def bad_samples(self) -> int:
        """Return how many samples of byte streams became zeros."""
        return self._source.counts.silenced_samples

    def blocks(self, stop: threading.Event) -> Iterator[ReceivedBlock]:
        """Yield what comes, small messages put together."""
        index = 0
        lost: int | None = 0
        parts: list[NDArray[np.complex64]] = []
        held, since = 0, time.monotonic()
        seen = self._losses()
        while not stop.is_set():
            iq = self._source.receive(_POLL_S)
            missing, exact, now = self._lost_since(seen)
            broken = now != seen and (missing > 0 or not exact)
            late = iq is None or time.monotonic() - since >= _POLL_S
            if parts and (broken or late or held >= _BLOCK_SAMPLES):
                yield _block(parts, index, lost)
                index, lost, parts, held = index + held, 0, [], 0
            elif not parts:
                yield ReceivedBlock(iq=np.zeros((1, 0), np.complex64), sample_index=index)
            if broken:
                index += missing
                lost = lost + missing if exact and lost is not None else None
            if iq is not None and len(iq):
                if not parts:
                    since = time.monotonic()
                parts.append(iq)
                held += len(iq)
                if broken and now[0] != seen[0]:
                    # What was dropped may have lain among these samples.
                    yield _block(parts, index, None)
                    index, lost, parts, held = index + held, None, [], 0
            seen = now
            if iq is None:
                none = np.zeros((1, 0), np.complex64)
                yield ReceivedBlock(iq=none, sample_index=index, event=StreamEvent.END)
                return
        if parts:
            yield _block(parts, index, lost)

    def _losses(self) -> tuple[dict[str, int], int, int]:
        counts = self._source.counts
        return dict(counts.dropped), counts.dropped_samples, counts.lost_messages or 0

    def _lost_since(
        self, seen: tuple[dict[str, int], int, int]
    ) -> tuple[int, bool, tuple[dict[str, int], int, int]]:
        """Return the least number of samples lost since, whether it is all, and the counts now."""
        now = self._losses()
        reasons = {reason for reason, count in now[0].items() if count != seen[0].get(reason, 0)}
        vanished = now[2] - seen[2]
        if reasons <= _BESIDE and not vanished:
            return 0, True, now
        missing = 0 if reasons & _BESIDE else now[1] - seen[1]
        return missing, reasons <= _WHOLE and not vanished, now


def _block(parts: list[NDArray[np.complex64]], index: int, lost: int | None) -> ReceivedBlock:
    return ReceivedBlock(
        iq=np.concatenate(parts)[None],
        sample_index=index,
        lost_samples=lost,
        event=None if lost == 0 else StreamEvent.SEQUENCE_GAP,
    )
