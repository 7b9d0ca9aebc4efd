"""`phyemu colosseum upload`: images, jobs and settings to the team's storage."""

from pathlib import Path

import click

from .options import quiet_option


@click.command("upload")
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="DIR|FILE...",
)
@click.option("--team", help="Whose storage.  [default: the batch's]")
@click.option(
    "--host",
    default="file-proxy",
    show_default=True,
    metavar="[USER@]HOST",
    help="The file proxy, as in ~/.ssh/config.",
)
@click.option(
    "--share",
    default="/share/nas",
    show_default=True,
    metavar="DIR",
    help="Folder of all teams on the host.",
)
@click.option("--dry-run", is_flag=True, help="Print the commands and run none.")
@quiet_option
def command(
    paths: tuple[Path, ...], team: str | None, host: str, share: str, dry_run: bool, quiet: bool
) -> None:
    """Upload batches (DIR), images (.tar.gz), jobs (.json) and settings (.conf) by rsync and ssh.

    Files that exist there are replaced. An upload that was interrupted goes on where it stopped.
    """
    import os

    from phyemu.batch import RemoteFolder, find_uploads, run_commands, upload_commands

    uploads = find_uploads(paths)
    team = team or uploads.team
    if team is None:
        raise click.UsageError("name the team: --team TEAM")
    remote = RemoteFolder(team=team, host=host, share=share)
    commands = upload_commands(uploads.transfers, remote)
    for path in uploads.unchecked:
        click.echo(f"{path}: not checked: no manifest beside it", err=True)
    for image in uploads.images_elsewhere:
        click.echo(f"image {image} is not among the files; it must be there already", err=True)
    if dry_run:
        for item in commands:
            click.echo(item.shell_line())
        return
    with Path(os.devnull).open("w") as nowhere:
        # What rsync shows is progress, so it does not belong to standard output.
        run_commands(commands, output=nowhere if quiet else 2)
    total = sum(item.path.stat().st_size for item in uploads.transfers)
    click.echo(
        f"{host}:{remote.path}: {len(uploads.transfers)} files, {total / 1e6:.1f} MB, SHA-256 equal"
    )
