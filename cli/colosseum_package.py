"""`phyemu colosseum package`: images for Colosseum's nodes."""

from pathlib import Path

import click

from .options import echo_json, force_option, json_option, output_option, quiet_option
from .progress import progress_bars

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_PATH = click.Path(exists=True, path_type=Path)

# Parts of the report that are named; the others are summed.
_NAMED_PARTS = 8


@click.command("package")
@click.option(
    "--kind",
    type=click.Choice(["srn", "gpu"]),
    required=True,
    help="srn: an LXD image for radio nodes; gpu: a Docker image for GPU nodes.",
)
@click.option(
    "--base",
    required=True,
    metavar="ARCHIVE|debootstrap:SUITE[:MIRROR]",
    help="What to build on: a base image (.tar.gz, .tar.xz; gpu: of docker save), or, for srn, a "
    "suite of Debian or Ubuntu.",
)
@output_option()
@click.option(
    "--authorized-key",
    "authorized_keys",
    type=_FILE,
    multiple=True,
    help="OpenSSH public key that may log in as root; repeatable.",
)
@click.option("--root-password-file", type=_FILE, help="File with root's password, one line.")
@click.option("--head", type=_FOLDER, help="Run whose head and test images go in: to transmit.")
@click.option("--tail", type=_FOLDER, help="Run whose tail goes in: to receive and score.")
@click.option("--order", type=click.IntRange(2), help="M, where the run holds several.")
@click.option("--images", type=click.IntRange(1), help="At most so many test images.")
@click.option(
    "--content",
    type=_PATH,
    multiple=True,
    help="File, or folder whose content, goes to /root/phyemu (waveforms, ...); repeatable.",
)
@click.option("--radio-conf", type=_FILE, help="Settings of a node that gets none from a job.")
@click.option(
    "--wheels",
    type=_FOLDER,
    help="Wheels for the base's Python (its newest, where it has several), where it is not this "
    "one.  [default: this environment]",
)
@click.option(
    "--python",
    type=_FILE,
    help="Relocatable Python (python-build-standalone, install_only) for a base without 3.11.",
)
@force_option
@json_option
@quiet_option
def command(
    kind: str,
    base: str,
    output: Path,
    authorized_keys: tuple[Path, ...],
    root_password_file: Path | None,
    head: Path | None,
    tail: Path | None,
    order: int | None,
    images: int | None,
    content: tuple[Path, ...],
    radio_conf: Path | None,
    wheels: Path | None,
    python: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write an image for Colosseum's nodes: BASE with phyemu, all it needs, and a way in.

    Nothing is unpacked, and neither LXD nor Docker is needed. No image has a default password.
    """
    from phyemu.container import NodeContent, image_name, package_gpu, package_srn, read_access

    if kind == "gpu" and python is not None:
        raise click.UsageError("--python is for --kind srn; a Docker base brings its own Python")
    if kind == "gpu" and base.startswith("debootstrap:"):
        raise click.UsageError(
            "--base debootstrap:... is for --kind srn; give --kind gpu an archive of docker save"
        )
    if head is None and tail is None:
        for option, value in (("--order", order), ("--images", images)):
            if value is not None:
                raise click.UsageError(f"{option} needs --head or --tail")
    if not authorized_keys and root_password_file is None:
        raise click.UsageError("give --authorized-key or --root-password-file: no image is open")
    access = read_access(
        authorized_keys=authorized_keys,
        root_password_file=root_password_file,
        image_name=image_name(output),
    )
    with progress_bars(quiet) as progress:
        held = NodeContent(
            head=head,
            tail=tail,
            order=order,
            max_images=images,
            paths=content,
            radio_conf=radio_conf,
        )
        if kind == "gpu":
            image = package_gpu(
                output,
                Path(base),
                access=access,
                content=held,
                wheels=wheels,
                force=force,
                progress=progress,
            )
        else:
            image = package_srn(
                output,
                base,
                access=access,
                content=held,
                wheels=wheels,
                python=python,
                force=force,
                progress=progress,
            )
    if as_json:
        echo_json(
            {
                "path": str(image.path),
                "manifest": str(image.manifest),
                "kind": kind,
                "sha256": image.sha256,
                "size": image.size,
                "base_size": image.base_size,
                "sizes": image.sizes,
                "python": image.python,
                "distributions": image.distributions,
                "notes": list(image.notes),
            }
        )
        return
    for note in image.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(f"{image.path}: {_megabytes(image.size)}, Python {image.python}, {image.manifest}")
    click.echo(f"  {'base':32} {_megabytes(image.base_size):>10}  (not compressed, as below)")
    parts = list(image.sizes.items())
    for part, size in parts[:_NAMED_PARTS]:
        click.echo(f"  {part:32} {_megabytes(size):>10}")
    rest = parts[_NAMED_PARTS:]
    if rest:
        what = f"{len(rest)} others"
        click.echo(f"  {what:32} {_megabytes(sum(size for _, size in rest)):>10}")
    click.echo(f"sha256 {image.sha256}")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
