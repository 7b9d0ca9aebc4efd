"""The same work on many jobs: one after the other here, or on the workers of a Dask cluster.

Dask ships functions and arguments as pickles, and whoever reaches a scheduler can run code on its
workers: name only schedulers that you trust, on a network that you trust.
"""

import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from phyemu.errors import ConfigError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Failure", "can_use_dask", "check_scheduler", "num_cores", "run_jobs"]

_CONNECT_TIMEOUT_S = 15
_FORMS = "serial, local, local:N (N processes on this machine), tcp://HOST:PORT or tls://HOST:PORT"

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that a worker could not finish, and why, in one line."""

    reason: str


def num_cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def can_use_dask() -> bool:
    """Return whether Dask's scheduler is installed."""
    return find_spec("distributed") is not None


def check_scheduler(scheduler: str) -> None:
    """Refuse a scheduler that cannot be used.

    Raises:
        ConfigError: It has none of the forms allowed, or Dask is not installed.
    """
    local = re.fullmatch(r"local(?::(\d+))?", scheduler)
    address = re.fullmatch(r"(?:tcp|tls)://[^\s/:]+:\d+", scheduler)
    if scheduler != "serial" and not local and not address:
        raise ConfigError(f"scheduler must be {_FORMS}; got {scheduler!r}")
    if local and local[1] is not None and not 1 <= int(local[1]) <= 1024:
        raise ConfigError(f"scheduler {scheduler}: the number of processes must be 1..1024")
    if scheduler != "serial" and not can_use_dask():
        raise ConfigError(
            f"scheduler {scheduler}: needs Dask, which is not installed; install it with "
            f"pip install 'phyemu[dask]', or leave --scheduler away"
        )


def run_jobs(
    work: Callable[[Job], Result], jobs: Sequence[Job], *, scheduler: str
) -> Iterator[tuple[int, Result | Failure]]:
    """Yield (index of the job, its result) as the jobs get done.

    Args:
        work: A function of a module, so that a worker finds it by name. What it raises ends the
            iteration when it runs here; on a worker it is that job's `Failure`, as is the loss of
            the worker.
        jobs: What can be pickled.
        scheduler: "serial", "local", "local:N", or the address of a Dask scheduler.

    Raises:
        ConfigError: The scheduler cannot be used or reached.
    """
    check_scheduler(scheduler)
    if scheduler == "serial":
        for index, job in enumerate(jobs):
            yield index, work(job)
        return
    from distributed import as_completed

    with _client(scheduler, len(jobs)) as client:
        # Impure: the files behind a path may have changed since a scheduler saw it.
        futures = client.map(work, list(jobs), pure=False)
        index_of = {future.key: index for index, future in enumerate(futures)}
        for future in as_completed(futures, loop=client.loop, raise_errors=False):
            index = index_of[future.key]
            if future.status == "finished":
                yield index, future.result()
            else:
                error = future.exception()
                reason = " ".join(str(error).split()) or "no message"
                yield index, Failure(f"the worker failed: {type(error).__name__}: {reason}")
            future.release()


@contextmanager
def _client(scheduler: str, num_jobs: int) -> "Iterator[Client]":
    """Yield a client of the scheduler; a local one starts before and ends after."""
    from distributed import Client, LocalCluster

    with ExitStack() as stack:
        address = scheduler
        if scheduler.startswith("local"):
            _, _, wanted = scheduler.partition(":")
            count = int(wanted) if wanted else num_cores()
            address = stack.enter_context(
                LocalCluster(
                    n_workers=max(1, min(count, num_jobs)),
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address=None,
                    silence_logs=logging.ERROR,
                )
            )
        try:
            client = Client(address, timeout=_CONNECT_TIMEOUT_S, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise ConfigError(
                f"scheduler {scheduler}: no answer within {_CONNECT_TIMEOUT_S} s; start one with "
                f"dask scheduler, or use local"
            ) from error
        yield stack.enter_context(client)
