"""Several cores within one recording: the same work on many items, the results in their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from phyemu.errors import ConfigError

__all__ = ["in_order"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], *, num_workers: int
) -> Iterator[Result]:
    """Yield the result of `work` for each item, in the order of the items.

    FFTs and compiled kernels let go of Python's lock, so threads run side by side. At most two
    items per thread are taken ahead of what was yielded, which bounds the memory.

    Args:
        work: What is done to each item; it must not depend on other items.
        items: Taken one after the other, by the thread that iterates.
        num_workers: Threads; 1 works in the thread that iterates.

    Raises:
        ConfigError: `num_workers` is not positive.
    """
    if num_workers < 1:
        raise ConfigError(f"num_workers must be at least 1, got {num_workers}")
    if num_workers == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(num_workers) as pool:
        ahead: deque[Future[Result]] = deque()
        for item in items:
            ahead.append(pool.submit(work, item))
            if len(ahead) > 2 * num_workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
