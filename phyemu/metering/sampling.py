"""A thread that reads a source again and again while a block runs, and loses no error of it."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from .energy import Energy

__all__ = ["Samples", "measure_power", "sampled", "trapezoid_j"]


@dataclass(slots=True)
class Samples:
    """What a source said, and when.

    Attributes:
        times_s: Of the readings [s].
        values: Read.
    """

    times_s: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    @property
    def duration_s(self) -> float:
        """From the first reading to the last [s]."""
        return self.times_s[-1] - self.times_s[0]


@contextmanager
def sampled(
    read: Callable[[], float],
    *,
    interval_s: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Samples]:
    """Read a source where a block begins, every `interval_s` in it, and where it ends.

    An error of the source ends the reading and is raised where the block ends; if the block fails
    itself, its error stays the one that is raised and gets the other as a note.

    Args:
        read: Gives a value; called in another thread, never twice at once.
        interval_s: Between readings [s], >= 0.
        clock: Gives the time [s]; a reading is dated between before and after it.
    """
    samples = Samples()
    ended = threading.Event()

    def take() -> None:
        before_s = clock()
        value = read()
        samples.times_s.append((before_s + clock()) / 2)
        samples.values.append(value)

    def keep_reading() -> None:
        while not ended.wait(interval_s):
            take()

    take()
    with ThreadPoolExecutor(1, thread_name_prefix="phyemu-meter") as executor:
        reading = executor.submit(keep_reading)
        try:
            yield samples
        except BaseException as error:
            ended.set()
            failed = reading.exception()
            if failed is not None:
                error.add_note(f"the energy meter had failed, too: {failed}")
            raise
        finally:
            ended.set()
        reading.result()
    take()


def trapezoid_j(samples: Samples) -> float:
    """Return the energy of powers [W] that go in straight lines from reading to reading [J].

    E = sum_i (P_i + P_(i+1)) / 2 (t_(i+1) - t_i)
    """
    readings = pairwise(zip(samples.times_s, samples.values, strict=True))
    return sum((first[1] + then[1]) / 2 * (then[0] - first[0]) for first, then in readings)


@contextmanager
def measure_power(
    read_w: Callable[[], float],
    *,
    interval_s: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Energy]:
    """Measure the energy of a block by a source that tells powers.

    Args:
        read_w: Gives the power [W].
        interval_s: Between readings [s].
        clock: Gives the time [s].
    """
    energy = Energy()
    with sampled(read_w, interval_s=interval_s, clock=clock) as samples:
        yield energy
    energy.finish(energy_j=trapezoid_j(samples), duration_s=samples.duration_s)
