"""Names of images become host names."""

from pathlib import Path

import pytest

from phyemu.container import image_name
from phyemu.errors import ConfigError


@pytest.mark.parametrize("name", ["phyemu-rx", "A", "a1-b2", "x" * 31])
def test_letters_digits_and_dashes_are_taken(name: str) -> None:
    assert image_name(Path("some/folder") / f"{name}.tar.gz") == name


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("x" * 32 + ".tar.gz", "at most 31"),
        ("phyemu_rx.tar.gz", "letters, digits and dashes"),
        ("phyemu.rx.tar.gz", "letters, digits and dashes"),
        ("rx\n.tar.gz", "letters, digits and dashes"),
        ("é.tar.gz", "letters, digits and dashes"),
        ("-rx.tar.gz", "no dash at its ends"),
        (".tar.gz", "letters, digits and dashes"),
        ("phyemu-rx.tar.xz", "called NAME.tar.gz"),
        ("phyemu-rx", "called NAME.tar.gz"),
    ],
)
def test_others_are_refused(file: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        image_name(Path(file))
