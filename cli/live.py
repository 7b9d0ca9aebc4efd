"""`phyemu emulate --live`: a stream of samples through a channel, while it runs."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .options import FREQUENCY, echo_json, refuse_given

if TYPE_CHECKING:
    from phyemu.live import LiveStatistics

__all__ = ["output_and_live_options", "run_live_stream", "terminated_like_interrupted"]

F = TypeVar("F", bound=Callable[..., Any])

# Options of `phyemu emulate` that a live stream has no use for.
_RECORDING_ONLY = ("recording", "plot", "force", "network", "nodes", "num_threads")


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveOptions:
    """What the user said about a live stream."""

    source: str
    output: str
    channel: str
    snr_db: float | None
    interval_s: float
    rate: float
    reference_power: float
    symbol_rate: float | None
    pace: bool
    keep_latency: bool
    duration: float | None
    idle: float | None
    seed: int
    as_json: bool
    quiet: bool

    @property
    def samples_on_stdout(self) -> bool:
        """Whether standard output is taken."""
        return self.output.partition("?")[0] == "-"


_OPTIONS = (
    click.option("-o", "--output", required=True, help="File to write, or where --live sends to."),
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
        help="Live: as many samples have left as have come in, at any time (peers in lock-step).",
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
_LIVE_ONLY = (
    "rate",
    "reference_power",
    "symbol_rate",
    "pace",
    "keep_latency",
    "duration",
    "idle",
)


def output_and_live_options(function: F) -> F:
    """Add `-o`, and `--live` with its options; with `--live` the command itself is not called."""

    @wraps(function)
    def either(**parameters: Any) -> Any:
        if parameters["source"] is None:
            refuse_given(_LIVE_ONLY, "only with --live; a recording needs none of it")
            for name in ("source", *_LIVE_ONLY):
                del parameters[name]
            parameters["output"] = Path(parameters["output"])
            return function(**parameters)
        refuse_given(_RECORDING_ONLY, "not with --live, which neither reads nor writes files")
        for name in ("channel", "rate"):
            if parameters[name] is None:
                raise click.UsageError(f"--live needs --{name}; samples do not tell it")
        known = {field.name for field in fields(LiveOptions)}
        live = LiveOptions(**{name: parameters[name] for name in known})
        if live.as_json and live.samples_on_stdout:
            raise click.UsageError("--json writes to standard output, where -o - puts the samples")
        return run_live_stream(live)

    command: Any = either
    for option in reversed(_OPTIONS):
        command = option(command)
    return command  # type: ignore[no-any-return]


def run_live_stream(live: LiveOptions) -> None:
    """Run the stream, and print how it went."""
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

    ends = parse_endpoint(live.source, Role.SOURCE), parse_endpoint(live.output, Role.SINK)
    schedule = parse_schedule(live.channel)
    if live.snr_db is not None:
        schedule = tuple(
            replace(part, model=with_snr(part.model, live.snr_db)) for part in schedule
        )
    power = db_to_power(live.reference_power)
    channel = ScheduledChannel(
        schedule,
        sample_rate_hz=live.rate,
        symbol_rate_hz=live.symbol_rate or live.rate,
        reference_power=power,
        seed=live.seed,
        interval_s=live.interval_s,
    )
    for end in ends:
        if end.is_public:
            click.echo(
                f"{end.text}: open to other machines; whoever reaches it is not asked who it is",
                err=True,
            )
    with terminated_like_interrupted(), open_source(ends[0]) as source, open_sink(ends[1]) as sink:
        result = run_live(
            source,
            channel,
            sink,
            sample_rate_hz=live.rate,
            reference_power=power,
            pace=live.pace,
            keep_latency=live.keep_latency,
            duration_s=live.duration,
            idle_s=live.idle,
            report=None if live.quiet else _show,
        )
    if live.as_json:
        echo_json(result.to_dict())
        return
    click.echo(result.line(), err=live.samples_on_stdout)


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
