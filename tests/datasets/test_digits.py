"""The digits are scikit-learn's, enlarged."""

import torch
from sklearn.datasets import load_digits as sklearn_digits

from phyemu.datasets.digits import load_digits


def test_the_digits_shrink_back_to_the_originals() -> None:
    digits = load_digits()
    assert digits.image_shape == (1, 32, 32)
    # Bilinear by 4 puts no sample on an original one; blocks of 4x4 average to a blur of them,
    # whose mean over the image is the original's but for the border.
    original = torch.from_numpy(sklearn_digits().images).float()
    shrunk = torch.nn.functional.avg_pool2d(digits.images.float(), 4)[:, 0] * (16 / 255)
    flat = torch.stack([original.flatten(), shrunk.flatten()])
    assert torch.corrcoef(flat)[0, 1] > 0.95
    assert digits.labels.tolist() == sklearn_digits().target.tolist()
    assert int(digits.images.max()) <= 255
