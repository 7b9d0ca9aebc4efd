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


@pytest.mark.parametrize(
    ("shape", "size"),
    [((3, 4, 6), (2, 2)), ((3, 4, 6), (1, 3)), ((3, 4, 6), (4, 1)), ((6, 5), (3, 1))],
)
def test_a_slice_of_several_positions_goes_through_them_row_by_row(
    shape: tuple[int, ...], size: tuple[int, int]
) -> None:
    features = torch.arange(2 * torch.Size(shape).numel()).reshape(2, *shape)
    layout = SliceLayout(shape, size)
    slices = to_slices(features, size)
    assert slices.shape == (2, layout.num_slices, layout.dim)
    maps = features if len(shape) == 3 else features.mT[..., None]  # tokens: a column
    rows, columns = maps.shape[2] // size[0], maps.shape[3] // size[1]
    for b in range(2):
        for r in range(rows):
            for c in range(columns):
                expected = [
                    maps[b, :, r * size[0] + i, c * size[1] + j]
                    for i in range(size[0])
                    for j in range(size[1])
                ]
                assert torch.equal(slices[b, r * columns + c], torch.cat(expected))
    for memory_format in (torch.contiguous_format, torch.channels_last):
        back = from_slices(slices, layout, memory_format)
        assert torch.equal(back, features)
        assert back.ndim == 3 or back.is_contiguous(memory_format=memory_format)


def test_a_slice_size_must_divide_the_maps() -> None:
    for shape, size in (((3, 4, 5), (2, 2)), ((3, 4, 5), (0, 1)), ((6, 5), (1, 2))):
        with pytest.raises(ConfigError, match="slice_size must divide"):
            SliceLayout(shape, size)


def test_features_of_another_shape_are_refused() -> None:
    with pytest.raises(SignalError, match=r"got \(2, 3\)"):
        to_slices(torch.zeros(2, 3))
    with pytest.raises(SignalError, match=r"must be \(batch, 20, 3\), got \(2, 19, 3\)"):
        from_slices(torch.zeros(2, 19, 3), SliceLayout((3, 4, 5)))
    with pytest.raises(ConfigError, match="choose another split point"):
        SliceLayout((64,))
