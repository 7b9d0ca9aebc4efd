"""Links and the channel layer within compiled models and mixed precision."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from phyemu.channel import ChannelLayer, load_channel
from phyemu.dnn import Link
from phyemu.link import SymbolLink, WaveformLink
from phyemu.waveform import FrameFormat, psk

FRAME = FrameFormat()
OFFICE = load_channel("office-nlos")
LINKS: dict[str, Callable[[], Link]] = {
    "symbol": lambda: SymbolLink(OFFICE, psk(4), FRAME),
    "waveform": lambda: WaveformLink(OFFICE, psk(4), FRAME),
}


@pytest.fixture(params=LINKS)
def link(request: pytest.FixtureRequest) -> Link:
    return LINKS[request.param]()


class Classifier(nn.Module):
    """A head that sends symbols, a link, and a tail that reads posteriors."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.head = nn.Linear(6, 16 * 4)
        self.tail = nn.Linear(16 * 4, 3)
        self.link = link

    def forward(self, features: Tensor, generator: torch.Generator) -> Tensor:
        sent = torch.softmax(4.0 * self.head(features).unflatten(-1, (16, 4)), dim=-1)
        return self.tail(self.link(sent, generator).flatten(1))


def classifier(link: Link, device: torch.device) -> tuple[Classifier, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    model = Classifier(link)
    with torch.no_grad():
        for weights in model.parameters():
            weights.copy_(torch.randn(weights.shape, generator=generator) * 0.4)
    features = torch.randn(32, 6, generator=generator)
    labels = (features[:, 0] > 0).long() + (features[:, 1] > 0).long()
    return model.to(device), features.to(device), labels.to(device)


def gradients(
    call: Callable[..., Tensor], model: nn.Module, features: Tensor, labels: Tensor, **options: bool
) -> tuple[Tensor, list[Tensor]]:
    generator = torch.Generator(features.device).manual_seed(5)
    with torch.autocast(features.device.type, dtype=torch.bfloat16, **options):
        logits = call(features, generator)
    loss = nn.functional.cross_entropy(logits.float(), labels)
    return loss.detach(), list(torch.autograd.grad(loss, list(model.parameters())))


@pytest.fixture
def compiler_reset() -> None:
    torch._dynamo.reset()


@pytest.mark.usefixtures("compiler_reset")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # torch's own
def test_a_compiled_model_computes_what_the_eager_one_does(link: Link) -> None:
    model, features, labels = classifier(link, torch.device("cpu"))
    compiled = torch.compile(model, backend="aot_eager")
    loss, slopes = gradients(model, model, features, labels, enabled=False)
    again, compiled_slopes = gradients(compiled, model, features, labels, enabled=False)
    # The same operations, fused or not: what differs is rounding.
    torch.testing.assert_close(again, loss, rtol=1e-5, atol=1e-6)
    for one, other in zip(slopes, compiled_slopes, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("compiler_reset")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # torch's own
def test_a_compiled_module_holds_the_channel_layer() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = ChannelLayer(
                OFFICE, sample_rate_hz=20e6, symbol_rate_hz=10e6, reference_power=0.5
            )

        def forward(self, iq: Tensor, generator: torch.Generator) -> Tensor:
            return self.layer(2.0 * iq, generator).abs().square()

    iq = torch.randn(2, 300, dtype=torch.complex64, generator=torch.Generator().manual_seed(2))
    iq.requires_grad_()
    module = Scaled()
    results = []
    for call in (module, torch.compile(module, backend="aot_eager")):
        powers = call(iq, torch.Generator().manual_seed(3))
        results.append((powers.detach(), *torch.autograd.grad(powers.sum(), iq)))
    torch.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-5)


def test_autocast_does_not_reach_into_a_link(link: Link, device: torch.device) -> None:
    sent = torch.softmax(torch.randn(4, 64, 4, generator=torch.Generator().manual_seed(1)), -1)
    sent = sent.to(device)
    plain = link(sent, torch.Generator(device).manual_seed(3))
    with torch.autocast(device.type, dtype=torch.bfloat16):
        cast = link(sent, torch.Generator(device).manual_seed(3))
    assert cast.dtype == torch.float32
    assert torch.equal(cast, plain)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_symbols_of_half_precision_are_taken_to_single(link: Link, dtype: torch.dtype) -> None:
    rows = torch.eye(4)[torch.arange(4).repeat(2, 16)]
    plain = link(rows, torch.Generator().manual_seed(3))
    halves = rows.to(dtype).requires_grad_()
    posteriors = link(halves, torch.Generator().manual_seed(3))
    assert posteriors.dtype == torch.float32
    # One-hot rows are exact in half precision.
    assert torch.equal(posteriors, plain)
    posteriors.square().sum().backward()
    assert halves.grad is not None
    assert halves.grad.dtype == dtype
    assert bool(halves.grad.any())


@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental:UserWarning")
def test_a_layer_takes_samples_of_half_precision() -> None:
    layer = ChannelLayer(OFFICE, sample_rate_hz=20e6, symbol_rate_hz=10e6, reference_power=0.5)
    halves = torch.ones(2, 200, dtype=torch.complex64).to(torch.complex32)
    received = layer(halves, torch.Generator().manual_seed(1))
    assert received.dtype == torch.complex64
    whole = layer(torch.ones(2, 200, dtype=torch.complex64), torch.Generator().manual_seed(1))
    assert torch.equal(received, whole)


def test_a_model_in_bfloat16_trains_through_a_link(link: Link, device: torch.device) -> None:
    losses = {}
    for enabled in (False, True):
        model, features, labels = classifier(link, device)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        history = []
        for _ in range(25):
            loss, slopes = gradients(model, model, features, labels, enabled=enabled)
            for weights, slope in zip(model.parameters(), slopes, strict=True):
                weights.grad = slope
            optimizer.step()
            history.append(loss.item())
        losses[enabled] = history
    for history in losses.values():
        assert history[-1] < 0.7 * history[0]
    # Head and tail round to 8 bits, the link does not: a first step differs by some percent.
    assert losses[True][0] == pytest.approx(losses[False][0], rel=0.03)
    assert losses[True][-1] == pytest.approx(losses[False][-1], abs=0.15)
