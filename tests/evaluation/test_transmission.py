from pathlib import Path

import numpy as np
import pytest
import torch

from phyemu.datasets import ImageSet
from phyemu.errors import CheckpointError, ConfigError
from phyemu.evaluation import (
    ExportedPhyDnn,
    encode_images,
    image_waveform,
    load_sent_images,
    save_sent_images,
)
from phyemu.receiver import receive_frames


def test_what_is_sent_is_what_the_model_encodes(phydnn: ExportedPhyDnn, images: ImageSet) -> None:
    sent = encode_images(phydnn, images, repetitions=2)
    with torch.no_grad():
        expected = phydnn.joined().encode(images.images)
    assert torch.equal(sent.symbols, torch.cat([expected, expected]))
    assert torch.equal(sent.labels, images.labels.repeat(2))
    assert sum(sent.payload_plan) == 2 * 60 * 256


def test_the_waveform_brings_the_symbols_over(phydnn: ExportedPhyDnn, images: ImageSet) -> None:
    sent = encode_images(phydnn, images)
    iq, placements = image_waveform(
        sent, phydnn.constellation, phydnn.frame_format, amplitude=0.5, gap_samples=1000
    )
    frames = receive_frames(
        [iq.numpy()], frame_format=phydnn.frame_format, constellation=phydnn.constellation
    )
    assert len(frames) == len(placements) == len(sent.payload_plan)
    received = np.concatenate([frame.posteriors.argmax(-1) for frame in frames])
    assert np.array_equal(received, sent.symbols.flatten().numpy())


def test_what_was_sent_is_read_back(
    phydnn: ExportedPhyDnn, images: ImageSet, tmp_path: Path
) -> None:
    sent = encode_images(phydnn, images)
    path = tmp_path / "new" / "sent.npz"
    save_sent_images(sent, path)
    again = load_sent_images(path)
    assert torch.equal(again.symbols, sent.symbols)
    assert torch.equal(again.labels, sent.labels)
    assert (again.payload_plan, again.order) == (sent.payload_plan, sent.order)


def test_damaged_or_contradicting_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "sent.npz"
    with pytest.raises(CheckpointError, match=r"no such file.*phyemu waveform images"):
        load_sent_images(path)
    path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="no sent images"):
        load_sent_images(path)
    np.savez(
        path,
        symbols=np.zeros((2, 3), np.uint16),
        labels=np.zeros(2, np.int64),
        payload_plan=np.array([5]),
        order=4,
    )
    with pytest.raises(CheckpointError, match="do not fit"):
        load_sent_images(path)


def test_objects_in_the_file_are_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "sent.npz"
    np.savez(path, symbols=np.array([{"a": 1}], dtype=object))
    with pytest.raises(CheckpointError, match="no sent images"):
        load_sent_images(path)


def test_nothing_to_send_is_refused(phydnn: ExportedPhyDnn, images: ImageSet) -> None:
    with pytest.raises(ConfigError, match="nothing to send"):
        encode_images(phydnn, images, repetitions=0)
