import pytest

from phyemu.errors import ConfigError
from phyemu.evaluation import bytes_on_air
from phyemu.waveform import FrameFormat


@pytest.mark.parametrize(("order", "kib"), [(16, 32), (8, 24), (4, 16)])
def test_a_batch_of_cifar_has_the_papers_size(order: int, kib: int) -> None:
    found = bytes_on_air(
        num_images=64, symbols_per_image=1024, order=order, frame_format=FrameFormat()
    )
    assert found.payload == kib * 1024
    assert found.num_frames == 4


def test_the_overhead_of_16_kib_is_the_papers_256_bytes() -> None:
    found = bytes_on_air(num_images=64, symbols_per_image=1024, order=4, frame_format=FrameFormat())
    # Four frames, each with a preamble of 4 x 32 symbols, a header of 72, and 56 pilots.
    assert found.overhead == 4 * (4 * 32 + 72 + 56) * 2 / 8 == 256
    assert found.total == found.payload + found.overhead


def test_every_frame_brings_its_own_overhead() -> None:
    short = FrameFormat(max_payload_symbols=1000, pilot_interval=100, pilots_wanted=1)
    found = bytes_on_air(num_images=1, symbols_per_image=2050, order=16, frame_format=short)
    assert found.num_frames == 3
    # Payloads of 684, 683 and 683 symbols have 7 pilots each.
    assert found.overhead == 3 * (4 * 32 + 72 + 7) * 4 / 8


def test_nothing_to_send_is_refused() -> None:
    with pytest.raises(ConfigError, match="num_images >= 1"):
        bytes_on_air(num_images=0, symbols_per_image=4, order=4, frame_format=FrameFormat())
