"""`phyemu capture`: a radio into a recording."""

from pathlib import Path
from typing import Any

import click

from .options import (
    CAPTURES,
    CHANNELS,
    FREQUENCY,
    echo_json,
    force_option,
    json_option,
    output_option,
    quiet_option,
    refuse_existing,
    refuse_given,
    seed_option,
)
from .progress import progress_bars
from .usrp_values import ANTENNAS, GAINS, START_TIME

_USRP_ONLY = (
    "rate",
    "antenna",
    "bandwidth",
    "lo_offset",
    "tx_gain",
    "tx_antenna",
    "clock_source",
    "time_source",
    "channels",
    "subdev",
    "tx_subdev",
    "start_at",
)


@click.command("capture")
@click.option("--usrp", metavar="ARGS", help="UHD device arguments; '' is the only USRP there is.")
@click.option(
    "--emulated",
    metavar="CHANNEL",
    help="Emulated radio: a channel as in `phyemu emulate`, or a world such as office-nlos-world.",
)
@click.option("--transmit", type=CAPTURES, help="Recording to transmit at the same time.")
@click.option("--rate", type=FREQUENCY, help="Sample rate.  [default: that of --transmit]")
@click.option(
    "--freq",
    type=FREQUENCY,
    help="Center frequency.  [default: that of --transmit, if --emulated]",
)
@click.option(
    "--gain",
    type=GAINS,
    help="Receive gain in dB, or one for each channel.  [default: 0, and -12 if --emulated]",
)
@click.option(
    "--antenna",
    type=ANTENNAS,
    help="Receive antenna, such as RX2, or one for each channel.  [default: the device's]",
)
@click.option("--bandwidth", type=FREQUENCY, help="Analog filter.  [default: the device's]")
@click.option("--lo-offset", type=float, metavar="HZ", help="LO offset.  [default: the device's]")
@click.option("--tx-gain", type=float, default=0.0, show_default=True, help="Transmit gain in dB.")
@click.option("--tx-antenna", help="Transmit antenna.  [default: the device's]")
@click.option("--clock-source", help="internal, external, gpsdo.  [default: the device's]")
@click.option("--time-source", help="internal, external, gpsdo.  [default: the device's]")
@click.option(
    "--channels", type=CHANNELS, default="0", show_default=True, help="Channels, such as 0,1."
)
@click.option("--subdev", help="Front ends of the channels, such as 'A:A A:B'.  [default: all]")
@click.option("--tx-subdev", help="Front ends of the transmitter's channels.  [default: all]")
@click.option(
    "--start-at", type=START_TIME, help="Start at this time of the device, which is set to UTC."
)
@click.option("--duration", type=click.FloatRange(0, min_open=True), help="Seconds to record.")
@click.option("--samples", type=click.IntRange(1), help="Samples per channel to record.")
@click.option("--datatype", default="ci16_le", show_default=True, help="SigMF datatype.")
@click.option(
    "--repeat", type=click.IntRange(1), default=1, show_default=True, help="Times to send."
)
@click.option(
    "--burst-interval",
    type=click.FloatRange(0, min_open=True),
    metavar="S",
    help="With --emulated: send the annotated bursts this far apart and record only around them.",
)
@output_option()
@seed_option
@force_option
@json_option
@quiet_option
def command(
    usrp: str | None,
    emulated: str | None,
    transmit: Path | None,
    rate: float | None,
    freq: float | None,
    gain: float | tuple[float, ...] | None,
    antenna: str | tuple[str, ...] | None,
    bandwidth: float | None,
    lo_offset: float | None,
    tx_gain: float,
    tx_antenna: str | None,
    clock_source: str | None,
    time_source: str | None,
    channels: tuple[int, ...],
    subdev: str | None,
    tx_subdev: str | None,
    start_at: float | None,
    duration: float | None,
    samples: int | None,
    datatype: str,
    repeat: int,
    burst_interval: float | None,
    output: Path,
    seed: int,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Record from a USRP, or from an emulated radio that hears what --transmit sends.

    Without --duration and --samples it records the transmission, or until Ctrl-C. A recording is
    valid whatever ended it; gaps are capture segments of their own. The exit code is 1 if the
    radio or the disk ended it.
    """
    if (usrp is None) == (emulated is None):
        raise click.UsageError("give one of --usrp ARGS and --emulated CHANNEL")
    if emulated is not None and transmit is None:
        raise click.UsageError("--emulated needs --transmit, the recording that it hears")
    if emulated is not None:
        refuse_given(_USRP_ONLY, "only with --usrp; an emulated radio has no such setting")
    if usrp is not None and (freq is None or (rate is None and transmit is None)):
        raise click.UsageError("--usrp needs --rate and --freq")
    if emulated is not None and isinstance(gain, tuple):
        raise click.UsageError("--gain takes one value with --emulated, which has one channel")
    if duration is not None and samples is not None:
        raise click.UsageError("give --duration or --samples, not both")
    if burst_interval is not None and (emulated is None or duration or samples):
        raise click.UsageError("--burst-interval needs --emulated, and no --duration or --samples")
    refuse_existing(output, force)  # before torch loads, and before a radio is opened
    from contextlib import ExitStack

    from phyemu.iq import open_recording
    from phyemu.radio import (
        HEADROOM_GAIN_DB,
        EmulatedRadio,
        Radio,
        TransmitSettings,
        UsrpConfig,
        UsrpPort,
        UsrpRadio,
        capture_to_recording,
        capture_transmission,
        load_world_or_channel,
        record_annotated_bursts,
    )

    with ExitStack() as stack:
        sent = None if transmit is None else stack.enter_context(open_recording(transmit))
        radio: Radio
        if emulated is not None and sent is not None:
            model = load_world_or_channel(emulated)
            radio = EmulatedRadio.for_recording(
                sent,
                model,
                seed=seed,
                gain_db=gain if isinstance(gain, float) else HEADROOM_GAIN_DB,
                center_frequency_hz=freq,
            )
        else:
            radio = UsrpRadio(
                UsrpConfig(
                    args=usrp or "",
                    sample_rate_hz=rate or (sent.sample_rate_hz if sent is not None else 0.0),
                    center_frequency_hz=freq or 0.0,
                    channels=channels,
                    rx=UsrpPort(
                        gain_db=gain or 0.0,
                        antenna=antenna,
                        bandwidth_hz=bandwidth,
                        lo_offset_hz=lo_offset,
                        subdev=subdev,
                    ),
                    tx=UsrpPort(gain_db=tx_gain, antenna=tx_antenna, subdev=tx_subdev),
                    clock_source=clock_source,
                    time_source=time_source,
                    start_at_s=start_at,
                )
            )
        stack.enter_context(radio)
        if burst_interval is not None and isinstance(radio, EmulatedRadio) and sent is not None:
            with progress_bars(quiet) as progress:
                record_annotated_bursts(
                    radio,
                    sent,
                    output,
                    interval_s=burst_interval,
                    repeats=repeat,
                    datatype=datatype,
                    description=f"Emulated: {sent.path.name} in bursts through {radio.name}",
                    force=force,
                    progress=progress,
                )
            bursts = len(sent.annotations) * repeat
            if as_json:
                echo_json({"path": str(output), "bursts": bursts, "interval_s": burst_interval})
            else:
                click.echo(f"{output}: {bursts} bursts, one every {burst_interval:g} s")
            return
        length: dict[str, Any] = {"num_samples": samples, "duration_s": duration}
        report = None
        with progress_bars(quiet) as progress:
            if sent is None:
                summary = capture_to_recording(
                    radio, output, datatype=datatype, force=force, progress=progress, **length
                )
            else:
                summary, report = capture_transmission(
                    radio,
                    sent,
                    output,
                    TransmitSettings(repeats=repeat),
                    datatype=datatype,
                    force=force,
                    progress=progress,
                    **length,
                )
        # Before the radio is closed: UHD waits long for a device that is gone.
        if as_json:
            sent_how = None if report is None else report.to_dict()
            echo_json(summary.to_dict() | {"transmitted": sent_how})
        else:
            click.echo(summary.line())
        if not as_json and report is not None and report.went_wrong:
            click.echo(report.line(), err=True)
    if summary.is_failure or (report is not None and report.ended_by.is_failure):
        # The recording is valid, but it is not what was asked for.
        raise click.exceptions.Exit(1)
