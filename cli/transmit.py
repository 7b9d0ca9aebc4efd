"""Options and steps of `phyemu replay` where the recording goes on the air."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .options import CHANNELS, FREQUENCY

if TYPE_CHECKING:
    from phyemu.iq import Recording
    from phyemu.progress import ProgressCallback
    from phyemu.radio import Radio, TransmitSettings

__all__ = ["AIR_OPTIONS", "AirOptions", "air_options", "transmit"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True, slots=True)
class AirOptions:
    """What the options of the transmitter were given."""

    usrp: str | None
    emulated: str | None
    freq: float | None
    gain: float
    antenna: str | None
    bandwidth: float | None
    lo_offset: float | None
    subdev: str | None
    channels: tuple[int, ...] | None
    clock_source: str | None
    time_source: str | None
    send_channels: tuple[int, ...] | None
    gaps: str
    amplitude: float
    peak_dbfs: float | None
    repeat: int
    delay: float
    at: float | None
    duplex: Path | None
    rx_usrp: str | None
    rx_gain: float | None
    rx_antenna: str | None
    rx_bandwidth: float | None
    rx_lo_offset: float | None
    rx_subdev: str | None
    rx_channels: tuple[int, ...] | None
    duration: float | None
    datatype: str
    force: bool


AIR_OPTIONS = tuple(field.name for field in fields(AirOptions))


def air_options(function: F) -> F:
    """Add the options of a transmitter, and of the receiver that hears it."""
    options = (
        click.option("--usrp", metavar="ARGS", help="Transmit it with a USRP; '' is the only one."),
        click.option(
            "--emulated",
            metavar="CHANNEL",
            help="Transmit it to an emulated radio, which --duplex records: a channel or a world.",
        ),
        click.option(
            "--freq", type=FREQUENCY, help="Center frequency.  [default: the recording's]"
        ),
        click.option(
            "--gain", type=float, default=0.0, show_default=True, help="Transmit gain in dB."
        ),
        click.option("--antenna", help="Transmit antenna, such as TX/RX.  [default: the device's]"),
        click.option(
            "--bandwidth",
            type=FREQUENCY,
            help="Analog filter of the transmitter.  [default: the device's]",
        ),
        click.option(
            "--lo-offset",
            type=float,
            metavar="HZ",
            help="LO offset of the transmitter.  [default: the device's]",
        ),
        click.option(
            "--subdev",
            help="Front ends of the transmitter's channels, such as 'A:A A:B'.  [default: all]",
        ),
        click.option(
            "--channels",
            type=CHANNELS,
            help="Channels of the device, such as 0,1.  [default: as many as are sent]",
        ),
        click.option("--clock-source", help="internal, external, gpsdo.  [default: the device's]"),
        click.option("--time-source", help="internal, external, gpsdo.  [default: the device's]"),
        click.option(
            "--send-channels", type=CHANNELS, help="Channels of the recording.  [default: all]"
        ),
        click.option(
            "--gaps",
            type=click.Choice(["silence", "skip"]),
            default="silence",
            show_default=True,
            help="Send gaps of the recording as silence, or leave them out.",
        ),
        click.option(
            "--amplitude",
            type=click.FloatRange(0, min_open=True),
            default=1.0,
            show_default=True,
            help="Scale of the transmitted samples.",
        ),
        click.option(
            "--peak-dbfs",
            type=click.FloatRange(max=0),
            metavar="DBFS",
            help="Scale the samples so that their peak lies here, in place of --amplitude.",
        ),
        click.option(
            "--repeat",
            type=click.IntRange(0),
            default=1,
            show_default=True,
            help="Times to send; 0: until Ctrl-C.",
        ),
        click.option(
            "--delay",
            type=click.FloatRange(0),
            default=0.0,
            show_default=True,
            help="Seconds from now to the first sample.",
        ),
        click.option(
            "--at",
            type=click.FloatRange(0),
            metavar="S",
            help="Second of the device's clock at which the first sample goes out.",
        ),
        click.option(
            "--duplex",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Record at the same time what is received.",
        ),
        click.option(
            "--rx-usrp", metavar="ARGS", help="Receive with this USRP.  [default: the same one]"
        ),
        click.option(
            "--rx-gain",
            type=float,
            help="Receive gain in dB.  [default: 0, and -12 if --emulated]",
        ),
        click.option("--rx-antenna", help="Receive antenna, such as RX2.  [default: the device's]"),
        click.option(
            "--rx-bandwidth",
            type=FREQUENCY,
            help="Analog filter of the receiver.  [default: the device's]",
        ),
        click.option(
            "--rx-lo-offset",
            type=float,
            metavar="HZ",
            help="LO offset of the receiver.  [default: the device's]",
        ),
        click.option("--rx-subdev", help="Front ends of the receiver's channels.  [default: all]"),
        click.option("--rx-channels", type=CHANNELS, help="Channels to record.  [default: 0]"),
        click.option(
            "--duration",
            type=click.FloatRange(0, min_open=True),
            help="Seconds to record.  [default: as long as it sends]",
        ),
        click.option(
            "--datatype", default="ci16_le", show_default=True, help="SigMF datatype of --duplex."
        ),
        click.option("--force", is_flag=True, help="Overwrite the recording of --duplex."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def transmit(
    recording: "Recording", air: AirOptions, seed: int, progress: "ProgressCallback"
) -> tuple[dict[str, Any], list[str], bool]:
    """Transmit `recording`, and record what is heard if that was asked for.

    Returns:
        What to print as JSON and as lines, and whether something failed on the way.
    """
    from phyemu.radio import capture_transmission, send_recording

    frequency = _frequency(recording, air)
    settings, levels = _levels(recording, air, progress)
    _tell_gaps(recording, settings)
    with ExitStack() as stack:
        sender, receiver = _radios(recording, air, frequency, seed, stack)
        told = dict(sender.transmit_settings())
        _tell_settings(sender, told, air, frequency)
        result: dict[str, Any] = {"radio": sender.name, "settings": told, "levels": levels}
        result["amplitude"] = settings.amplitude
        if air.duplex is None:
            report = send_recording(sender, recording, settings, progress=progress)
            result |= report.to_dict()
            lines = [f"{sender.name}: {report.line()}"]
            return result, lines, report.ended_by.is_failure
        summary, heard = capture_transmission(
            receiver,
            recording,
            air.duplex,
            settings,
            transmitter=None if sender is receiver else sender,
            duration_s=air.duration,
            datatype=air.datatype,
            force=air.force,
            progress=progress,
        )
    lines = [summary.line()]
    failed = summary.is_failure
    if heard is not None:
        result |= heard.to_dict()
        lines.insert(0, f"{sender.name}: {heard.line()}")
        failed |= heard.ended_by.is_failure
    return result | {"received": summary.to_dict()}, lines, failed


def _frequency(recording: "Recording", air: AirOptions) -> float | None:
    found = {segment.center_frequency_hz for segment in recording.captures} - {None}
    names = " and ".join(f"{value:g}" for value in sorted(found, key=lambda value: value or 0.0))
    if air.freq is None and len(found) > 1:
        raise click.UsageError(
            f"the recording's segments are at {names} Hz, and a radio is at one frequency; give "
            "--freq to send all of them there"
        )
    if air.freq is None and not found and air.usrp is not None:
        raise click.UsageError("the recording names no center frequency; give --freq")
    if len(found) > 1:
        _say(f"{recording.path.name}: its segments at {names} Hz all go out at {air.freq:g} Hz")
    return recording.center_frequency_hz if air.freq is None else air.freq


def _levels(
    recording: "Recording", air: AirOptions, progress: "ProgressCallback"
) -> tuple["TransmitSettings", dict[str, Any] | None]:
    """Return how the recording is sent, and its levels where they had to be looked at."""
    from dataclasses import asdict

    from phyemu.radio import (
        GapMode,
        TransmitSettings,
        amplitude_for_peak,
        may_clip,
        measure_levels,
    )

    amplitude = air.amplitude
    levels = None
    if air.peak_dbfs is not None:
        amplitude = amplitude_for_peak(recording, air.peak_dbfs, progress=progress)
    elif may_clip(recording, amplitude):
        measured = measure_levels(recording, amplitude=amplitude, progress=progress)
        levels = asdict(measured)
        if measured.num_clipped:
            _say(
                f"{recording.path.name}: {measured.num_clipped} samples will clip; --amplitude "
                f"{measured.largest_amplitude:.3g} is the largest that does not, --peak-dbfs -1 "
                "finds it"
            )
    settings = TransmitSettings(
        amplitude=amplitude,
        repeats=air.repeat or None,
        delay_s=air.delay,
        at_s=air.at,
        gaps=GapMode(air.gaps),
        channels=air.send_channels,
    )
    return settings, levels


def _tell_gaps(recording: "Recording", settings: "TransmitSettings") -> None:
    from phyemu.radio import transmitted_samples

    silence = transmitted_samples(recording, settings) - recording.num_samples
    if silence:
        _say(
            f"{recording.path.name}: its gaps, {silence} samples, are sent as silence; "
            "--gaps skip leaves them out"
        )
    if recording.lost_samples is None and any(
        "phyemu:gap" in segment.fields for segment in recording.captures
    ):
        _say(f"{recording.path.name}: gaps of unknown length are left out")


def _radios(
    recording: "Recording",
    air: AirOptions,
    frequency: float | None,
    seed: int,
    stack: ExitStack,
) -> tuple["Radio", "Radio"]:
    """Return the radio that transmits and the one that receives, perhaps the same, opened."""
    from phyemu.radio import (
        HEADROOM_GAIN_DB,
        EmulatedRadio,
        UsrpConfig,
        UsrpPort,
        UsrpRadio,
        load_world_or_channel,
    )

    if air.usrp is None:
        gain_db = HEADROOM_GAIN_DB if air.rx_gain is None else air.rx_gain
        emulated = EmulatedRadio.for_recording(
            recording,
            load_world_or_channel(air.emulated or ""),
            seed=seed,
            gain_db=gain_db,
            center_frequency_hz=frequency,
        )
        return emulated, stack.enter_context(emulated)
    sent = air.send_channels or tuple(range(recording.num_channels))
    tx_channels = air.channels or tuple(range(len(sent)))
    tx = UsrpPort(
        gain_db=air.gain,
        antenna=air.antenna,
        bandwidth_hz=air.bandwidth,
        lo_offset_hz=air.lo_offset,
        subdev=air.subdev,
    )
    rx = UsrpPort(
        gain_db=air.rx_gain or 0.0,
        antenna=air.rx_antenna,
        bandwidth_hz=air.rx_bandwidth,
        lo_offset_hz=air.rx_lo_offset,
        subdev=air.rx_subdev,
    )

    def config(args: str, channels: tuple[int, ...]) -> UsrpConfig:
        return UsrpConfig(
            args=args,
            sample_rate_hz=recording.sample_rate_hz,
            center_frequency_hz=frequency or 0.0,
            channels=channels,
            tx_channels=tx_channels,
            rx=rx,
            tx=tx,
            clock_source=air.clock_source,
            time_source=air.time_source,
        )

    rx_channels = air.rx_channels or (0,)
    if air.duplex is None or air.rx_usrp is None:
        # Who only transmits has a receiver too, on the same channels, but it is not used.
        channels = tx_channels if air.duplex is None else rx_channels
        radio = stack.enter_context(UsrpRadio(config(air.usrp, channels)))
        return radio, radio
    receiver = stack.enter_context(UsrpRadio(config(air.rx_usrp, rx_channels)))
    return stack.enter_context(UsrpRadio(config(air.usrp, tx_channels))), receiver


def _tell_settings(
    radio: "Radio", told: dict[str, Any], air: AirOptions, frequency: float | None
) -> None:
    """Say what the transmitter is really set to, and where that is not what was asked for."""
    if not told:
        return  # an emulated radio
    names = {"gain_db": ("gain", "dB", 1.0), "bandwidth_hz": ("bandwidth", "MHz", 1e6)}
    parts = [f"{radio.sample_rate_hz / 1e6:g} Msps"]
    parts += [f"{value / 1e6:.6f} MHz" for value in told.get("center_frequency_hz", [])[:1]]
    parts += [f"channels {','.join(map(str, told.get('channels', [])))}"]
    for key, (name, unit, scale) in names.items():
        values = [f"{value / scale:g}" for value in told.get(key, []) if value is not None]
        parts += [f"{name} {'/'.join(values)} {unit}"] if values else []
    parts += [f"antenna {'/'.join(map(str, told['antenna']))}"] if told.get("antenna") else []
    _say(f"{radio.name} transmits: {', '.join(parts)}")
    asked: dict[str, tuple[float | None, float]] = {
        "gain_db": (air.gain, 0.5),
        "bandwidth_hz": (air.bandwidth, 1e3),
        "center_frequency_hz": (frequency, 1e3),
    }
    for key, (wanted, tolerance) in asked.items():
        given = [value for value in told.get(key, []) if value is not None]
        if wanted is not None and any(abs(value - wanted) > tolerance for value in given):
            got = "/".join(f"{value:g}" for value in given)
            _say(f"{radio.name}: {key} was to be {wanted:g}, and is {got}")


def _say(line: str) -> None:
    click.echo(line, err=True)
