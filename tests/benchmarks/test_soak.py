"""The long runs of `benchmarks/soak.py`, short: do they notice what goes wrong?"""

import numpy as np

from benchmarks.numbered import BLOCK_SAMPLES, NumberedBlock
from benchmarks.soak import soak_receiver


def test_samples_carry_their_number_across_the_blocks() -> None:
    block = NumberedBlock()
    for index in (0, 15, 16, 12_000):
        block.fill(index)
        numbers = np.arange(index * BLOCK_SAMPLES, (index + 1) * BLOCK_SAMPLES)
        np.testing.assert_array_equal(block.iq.real.astype(np.float64) * 2**24, numbers % 2**24)
        np.testing.assert_array_equal(block.iq.imag.astype(np.float64) * 2**24, numbers // 2**24)
        assert block.count_differing(block.iq.copy()) == 0


def test_a_lost_a_doubled_and_a_changed_sample_are_noticed() -> None:
    block = NumberedBlock()
    block.fill(3)
    changed = block.iq.copy()
    changed[5] += np.float32(2**-24)
    assert block.count_differing(changed) == 1
    # Behind one that is missing, or there twice, every sample is in another's place.
    assert block.count_differing(np.delete(block.iq, 100)) == BLOCK_SAMPLES - 101
    assert block.count_differing(np.insert(block.iq, 100, block.iq[100])[:-1]) == (
        BLOCK_SAMPLES - 101
    )


def test_the_receiver_finds_each_frame_of_the_stream_and_nothing_else() -> None:
    result = soak_receiver(3 * BLOCK_SAMPLES / 1e9)
    assert (result.sent, result.whole, result.others) == (3, 3, 0)
    assert result.memory.mib
    assert "| frames in it | 3 |" in result.markdown()
