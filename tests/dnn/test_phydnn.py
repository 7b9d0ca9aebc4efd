"""A PhyDNN is its backbone with a link between head and tail."""

import copy

import pytest
import torch
from torch import Tensor

from phyemu.dnn import (
    Estimator,
    Lookup,
    Normalise,
    PhyDnn,
    ResNet,
    ResNetConfig,
    Score,
    evaluating,
    from_slices,
    noiseless_link,
    resnet,
    task_loss,
    to_slices,
)
from phyemu.errors import ConfigError

M = 4


@pytest.fixture
def backbone(generator: torch.Generator) -> ResNet:
    return resnet(ResNetConfig(depth=8, num_classes=5, in_channels=1, width=4), generator=generator)


@pytest.fixture
def model(backbone: ResNet, generator: torch.Generator) -> PhyDnn:
    return PhyDnn.from_backbone(
        backbone,
        split="layer1",
        image_shape=(1, 16, 16),
        normalise=Normalise((0.5,), (0.25,)),
        num_embeddings=M,
        generator=generator,
    )


@pytest.fixture
def images(generator: torch.Generator) -> Tensor:
    return torch.randint(0, 256, (3, 1, 16, 16), dtype=torch.uint8, generator=generator)


def symmetric_link(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """Shift one symbol in ten by one: a link with errors, that keeps gradients."""
    wrong = torch.rand(probabilities.shape[:2], generator=generator) < 0.1
    return torch.where(wrong[..., None], probabilities.roll(1, -1), probabilities)


def test_the_shapes_are_those_of_the_paper(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    output = model(images, symmetric_link, generator, num_samples=2)
    assert output.logits.shape == (2, 3, 5)
    assert output.binding_logits is not None
    assert output.binding_logits.shape == (3, 5)
    assert output.log_probabilities.shape == (3, 256, M)
    torch.testing.assert_close(output.probabilities.sum(-1), torch.ones(3, 256))
    assert output.slices.shape == (3, 256, 4)
    assert model.layout.num_slices == 256


def test_the_backbone_is_left_untouched(
    backbone: ResNet, model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    before = copy.deepcopy(backbone.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(images, noiseless_link, generator).logits.sum().backward()
    optimizer.step()
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())
    assert type(backbone).forward is ResNet.forward
    assert not backbone._forward_hooks


def test_the_unmodified_path_is_the_backbone(
    backbone: ResNet, model: PhyDnn, images: Tensor
) -> None:
    with evaluating(backbone), evaluating(model):
        expected = backbone(model.normalise(images))
        torch.testing.assert_close(model.infer_unmodified(images), expected)


def test_inference_is_encode_link_decode(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    with evaluating(model):
        symbols = model.encode(images)
        assert symbols.dtype == torch.int64
        assert symbols.shape == (3, 256)
        one_hot = torch.nn.functional.one_hot(symbols, M).float()
        expected = model.decode(one_hot)
        for lookup in (Lookup.HARD, Lookup.SOFT):
            inferred = model.infer(images, noiseless_link, generator, lookup=lookup)
            torch.testing.assert_close(inferred, expected)


def test_decoding_undoes_the_order_of_the_slices(model: PhyDnn, images: Tensor) -> None:
    with evaluating(model):
        symbols = model.encode(images)
        features = model.embedding.vectors[symbols]  # (batch, slices, D)
        by_hand = torch.stack(
            [
                torch.stack([features[b, :, d].reshape(16, 16) for d in range(4)])
                for b in range(len(images))
            ]
        )
        expected = model.tail(by_hand)
        one_hot = torch.nn.functional.one_hot(symbols, M).float()
        torch.testing.assert_close(model.decode(one_hot), expected)


def test_the_task_alone_moves_head_embedding_and_tail(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    output = model(images, symmetric_link, generator, binding_share=0.0)
    assert output.binding_logits is None
    output.logits.square().sum().backward()
    for part in (model.head, model.embedding, model.tail):
        gradients = [parameter.grad for parameter in part.parameters()]
        assert all(gradient is not None for gradient in gradients)
        assert any(bool(gradient.any()) for gradient in gradients if gradient is not None)


def test_each_sample_of_an_image_is_another(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    logits = model(images, noiseless_link, generator, num_samples=3).logits
    assert not torch.equal(logits[0], logits[1])
    assert not torch.equal(logits[1], logits[2])


def test_samples_keep_their_image(model: PhyDnn, generator: torch.Generator) -> None:
    images = torch.zeros(2, 1, 16, 16)
    images[1] = 1.0
    received: list[Tensor] = []

    def record(probabilities: Tensor, generator: torch.Generator) -> Tensor:
        received.append(probabilities.detach())
        return probabilities

    model.embedding.score_scale.fill_(1e6)  # sampling becomes a decision
    with evaluating(model):
        symbols = model.encode(images)
        model(images, record, generator, num_samples=2)
    assert torch.equal(received[0].argmax(-1), symbols.repeat(2, 1))


def test_the_binding_path_moves_no_batch_norm_statistics(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    other = copy.deepcopy(model)
    state = generator.get_state()
    model(images, noiseless_link, generator)
    generator.set_state(state)
    other(images, noiseless_link, generator, binding_share=0.0)
    ours, theirs = model.state_dict(), other.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(("share", "expected"), [(1e-3, 2), (0.5, 3), (0.7, 4), (1.0, 5)])
def test_a_share_of_the_images_takes_the_unmodified_path(
    model: PhyDnn, generator: torch.Generator, share: float, expected: int
) -> None:
    images = torch.rand((5, 1, 16, 16), generator=generator)
    with evaluating(model):
        output = model(images, noiseless_link, generator, binding_share=share)
        assert output.binding_logits is not None
        unmodified = model.infer_unmodified(images[:expected])
        torch.testing.assert_close(output.binding_logits, unmodified)
    with pytest.raises(ConfigError, match=r"binding_share must lie in \[0, 1\]"):
        model(images, noiseless_link, generator, binding_share=1.1)


def test_inference_in_evaluation_mode_has_no_memory_and_no_chance(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    before = copy.deepcopy(model.state_dict())
    with evaluating(model):
        first = model.infer(images, noiseless_link, generator)
        second = model.infer(images, noiseless_link, generator)
    assert torch.equal(first, second)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_batch_gives_what_its_images_give_alone(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    with evaluating(model):
        together = model.infer(images, noiseless_link, generator)
        alone = [model.infer(image[None], noiseless_link, generator) for image in images]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-4)


def test_the_same_seed_gives_the_same_step(model: PhyDnn, images: Tensor) -> None:
    draws = [
        model(images, symmetric_link, torch.Generator().manual_seed(seed)).logits
        for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_a_step_under_autocast_has_float32_logits_and_finite_gradients(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(images, symmetric_link, generator)
    assert output.logits.dtype == torch.float32
    assert output.log_probabilities.dtype == torch.float32
    (output.logits.sum() + output.log_probabilities.sum()).backward()
    assert all(
        parameter.grad is None or bool(parameter.grad.isfinite().all())
        for parameter in model.parameters()
    )


def test_random_decisions_cost_accuracy_but_keep_the_scale(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    """A link that says nothing leaves the tail with mean embeddings, the same for all images."""

    def silence(probabilities: Tensor, generator: torch.Generator) -> Tensor:
        return torch.full_like(probabilities, 1 / M)

    with evaluating(model):
        logits = model.infer(images, silence, generator)
    torch.testing.assert_close(logits, logits[:1].expand_as(logits))


def test_a_step_runs_on_the_device_of_the_model(
    backbone: ResNet, images: Tensor, device: torch.device
) -> None:
    model = PhyDnn.from_backbone(
        backbone.to(device),
        split="layer1",
        image_shape=(1, 16, 16),
        normalise=Normalise((0.5,), (0.25,)),
        num_embeddings=M,
        generator=torch.Generator().manual_seed(0),
    )
    generator = torch.Generator(device).manual_seed(0)
    output = model(images.to(device), noiseless_link, generator)
    assert output.logits.device.type == device.type
    assert bool(output.logits.isfinite().all())


def test_the_score_is_passed_on(backbone: ResNet, generator: torch.Generator) -> None:
    model = PhyDnn.from_backbone(
        backbone,
        split="layer2",
        image_shape=(1, 16, 16),
        normalise=Normalise((0.5,), (0.25,)),
        num_embeddings=8,
        generator=generator,
        score=Score.INNER_PRODUCT,
    )
    assert model.embedding.score is Score.INNER_PRODUCT
    assert model.layout.shape == (8, 8, 8)


def test_what_cannot_be_is_refused(
    backbone: ResNet, model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    settings = {"image_shape": (1, 16, 16), "normalise": Normalise((0.5,), (0.25,))}
    with pytest.raises(ConfigError, match="num_embeddings must be at least 2, got 1"):
        PhyDnn.from_backbone(
            backbone, split="layer1", num_embeddings=1, generator=generator, **settings
        )
    with pytest.raises(ConfigError, match="choose another split point"):
        PhyDnn.from_backbone(
            backbone, split="linear", num_embeddings=4, generator=generator, **settings
        )
    with pytest.raises(ConfigError, match="num_samples"):
        model(images, noiseless_link, generator, num_samples=0)


@pytest.fixture
def patches(backbone: ResNet, generator: torch.Generator) -> PhyDnn:
    """Return a PhyDNN of slices of 2x2 positions and two codebooks."""
    return PhyDnn.from_backbone(
        backbone,
        split="layer1",
        image_shape=(1, 16, 16),
        normalise=Normalise((0.5,), (0.25,)),
        num_embeddings=16,
        generator=generator,
        symbols_per_slice=4,
        slice_size=(2, 2),
        num_codebooks=2,
    )


def test_a_copied_gradient_is_that_of_what_arrived(
    patches: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    assert patches.symbols_per_image == 64 * 4
    labels = torch.tensor([0, 3, 1])
    output = patches(
        images,
        noiseless_link,
        generator,
        estimator=Estimator.COPY,
        num_samples=2,
        binding_share=0.0,
    )
    task_loss(output.logits, labels).backward()
    found = [parameter.grad for parameter in patches.head.parameters()]
    dictionary = patches.embedding.vectors.grad
    assert dictionary is not None

    # The same by hand: the head's features moved, as a constant, to where they arrived.
    patches.zero_grad()
    features = patches.head(patches.normalise(images))
    arrived = output.features[0].detach()
    sent = features.repeat(2, 1, 1, 1)
    moved = sent + (arrived - sent).detach()
    moved.retain_grad()
    task_loss(patches.tail(moved).unflatten(0, (2, 3)), labels).backward()
    for gradient, parameter in zip(found, patches.head.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-6)
    # An embedding of either codebook learns from the slices it was chosen for.
    assert moved.grad is not None
    of_slices = to_slices(moved.grad, (2, 2)).flatten(0, 1)
    expected = torch.zeros_like(dictionary)
    chosen = patches.embedding.likeliest(patches.slices(images)).repeat(2, 1).chunk(2, -1)
    for book, rows in enumerate(chosen):
        expected.index_add_(0, 16 * book + rows.flatten(), of_slices)
    torch.testing.assert_close(dictionary, expected, rtol=1e-4, atol=1e-6)


def test_what_is_copied_past_the_link_still_went_through_it(
    patches: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    def next_symbol(sent: Tensor, generator: torch.Generator) -> Tensor:
        return sent.roll(1, -1)  # every symbol arrives as the next one

    output = patches(images, next_symbol, generator, estimator=Estimator.COPY, binding_share=0.0)
    symbols = (patches.encode(images) + 1) % 4
    received = patches.embedding.lookup(patches.embedding.as_sent(symbols), Lookup.HARD)
    expected = from_slices(received, patches.layout)
    torch.testing.assert_close(output.features[0], expected)
    # Embeddings learn where they arrived, not where they were sent.
    output.features[0].square().sum().backward()
    gradient = patches.embedding.vectors.grad
    assert gradient is not None
    arrived = symbols.reshape(3, 2, 64, 2)
    arrived = arrived[..., 0] * 4 + arrived[..., 1]
    for book in range(2):
        heard = set(arrived[:, book].flatten().tolist())
        learned = gradient.chunk(2)[book].abs().sum(1).nonzero().flatten().tolist()
        assert set(learned) == heard


def test_probabilities_are_only_left_out_where_nothing_is_chosen_by_them(
    patches: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    copied = patches(
        images, symmetric_link, generator, estimator=Estimator.COPY, probabilities=False
    )
    assert copied.log_probabilities is None
    with pytest.raises(ConfigError, match="probabilities were not computed"):
        _ = copied.probabilities
    soft = patches(
        images, symmetric_link, generator, estimator=Estimator.STRAIGHT_THROUGH, probabilities=False
    )
    assert soft.log_probabilities is not None
    assert soft.log_probabilities.shape == (3, 2 * 64, 16)


def test_inference_over_patches_is_encode_link_decode(
    patches: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    with evaluating(patches):
        expected = patches.decode(patches.embedding.as_sent(patches.encode(images)))
        found = patches.infer(images, noiseless_link, generator)
        quantised = patches.embedding.slices_of(patches.embedding.likeliest(patches.slices(images)))
        by_hand = patches.tail(from_slices(quantised, patches.layout))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found, by_hand)
