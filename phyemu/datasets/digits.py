"""scikit-learn's handwritten digits, the data that need no download.

1797 digits of 8x8 pixels with 17 grey levels (UCI "Optical Recognition of Handwritten Digits",
test part), enlarged to 32x32 so that networks made for CIFAR take them.
"""

import torch
from torch.nn import functional

from .dataset import ImageSet

__all__ = ["load_digits"]

_SIDE = 32


def load_digits() -> ImageSet:
    """Return all 1797 digits as (1797, 1, 32, 32) uint8, bilinearly enlarged."""
    from sklearn.datasets import load_digits as load

    bunch = load()
    grey = torch.from_numpy(bunch.images).float().unsqueeze(1) * (255 / 16)
    large = functional.interpolate(grey, size=(_SIDE, _SIDE), mode="bilinear", align_corners=False)
    return ImageSet(
        large.round().to(torch.uint8),
        torch.from_numpy(bunch.target).to(torch.int64),
        tuple(str(digit) for digit in range(10)),
    )
