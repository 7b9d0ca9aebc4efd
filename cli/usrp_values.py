"""Values of options that only a USRP has: one for each channel, and a time to start at."""

from datetime import UTC, datetime
from typing import Any

import click

__all__ = ["ANTENNAS", "GAINS", "START_TIME"]


class _Gains(click.ParamType[float | tuple[float, ...]]):
    """A gain for all channels (`30`), or one for each (`30,35`)."""

    name = "DB"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | tuple[float, ...]:
        if not isinstance(value, str):
            return float(value)
        try:
            gains = tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r}: write 30, or one for each channel as in 30,35", param, ctx)
        return gains[0] if len(gains) == 1 else gains


class _Antennas(click.ParamType[str | tuple[str, ...]]):
    """An antenna for all channels (`RX2`), or one for each (`RX2,TX/RX`)."""

    name = "NAME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | tuple[str, ...]:
        names = tuple(str(value).split(","))
        return names[0] if len(names) == 1 else names


class _StartTime(click.ParamType[float]):
    """A moment in UTC as ISO 8601 writes it, in seconds since 1970."""

    name = "UTC"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r}: write UTC such as 2026-11-26T10:30:00", param, ctx)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()


GAINS = _Gains()
ANTENNAS = _Antennas()
START_TIME = _StartTime()
