"""What the commands that serve a part of a PhyDNN have in common: options, statistics, the end."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .options import model_option

if TYPE_CHECKING:
    from phyemu.dnn import DeviceFormat
    from phyemu.listening import ListeningSummary
    from phyemu.serving import RelayCounts, ServingCounts

__all__ = [
    "Statistics",
    "chosen_format",
    "decision_directed_option",
    "fail_unless_served",
    "part_options",
]

F = TypeVar("F", bound=Callable[..., Any])

_EVERY_S = 1.0


def part_options(part: str) -> Callable[[F], F]:
    """Add --format, --order and --model: which export of a part runs, and whose network it is."""

    def add(function: F) -> F:
        function = model_option(function)
        function = click.option(
            "--order", type=click.IntRange(2), metavar="M", help="Order.  [default: smallest]"
        )(function)
        return click.option(
            "--format",
            "device_format",
            type=click.Choice(["safetensors", "onnx", "torchscript"]),
            default="safetensors",
            show_default=True,
            help=f"Which export of the {part} runs.",
        )(function)

    return add


def chosen_format(parameters: dict[str, Any]) -> "DeviceFormat | None":
    """Return the format of `part_options`; None: the run's own safetensors."""
    from phyemu.dnn import DeviceFormat

    chosen = parameters["device_format"]
    return None if chosen == "safetensors" else DeviceFormat(chosen)


def decision_directed_option(function: F) -> F:
    """Add --decision-directed: a setting of the receiver."""
    return click.option(
        "--decision-directed",
        is_flag=True,
        help="Follow channels that change within a frame; takes several times as long.",
    )(function)


def fail_unless_served(
    name: str, summary: "ListeningSummary", counts: "RelayCounts | ServingCounts"
) -> None:
    """Exit with 1 where the device vanished, or nobody but strangers was heard.

    Args:
        name: Of what was listened to.
        summary: How listening went.
        counts: What became of the images.
    """
    if summary.ended_by.is_failure:
        reason: str | None = f"the device is gone ({summary.detail})"
    elif counts.partner == "other":
        reason = counts.stranger
    else:
        return
    click.echo(f"phyemu: {name}: {reason}", err=True)
    raise click.exceptions.Exit(1)


class Statistics:
    """A line on standard error, at most once a second; only when there is something to tell."""

    def __init__(self, line: Callable[[], str], *, quiet: bool) -> None:
        """Begin.

        Args:
            line: Returns it.
            quiet: Whether it stays unsaid.
        """
        self._line = line
        self._quiet = quiet
        self._told_s = time.monotonic()

    def tell(self) -> None:
        """Write the line if it is time."""
        now = time.monotonic()
        if not self._quiet and now - self._told_s >= _EVERY_S:
            self._told_s = now
            click.echo(self._line(), err=True)
