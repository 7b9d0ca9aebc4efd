"""What a store of frames leaves when its process is killed."""

import functools
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phyemu.channel.hdf5 import StoreReader
from phyemu.errors import ConfigError, StoreError
from phyemu.listening import FrameStore, finish_frame_store
from phyemu.receiver import ReceivedFrame, receive_frames
from phyemu.waveform import FrameFormat, constellation, transmit_waveform
from phyemu.waveform.sent_frames import SentFrames

SENT = SentFrames(
    frame_format=FrameFormat(sample_rate_hz=1e6, max_payload_symbols=200),
    constellation=constellation("psk", 4),
)


@functools.cache
def frames() -> tuple[ReceivedFrame, ...]:
    points = SENT.constellation.points[torch.arange(600) % 4]
    iq, _ = transmit_waveform(
        points, frame_format=SENT.frame_format, amplitude=0.4, gap_samples=300
    )
    found = receive_frames(
        [iq.numpy()], frame_format=SENT.frame_format, constellation=SENT.constellation
    )
    return tuple(found)


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """Return what a process leaves that was killed after two frames were flushed."""
    with FrameStore(tmp_path / "frames.h5", SENT, provenance={"job": "x"}) as store:
        for frame in frames()[:2]:
            store.add(frame)
        store.flush()
        store.add(frames()[2])
        left = tmp_path / "left" / "frames.h5.partial"
        left.parent.mkdir()
        shutil.copyfile(tmp_path / "frames.h5.partial", left)
    return left


def test_what_was_flushed_is_there(killed: Path) -> None:
    path = finish_frame_store(killed)
    assert path.name == "frames.h5"
    assert [item.name for item in path.parent.iterdir()] == ["frames.h5"]
    with StoreReader(path, kind="received-frames") as store:
        assert store.provenance["job"] == "x"
        count = sum(len(frame.points) for frame in frames()[:2])
        points = store.array("symbols/points", shape=(count,), kind="complex")
        expected = np.concatenate([frame.points for frame in frames()[:2]])
        np.testing.assert_array_equal(points, expected)
        starts = store.array("frames/sample_start", shape=(2,), kind="int")
        assert starts.tolist() == [frame.sample_start for frame in frames()[:2]]
    with h5py.File(path) as file:
        assert file["frames/snr_db"].attrs["unit"] == "dB"


@pytest.mark.parametrize(
    ("name", "rows", "left"),
    [
        ("frames/evm_db", 1, 1),  # the first of two frames is whole
        ("frames/first_symbol", 0, 0),
        ("symbols/points", 399, 1),
        ("symbols/posteriors", 5, 0),
        ("symbols/erased", 400, 2),
    ],
)
def test_a_write_that_was_cut_short_leaves_whole_frames(
    killed: Path, name: str, rows: int, left: int
) -> None:
    # Columns shorter than the others, as an append in the middle leaves them.
    with (
        h5py.File(killed, "r", swmr=True) as source,
        h5py.File(f"{killed}.cut", "w", libver="latest") as file,
    ):
        for key in source:
            source.copy(key, file)
        file.attrs.update(dict(source.attrs))
        file[name].resize(rows, axis=0)
    Path(f"{killed}.cut").replace(killed)
    path = finish_frame_store(killed)
    with h5py.File(path) as file:
        assert {len(column) for column in file["frames"].values()} == {left}
        assert {len(column) for column in file["symbols"].values()} == {200 * left}


def test_nothing_is_overwritten_or_mistaken(killed: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"frames\.h5: is no interrupted store"):
        finish_frame_store(tmp_path / "frames.h5")
    killed.with_suffix("").touch()
    with pytest.raises(ConfigError, match="exists already; move it away"):
        finish_frame_store(killed)
    with pytest.raises(ConfigError, match=r"frames\.h5\.partial: was interrupted"):
        FrameStore(tmp_path / "left" / "frames.h5", SENT, provenance={})
    assert killed.exists()


@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_refused_or_read(
    cut: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    with FrameStore(folder / "frames.h5", SENT, provenance={}) as store:
        store.add(frames()[0])
        store.flush()
        content = (folder / "frames.h5.partial").read_bytes()
    left = folder / "cut.h5.partial"
    left.write_bytes(content[: int(cut * len(content))])
    try:
        path = finish_frame_store(left)
    except StoreError as error:
        problem = str(error)
    else:
        with h5py.File(path) as file:
            problem = "none" * (len(file["symbols/points"]) in (0, 200))
    assert len(problem.splitlines()) == 1
    assert {item.name for item in folder.iterdir()} <= {"frames.h5", "cut.h5", "cut.h5.partial"}
