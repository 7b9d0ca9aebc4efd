"""`phyemu colosseum node`: the daemon of a node of a batch job, in the foreground."""

from pathlib import Path

import click


@click.command("node")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="PHYEMU_NODE_ROOT",
    default=Path("/"),
    show_default=True,
    help="Folder that holds root/radio_api, root/phyemu, logs and run of the node.",
)
def command(root: Path) -> None:
    """Run the daemon of a node of a batch job until SIGTERM or Ctrl-C.

    The scripts in ROOT/root/radio_api speak to it; what it does is in ROOT/logs.
    """
    from phyemu.node.daemon import run_node
    from phyemu.node.layout import NodeLayout

    run_node(NodeLayout(root.absolute()))
