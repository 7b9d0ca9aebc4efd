"""A slice is one position across the feature maps, never neighbouring pixels of one map."""

import pytest
import torch

from phyemu.dnn import SliceLayout, from_slices, to_slices
from phyemu.errors import ConfigError, SignalError


def test_a_slice_holds_all_maps_at_one_position() -> None:
    batch, maps, height, width = 2, 3, 4, 5
    features = torch.arange(batch * maps * height * width).reshape(batch, maps, height, width)
    slices = to_slices(features)
    assert slices.shape == (batch, height * width, maps)
    for b in range(batch):
        for h in range(height):
            for w in range(width):
                expected = [int(features[b, d, h, w]) for d in range(maps)]
                assert slices[b, h * width + w].tolist() == expected


@pytest.mark.parametrize("shape", [(3, 4, 5), (7, 3)])
def test_slices_go_back_to_the_features_they_came_from(shape: tuple[int, ...]) -> None:
    features = torch.arange(2 * torch.Size(shape).numel()).reshape(2, *shape)
    layout = SliceLayout(shape)
    assert torch.equal(from_slices(to_slices(features), layout), features)
    assert to_slices(features).shape[1:] == (layout.num_slices, layout.dim)


def test_features_of_another_shape_are_refused() -> None:
    with pytest.raises(SignalError, match=r"got \(2, 3\)"):
        to_slices(torch.zeros(2, 3))
    with pytest.raises(SignalError, match=r"must be \(batch, 20, 3\), got \(2, 19, 3\)"):
        from_slices(torch.zeros(2, 19, 3), SliceLayout((3, 4, 5)))
    with pytest.raises(ConfigError, match="choose another split point"):
        SliceLayout((64,))
