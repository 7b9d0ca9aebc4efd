"""The one seam to the air: a caller cannot tell a real radio from an emulated or recorded one."""

import math
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ConfigError, RadioError, SignalError
from phyemu.radio.stream import ReceivedBlock, Transmission, TransmitSource

__all__ = ["Radio", "check_frequency", "receive_buffer"]


@runtime_checkable
class Radio(Protocol):
    """Something that receives a stream of samples and can transmit one.

    The stream starts with the first `receive`. A radio is used from one receiving thread;
    `transmit` may be called from another. It is a context manager that closes itself.
    """

    @property
    def name(self) -> str:
        """Return a short name for messages and metadata."""

    @property
    def sample_rate_hz(self) -> float:
        """Return the rate that the device really runs at [Hz]."""

    @property
    def center_frequency_hz(self) -> float | None:
        """Return the frequency that the device really is tuned to [Hz]; None: baseband."""

    @property
    def num_channels(self) -> int:
        """Return the number of receive channels."""

    @property
    def live(self) -> bool:
        """Return whether samples come from the air now, so that a recording of them is dated."""

    def metadata(self) -> Mapping[str, Any]:
        """Return SigMF global fields that say what the radio is and how it is really set."""

    def receive(self, num_samples: int, out: NDArray[np.complex64] | None = None) -> ReceivedBlock:
        """Return the next samples: at most `num_samples`, fewer before a gap or after a timeout.

        Args:
            num_samples: Samples per channel wanted, >= 1.
            out: Memory for them, (channels, >= num_samples), complex64, C-contiguous; new memory
                where it is not given.

        Raises:
            SignalError: `num_samples` or `out` does not fit.
            RadioError: The radio is closed.
        """

    @property
    def num_transmit_channels(self) -> int:
        """Return the number of transmit channels; as many as it receives, if not said otherwise."""
        return self.num_channels

    def prepare_transmission(self) -> None:
        """Set the transmitter up now, and not with the first transmission.

        Doing so may disturb what is being received, or be refused, and it takes its time.

        Raises:
            RadioError: The radio refuses a setting of its transmitter, or is closed.
        """
        return

    @property
    def start_at_s(self) -> float | None:
        """Return the radio's time at which it was asked to start receiving [s]; None: at once."""
        return None

    def await_start(self) -> None:
        """Wait until shortly before `start_at_s`; everything else should be ready by then."""
        return

    @property
    def time_s(self) -> float | None:
        """Return the radio's time now [s], to which `at_s` refers; None: it has no clock."""
        return None

    def transmit_settings(self) -> Mapping[str, Any]:
        """Return how the transmitter is really set, with JSON types; empty: nothing to tell."""
        return {}

    def transmit(
        self, iq: TransmitSource, *, delay_s: float = 0.0, at_s: float | None = None
    ) -> Transmission:
        """Hand samples to the transmitter and return at once.

        A second transmission follows the first one. Samples beyond full scale are limited to it,
        and counted.

        Args:
            iq: The samples, or an iterable of blocks of them that is read as they go out.
            delay_s: Time from now, or from the end of the transmission before, to the first
                sample [s], >= 0.
            at_s: The radio's time of the first sample [s], in place of `delay_s`.

        Raises:
            RadioError: The radio cannot transmit, or is closed.
            ConfigError: `delay_s` is out of range, or `at_s` has passed.
        """

    def retune(self, center_frequency_hz: float) -> None:
        """Go to another frequency, in both directions; nothing may be on its way out.

        Samples of one frequency never follow on those of another within a stream: a radio may begin
        another one, with a timeline of its own.

        Args:
            center_frequency_hz: [Hz]; what the radio really took is `center_frequency_hz` then.

        Raises:
            RadioError: It cannot be tuned, refuses the frequency, still transmits, or is closed.
            ConfigError: It is no frequency.
        """
        raise RadioError(f"{self.name}: cannot be tuned")

    def close(self) -> None:
        """Stop both directions and let go of the device; closing twice does nothing."""

    def __enter__(self) -> Self:
        """Return the radio."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the radio."""
        self.close()


def receive_buffer(
    num_samples: int, num_channels: int, out: NDArray[np.complex64] | None
) -> NDArray[np.complex64]:
    """Return memory for `num_samples` per channel: `out` after a check, or new memory.

    Raises:
        SignalError: `num_samples` is below 1, or `out` has the wrong shape or type.
    """
    if num_samples < 1:
        raise SignalError(f"num_samples must be at least 1, got {num_samples}")
    if out is None:
        return np.empty((num_channels, num_samples), np.complex64)
    if (
        out.dtype != np.complex64
        or out.ndim != 2
        or out.shape[0] != num_channels
        or out.shape[1] < num_samples
        or not out.flags.c_contiguous
    ):
        raise SignalError(
            f"out must be complex64 ({num_channels}, at least {num_samples}) and C-contiguous; "
            f"got {out.dtype} {out.shape}"
        )
    return out


def check_frequency(center_frequency_hz: float) -> None:
    """Raise ConfigError where it is no frequency that a radio could be tuned to."""
    if not 0 <= center_frequency_hz < math.inf:
        raise ConfigError(f"center_frequency_hz must not be negative, got {center_frequency_hz}")
