import pytest
import torch

from phyemu.channel import Awgn
from phyemu.datasets import Dataset
from phyemu.dnn import Normalise, PhyDnn, ResNetConfig, noiseless_link, resnet
from phyemu.errors import DatasetError
from phyemu.link import SymbolLink
from phyemu.training import score_images, score_over_link
from phyemu.waveform import FrameFormat, psk


@pytest.fixture
def phydnn(generator: torch.Generator) -> PhyDnn:
    backbone = resnet(
        ResNetConfig(depth=8, num_classes=3, in_channels=1, width=4), generator=generator
    )
    return PhyDnn.from_backbone(
        backbone,
        split="layer3",
        image_shape=(1, 8, 8),
        normalise=Normalise((0.3,), (0.2,)),
        num_embeddings=8,
        generator=generator,
    )


def test_a_link_without_errors_scores_as_inference_does(phydnn: PhyDnn, dataset: Dataset) -> None:
    score = score_over_link(phydnn, noiseless_link, dataset.test, seed=0)
    phydnn.eval()
    with torch.no_grad():
        logits = phydnn.infer(dataset.test.images, noiseless_link, torch.Generator())
    expected = 100 * (logits.argmax(-1) == dataset.test.labels).float().mean().item()
    assert score.accuracy == pytest.approx(expected)
    assert score.ser == 0.0
    loss = torch.nn.functional.cross_entropy(logits, dataset.test.labels).item()
    assert score.loss == pytest.approx(loss, rel=1e-5)


def test_scoring_leaves_modes_and_batch_norms_alone(phydnn: PhyDnn, dataset: Dataset) -> None:
    phydnn.train()
    before = {name: value.clone() for name, value in phydnn.state_dict().items()}
    score_over_link(phydnn, noiseless_link, dataset.test, seed=0)
    score_images(phydnn.infer_unmodified, phydnn, dataset.test)
    assert all(module.training for module in phydnn.modules())
    assert all(torch.equal(value, before[k]) for k, value in phydnn.state_dict().items())


def test_the_seed_fixes_the_result_and_repetitions_are_counted(
    phydnn: PhyDnn, dataset: Dataset
) -> None:
    link = SymbolLink(Awgn(6.0), psk(8), FrameFormat())
    first = score_over_link(phydnn, link, dataset.test, seed=4, repetitions=3)
    assert first == score_over_link(phydnn, link, dataset.test, seed=4, repetitions=3)
    assert first.num_images == 90
    assert first.ser != score_over_link(phydnn, link, dataset.test, seed=5, repetitions=3).ser


def test_symbols_that_are_known_need_no_head(
    phydnn: PhyDnn, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = SymbolLink(Awgn(6.0), psk(8), FrameFormat())
    expected = score_over_link(phydnn, link, dataset.test, seed=4)
    with torch.no_grad():
        symbols = phydnn.eval().encode(dataset.test.images)
    monkeypatch.delattr(PhyDnn, "encode")
    assert score_over_link(phydnn, link, dataset.test, seed=4, symbols=symbols) == expected
    with pytest.raises(DatasetError, match="symbols of 29 images"):
        score_over_link(phydnn, link, dataset.test, seed=4, symbols=symbols[1:])


def test_nothing_to_score_is_refused(phydnn: PhyDnn, dataset: Dataset) -> None:
    empty = dataset.test.subset(torch.empty(0, dtype=torch.int64))
    with pytest.raises(DatasetError, match="nothing to evaluate"):
        score_over_link(phydnn, noiseless_link, empty, seed=0)
    with pytest.raises(DatasetError, match="no images"):
        score_images(phydnn.infer_unmodified, phydnn, empty)
