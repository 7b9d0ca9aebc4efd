import pytest
import torch

from phyemu.dnn import (
    DtJscc,
    DtJsccShape,
    build_architecture,
    describe_architecture,
    dt_jscc,
    evaluating,
    split_model,
)
from phyemu.errors import ConfigError


def network(maps: int = 16) -> DtJscc:
    shape = DtJsccShape(num_classes=3, in_channels=1, maps=maps)
    return dt_jscc(shape, generator=torch.Generator().manual_seed(0))


def count_weights(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def multiplications(model: DtJscc, side: int) -> int:
    """Return the multiply-accumulates of the encoder's convolutions, counted while it runs."""
    total = 0

    def count(module: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(module, torch.nn.Conv2d)
        total += module.weight.numel() * output.shape[2] * output.shape[3]

    hooks = [
        module.register_forward_hook(count)
        for module in model.encoder.modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    with evaluating(model):
        model.encoder(torch.zeros(1, model.config.in_channels, side, side))
    for hook in hooks:
        hook.remove()
    return total


def test_the_encoder_has_the_weights_of_table_iii_and_half_its_operations() -> None:
    with torch.device("meta"):
        sizes = DtJscc(DtJsccShape(num_classes=10))
    # By hand: 3x3 kernels 3-64-128-256-512, a 3x3 and a 1x1 in either block, and batch norms.
    convolutions = 9 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
    blocks = (9 + 1) * (128**2 + 512**2)
    norms = 2 * (64 + 128 + 256 + 512) + 4 * (128 + 512)
    weights = count_weights(sizes.encoder)
    assert weights == convolutions + blocks + norms == 4_339_776
    # With a dictionary of 32 embeddings of length 512 it is Table III's 4.36 M.
    assert round((weights + 32 * 512) / 1e6, 2) == 4.36
    # 312.1 M multiply-accumulates at 32x32. Table III says 618.4 M; twice ours, which counts
    # multiplications and additions, is 624.3 M.
    with torch.device("meta"):
        macs = sum(
            module.weight.numel() * side**2
            for part, side in zip(sizes.encoder, (32, 32, 16, 16, 8, 4), strict=True)
            for module in part.modules()
            if isinstance(module, torch.nn.Conv2d)
        )
    assert macs == 312_147_968


def test_operations_counted_by_hand_are_those_that_run() -> None:
    model = network(16)
    by_hand = sum(
        module.weight.numel() * side**2
        for part, side in zip(model.encoder, (32, 32, 16, 16, 8, 4), strict=True)
        for module in part.modules()
        if isinstance(module, torch.nn.Conv2d)
    )
    assert multiplications(model, 32) == by_hand


def test_an_image_of_32_pixels_becomes_16_slices() -> None:
    model = network(16)
    images = torch.zeros(2, 1, 32, 32)
    with evaluating(model):
        latent = model.encoder(images)
        assert latent.shape == (2, 16, 4, 4)
        head, tail = split_model(model, "encoder")
        assert torch.equal(head(images), latent)
        assert torch.equal(tail(latent), model(images))


def test_its_architecture_rebuilds_it() -> None:
    description = describe_architecture(network())
    assert description == {"name": "dt-jscc", "num_classes": 3, "in_channels": 1, "maps": 16}
    rebuilt = build_architecture(description)
    rebuilt.load_state_dict(network().state_dict())


def test_the_seed_makes_the_weights_and_the_global_generator_stays() -> None:
    state = torch.get_rng_state()
    first, second = network(), network()
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], value), name


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_classes": 1}, "num_classes in 2"),
        ({"num_classes": 3, "maps": 12}, "multiple of 8"),
        ({"num_classes": 3, "maps": "16"}, "maps must be an integer"),
    ],
)
def test_other_sizes_are_refused(values: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DtJsccShape(**values)
    with pytest.raises(ConfigError, match=message):
        build_architecture({"name": "dt-jscc", **values})
