"""Frames come back from their file as they were received."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from phyemu.errors import StoreError
from phyemu.listening import FrameStore
from phyemu.listening.stored_frames import StoredFrames
from phyemu.receiver import FrameStatus, ReceivedFrame, receive_frames
from phyemu.waveform import FrameFormat, modulate, psk, transmit_waveform
from phyemu.waveform.sent_frames import SentFrames

SENT = SentFrames(frame_format=FrameFormat(max_payload_symbols=300), constellation=psk(4))


@pytest.fixture(scope="module")
def frames() -> list[ReceivedFrame]:
    symbols = torch.randint(4, (1000,), generator=torch.Generator().manual_seed(1))
    iq, _ = transmit_waveform(
        modulate(symbols, psk(4)), frame_format=SENT.frame_format, amplitude=0.5, gap_samples=300
    )
    cut = iq.numpy()[: -len(iq) // 8]
    noise = np.random.default_rng(1).normal(size=(2, len(cut))) * 0.02
    return receive_frames(
        [(cut + noise[0] + 1j * noise[1]).astype(np.complex64)],
        frame_format=SENT.frame_format,
        constellation=SENT.constellation,
    )


def write(path: Path, frames: list[ReceivedFrame]) -> Path:
    with FrameStore(path, SENT, provenance={"from": "a test"}) as store:
        for frame in frames:
            store.add(frame)
    return path


def test_every_frame_comes_back(tmp_path: Path, frames: list[ReceivedFrame]) -> None:
    assert [frame.status for frame in frames] == [*[FrameStatus.OK] * 3, FrameStatus.TRUNCATED]
    with StoredFrames(write(tmp_path / "f.h5", frames)) as stored:
        assert (stored.num_frames, stored.order) == (4, 4)
        assert stored.provenance["from"] == "a test"
        for sent, got in zip(frames, stored, strict=True):
            assert (got.frame_index, got.status) == (sent.frame_index, sent.status)
            assert (got.sample_start, got.snr_db) == (sent.sample_start, sent.snr_db)
            for name in ("points", "posteriors", "erased"):
                assert np.array_equal(getattr(got, name), getattr(sent, name))


def test_a_file_without_frames_is_read(tmp_path: Path) -> None:
    with StoredFrames(write(tmp_path / "f.h5", [])) as stored:
        assert list(stored) == []


def test_damaged_files_are_refused(tmp_path: Path, frames: list[ReceivedFrame]) -> None:
    for number, (name, value) in enumerate(
        [("frames/first_symbol", 7), ("frames/status", 99), ("frames/payload_symbols", -1)]
    ):
        path = write(tmp_path / f"f{number}.h5", frames)
        with h5py.File(path, "a") as file:
            file[name][1] = value
        with pytest.raises(StoreError, match="contradicts itself"):
            StoredFrames(path)
    path = write(tmp_path / "short.h5", frames)
    with h5py.File(path, "a") as file:
        file["symbols/points"].resize(900, axis=0)
        file["symbols/points"].resize(350, axis=0)
    with StoredFrames(path) as stored, pytest.raises(StoreError, match="shorter"):
        list(stored)
    with pytest.raises(StoreError, match="no such file"):
        StoredFrames(tmp_path / "nothing.h5")
