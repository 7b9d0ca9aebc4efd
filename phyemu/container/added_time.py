"""The time of all that is added to a base: equal inputs give equal images."""

import os
from collections.abc import Mapping

from phyemu.errors import ImageError

__all__ = ["added_time_s"]

_LATEST_S = 253_402_300_799  # the end of the year 9999, which is the last that dates can have


def added_time_s(known_s: int, *, variables: Mapping[str, str] = os.environ) -> int:
    """Return `$SOURCE_DATE_EPOCH` where it is set, or what is known of the base [s since 1970].

    Raises:
        ImageError: `$SOURCE_DATE_EPOCH` is no number of seconds.
    """
    given = variables.get("SOURCE_DATE_EPOCH", "")
    if not given:
        return max(0, known_s)
    if not given.isdecimal() or len(given) > 12 or int(given) > _LATEST_S:
        raise ImageError(
            f"SOURCE_DATE_EPOCH={given[:40]}: must be seconds since 1970, at most {_LATEST_S}"
        )
    return int(given)
