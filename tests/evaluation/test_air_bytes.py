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


def test_the_overhead_of_16_kib_is_at_most_the_papers_256_bytes() -> None:
    found = bytes_on_air(num_images=64, symbols_per_image=1024, order=4, frame_format=FrameFormat())
    assert 0 < found.overhead <= 256
    assert found.total == found.payload + found.overhead


def test_nothing_to_send_is_refused() -> None:
    with pytest.raises(ConfigError, match="num_images >= 1"):
        bytes_on_air(num_images=0, symbols_per_image=4, order=4, frame_format=FrameFormat())
