"""Bytes and floats are normalised to the same numbers."""

import pytest
import torch

from phyemu.dnn import Normalise
from phyemu.errors import ConfigError, SignalError


def test_bytes_and_their_floats_give_the_same(generator: torch.Generator) -> None:
    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8, generator=generator)
    normalise = Normalise((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    expected = (images.double() / 255 - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / (
        torch.tensor([0.5, 0.6, 0.7])[:, None, None]
    )
    # float32: a few roundings of numbers up to 2.
    torch.testing.assert_close(normalise(images), expected.float(), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(normalise(images / 255), expected.float(), atol=1e-6, rtol=1e-6)


def test_other_images_are_refused() -> None:
    normalise = Normalise((0.5,), (0.5,))
    with pytest.raises(SignalError, match=r"\(batch, 1, height, width\), got \(2, 3, 4, 4\)"):
        normalise(torch.zeros(2, 3, 4, 4))
    with pytest.raises(SignalError, match=r"uint8 or floating point, got torch\.int64"):
        normalise(torch.zeros(2, 1, 4, 4, dtype=torch.int64))
    with pytest.raises(ConfigError, match="positive std"):
        Normalise((0.5,), (0.0,))
