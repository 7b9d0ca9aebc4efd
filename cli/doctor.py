"""`phyemu doctor`: what this machine has, lacks, and needs."""

from pathlib import Path

import click

from .options import echo_json, json_option


@click.command("doctor")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    help="Folder whose disk is measured.",
)
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Check what phyemu needs on this machine, and say how to mend what is missing."""
    from phyemu.radio.diagnosis import diagnose

    findings = diagnose(folder)
    if as_json:
        echo_json({"findings": [finding.to_dict() for finding in findings]})
        return
    for finding in findings:
        click.echo(f"{finding.level:<8} {finding.subject:<16} {finding.state}")
        if finding.remedy:
            click.echo(f"{'':<8} {'':<16} {finding.remedy}")
