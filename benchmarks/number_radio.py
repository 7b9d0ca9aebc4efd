"""A radio without hardware for timing what comes after it: it counts, in time if need be."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import RadioError
from phyemu.radio import Radio, ReceivedBlock, StreamEvent, Transmission, TransmitSource
from phyemu.radio.radio import receive_buffer
from phyemu.radio.sc16 import from_sc16

__all__ = ["NumberRadio"]


class NumberRadio(Radio):
    """Receives its own sample numbers, 32 bits of sc16, so that any lost sample is seen.

    In real time it behaves as a device does: whoever asks too late finds its buffer overflown.
    """

    def __init__(
        self,
        *,
        sample_rate_hz: float,
        num_channels: int = 1,
        real_time: bool = False,
        buffer_s: float = 0.1,
    ) -> None:
        """Get ready; the stream starts with the first `receive`.

        Args:
            sample_rate_hz: Samples per second [Hz].
            num_channels: Channels; each holds the same numbers.
            real_time: Hand samples over no sooner than a device would, and lose what is not
                fetched in time.
            buffer_s: What device and driver hold [s]; the 512 USB frames of a B210 last 0.052 s at
                20 Msps.
        """
        self._rate_hz = sample_rate_hz
        self._num_channels = num_channels
        self._real_time = real_time
        self._buffer_samples = round(buffer_s * sample_rate_hz)
        self._position = 0
        self._start: float | None = None

    @property
    def name(self) -> str:
        """Return what it is."""
        return "numbers"

    @property
    def sample_rate_hz(self) -> float:
        """Return the rate [Hz]."""
        return self._rate_hz

    @property
    def center_frequency_hz(self) -> float | None:
        """Return a frequency as a device would [Hz]."""
        return 2.4e9

    @property
    def num_channels(self) -> int:
        """Return the number of channels."""
        return self._num_channels

    @property
    def live(self) -> bool:
        """Return False: nothing is on the air."""
        return False

    def metadata(self) -> Mapping[str, Any]:
        """Return what a device says of itself."""
        return {"core:hw": "a counter"}

    def receive(self, num_samples: int, out: NDArray[np.complex64] | None = None) -> ReceivedBlock:
        """Return the next numbers."""
        buffer = receive_buffer(num_samples, self._num_channels, out)
        lost = self._wait(num_samples) if self._real_time else 0
        begin = self._position + lost
        words = np.arange(begin, begin + num_samples, dtype=np.int64).astype(np.uint32)
        iq = buffer[:, :num_samples]
        from_sc16(np.broadcast_to(words, iq.shape), iq)
        self._position = begin + num_samples
        return ReceivedBlock(
            iq=iq,
            sample_index=begin,
            lost_samples=lost,
            event=StreamEvent.OVERFLOW if lost else None,
        )

    def _wait(self, num_samples: int) -> int:
        """Wait for the last of so many samples; return how many were lost before them."""
        now = time.monotonic()
        if self._start is None:
            self._start = now
        received = round((now - self._start) * self._rate_hz)
        lost = max(0, received - self._position - num_samples - self._buffer_samples)
        due = self._start + (self._position + lost + num_samples) / self._rate_hz
        if due > now:
            time.sleep(due - now)
        return lost

    def transmit(self, iq: TransmitSource, *, delay_s: float = 0.0) -> Transmission:
        """Refuse."""
        raise RadioError("a counter does not transmit")

    def close(self) -> None:
        """Do nothing."""
