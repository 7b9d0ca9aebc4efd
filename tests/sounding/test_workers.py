"""Work on several threads comes back in order and runs only a little ahead."""

import time

import pytest

from phyemu.errors import ConfigError
from phyemu.sounding.workers import in_order


@pytest.mark.parametrize("num_workers", [1, 3])
def test_results_keep_the_order_of_the_items(num_workers: int) -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.01 if item == 0 else 0.0)
        return item * item

    results = in_order(slow_first, iter(range(20)), num_workers=num_workers)
    assert list(results) == [k * k for k in range(20)]


def test_few_items_are_taken_ahead() -> None:
    taken = []

    def items():  # type: ignore[no-untyped-def]
        for k in range(100):
            taken.append(k)
            yield k

    results = in_order(lambda item: item, items(), num_workers=2)
    assert next(results) == 0
    assert len(taken) <= 5
    results.close()


def test_an_error_reaches_the_caller() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda item: 1 / item, [1, 0], num_workers=2))
    with pytest.raises(ConfigError, match="num_workers"):
        list(in_order(abs, [1], num_workers=0))
