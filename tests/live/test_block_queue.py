"""The queue between two threads."""

import numpy as np

from phyemu.live.block_queue import BlockQueue, LiveBlock


def block(num_samples: int, arrival_s: float = 0.0) -> LiveBlock:
    return LiveBlock(np.zeros(num_samples, np.complex64), arrival_s)


def test_blocks_come_out_in_order_as_many_as_fit() -> None:
    queue = BlockQueue(100)
    for index, size in enumerate((30, 30, 30)):
        assert queue.put(block(size, index), 0)
    taken = queue.take(60, 0)
    assert taken is not None
    assert [item.arrival_s for item in taken] == [0, 1]
    assert queue.num_samples == 30


def test_it_is_bounded_by_samples_and_by_blocks() -> None:
    queue = BlockQueue(100)
    assert queue.put(block(80), 0)
    assert not queue.put(block(30), 0)
    tiny = BlockQueue(1 << 20)
    taken = 0
    while tiny.put(block(1), 0):
        taken += 1
    assert taken == 1024


def test_a_block_larger_than_the_queue_passes_alone() -> None:
    queue = BlockQueue(10)
    assert queue.put(block(50), 0)
    assert not queue.put(block(1), 0)
    taken = queue.take(5, 0)
    assert taken is not None
    assert len(taken[0].iq) == 50


def test_the_end_comes_after_the_last_block() -> None:
    queue = BlockQueue(10)
    assert queue.take(10, 0) == []
    queue.put(block(1), 0)
    queue.close()
    assert queue.take(10, 0) != []
    assert queue.take(10, 0) is None
