import re
import shutil
from pathlib import Path

import pytest

from phyemu.errors import CheckpointError
from phyemu.evaluation import load_exported
from phyemu.evaluation.exported_relay import relay_path
from phyemu.waveform import psk


def test_a_folder_gives_the_smallest_a_number_or_a_file_the_one_asked_for(run: Path) -> None:
    assert load_exported(run).order == 4
    assert load_exported(run, order=8).order == 8
    assert load_exported(run / "tail" / "m8.safetensors").order == 8
    assert load_exported(run).constellation.points.tolist() == psk(4).points.tolist()
    assert load_exported(run).symbols_per_image == 256


def test_what_is_not_there_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no exported PhyDNN"):
        load_exported(tmp_path)
    with pytest.raises(CheckpointError, match=r"order 16, but \[4, 8\]"):
        load_exported(run, order=16)


def test_an_unfinished_run_says_how_it_goes_on(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("seed = 0\n")
    with pytest.raises(CheckpointError, match=r"unfinished.*phyemu train --resume -o") as caught:
        load_exported(tmp_path)
    assert str(caught.value).endswith(f"-o {tmp_path}")
    (tmp_path / "metrics.json").touch()
    with pytest.raises(CheckpointError, match="make one: phyemu train"):
        load_exported(tmp_path)


@pytest.mark.parametrize(
    ("parts", "remedy"),
    [
        ((), "name a run of phyemu train with several --split"),
        (("head", "tail"), "its network is on two devices, without a relay"),
        (
            ("head", "relay1", "tail"),
            "there is one relay: --relay 1 (phyemu export: --part relay1)",
        ),
        (("relay1", "relay3"), "there are relay1, relay3"),
    ],
)
def test_a_relay_that_is_not_there_is_told_from_those_that_are(
    tmp_path: Path, parts: tuple[str, ...], remedy: str
) -> None:
    for part in parts:
        (tmp_path / part).mkdir()
        (tmp_path / part / "m4.safetensors").touch()
    with pytest.raises(CheckpointError, match=re.escape(remedy)):
        relay_path(tmp_path, 2, None)


def test_a_head_and_a_tail_of_different_exports_are_refused(run: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(run, mixed)
    for suffix in (".safetensors", ".json"):
        shutil.copy(run / "head" / f"m8{suffix}", mixed / "head" / f"m4{suffix}")
    with pytest.raises(CheckpointError, match="different dictionaries"):
        load_exported(mixed)
