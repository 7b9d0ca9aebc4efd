"""`phyemu colosseum run`: recordings through the software twin of Colosseum's emulator."""

from contextlib import ExitStack
from pathlib import Path

import click

from .colosseum_scenario import SCENARIO
from .options import (
    echo_json,
    force_option,
    json_option,
    named_recordings,
    quiet_option,
    refuse_given,
    seed_option,
)
from .progress import progress_bars


@click.command("run")
@click.argument("source", metavar="SCENARIO", type=SCENARIO)
@click.option(
    "--node",
    "nodes",
    metavar="N=RECORDING",
    multiple=True,
    required=True,
    help="What a node sends; repeat it for each. Nodes without one are silent.",
)
@click.option(
    "-o",
    "--output",
    "--out",
    required=True,
    help="File to write for each receiver; {node} stands for its number.",
)
@click.option(
    "--noise-dbfs",
    type=float,
    default=-80.0,
    show_default=True,
    help="Noise power of every receiver; -inf: none.",
)
@click.option("--base-loss", type=float, default=0.0, show_default=True, help="In dB, every link.")
@click.option(
    "--radios",
    metavar="ideal|x310|TOML",
    default="ideal",
    show_default=True,
    help="Front ends of the nodes; a file has [every] and [nodes.N].",
)
@click.option(
    "--tap-bits",
    type=click.IntRange(4, 24),
    default=16,
    show_default=True,
    help="Resolution of a tap's I and Q.",
)
@click.option(
    "--ideal-taps",
    is_flag=True,
    help="Taps as the scenario has them: no grid, no bits, no range, any number.",
)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@seed_option
@force_option
@json_option
@quiet_option
def command(
    source: Path,
    nodes: tuple[str, ...],
    output: str,
    noise_dbfs: float,
    base_loss: float,
    radios: str,
    tap_bits: int,
    ideal_taps: bool,
    threads: int,
    seed: int,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Send recordings through SCENARIO as Colosseum's emulator would, and write what is heard.

    Every receiver hears the sum of all transmitters, each through at most four taps on the 10 ns
    grid that switch every millisecond, in its own noise.
    """
    from phyemu.channel.emulate_network import emulate_network
    from phyemu.colosseum import MchemEmulator, TapHardware, load_radios, load_scenario
    from phyemu.iq import open_recording

    if ideal_taps:
        refuse_given(("tap_bits",), "does nothing with --ideal-taps")
    paths = named_recordings(nodes)
    emulator = MchemEmulator.of_scenario(
        load_scenario(source),
        base_loss_db=base_loss,
        noise_dbfs=noise_dbfs,
        radios=load_radios(radios),
        hardware=TapHardware.ideal() if ideal_taps else TapHardware(bits=tap_bits),
    )
    with ExitStack() as stack:
        recordings = {
            name: stack.enter_context(open_recording(path)) for name, path in paths.items()
        }
        for recording in recordings.values():
            emulator.check_sample_rate(recording.sample_rate_hz)
        progress = stack.enter_context(progress_bars(quiet))
        emulation = emulate_network(
            recordings,
            emulator.network,
            output,
            seed=seed,
            interval_s=emulator.interval_s,
            num_threads=threads,
            force=force,
            load=emulator.load,
            progress=progress,
        )
    left_out = [f"{tx}>{rx}" for tx, rx in emulator.left_out]
    if as_json:
        echo_json({**emulation.summary(), "left_out": left_out})
        return
    if left_out:
        click.echo(f"below the emulator's range, left out: {', '.join(left_out)}", err=True)
    rate_hz = emulation.sample_rate_hz
    for name, written in emulation.outputs.items():
        click.echo(
            f"{written}: {emulation.num_samples} samples at {rate_hz / 1e6:g} MHz, node {name} "
            f"hears {', '.join(emulation.heard[name])}, {emulation.num_clipped[name]} clipped"
        )
