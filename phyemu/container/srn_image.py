"""The image of an SRN: a base with phyemu, its environment, its content and a way in."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from phyemu.progress import ProgressCallback, no_progress

from .access import SshAccess
from .addition import Addition
from .base_image import BaseImage, survey_base
from .base_sshd import notes_on_sshd
from .debootstrap import DEBOOTSTRAP, build_base
from .host_keys import KEYGEN, host_keys, key_maker
from .image_name import image_name
from .image_output import refuse_existing, write_image
from .installed_environment import installed_environment
from .lxd_image import WrittenImage, image_time_s, write_lxd_image
from .manifest import render_manifest
from .node_content import NodeContent
from .node_files import launchers, node_additions
from .packaged_image import PackagedImage, packaged_image
from .python_target import PythonTarget, choose_python, known_glibc
from .scratch_folder import scratch_folder
from .standalone_python import StandalonePython, read_standalone_python
from .vendored import VendoredDistribution, files_once
from .wheelhouse import wheelhouse_environment

__all__ = ["package_srn"]


def package_srn(
    output: Path,
    base: str,
    *,
    access: SshAccess,
    content: NodeContent,
    wheels: Path | None = None,
    python: Path | None = None,
    force: bool = False,
    progress: ProgressCallback = no_progress,
) -> PackagedImage:
    """Write an LXD unified image for SRNs, and its manifest beside it.

    Args:
        output: NAME.tar.gz.
        base: An archive (LXD unified image or root file system), or `debootstrap:SUITE[:MIRROR]`.
        access: Who may log in.
        content: What the node works with.
        wheels: Folder of wheels, for a base with another Python than the running one; None: the
            running environment is taken.
        python: Archive of a relocatable Python, for a base that has none from 3.11 on.
        force: Overwrite an existing image.
        progress: Told of what is read and written.

    Raises:
        ConfigError: The name is none for an image, or the file exists.
        ImageError: The base is none, or the environment does not fit it.
        PhyemuError: Content is missing or damaged.
    """
    name = image_name(output)
    refuse_existing(output, force=force)
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder())
        made = content.additions(_folder(scratch / "phydnn"))
        archive = (
            build_base(base, _folder(scratch / "base"), progress=progress)
            if base.startswith(DEBOOTSTRAP)
            else Path(base)
        )
        surveyed = survey_base(archive, progress=progress)
        own = None if python is None else read_standalone_python(python, progress=progress)
        target = _target(surveyed, own, wheels is not None)
        distributions = (
            installed_environment(target)
            if wheels is None
            else wheelhouse_environment(wheels, target, stack)
        )
        additions = [
            *files_once(distributions),
            *launchers(target.program),
            *node_additions(content.radio_conf),
            *(key_maker() if _makes_keys(surveyed) else ()),
            *made,
            *access.additions(),
        ]
        return _write(
            output, name, base, surveyed, own, target, distributions, additions, access, progress
        )


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _target(base: BaseImage, python: StandalonePython | None, has_wheels: bool) -> PythonTarget:
    """Return the Python to use: the one that is brought, or one of the base's."""
    if python is not None:
        glibc = known_glibc(base.path, base.glibc)
        return PythonTarget(minor=python.minor, program=python.program, glibc=glibc)
    return choose_python(
        base.path,
        base.pythons,
        base.glibc,
        has_wheels=has_wheels,
        remedy=(
            f"bring one, --python cpython-3.{sys.version_info[1]}.*-x86_64-unknown-linux-gnu-"
            "install_only.tar.gz (python-build-standalone; another than this one needs --wheels, "
            "too), or install it in the base"
        ),
    )


def _write(
    output: Path,
    name: str,
    base_name: str,
    base: BaseImage,
    python: StandalonePython | None,
    target: PythonTarget,
    distributions: Sequence[VendoredDistribution],
    additions: Sequence[Addition],
    access: SshAccess,
    progress: ProgressCallback,
) -> PackagedImage:
    versions = {item.name: item.version for item in distributions}
    shown = base_name if base_name.startswith(DEBOOTSTRAP) else base.path.name
    done: list[WrittenImage] = []

    def write(file: BinaryIO) -> bytes:
        written = write_lxd_image(
            base,
            additions,
            file,
            access=access,
            name=name,
            description=f"phyemu {versions['phyemu']} on {shown}",
            time_s=image_time_s(base),
            removed=host_keys(base.tree) if _makes_keys(base) else (),
            python=python,
            progress=progress,
        )
        done.append(written)
        made_of: dict[str, Any] = {
            "kind": "srn",
            "name": name,
            "image": {"file": output.name, "sha256": written.sha256, "size": written.size},
            "base": {
                "name": shown,
                "sha256": base.sha256,
                "size": base.size,
                "layout": str(base.layout),
                "entries": base.num_entries,
                "os": base.os_release.get("PRETTY_NAME", ""),
            },
            "python": {
                "version": f"3.{target.minor}",
                "program": target.program,
                "archive_sha256": None if python is None else python.sha256,
            },
            "creation_date": written.metadata["creation_date"],
            "distributions": versions,
            "rewritten": list(written.rewritten),
            "removed": list(written.removed),
            "left_out": list(base.left_out),
        }
        return render_manifest(made_of, written.added)

    notes = _notes(base, distributions)
    write_image(output, write)
    (written,) = done
    return packaged_image(
        output,
        written,
        base_size=base.content_size,
        target=target,
        versions=versions,
        notes=notes,
    )


def _notes(base: BaseImage, distributions: Sequence[VendoredDistribution]) -> list[str]:
    notes = []
    if base.left_out:
        notes.append(
            f"left out of the base, as LXD knows no such thing: {', '.join(base.left_out)}"
        )
    if not base.has_systemd:
        notes.append("the base has no systemd: nothing starts phyemu-node.service, or sshd")
    if not _makes_keys(base) and host_keys(base.tree):
        notes.append(
            "sshd's host keys are the base's, as nothing in it could make others (systemd, "
            "/usr/bin/ssh-keygen): all nodes of this base share them"
        )
    notes += notes_on_sshd(base.sshd_settings, base=base.path)
    if not any(_has_uhd(path) for path in base.tree.paths_below("")):
        notes.append("the base has no UHD for Python (python3-uhd): no radio can be opened")
    gpu = [item.name for item in distributions if item.name.startswith("nvidia-")]
    if gpu:
        notes.append(
            f"the environment brings CUDA ({len(gpu)} distributions), and SRNs have no GPU; a "
            "torch for CPUs makes the image smaller by gigabytes"
        )
    return notes


def _makes_keys(base: BaseImage) -> bool:
    """Return whether a node of this base makes host keys at its first boot."""
    return base.has_systemd and base.tree.is_file(KEYGEN)


def _has_uhd(path: str) -> bool:
    return path.endswith(("-packages/uhd/__init__.py", "-packages/uhd"))
