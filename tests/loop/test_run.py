"""The loop closes on small settings, twice to the same table, and resumes to it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from phyemu.errors import ConfigError, DatasetError
from phyemu.folder_lock import locked_folder
from phyemu.iq import open_recording
from phyemu.loop import (
    AirConfig,
    LoopConfig,
    LoopResult,
    SoundingRun,
    default_training,
    read_loop_config,
    run_loop,
    write_loop_report,
)


def small(**changes: object) -> LoopConfig:
    """Return settings that close the loop in seconds: few images, one short epoch."""
    train = default_training("digits", seed=3)
    train = replace(
        train,
        data=replace(train.data, limit=240),
        backbone=replace(train.backbone, epochs=2),
        phydnn=replace(train.phydnn, epochs=(1,)),
    )
    settings: dict[str, object] = {
        "sounding": SoundingRun(bursts=24, interval_s=0.05, length=128, max_paths=6),
        "air": AirConfig(passes=1, max_images=12, interval_s=0.02),
        "train": train,
    }
    return LoopConfig(**(settings | changes))  # type: ignore[arg-type]


class Stop(Exception):
    """Stands for Ctrl-C at a chosen moment."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[LoopResult, Path]:
    folder = tmp_path_factory.mktemp("loop") / "run"
    return run_loop(small(), folder), folder


def test_every_phydnn_is_tested_over_every_channel(finished: tuple[LoopResult, Path]) -> None:
    result, _ = finished
    assert [(row.trained_on, row.tested_on) for row in result.phydnn] == [
        (trained, tested)
        for trained in ("awgn", "fitted")
        for tested in ("world", "fitted", "awgn")
    ]
    for row in result.phydnn:
        assert 0 <= row.accuracy <= 100
        assert row.frames_sent >= 1
        assert row.frames_lost == 0
    # 64 images of 16-PSK at 4 bits a symbol, and more for preambles, headers and pilots.
    symbols = 64 * _symbols_per_image(finished[1])
    assert symbols / 2 < result.phydnn[0].bytes_on_air_per_batch_of_64 < symbols / 2 * 1.5
    assert result.row("awgn", "awgn").snr_db == pytest.approx(12.0, abs=0.5)


def _symbols_per_image(folder: Path) -> int:
    card = json.loads((folder / "phydnn-awgn" / "tail" / "m16.json").read_text("utf-8"))
    _, height, width = card["feature_shape"]
    return int(height * width)


def test_every_artefact_is_in_the_run_folder(finished: tuple[LoopResult, Path]) -> None:
    _, folder = finished
    for name in (
        "loop.toml",
        "channel.h5",
        "channel.png",
        "report.html",
        "recordings/sounding.sigmf",
        "recordings/fitted-world.sigmf",
        "phydnn-awgn/head/m16.safetensors",
        "phydnn-fitted/tail/m16.safetensors",
        "phydnn-fitted/config.toml",
    ):
        assert (folder / name).is_file(), name
    assert read_loop_config(folder) == small()
    with open_recording(folder / "recordings" / "awgn-fitted.sigmf", verify=True) as recording:
        assert recording.global_fields["phyemu:waveform"] == "frames"
    assert not list(folder.rglob("*.partial"))


def test_the_fit_comes_from_the_recording_alone(finished: tuple[LoopResult, Path]) -> None:
    _, folder = finished
    fit = json.loads((folder / "stages" / "fit.json").read_text("utf-8"))
    # 24 bursts, 30 % of them held out to check the fit.
    assert fit["frames"] + fit["holdout"]["frames"] <= 24
    assert fit["holdout"]["frames"] >= 5


def test_an_interrupted_run_resumes_to_the_same_table(
    finished: tuple[LoopResult, Path], tmp_path: Path
) -> None:
    expected, _ = finished
    folder = tmp_path / "run"
    for moment in ("train fitted", "receive fitted over world"):

        def interrupt(
            stage: str, done: int, total: int, note: str = "", moment: str = moment
        ) -> None:
            if stage == moment:
                raise Stop

        with pytest.raises(Stop):
            run_loop(small(), folder, resume=folder.exists(), progress=interrupt)
    resumed = run_loop(small(), folder, resume=True)
    assert replace(resumed, run="") == replace(expected, run="")


def test_the_report_is_written_again_from_the_artefacts(
    finished: tuple[LoopResult, Path], tmp_path: Path
) -> None:
    result, folder = finished
    html = write_loop_report(folder, tmp_path / "again.html").read_text("utf-8")
    assert result.finding() in html
    assert html.count('id="figure-') == 5


def test_a_run_is_not_resumed_with_other_settings(finished: tuple[LoopResult, Path]) -> None:
    _, folder = finished
    other = small(world="office-los")
    with pytest.raises(ConfigError, match="other settings"):
        run_loop(other, folder, resume=True)


def test_two_loops_do_not_work_in_one_folder(tmp_path: Path) -> None:
    held = locked_folder(tmp_path / "run", "held by the test")
    with held, pytest.raises(ConfigError, match="another phyemu loop is at work there"):
        run_loop(small(), tmp_path / "run")


def test_an_unknown_world_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="office-nlos"):
        run_loop(small(world="office-nloss"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_missing_dataset_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    train = small().train
    absent = replace(train, data=replace(train.data, dataset="image-folder:/nowhere"))
    with pytest.raises(DatasetError, match="nowhere"):
        run_loop(small(train=absent), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_real_captures_stand_for_the_world(shared_data: Path, tmp_path: Path) -> None:
    captures = (str(shared_data / "captures" / "wifi_radiated_dot11n_6p5mbps.sigmf-meta"),)
    config = small(captures=captures, snr_db=10.0)
    result = run_loop(config, tmp_path / "run")
    assert result.place == "wifi_radiated_dot11n_6p5mbps.sigmf-meta"
    # The measured responses have their own spread around the 10 dB that were asked for.
    assert result.row("awgn", "world").snr_db == pytest.approx(10.0, abs=2.0)
    assert result.row("awgn", "world").frames_lost == 0
