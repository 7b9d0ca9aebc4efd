"""Ctrl-C at a moment when the state is whole."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["deferred_interrupt"]


@contextmanager
def deferred_interrupt(*, insistent: bool = True) -> Iterator[Callable[[], bool]]:
    """Hold the first Ctrl-C back, and yield a function that says whether there was one.

    The caller asks between two steps, saves, and raises KeyboardInterrupt itself. A second Ctrl-C
    interrupts at once. Outside of the main thread, where Python delivers no signals, nothing
    changes.

    Args:
        insistent: False: a second Ctrl-C is held back too. `torchrun` passes on the one that the
            terminal has sent already, and kills who does not end within half a minute.
    """
    requested = False

    def note(_signal: int, _frame: FrameType | None) -> None:
        nonlocal requested
        requested = True
        if insistent:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: requested
    finally:
        signal.signal(signal.SIGINT, before)
