"""`phyemu emulate --live`: a stream of samples through a channel, while it runs."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import wraps
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .options import FREQUENCY, echo_json, refuse_given

if TYPE_CHECKING:
    from phyemu.live import LiveStatistics

__all__ = ["LiveOptions", "live_options", "run_live_stream", "terminated_like_interrupted"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveOptions:
    """What `live_options` adds to a command, which gets it as its argument `live`."""

    source: str | None
    rate: float | None
    reference_power: float
    symbol_rate: float | None
    pace: bool
    keep_latency: bool
    duration: float | None
    idle: float | None

    def refuse(self) -> None:
        """Raise UsageError when one of the options was given without `--live`."""
        names = {field.name for field in fields(self)} - {"source"}
        refuse_given(names, "only with --live; a recording says it itself, or has no need of it")


def live_options(function: F) -> F:
    """Add `--live SOURCE` and the options that only a live stream has."""
    options = (
        click.option(
            "--live",
            "source",
            metavar="SOURCE",
            help="Take samples from a running program: -, fifo:PATH, zmq+pull://HOST:PORT (also "
            "zmq+sub, zmq+req), udp://HOST:PORT; and send them to -o in the same way (zmq+push, "
            "zmq+pub, zmq+rep).",
        ),
        click.option("--rate", type=FREQUENCY, help="Live: sample rate."),
        click.option(
            "--reference-power",
            type=float,
            metavar="DBFS",
            default=0.0,
            show_default=True,
            help="Live: mean power of the active transmitter, to which the SNR refers.",
        ),
        click.option(
            "--symbol-rate",
            type=FREQUENCY,
            help="Live: symbol rate, to which the SNR refers.  [default: the sample rate]",
        ),
        click.option("--pace", is_flag=True, help="Live: no faster than real time."),
        click.option(
            "--keep-latency",
            is_flag=True,
            help="Live: let as many samples leave as come in at any time (peers in lock-step).",
        ),
        click.option(
            "--duration",
            type=click.FloatRange(0, min_open=True),
            metavar="S",
            help="Live: seconds of samples to take.  [default: all]",
        ),
        click.option(
            "--idle",
            type=click.FloatRange(0, min_open=True),
            metavar="S",
            help="Live: end when nothing came for so many seconds.  [default: never]",
        ),
    )

    @wraps(function)
    def gathered(**parameters: Any) -> Any:
        own = {field.name: parameters.pop(field.name) for field in fields(LiveOptions)}
        return function(**parameters, live=LiveOptions(**own))

    command: Any = gathered
    for option in reversed(options):
        command = option(command)
    return command  # type: ignore[no-any-return]


def run_live_stream(
    live: LiveOptions,
    output: str,
    channel: str,
    snr_db: float | None,
    interval_s: float,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run the live stream that the options describe, and print how it went."""
    refuse_given(("plot", "force"), "not with --live, which writes no file")
    if live.source is None or live.rate is None:
        raise click.UsageError("--live needs --rate, such as --rate 20M: samples do not tell it")
    if as_json and output.partition("?")[0] == "-":
        raise click.UsageError("--json writes to standard output, where -o - puts the samples")
    from phyemu.channel import with_snr
    from phyemu.live import (
        Role,
        ScheduledChannel,
        open_sink,
        open_source,
        parse_endpoint,
        parse_schedule,
        run_live,
    )
    from phyemu.units import db_to_power

    ends = parse_endpoint(live.source, Role.SOURCE), parse_endpoint(output, Role.SINK)
    schedule = parse_schedule(channel)
    if snr_db is not None:
        schedule = tuple(replace(part, model=with_snr(part.model, snr_db)) for part in schedule)
    power = db_to_power(live.reference_power)
    stream = ScheduledChannel(
        schedule,
        sample_rate_hz=live.rate,
        symbol_rate_hz=live.symbol_rate or live.rate,
        reference_power=power,
        seed=seed,
        interval_s=interval_s,
    )
    for end in ends:
        if end.is_public:
            click.echo(
                f"{end.text}: open to other machines, and whoever reaches it is not asked who "
                "they are",
                err=True,
            )
    with (
        terminated_like_interrupted(),
        open_source(ends[0]) as samples,
        open_sink(ends[1]) as sink,
    ):
        result = run_live(
            samples,
            stream,
            sink,
            sample_rate_hz=live.rate,
            reference_power=power,
            pace=live.pace,
            keep_latency=live.keep_latency,
            duration_s=live.duration,
            idle_s=live.idle,
            report=None if quiet else _show,
        )
    if as_json:
        echo_json(result.to_dict())
        return
    # The samples have standard output, if -o says so.
    click.echo(result.line(), err=output.partition("?")[0] == "-")


def _show(statistics: "LiveStatistics") -> None:
    click.echo(statistics.line(), err=True)


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """End on SIGTERM as on Ctrl-C: cleanly."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
