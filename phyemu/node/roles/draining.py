"""Samples that nobody wants: received and dropped, so that the radio stays alive and is watched."""

import threading
import time

from phyemu.errors import RadioError
from phyemu.radio import Radio

__all__ = ["drain"]

_BLOCK_S = 0.05
_MIN_BLOCK_SAMPLES = 1 << 11
_MAX_BLOCK_SAMPLES = 1 << 17


def drain(
    radio: Radio, stop: threading.Event, *, stall_s: float, until_index: int | None = None
) -> int | None:
    """Receive and drop samples, and return where the next one lies on the radio's timeline.

    Args:
        radio: Nobody else receives from it.
        stop: Ends it.
        stall_s: Time without a sample after which the radio counts as gone [s].
        until_index: Where to end; None: only with `stop`. A gap may lead beyond it.

    Returns:
        The index; None where it was stopped, or the stream has ended.

    Raises:
        RadioError: The radio is gone.
    """
    wanted = int(min(max(_BLOCK_S * radio.sample_rate_hz, _MIN_BLOCK_SAMPLES), _MAX_BLOCK_SAMPLES))
    heard_s = time.monotonic()
    count = 1  # at first only to see where the stream is
    while not stop.is_set():
        block = radio.receive(count)
        now_s = time.monotonic()
        if block.num_samples:
            heard_s = now_s
        if block.event is not None and block.event.ends_stream:
            if block.event.is_failure:
                raise RadioError(f"{radio.name}: the device is gone ({block.detail})")
            return None
        if now_s - heard_s > stall_s:
            raise RadioError(f"{radio.name}: no sample for {stall_s:g} s")
        index = block.sample_index + block.num_samples
        if until_index is not None and block.num_samples and index >= until_index:
            return index
        count = wanted if until_index is None else min(wanted, max(1, until_index - index))
    return None
