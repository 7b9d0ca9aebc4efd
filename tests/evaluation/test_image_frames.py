import shutil
from pathlib import Path

import pytest
import torch

from phyemu.datasets import ImageSet
from phyemu.errors import CheckpointError, ConfigError
from phyemu.evaluation import (
    encode_images,
    load_exported,
    load_sent_images,
    score_recording,
    write_image_frames,
)
from phyemu.iq import open_recording


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    """Return a copy of the run that nothing was sent from."""
    return Path(shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("sent.npz")))


def test_the_recording_sends_what_the_head_encodes_and_says_how(
    copied: Path, images: ImageSet, tmp_path: Path
) -> None:
    path = tmp_path / "tx.sigmf"
    seen: list[int] = []
    sent = write_image_frames(
        copied,
        path,
        order=8,
        passes=2,
        amplitude=0.3,
        gap_samples=500,
        progress=lambda stage, done, total, note="": seen.append(done),
    )
    phydnn = load_exported(copied, order=8)
    expected = encode_images(phydnn, images, repetitions=2)
    assert torch.equal(sent.symbols, expected.symbols)
    assert torch.equal(load_sent_images(copied / "sent.npz").symbols, expected.symbols)
    assert seen == [60]
    with open_recording(path) as recording:
        fields = recording.global_fields
        assert fields["phyemu:waveform"] == "frames"
        assert fields["phyemu:frame_format"] == phydnn.frame_format.to_dict()
        assert fields["phyemu:constellation"] == {"name": "psk", "order": 8}
        assert fields["phyemu:reference_power"] == pytest.approx(0.3**2 / 2)
        assert [item.label for item in recording.annotations] == ["frame"] * len(sent.payload_plan)
        first = recording.annotations[0]
        assert first.sample_start == 500
        assert first.sample_count == phydnn.frame_format.frame_samples(sent.payload_plan[0])
        score = score_recording(recording, copied)
    assert (score.evaluation.ser, score.evaluation.frames_lost) == (0.0, 0)
    assert score.evaluation.num_images == 120


def test_what_was_sent_before_is_kept_unless_forced(copied: Path, tmp_path: Path) -> None:
    write_image_frames(copied, tmp_path / "a.sigmf", limit=5)
    with pytest.raises(ConfigError, match=r"sent\.npz: exists already"):
        write_image_frames(copied, tmp_path / "b.sigmf", limit=6)
    assert not (tmp_path / "b.sigmf").exists()
    assert len(load_sent_images(copied / "sent.npz").labels) == 5
    write_image_frames(copied, tmp_path / "b.sigmf", limit=6, force=True)
    assert len(load_sent_images(copied / "sent.npz").labels) == 6


def test_a_refused_recording_keeps_what_was_sent_before(copied: Path, tmp_path: Path) -> None:
    write_image_frames(copied, tmp_path / "a.sigmf", limit=5)
    with pytest.raises(ConfigError, match="clip"):
        write_image_frames(copied, tmp_path / "a.sigmf", limit=6, amplitude=1.0, force=True)
    assert len(load_sent_images(copied / "sent.npz").labels) == 5


def test_a_recording_is_never_scored_by_what_was_sent_before_it(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.sigmf"
    write_image_frames(copied, path, limit=5)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("phyemu.evaluation.image_frames.save_sent_images", killed)
        with pytest.raises(KeyboardInterrupt):
            write_image_frames(copied, path, limit=6, force=True)
    with open_recording(path) as recording:
        assert recording.global_fields["phyemu:payload"]["num_images"] == 6
        with pytest.raises(CheckpointError, match=r"sent\.npz: no such file"):
            score_recording(recording, copied)
    write_image_frames(copied, path, limit=6, force=True)
    assert len(load_sent_images(copied / "sent.npz").labels) == 6
    assert not list(copied.glob(".sent*"))
