"""A constellation and a demapper that were trained are what is evaluated, sent and recorded."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from phyemu.channel import Awgn
from phyemu.datasets import ImageSet, load_dataset
from phyemu.dnn import Lookup
from phyemu.errors import CheckpointError, RecordingError
from phyemu.evaluation import (
    EvaluationFidelity,
    ExportedPhyDnn,
    evaluate_phydnn,
    load_exported,
    load_exported_tail,
    score_recording,
    write_image_frames,
)
from phyemu.evaluation.frame_images import FrameImages
from phyemu.iq import open_recording
from phyemu.link import Fidelity, build_link
from phyemu.listening import recorded_frames
from phyemu.training import preset, read_run_config, score_over_link, train_run
from phyemu.training.seeds import SeedUse, derived_seed
from phyemu.waveform.sent_frames import sent_frames


@pytest.fixture(scope="module")
def learned_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run with a learned constellation and a learned demapper."""
    config = preset("digits", "awgn:12", seed=1)
    config = replace(
        config,
        data=replace(config.data, limit=40),
        backbone=replace(config.backbone, width=4, epochs=1, batch_size=20),
        link=replace(config.link, modulation="learned"),
        phydnn=replace(
            config.phydnn,
            split="layer3",
            orders=(8,),
            epochs=(3,),
            batch_size=20,
            lookup=Lookup.LEARNED,
            embedding_learning_rate=0.05,
        ),
    )
    folder = tmp_path_factory.mktemp("learned") / "run"
    train_run(config, folder)
    return folder


@pytest.fixture(scope="module")
def learned(learned_run: Path) -> ExportedPhyDnn:
    return load_exported(learned_run)


def test_the_tail_knows_how_it_was_trained(learned_run: Path, learned: ExportedPhyDnn) -> None:
    assert learned.lookup is Lookup.LEARNED
    assert learned.constellation.name == "custom"
    tail = load_exported_tail(learned_run)  # as a node has it, without the head
    assert torch.equal(tail.constellation.points, learned.constellation.points)
    posteriors = torch.rand(2, 64, 8, generator=torch.Generator().manual_seed(1)).softmax(-1)
    with torch.no_grad():
        assert torch.equal(tail.tail(posteriors), learned.joined().decode(posteriors, tail.lookup))
        assert not torch.equal(tail.tail(posteriors), tail.tail(posteriors, Lookup.SOFT))


def test_the_accuracy_that_a_run_states_is_that_of_its_files(
    learned_run: Path, learned: ExportedPhyDnn
) -> None:
    stated = json.loads((learned_run / "metrics.json").read_text("utf-8"))["phydnn"][0]
    config = read_run_config(learned_run)
    dataset = load_dataset("digits", seed=config.seed, limit=40)
    link = build_link(
        Awgn(12.0), learned.constellation, learned.frame_format, fidelity=Fidelity.SYMBOL
    )
    score = score_over_link(
        learned.joined(),
        link,
        dataset.test,
        seed=derived_seed(config.seed, SeedUse.VALIDATION, 1),
        lookup=learned.lookup,
    )
    assert (score.accuracy, score.ser) == (stated["accuracy"], stated["ser"])


@pytest.mark.parametrize("fidelity", list(EvaluationFidelity))
def test_every_fidelity_sends_the_learned_points(
    fidelity: EvaluationFidelity, learned: ExportedPhyDnn, images: ImageSet
) -> None:
    few = images.subset(torch.arange(20))
    result = evaluate_phydnn(learned, Awgn(40.0), few, fidelity=fidelity, seed=0)
    assert result.ser == 0.0
    with torch.no_grad():
        symbols = torch.nn.functional.one_hot(learned.head(few.images), 8).float()
        logits = learned.tail(symbols)  # what arrives undisturbed
    right = 100 * float((logits.argmax(-1) == few.labels).float().mean())
    assert result.accuracy == pytest.approx(right)


def test_a_recording_says_its_points_and_is_scored(
    learned_run: Path, learned: ExportedPhyDnn, tmp_path: Path
) -> None:
    path = tmp_path / "tx.sigmf"
    sent = write_image_frames(learned_run, path, amplitude=0.3, limit=20)
    with open_recording(path) as recording:
        waveform = sent_frames(recording.global_fields, name="tx")
        torch.testing.assert_close(waveform.constellation.points, learned.constellation.points)
        frames = list(recorded_frames(recording, waveform))
        assert score_recording(recording, learned_run).evaluation.ser == 0.0
    images = FrameImages(learned_run)
    scores = [images.score(frame) for frame in frames]
    assert all(score is not None and score.symbol_errors == 0 for score in scores)
    assert np.concatenate([f.posteriors for f in frames]).shape == (sent.symbols.numel(), 8)


def test_a_recording_of_other_points_is_refused(
    learned_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tx.sigmf"
    write_image_frames(learned_run, path, amplitude=0.3, limit=5, force=True)
    with open_recording(path) as recording:
        described = recording.global_fields["phyemu:constellation"]
        described["points"][0] = [0.0, 0.5]
        fields = {**recording.global_fields, "phyemu:constellation": described}
        monkeypatch.setattr(type(recording), "global_fields", fields)
        with pytest.raises(CheckpointError, match="another learned constellation"):
            score_recording(recording, learned_run)
        described["points"] = [[0.0, 0.5]]
        with pytest.raises(RecordingError, match="points must be 8"):
            score_recording(recording, learned_run)
