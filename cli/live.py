"""`phyemu emulate --live`: a stream of samples through a channel, while it runs."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .options import FREQUENCY, echo_json, refuse_given, warn_public

if TYPE_CHECKING:
    from phyemu.live import Endpoint, LiveChannel, LiveStatistics, Role

__all__ = ["output_and_live_options", "run_live_stream"]

F = TypeVar("F", bound=Callable[..., Any])

# Options of `phyemu emulate` that a live stream has no use for.
_RECORDING_ONLY = ("recording", "plot", "nodes", "num_threads")


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveOptions:
    """What the user said about a live stream."""

    sources: tuple[str, ...]
    output: tuple[str, ...]
    channel: str | None
    network: str | None
    snr_db: float | None
    interval_s: float
    rate: float | None
    reference_power: float | None
    symbol_rate: float | None
    pace: bool
    keep_latency: bool
    duration: float | None
    idle: float | None
    seed: int
    force: bool
    as_json: bool
    quiet: bool

    @property
    def samples_on_stdout(self) -> bool:
        """Whether standard output is taken."""
        return any(
            text.partition("=")[2 if self.network else 0].partition("?")[0] == "-"
            for text in self.output
        )


_OPTIONS = (
    click.option(
        "-o",
        "--output",
        required=True,
        multiple=True,
        help="File to write, or where --live sends to.",
    ),
    click.option(
        "--live",
        "sources",
        multiple=True,
        metavar="SOURCE",
        help="Take samples from a running program: -, fifo:PATH, zmq+pull://HOST:PORT (also "
        "zmq+sub, zmq+req), udp://HOST:PORT; and send them to -o in the same way (zmq+push, "
        "zmq+pub, zmq+rep). Or a recording: NAME.sigmf.",
    ),
    click.option("--rate", type=FREQUENCY, help="Live: sample rate; a recording knows its own."),
    click.option(
        "--reference-power",
        type=float,
        metavar="DBFS",
        help="Live: mean power of the active transmitter, to which the SNR refers.  [default: 0, "
        "or what the recording says]",
    ),
    click.option(
        "--symbol-rate",
        type=FREQUENCY,
        help="Live: symbol rate, to which the SNR refers.  [default: the sample rate, or what the "
        "recording says]",
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
        help="Live: end when nothing came for so many seconds after the first sample.  [default: "
        "never]",
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
        network = parameters["network"]
        if not parameters["sources"]:
            refuse_given(_LIVE_ONLY, "only with --live; a recording needs none of it")
            for name in ("sources", *_LIVE_ONLY):
                del parameters[name]
            if len(parameters["output"]) > 1:
                raise click.UsageError("-o is there twice; with --network put {node} into the name")
            parameters["output"] = Path(parameters["output"][0])
            return function(**parameters)
        refuse_given(_RECORDING_ONLY, "not with --live, which has --live and -o for that")
        if network is None:
            if parameters["channel"] is None:
                raise click.UsageError("--live needs --channel, or --network")
            if len(parameters["sources"]) > 1 or len(parameters["output"]) > 1:
                raise click.UsageError("--live and -o are there once, unless with --network")
        else:
            refuse_given(("channel", "snr_db"), "not with --network, which has its own channels")
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
    from phyemu.live import (
        EndpointKind,
        Role,
        open_sink,
        open_source,
        recording_facts,
        run_live_network,
    )
    from phyemu.units import db_to_power

    sources = _ends(live.sources, Role.SOURCE, live.network is not None)
    sinks = _ends(live.output, Role.SINK, live.network is not None)
    if live.force and all(end.kind is not EndpointKind.RECORDING for end in sinks.values()):
        raise click.UsageError("--force: not with --live, unless -o is a recording")
    facts = {
        name: recording_facts(end)
        for name, end in sources.items()
        if end.kind is EndpointKind.RECORDING
    }
    rates = {fact.sample_rate_hz for fact in facts.values()} | ({live.rate} if live.rate else set())
    if not rates:
        raise click.UsageError("--live needs --rate; samples do not tell it")
    if len(rates) > 1:
        listed = ", ".join(f"{rate / 1e6:g} MHz" for rate in sorted(rates))
        raise click.UsageError(f"a stream has one sample rate; recordings and --rate say {listed}")
    rate_hz = rates.pop()
    powers = dict.fromkeys(sources, 1.0) | {n: fact.reference_power for n, fact in facts.items()}
    if live.reference_power is not None:
        powers = dict.fromkeys(sources, db_to_power(live.reference_power))
    symbol_rates_hz = dict.fromkeys(sources, live.symbol_rate or rate_hz)
    if live.symbol_rate is None:
        symbol_rates_hz |= {name: fact.symbol_rate_hz for name, fact in facts.items()}
    channel = _channel(live, rate_hz, symbol_rates_hz, powers, list(sinks))
    for end in (*sources.values(), *sinks.values()):
        warn_public(end)
    with ExitStack() as stack:
        results = run_live_network(
            {name: stack.enter_context(open_source(end)) for name, end in sources.items()},
            channel,
            {
                name: stack.enter_context(open_sink(end, sample_rate_hz=rate_hz, force=live.force))
                for name, end in sinks.items()
            },
            sample_rate_hz=rate_hz,
            reference_power=powers,
            pace=live.pace,
            keep_latency=live.keep_latency,
            duration_s=live.duration,
            idle_s=live.idle,
            report=None if live.quiet else partial(_show, err=True),
        )
    if live.as_json:
        nodes = {name: result.to_dict() for name, result in results.items()}
        echo_json(nodes.get("", {"nodes": nodes}))
        return
    _show(results, err=live.samples_on_stdout)


def _ends(texts: tuple[str, ...], role: "Role", named: bool) -> "dict[str, Endpoint]":
    """Return the endpoints by node; without a network, the one of a node without a name."""
    from phyemu.live import parse_endpoint

    ends: dict[str, Endpoint] = {}
    for text in texts:
        name, equals, spec = text.partition("=") if named else ("", "=", text)
        if named and not (name and equals and spec):
            form = "NODE=SOURCE" if role == "source" else "NODE=SINK"
            raise click.UsageError(f"{text}: with --network, write {form}")
        if name in ends:
            raise click.UsageError(f"node {name} is there twice")
        ends[name] = parse_endpoint(spec, role)
    return ends


def _channel(
    live: LiveOptions,
    rate_hz: float,
    symbol_rates_hz: dict[str, float],
    powers: dict[str, float],
    receivers: list[str],
) -> "LiveChannel":
    """Return what stands between the ends: a network, or channels that take turns."""
    from phyemu.channel import with_snr
    from phyemu.colosseum import load_channel_or_link, network_of_spec
    from phyemu.live import LiveNetwork, OneLink, ScheduledChannel, parse_schedule

    settings: dict[str, Any] = {
        "sample_rate_hz": rate_hz,
        "seed": live.seed,
        "interval_s": live.interval_s,
    }
    if live.network is not None:
        described, load = network_of_spec(live.network)
        return LiveNetwork(
            described,
            transmitters=powers,
            receivers=receivers,
            symbol_rate_hz=symbol_rates_hz,
            reference_power=powers,
            name=live.network,
            load=load,
            **settings,
        )
    schedule = parse_schedule(live.channel or "", load=load_channel_or_link)
    if live.snr_db is not None:
        schedule = tuple(
            replace(part, model=with_snr(part.model, live.snr_db)) for part in schedule
        )
    return OneLink(
        ScheduledChannel(
            schedule,
            symbol_rate_hz=symbol_rates_hz[""],
            reference_power=powers[""],
            **settings,
        )
    )


def _show(results: "Mapping[str, LiveStatistics]", *, err: bool) -> None:
    for name, statistics in results.items():
        click.echo(f"{name}: {statistics.line()}" if name else statistics.line(), err=err)
