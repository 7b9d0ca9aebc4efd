from dataclasses import replace
from pathlib import Path

import pytest
import torch

from phyemu.datasets import ImageSet
from phyemu.dnn import noiseless_link
from phyemu.errors import CheckpointError, RecordingError
from phyemu.evaluation import (
    ExportedPhyDnn,
    SentImages,
    encode_images,
    image_waveform,
    save_sent_images,
    score_frames,
    score_recording,
)
from phyemu.iq import open_recording, write_recording
from phyemu.receiver import ReceivedFrame, receive_frames
from phyemu.training import score_over_link
from phyemu.waveform.sounder import zadoff_chu_sounder
from phyemu.waveform.transmission import write_sounder


@pytest.fixture
def short(phydnn: ExportedPhyDnn) -> ExportedPhyDnn:
    """Return the PhyDNN with frames of at most 4000 symbols."""
    frame_format = replace(phydnn.frame_format, max_payload_symbols=4000)
    return replace(phydnn, frame_format=frame_format)


def received(phydnn: ExportedPhyDnn, sent: SentImages) -> list[ReceivedFrame]:
    iq, _ = image_waveform(
        sent, phydnn.constellation, phydnn.frame_format, amplitude=0.5, gap_samples=400
    )
    return receive_frames(
        [iq.numpy()], frame_format=phydnn.frame_format, constellation=phydnn.constellation
    )


def test_without_errors_it_is_the_accuracy_without_a_channel(
    short: ExportedPhyDnn, images: ImageSet
) -> None:
    sent = encode_images(short, images)
    score = score_frames(received(short, sent), sent, short, channel="wire", fidelity="frames")
    expected = score_over_link(short.joined(), noiseless_link, images, seed=0)
    assert score.evaluation.accuracy == pytest.approx(expected.accuracy)
    assert (score.evaluation.ser, score.evaluation.frames_lost) == (0.0, 0)
    assert score.evaluation.frames_sent == len(sent.payload_plan) == 4
    assert score.to_dict()["lost_frames"] == []


def test_a_lost_frame_is_counted_and_its_symbols_are_wrong(
    short: ExportedPhyDnn, images: ImageSet
) -> None:
    sent = encode_images(short, images)
    frames = received(short, sent)
    del frames[1]
    score = score_frames(frames, sent, short, channel="wire", fidelity="frames")
    assert score.evaluation.frames_lost == 1
    assert score.to_dict()["lost_frames"] == [1]
    assert score.evaluation.ser == pytest.approx(sent.payload_plan[1] / sent.symbols.numel())


def test_with_nothing_received_there_is_a_result_all_the_same(
    short: ExportedPhyDnn, images: ImageSet
) -> None:
    sent = encode_images(short, images)
    score = score_frames([], sent, short, channel="wire", fidelity="frames")
    assert score.evaluation.ser == 1.0
    assert score.evaluation.frames_lost == 4
    assert len(set(score.predictions.tolist())) == 1  # the tail is given the mean embedding


def test_symbols_of_another_phydnn_are_refused(short: ExportedPhyDnn, images: ImageSet) -> None:
    sent = replace(encode_images(short, images), order=8)
    with pytest.raises(CheckpointError, match="of order 8 were sent"):
        score_frames([], sent, short, channel="wire", fidelity="frames")


def test_a_recording_is_scored_from_the_files_of_the_run(
    run: Path, phydnn: ExportedPhyDnn, images: ImageSet, tmp_path: Path
) -> None:
    sent = encode_images(phydnn, images)
    iq, _ = image_waveform(
        sent, phydnn.constellation, phydnn.frame_format, amplitude=0.5, gap_samples=700
    )
    generator = torch.Generator().manual_seed(0)
    noisy = iq + 0.01 * torch.empty_like(iq).normal_(generator=generator)
    path = write_recording(tmp_path / "air.sigmf", noisy.numpy(), sample_rate_hz=20e6)
    save_sent_images(sent, run / "sent.npz")
    seen: list[int] = []
    with open_recording(path) as recording:
        score = score_recording(
            recording, run, progress=lambda stage, done, total, note="": seen.append(done)
        )
    assert score.evaluation.fidelity == "recording"
    assert (score.evaluation.frames_lost, score.evaluation.ser) == (0, 0.0)
    # snr = amplitude^2 / variance: 0.25 / 1e-4 = 34 dB, seen through a preamble's estimate.
    assert score.evaluation.snr_db == pytest.approx(34.0, abs=1.5)
    assert seen[-1] == len(iq)


def test_a_recording_at_another_rate_is_refused(run: Path, tmp_path: Path) -> None:
    path = write_recording(
        tmp_path / "slow.sigmf", torch.zeros(100, dtype=torch.complex64).numpy(), sample_rate_hz=8e6
    )
    sent = SentImages(
        symbols=torch.zeros((1, 256), dtype=torch.int64),
        labels=torch.zeros(1, dtype=torch.int64),
        payload_plan=(256,),
        order=4,
    )
    with open_recording(path) as recording, pytest.raises(CheckpointError, match="8 MHz"):
        score_recording(recording, run, sent=sent)


def test_a_recording_of_the_sounder_is_refused_by_name(run: Path, tmp_path: Path) -> None:
    sounder = zadoff_chu_sounder(
        20e6, period=256, repetitions=4, gap_samples=None, bandwidth_hz=None
    )
    path = write_sounder(tmp_path / "sounder.sigmf", sounder, num_bursts=1, amplitude=0.5)
    sent = SentImages(
        symbols=torch.zeros((1, 256), dtype=torch.int64),
        labels=torch.zeros(1, dtype=torch.int64),
        payload_plan=(256,),
        order=4,
    )
    with open_recording(path) as recording, pytest.raises(RecordingError, match="sounding bursts"):
        score_recording(recording, run, sent=sent)


@pytest.mark.parametrize(
    ("field", "changes", "message"),
    [
        ("phyemu:constellation", {"order": 8}, "order 8 instead of 4"),
        ("phyemu:constellation", {"name": "qam"}, "name qam instead of psk"),
        ("phyemu:frame_format", {"preamble_root": 7}, "preamble_root 7 instead of"),
        ("phyemu:frame_format", None, "must be an object"),
    ],
)
def test_a_recording_whose_metadata_contradict_the_run_is_refused(
    run: Path,
    phydnn: ExportedPhyDnn,
    tmp_path: Path,
    field: str,
    changes: dict[str, object] | None,
    message: str,
) -> None:
    ours = {
        "phyemu:constellation": {"name": "psk", "order": 4},
        "phyemu:frame_format": phydnn.frame_format.to_dict(),
    }
    path = write_recording(
        tmp_path / "other.sigmf",
        torch.zeros(100, dtype=torch.complex64).numpy(),
        sample_rate_hz=20e6,
        global_fields=ours | {field: "none" if changes is None else ours[field] | changes},
    )
    sent = SentImages(
        symbols=torch.zeros((1, 256), dtype=torch.int64),
        labels=torch.zeros(1, dtype=torch.int64),
        payload_plan=(256,),
        order=4,
    )
    with (
        open_recording(path) as recording,
        pytest.raises((CheckpointError, RecordingError), match=message),
    ):
        score_recording(recording, run, sent=sent)
