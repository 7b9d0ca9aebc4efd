"""Names are found in $PHYEMU_LIBRARY first, then among what phyemu ships."""

from pathlib import Path

import pytest

from phyemu.errors import ConfigError
from phyemu.library import find_in_library, library_names


@pytest.fixture
def own_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "my_lab.h5").touch()
    monkeypatch.setenv("PHYEMU_LIBRARY", str(tmp_path))
    return tmp_path


def test_an_existing_path_wins(own_library: Path) -> None:
    path = own_library / "channels" / "my_lab.h5"
    assert find_in_library(str(path), "channels") == path


@pytest.mark.parametrize("name", ["my_lab", "my-lab", "My-Lab.h5"])
def test_hyphens_underscores_case_and_suffix_do_not_matter(own_library: Path, name: str) -> None:
    assert find_in_library(name, "channels") == own_library / "channels" / "my_lab.h5"


def test_an_unknown_name_lists_the_near_ones(own_library: Path) -> None:
    with pytest.raises(ConfigError, match=r"my-lap.*near names: my-lab$"):
        find_in_library("my-lap", "channels")


def test_a_name_like_no_other_lists_all_of_them(own_library: Path) -> None:
    with pytest.raises(ConfigError, match=r"99999.*known scenarios of Colosseum: 10009, .*90009"):
        find_in_library("99999", "colosseum")


def test_the_shipped_library_is_found_without_any_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHYEMU_LIBRARY", raising=False)
    shipped = {"conference-los", "conference-nlos", "office-los", "office-nlos"}
    assert shipped <= set(library_names("captures"))
    assert shipped <= set(library_names("channels"))


def test_ones_own_library_shadows_the_shipped_one(own_library: Path) -> None:
    mine = own_library / "channels" / "office-nlos.h5"
    mine.touch()
    assert find_in_library("office-nlos", "channels") == mine


def test_a_path_that_is_not_there_is_never_taken_for_a_name() -> None:
    with pytest.raises(ConfigError, match=r"nowhere/office-nlos\.h5: no such file"):
        find_in_library("nowhere/office-nlos.h5", "channels")
