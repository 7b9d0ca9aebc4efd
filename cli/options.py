"""Options and argument types that mean the same in every command."""

import json
import re
import shlex
import signal
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from phyemu.live import Endpoint

__all__ = [
    "CAPTURES",
    "CHANNELS",
    "FREQUENCY",
    "TRANSMITTER",
    "calibrate_option",
    "channel_option",
    "echo_json",
    "force_option",
    "json_option",
    "keyword_options",
    "model_keywords_option",
    "model_option",
    "named_recordings",
    "output_option",
    "plot_option",
    "quiet_option",
    "refuse_existing",
    "refuse_given",
    "resumable",
    "scheduler_option",
    "seed_option",
    "warn_public",
    "widen_option",
    "widened_spec",
]

F = TypeVar("F", bound=Callable[..., Any])

_PREFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


class Frequency(click.ParamType[float]):
    """A frequency or sample rate in hertz: `20e6`, `20M`, `2.4G`."""

    name = "HZ"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the value in hertz; a bad one is a usage error that shows the forms allowed."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)([kMG]?)(?:Hz|sps)?", str(value))
        try:
            hertz = float(match[1]) * _PREFIXES[match[2]] if match else 0.0
        except ValueError:
            hertz = 0.0
        if hertz <= 0:
            self.fail(f"{value!r} is no positive frequency; write 20e6, 20M or 2.4G", param, ctx)
        return hertz


class Transmitter(click.ParamType[int | str]):
    """A link of a recording: its rank in power from 0, or the MAC address of its transmitter."""

    name = "RANK|MAC"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Return the rank, or the address in small letters with colons."""
        if isinstance(value, int):
            return value
        text = str(value).lower().replace("-", ":")
        if re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", text):
            return text
        if re.fullmatch(r"[0-9]+", text):
            return int(text)
        self.fail(
            f"{value!r} is no transmitter; give its rank (0 is the strongest) or its MAC address "
            f"(aa:bb:cc:dd:ee:ff)",
            param,
            ctx,
        )


TRANSMITTER = Transmitter()


class Channels(click.ParamType[tuple[int, ...]]):
    """Channel numbers: `0`, or `0,1`."""

    name = "N,N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the numbers; a bad one is a usage error that shows the form."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r}: write 0 or 0,1", param, ctx)


CHANNELS = Channels()


class LibraryFile(click.ParamType[Path]):
    """A path, or the name of a file that phyemu ships."""

    def __init__(self, shelf: Any, name: str) -> None:
        self.shelf = shelf
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path; a name that is neither is a usage error that lists the near ones."""
        from phyemu.errors import ConfigError
        from phyemu.library import find_in_library

        try:
            # A base name stands for NAME.sigmf-meta or NAME.sigmf beside it.
            for suffix in ("", ".sigmf-meta", ".sigmf"):
                if Path(f"{value}{suffix}").is_file():
                    return Path(f"{value}{suffix}")
            return find_in_library(str(value), self.shelf)
        except ConfigError as error:
            if self.shelf == "captures" and _is_unfinished(Path(value)):
                return Path(value)  # whoever opens it says how to finish it
            self.fail(str(error), param, ctx)


def _is_unfinished(path: Path) -> bool:
    from phyemu.iq.unfinished import find_unfinished

    return find_unfinished(path) is not None


FREQUENCY = Frequency()
CAPTURES = LibraryFile("captures", "RECORDING")


def seed_option(function: F) -> F:
    """Add `--seed`: everything random comes from it."""
    return click.option(
        "--seed",
        type=click.IntRange(0, 2**63 - 1),
        default=0,
        show_default=True,
        help="Seed of every draw.",
    )(function)


def output_option(required: bool = True) -> Callable[[F], F]:
    """Add `-o/--output`."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        required=required,
        help="File to write.",
    )


def force_option(function: F) -> F:
    """Add `--force`: without it, existing output is not overwritten."""
    return click.option("--force", is_flag=True, help="Overwrite existing output.")(function)


def json_option(function: F) -> F:
    """Add `--json`: one JSON object on stdout instead of text."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")(function)


def model_option(function: F) -> F:
    """Add `--model`: a network that is not phyemu's, imported because the user names it."""
    return click.option(
        "--model",
        metavar="NAME",
        help="Network of the run where it is not phyemu's: timm:MODEL or package.module:factory. "
        "It is imported, so name only code that you trust.",
    )(function)


def model_keywords_option(function: F) -> F:
    """Add `--option`: keyword arguments of the network's factory."""
    return click.option(
        "--option",
        "keywords",
        metavar="KEY=VALUE",
        multiple=True,
        help="Keyword argument of the network's factory, as img_size=32; repeat it.",
    )(function)


def keyword_options(keywords: Collection[str]) -> dict[str, Any]:
    """Return KEY=VALUE arguments by key; a value is one of TOML, or else a string."""
    options: dict[str, Any] = {}
    for keyword in keywords:
        key, equals, text = keyword.partition("=")
        if not equals or not key.isidentifier():
            raise click.UsageError(f"--option {keyword!r}: write KEY=VALUE, as img_size=32")
        try:
            options[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            options[key] = text
    return options


def calibrate_option(function: F) -> F:
    """Add `--calibrate`: the front ends' response, divided out of every sounding."""
    return click.option(
        "--calibrate",
        type=CAPTURES,
        help="Recording through a cable (or its .h5): its response is divided out.",
    )(function)


def scheduler_option(function: F) -> F:
    """Add `--scheduler`: where several recordings are sounded."""
    return click.option(
        "--scheduler",
        metavar="serial|local[:N]|tcp://...",
        help="Where recordings are sounded: here one after the other, on N processes of this "
        "machine, or on the workers of a Dask scheduler.  [default: local for large collections]",
    )(function)


def quiet_option(function: F) -> F:
    """Add `--quiet`: no progress on stderr."""
    return click.option("--quiet", is_flag=True, help="Show no progress.")(function)


def plot_option(function: F) -> F:
    """Add `--plot FILE`: the figure, in the format of the file's suffix (png, pdf, svg)."""
    return click.option(
        "--plot", type=click.Path(path_type=Path), help="Write a figure (.png, .pdf, .svg)."
    )(function)


def channel_option(required: bool = True) -> Callable[[F], F]:
    """Add `--channel`: a spec as phyemu.colosseum.load_channel_or_link reads it."""
    return click.option(
        "--channel",
        metavar="SPEC",
        required=required,
        help="Channel: a shipped name, an .h5 file, awgn:SNR_DB, awgn:LOWEST..HIGHEST, "
        "tgn-a..tgn-f, tdl-a..tdl-e, world:NAME, mixture:SPEC,SPEC, widen:FACTOR:SPEC, or a link "
        "of a Colosseum scenario as scenario:NAME:TX-RX[:SNR_DB].",
    )


def widen_option(function: F) -> F:
    """Add `--widen`: randomise the domain around `--channel`; see `widened_spec`."""
    return click.option(
        "--widen",
        type=click.FloatRange(1, 10),
        metavar="FACTOR",
        help="Vary what the channel states FACTOR times as widely (1: not at all).",
    )(function)


def widened_spec(channel: str | None, widen: float | None) -> str | None:
    """Return the spec of `--channel` with `--widen`.

    Raises:
        UsageError: There is nothing to widen.
    """
    if widen is None:
        return channel
    if channel is None:
        raise click.UsageError(
            f'--widen needs --channel; in a settings file, write channel = "widen:{widen:g}:SPEC"'
        )
    return "//".join(f"widen:{widen:g}:{hop}" for hop in channel.split("//"))


def refuse_existing(output: Path, force: bool) -> None:
    """Raise ConfigError when `output` exists and `--force` was not given."""
    from phyemu.errors import ConfigError

    if output.exists() and not force:
        raise ConfigError(f"{output}: exists already; give --force to overwrite it")


def refuse_missing_folder(output: Path) -> None:
    """Raise ConfigError when there is no folder that `output` could be written to."""
    from phyemu.errors import ConfigError

    if not output.parent.is_dir():
        raise ConfigError(f"{output}: there is no folder {output.parent}; make it first")


def refuse_given(names: Collection[str], reason: str) -> None:
    """Raise UsageError when one of the command's parameters `names` was given, not defaulted."""
    context = click.get_current_context()
    defaults = (ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names and context.get_parameter_source(parameter.name) not in defaults
    ]
    if given:
        raise click.UsageError(f"{', '.join(given)}: {reason}")


@contextmanager
def resumable(command: str, settings: Path, *, tells: bool = True) -> Iterator[None]:
    """On Ctrl-C, end with the line that says how to go on.

    Args:
        command: What goes on, as `train`.
        settings: Lie in its folder from when there is something to continue.
        tells: Whether this process says so; of several that train together, one does.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        if tells:
            folder = shlex.quote(str(settings.parent))
            way_on = f"; continue with phyemu {command} --resume -o {folder}"
            known = way_on if settings.is_file() else ""
            click.echo(f"phyemu: interrupted{known}", err=True)
        raise SystemExit(128 + getattr(error, "number", signal.SIGINT)) from None


def named_recordings(nodes: Collection[str]) -> dict[str, Path]:
    """Return the recordings of `--node NAME=RECORDING`, by name.

    Raises:
        BadParameter: It is written otherwise, a name is there twice, or there is no such recording.
    """
    paths: dict[str, Path] = {}
    for node in nodes:
        name, equals, path = node.partition("=")
        if not (name and equals and path):
            raise click.BadParameter(f"{node!r}: write NAME=RECORDING", param_hint="--node")
        if name in paths:
            raise click.BadParameter(f"{name} is there twice", param_hint="--node")
        paths[name] = CAPTURES.convert(path, None, click.get_current_context())
    return paths


def warn_public(end: "Endpoint") -> None:
    """Say on stderr that an endpoint is open to other machines, if it is."""
    if end.is_public:
        click.echo(
            f"{end.text}: open to other machines; whoever reaches it is not asked who it is",
            err=True,
        )


def echo_json(result: Mapping[str, Any]) -> None:
    """Print `result` as one JSON object; NaN and infinities become null."""

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [clean(item) for item in value]
        if isinstance(value, float):
            return value if abs(value) < float("inf") else None
        return value

    click.echo(json.dumps(clean(result), allow_nan=False))
