"""The time of what is added: the base's, unless `$SOURCE_DATE_EPOCH` says another."""

import pytest

from phyemu.container.added_time import added_time_s
from phyemu.errors import ImageError


@pytest.mark.parametrize(
    ("given", "known", "time"),
    [({}, 5, 5), ({}, -62135596800, 0), ({"SOURCE_DATE_EPOCH": ""}, 5, 5)]
    + [({"SOURCE_DATE_EPOCH": text}, 5, int(text)) for text in ("0", "1700000000", "253402300799")],
)
def test_the_variable_wins_and_nothing_is_before_1970(
    given: dict[str, str], known: int, time: int
) -> None:
    assert added_time_s(known, variables=given) == time


@pytest.mark.parametrize("text", ["-1", "yesterday", "1.5", "253402300800", "9" * 5000])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ImageError, match="seconds since 1970"):
        added_time_s(0, variables={"SOURCE_DATE_EPOCH": text})
