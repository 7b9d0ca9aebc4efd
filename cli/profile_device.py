"""`phyemu profile-device`: what this machine takes for networks, as a profile."""

from pathlib import Path

import click

from .options import (
    echo_json,
    force_option,
    json_option,
    output_option,
    quiet_option,
    refuse_existing,
)
from .progress import progress_bars


@click.command("profile-device")
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="What computes.",
)
@click.option("--meter", metavar="NAME", help="Of the energy.  [default: the best there is]")
@click.option(
    "--power",
    type=click.FloatRange(0, min_open=True),
    metavar="W",
    help="Believed while it computes, where nothing measures it.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.01, 60),
    default=0.25,
    show_default=True,
    help="Time for each of some 70 networks.",
)
@output_option()
@force_option
@json_option
@quiet_option
def command(
    device: str,
    meter: str | None,
    power: float | None,
    seconds: float,
    output: Path,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Time layers and networks on this machine and write its profile to OUTPUT (.toml).

    The profile is fitted to some networks and checked with others, whose errors are printed. Let
    nothing else run meanwhile.
    """
    if meter is not None and power is not None:
        raise click.UsageError("--power is for want of a meter and does not go with --meter")
    refuse_existing(output, force)
    from phyemu.evaluation import profiled_heads
    from phyemu.metering import (
        PowerModel,
        measure_profile,
        open_meter,
        save_device_profile,
    )

    chosen = None if meter is None else open_meter(meter)
    if power is not None:
        chosen = PowerModel(power_w=power, source="given")
    with progress_bars(quiet) as progress:
        found = measure_profile(
            output.stem,
            heads=list(profiled_heads()),
            device=device,
            meter=chosen,
            seconds_per_case=seconds,
            progress=progress,
        )
    save_device_profile(found.profile, output)
    if as_json:
        echo_json(found.to_dict())
        return
    for name, error in found.held_out.items():
        click.echo(f"{name}: modelled time is {error:+.0%} off")
    click.echo(
        f"{output}: {found.profile.source}; half of the networks it has not seen within "
        f"{found.median_error:.0%}, all within {found.worst_error:.0%}; "
        f"{found.profile.powers.compute_w:.3g} W while it computes "
        f"({found.profile.assumptions[0].removeprefix('compute_w: ')})"
    )
