"""What a recording is found to hold."""

from pathlib import Path

import numpy as np
import pytest

from phyemu.channel import load_channel
from phyemu.channel.emulate import emulate_recording
from phyemu.errors import RecordingError
from phyemu.evaluation.description import describe_recording
from phyemu.iq import open_recording, write_recording
from phyemu.waveform import FrameFormat, SounderFormat
from phyemu.waveform.transmission import write_frames, write_sounder

SYMBOLS = 3000


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    return write_frames(
        tmp_path / "frames.sigmf",
        FrameFormat(max_payload_symbols=1000),
        constellation_name="psk",
        order=4,
        num_symbols=SYMBOLS,
        gap_samples=600,
        amplitude=0.4,
        seed=1,
    )


def test_frames_are_received_and_listed_where_they_are(frames: Path, tmp_path: Path) -> None:
    with open_recording(frames) as sent:
        starts = [item.sample_start for item in sent.annotations if item.label == "frame"]
        emulate_recording(sent, load_channel("awgn:18"), tmp_path / "heard.sigmf", seed=2)
    with open_recording(tmp_path / "heard.sigmf") as recording:
        found = describe_recording(recording)
    answer = found.to_dict()
    assert (answer["kind"], answer["frames"], answer["ok"]) == ("frames", 3, 3)
    assert [frame["frame_index"] for frame in answer["details"]] == [0, 1, 2]
    assert sum(frame["payload_symbols"] for frame in answer["details"]) == SYMBOLS
    for frame, start in zip(answer["details"], starts, strict=True):
        assert abs(frame["sample_start"] - start) <= 1
    assert answer["snr_db"]["median"] == pytest.approx(18, abs=1)
    assert len(found.lines) == 4
    assert "3 frames of 4-psk, 3 whole" in found.lines[0]


def test_a_frame_that_is_cut_off_is_counted_as_such(frames: Path, tmp_path: Path) -> None:
    with open_recording(frames) as sent:
        fields = {key: value for key, value in sent.global_fields.items() if key[:7] == "phyemu:"}
        last = [item.sample_start for item in sent.annotations if item.label == "frame"][-1]
        cut = write_recording(
            tmp_path / "cut.sigmf",
            sent.read(0, last + 1500),
            sample_rate_hz=sent.sample_rate_hz,
            global_fields=fields,
        )
    with open_recording(cut) as recording:
        answer = describe_recording(recording).to_dict()
    assert (answer["ok"], answer["truncated"]) == (2, 1)


def test_sounding_bursts_are_described_by_what_was_sounded(tmp_path: Path) -> None:
    sounder = SounderFormat(sample_rate_hz=20e6)
    path = write_sounder(tmp_path / "tx.sigmf", sounder, num_bursts=5, amplitude=0.3)
    with open_recording(path) as recording:
        answer = describe_recording(recording).to_dict()
    assert (answer["kind"], answer["frames"]) == ("sounder", 5)


def test_wifi_frames_of_a_foreign_recording_are_found(shared_data: Path) -> None:
    name = "wifi_radiated_dot11n_19p5mbps.sigmf-meta"
    with open_recording(shared_data / "captures" / name) as recording:
        answer = describe_recording(recording).to_dict()
    # The table beside the recordings counts 10.
    assert (answer["kind"], answer["frames"]) == ("wifi", 10)


@pytest.mark.parametrize("metadata", ["foreign", "frames"])
def test_noise_is_said_to_hold_nothing(frames: Path, tmp_path: Path, metadata: str) -> None:
    fields = {}
    if metadata == "frames":
        with open_recording(frames) as sent:
            fields = {
                key: value for key, value in sent.global_fields.items() if key[:7] == "phyemu:"
            }
    rng = np.random.default_rng(5)
    noise = 0.05 * (rng.standard_normal(50_000) + 1j * rng.standard_normal(50_000))
    path = write_recording(
        tmp_path / "noise.sigmf",
        noise.astype(np.complex64),
        sample_rate_hz=20e6,
        global_fields=fields,
    )
    with open_recording(path) as recording:
        found = describe_recording(recording)
    assert (found.kind, found.to_dict()["frames"]) == ("nothing", 0)
    assert "nothing found that phyemu knows" in found.lines[0]


def test_metadata_that_names_no_constellation_is_refused(tmp_path: Path) -> None:
    path = write_recording(
        tmp_path / "odd.sigmf",
        np.ones(10, np.complex64),
        sample_rate_hz=20e6,
        global_fields={"phyemu:frame_format": FrameFormat().to_dict()},
    )
    with (
        open_recording(path) as recording,
        pytest.raises(RecordingError, match="phyemu:constellation is None"),
    ):
        describe_recording(recording)
