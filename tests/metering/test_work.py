"""Counts are held to closed forms, published numbers, and torch's own counter of flops."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from phyemu.dnn import ResNetConfig, resnet, split_model
from phyemu.errors import ConfigError
from phyemu.metering import OperationKind, count_macs, count_parameters, count_work


@pytest.mark.parametrize(
    ("depth", "million_macs", "million_parameters"),
    [
        (20, 40.6, 0.27),
        (56, 125.5, 0.85),
        (110, 252.9, 1.73),
    ],  # thop and fvcore; He et al., Table 6
)
def test_cifar_resnets_have_the_published_macs_and_parameters(
    depth: int, million_macs: float, million_parameters: float, generator: torch.Generator
) -> None:
    model = resnet(ResNetConfig(depth=depth, num_classes=10), generator=generator)
    assert count_macs(model, (1, 3, 32, 32)) / 1e6 == pytest.approx(million_macs, abs=0.05)
    assert count_parameters(model) / 1e6 == pytest.approx(million_parameters, abs=0.005)


def test_the_head_of_table_3_has_its_parameters(generator: torch.Generator) -> None:
    head, tail = split_model(
        resnet(ResNetConfig(depth=56, num_classes=10), generator=generator), "layer1"
    )
    assert count_parameters(head) == 42_512  # 42.5 K in the paper
    # 16 maps of 32 x 32, each element of them 9 x 16 MACs, in 18 convolutions behind one of 9 x 3.
    assert count_macs(head, (1, 3, 32, 32)) == 1024 * 16 * 9 * (3 + 18 * 16)
    whole = count_macs(head, (1, 3, 32, 32)) + count_macs(tail, (1, 16, 32, 32))
    assert whole == 125_485_696


@pytest.mark.parametrize(
    ("module", "shape", "macs"),
    [
        (nn.Linear(10, 4), (3, 10), 3 * 10 * 4),
        (nn.Linear(10, 4, bias=False), (2, 3, 10), 6 * 10 * 4),
        (nn.Conv2d(6, 8, 3, padding=1), (2, 6, 5, 7), 2 * 8 * 5 * 7 * 6 * 9),
        (nn.Conv2d(6, 8, 3, stride=2, groups=2), (1, 6, 7, 7), 8 * 3 * 3 * 3 * 9),
        (nn.Conv2d(6, 6, 3, padding=1, groups=6), (1, 6, 4, 4), 6 * 16 * 9),
        (nn.ConvTranspose2d(4, 3, 2, stride=2), (1, 4, 5, 5), 4 * 25 * 3 * 4),
        (nn.Conv1d(2, 3, 5), (1, 2, 9), 3 * 5 * 2 * 5),
        (nn.BatchNorm2d(4), (2, 4, 3, 3), 0),
        (nn.MaxPool2d(2), (1, 2, 4, 4), 0),
    ],
)
def test_macs_are_those_of_the_closed_form(
    module: nn.Module, shape: tuple[int, ...], macs: int
) -> None:
    assert count_macs(module, shape) == macs


def test_attention_is_counted_however_it_is_written() -> None:
    batch, tokens, dim, heads = 2, 10, 32, 4
    products = batch * tokens * tokens * dim * 2  # queries with keys, weights with values
    projections = batch * tokens * dim * dim * 4
    layer = nn.MultiheadAttention(dim, heads, batch_first=True)
    assert count_macs(lambda x: layer(x, x, x), (batch, tokens, dim)) == products + projections
    split = (batch, heads, tokens, dim // heads)
    fused = count_macs(lambda x: functional.scaled_dot_product_attention(x, x, x), split)
    by_hand = count_macs(lambda x: (x @ x.transpose(-1, -2)).softmax(-1) @ x, split)
    assert fused == by_hand == products


def test_a_transformer_is_counted_although_torch_has_a_fast_path_for_it() -> None:
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True).eval()
    expected = 2 * 10 * (4 * 32 * 32 + 2 * 32 * 64) + 2 * 10 * 10 * 32 * 2
    assert count_macs(layer, (2, 10, 32)) == expected
    assert torch.backends.mha.get_fastpath_enabled()


def test_torchs_own_counter_finds_twice_as_many_flops(generator: torch.Generator) -> None:
    model = resnet(ResNetConfig(depth=8, num_classes=5, width=4), generator=generator)
    images = torch.zeros(2, 3, 16, 16)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(images)
    assert 2 * count_macs(model, images) == counter.get_total_flops()


def test_a_batch_costs_its_images(generator: torch.Generator) -> None:
    model = resnet(ResNetConfig(depth=8, num_classes=5, width=4), generator=generator)
    assert count_macs(model, (6, 3, 8, 8)) == 6 * count_macs(model, (1, 3, 8, 8))


def test_bytes_of_a_small_network_are_those_counted_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2), nn.ReLU())
    shares = count_work(network, (1, 1, 4, 4)).shares
    maps = 2 * 16 * 4  # of two maps
    assert shares[OperationKind.CONVOLUTION].bytes_moved == 16 * 4 + 2 * 4 + maps
    assert shares[OperationKind.NORM].bytes_moved == maps + 4 * 2 * 4 + maps
    assert shares[OperationKind.OTHER].bytes_moved == 2 * maps
    assert sum(share.num_operations for share in shares.values()) == 3
    # Two operations an element, as fvcore counts a batch norm in evaluation.
    assert count_work(network, (1, 1, 4, 4)).norm_operations == 2 * 2 * 16


def test_a_pooling_counts_what_it_reads() -> None:
    assert count_work(nn.AvgPool2d(2), (1, 3, 8, 8)).pooling_operations == 3 * 64


def test_views_move_nothing_and_copies_do() -> None:
    def views(x: Tensor) -> Tensor:
        return x.view(4, 4).t()[1:].unsqueeze(0).expand(7, 3, 4)

    assert count_work(views, (16,)).num_operations == 0
    copied = count_work(lambda x: x.view(4, 4).t().contiguous(), (16,))
    assert (copied.num_operations, copied.bytes_moved) == (1, 2 * 16 * 4)


def test_work_in_place_reads_and_writes() -> None:
    assert count_work(nn.ReLU(inplace=True), (10,)).bytes_moved == 2 * 40


def test_shared_parameters_count_once() -> None:
    linear = nn.Linear(3, 3)
    assert count_parameters(nn.Sequential(linear, linear)) == 12


def test_counting_leaves_a_module_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5))
    network[2].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    count_work(network, torch.ones(4, 1, 5, 5))
    assert [part.training for part in network] == [True, True, False]
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_counts_are_the_same_in_inference_mode() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(18, 4))
    expected = count_work(network, (2, 1, 5, 5))
    with torch.inference_mode():
        assert count_work(network, torch.zeros(2, 1, 5, 5)) == expected
    assert expected.macs == 2 * (2 * 9 * 9 + 18 * 4)


@pytest.mark.parametrize("shape", [(), (0, 3), (2, -1)])
def test_a_shape_that_is_none_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="positive integers, batch first"):
        count_macs(nn.Linear(3, 3), shape)


def test_an_input_that_does_not_fit_is_refused_with_its_shape() -> None:
    with pytest.raises(ConfigError, match=r"Linear takes no input of shape \(2, 5\).*float32"):
        count_macs(nn.Linear(3, 3), (2, 5))
