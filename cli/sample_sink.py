"""Where frames go, for every command that sends images: options, and the outlet behind them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .options import (
    FREQUENCY,
    force_option,
    refuse_existing,
    refuse_given,
    refuse_missing_folder,
    warn_public,
)

if TYPE_CHECKING:
    from phyemu.evaluation import AirSide
    from phyemu.radio import UsrpConfig, UsrpRadio
    from phyemu.serving import Outlet

__all__ = [
    "check_sink",
    "is_recording",
    "lines_to",
    "open_outlet",
    "record_to",
    "refuse_own_inputs",
    "refuse_taken_record",
    "sink_options",
    "tells_images",
    "transmitting",
]

F = TypeVar("F", bound=Callable[..., Any])


def sink_options(prefix: str = "") -> Callable[[F], F]:
    """Add -o, the USRP in its place, the amplitude, and where it is written down what was sent.

    Args:
        prefix: Of the options of the USRP, where the command has another one to listen with.
    """
    usrp = f"--{prefix}usrp"
    options = (
        click.option(
            "-o",
            "--output",
            metavar="SINK",
            help="Where samples go: as `-o` of `phyemu emulate --live`.",
        ),
        click.option(
            usrp, metavar="ARGS", help="Transmit with a USRP; '' is the only one there is."
        ),
        click.option(
            f"--{prefix}freq", type=FREQUENCY, help=f"With {usrp}: center frequency to send on."
        ),
        click.option(
            f"--{prefix}gain",
            type=float,
            default=0.0,
            show_default=True,
            help=f"With {usrp}: transmit gain in dB.",
        ),
        click.option(
            f"--{prefix}antenna",
            help=f"With {usrp}: transmit antenna.  [default: the device's]",
        ),
        click.option(
            "--amplitude",
            type=click.FloatRange(0, 1, min_open=True),
            default=0.4,
            show_default=True,
            help="Of the strongest symbols, full scale 1.",
        ),
        click.option(
            "--record",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Write what was sent there, too, for `--sent` of whoever hears it.  [default: "
            "beside a recording, as NAME.sent.jsonl]",
        ),
        force_option,
    )

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def check_sink(parameters: dict[str, Any], prefix: str = "") -> None:
    """Raise UsageError unless the options name one sink, and fit it."""
    usrp, names = f"--{prefix}usrp", prefix.replace("-", "_")
    given = parameters[f"{names}usrp"]
    if (given is None) == (parameters["output"] is None):
        raise click.UsageError(f"give one of -o SINK and {usrp} ARGS")
    if given is None:
        own = (f"{names}freq", f"{names}gain", f"{names}antenna")
        refuse_given(own, f"only with {usrp}")
    elif parameters[f"{names}freq"] is None:
        raise click.UsageError(f"{usrp} needs --{prefix}freq")
    if not is_recording(parameters["output"]) and parameters["record"] is None:
        refuse_given(("force",), "only with a recording or --record")


def refuse_taken_record(parameters: dict[str, Any]) -> None:
    """Raise ConfigError where the record exists already, or has no folder."""
    record = record_to(parameters)
    if record is not None:
        refuse_missing_folder(record)
        refuse_existing(record, parameters["force"])


def refuse_own_inputs(parameters: dict[str, Any], names: tuple[str, ...]) -> None:
    """Raise ConfigError where samples or the record would replace a file that the command reads.

    Args:
        parameters: Of the command.
        names: Of those that may name such a file.
    """
    from phyemu.errors import ConfigError

    output = parameters["output"]
    sink = Path(output.partition("?")[0]) if is_recording(output) else None
    read = {Path(parameters[name]).resolve() for name in names if parameters[name] is not None}
    for path, option in ((sink, "-o"), (record_to(parameters), "--record")):
        if path is not None and path.resolve() in read:
            raise ConfigError(
                f"{path}: the command reads it, and would overwrite it; give another file "
                f"({option})"
            )


def is_recording(output: str | None) -> bool:
    """Return whether samples go to a recording."""
    return output is not None and output.partition("?")[0].endswith(".sigmf")


def tells_images(parameters: dict[str, Any]) -> bool:
    """Return whether standard output is free for lines: samples do not go there."""
    return parameters["output"] is None or parameters["output"].partition("?")[0] != "-"


def record_to(parameters: dict[str, Any]) -> Path | None:
    """Return where what is sent is written to, if anywhere."""
    if parameters["record"] is not None or not is_recording(parameters["output"]):
        record: Path | None = parameters["record"]
        return record
    return Path(parameters["output"].partition("?")[0]).with_suffix(".sent.jsonl")


@contextmanager
def lines_to(path: Path | None) -> "Iterator[Callable[[str], None]]":
    """Yield a function that writes a line to a file, at once; None: it does nothing.

    Raises:
        ConfigError: It cannot be written.
    """
    from phyemu.errors import ConfigError

    def refusal(exc: OSError) -> ConfigError:
        return ConfigError(f"{path}: cannot be written ({exc.strerror})")

    if path is None:
        yield lambda _: None
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("w", encoding="utf-8", buffering=1))
        except OSError as exc:
            raise refusal(exc) from exc

        def write(line: str) -> None:
            try:
                file.write(f"{line}\n")
            except OSError as exc:
                raise refusal(exc) from exc

        yield write


def transmitting(parameters: dict[str, Any], side: "AirSide", prefix: str = "") -> "UsrpConfig":
    """Return how the USRP of the options transmits."""
    from phyemu.radio import UsrpConfig, UsrpPort

    names = prefix.replace("-", "_")
    return UsrpConfig(
        args=parameters[f"{names}usrp"],
        sample_rate_hz=side.frame_format.sample_rate_hz,
        center_frequency_hz=parameters[f"{names}freq"],
        channels=(0,),
        rx=UsrpPort(),
        tx=UsrpPort(gain_db=parameters[f"{names}gain"], antenna=parameters[f"{names}antenna"]),
    )


@contextmanager
def open_outlet(
    parameters: dict[str, Any],
    side: "AirSide",
    prefix: str = "",
    *,
    radio: "UsrpRadio | None" = None,
) -> "Iterator[Outlet]":
    """Yield where the samples go.

    Args:
        parameters: Of `sink_options`.
        side: Whose frames they are.
        prefix: Of the options of the USRP.
        radio: The USRP that they name, where it is open already.

    Raises:
        PhyemuError: It cannot be opened.
    """
    from phyemu.live import EndpointKind, Role, open_sink, parse_endpoint
    from phyemu.serving import RadioOutlet, SinkOutlet, open_recording_outlet

    with ExitStack() as stack:
        if parameters["output"] is None:
            from phyemu.radio import UsrpRadio

            if radio is None:
                radio = stack.enter_context(UsrpRadio(transmitting(parameters, side, prefix)))
            radio.prepare_transmission()
            yield RadioOutlet(radio)
            return
        end = parse_endpoint(parameters["output"], Role.SINK)
        if end.kind is EndpointKind.RECORDING:
            amplitude, force = parameters["amplitude"], parameters["force"]
            kept = open_recording_outlet(Path(end.path), side, amplitude=amplitude, force=force)
            yield stack.enter_context(kept)
            return
        warn_public(end)
        yield SinkOutlet(stack.enter_context(open_sink(end)), name=end.text)
