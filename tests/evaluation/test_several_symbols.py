"""Embeddings that go on the air as two symbols each: frames, files and scores know the symbols."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from phyemu.channel import Awgn
from phyemu.datasets import ImageSet, load_dataset
from phyemu.dnn import (
    Normalise,
    PhyDnn,
    ResNetConfig,
    describe_architecture,
    evaluating,
    noiseless_link,
    resnet,
    start_embeddings,
)
from phyemu.errors import CheckpointError
from phyemu.evaluation import (
    EvaluationFidelity,
    encode_images,
    evaluate_phydnn,
    load_exported,
    load_exported_of,
)
from phyemu.training import export_phydnn, preset
from phyemu.waveform import psk

PAIRS, SINGLE = (16, 2), (4, 1)  # M and u: both are QPSK on the air


@pytest.fixture(scope="module")
def exported_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run folder with two untrained PhyDNNs on QPSK."""
    folder = tmp_path_factory.mktemp("pairs")
    config = preset("digits", "awgn:12")
    dataset = load_dataset("digits", seed=1, limit=40)
    backbone = resnet(
        ResNetConfig(depth=8, num_classes=10, in_channels=1, width=4),
        generator=torch.Generator().manual_seed(1),
    )
    for num_embeddings, symbols in (PAIRS, SINGLE):
        model = PhyDnn.from_backbone(
            backbone,
            split="layer3",
            image_shape=dataset.image_shape,
            normalise=Normalise(dataset.mean, dataset.std),
            num_embeddings=num_embeddings,
            generator=torch.Generator().manual_seed(1),
            symbols_per_slice=symbols,
        )
        start_embeddings(model, [dataset.train.images], points=psk(4).points, seed=0)
        export_phydnn(
            folder,
            model.eval(),
            psk(4),
            config=replace(config, phydnn=replace(config.phydnn, split="layer3")),
            dataset=dataset,
            architecture=describe_architecture(backbone),
            provenance={},
        )
    return folder


@pytest.fixture(scope="module")
def images() -> ImageSet:
    return load_dataset("digits", seed=1, limit=20).test


@pytest.mark.parametrize("fidelity", [EvaluationFidelity.SYMBOL, EvaluationFidelity.FRAMES])
def test_an_undisturbed_channel_scores_as_no_channel(
    fidelity: EvaluationFidelity, exported_run: Path, images: ImageSet
) -> None:
    phydnn = load_exported(exported_run, order=16)
    assert (phydnn.order, phydnn.messages_per_position, phydnn.symbols_per_image) == (4, 16, 128)
    result = evaluate_phydnn(phydnn, Awgn(40.0), images, fidelity=fidelity, seed=0)
    assert result.ser == 0.0
    with evaluating(phydnn.tail):
        logits = phydnn.joined().infer(images.images, noiseless_link, torch.Generator())
    right = 100 * float((logits.argmax(-1) == images.labels).float().mean())
    assert result.accuracy == pytest.approx(right)
    # 128 symbols of two bits are 32 bytes an image, as 64 symbols of four bits would be.
    assert result.bytes_on_air_per_batch_of_64 > 64 * 32


def test_what_was_sent_names_the_phydnn_though_both_are_qpsk(
    exported_run: Path, images: ImageSet
) -> None:
    for num_embeddings, symbols in (PAIRS, SINGLE):
        sent = encode_images(load_exported(exported_run, order=num_embeddings), images)
        assert sent.symbols.shape == (len(images), 64 * symbols)
        assert int(sent.symbols.max()) < sent.order == 4
        found = load_exported_of(exported_run, sent)
        assert (found.messages_per_position, found.symbols_per_image) == (
            num_embeddings,
            64 * symbols,
        )
    other = replace(sent, symbols=torch.from_numpy(np.zeros((2, 32), np.int64)))
    with pytest.raises(CheckpointError, match=r"no PhyDNN that sends 32 symbols of order 4"):
        load_exported_of(exported_run, other)
