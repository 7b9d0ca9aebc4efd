"""The image of a GPU node: a Docker base with phyemu, its environment, content and a way in."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from phyemu.errors import ConfigError
from phyemu.progress import ProgressCallback, no_progress

from .access import SshAccess
from .added_time import added_time_s
from .addition import Addition
from .base_sshd import SSHD_CONFIG, notes_on_sshd
from .base_torch import find_torch, is_of_torch
from .docker_archive import DockerBase, survey_docker_archive
from .docker_config import created_s
from .docker_image import WrittenDockerImage, write_docker_image
from .gpu_files import gpu_additions, search_path
from .host_keys import host_keys
from .image_name import image_name
from .image_output import refuse_existing, write_image
from .installed_environment import installed_environment
from .manifest import render_manifest
from .node_content import NodeContent
from .node_files import launchers
from .packaged_image import PackagedImage, packaged_image
from .python_target import PythonTarget, choose_python
from .root_facts import find_pythons
from .scratch_folder import scratch_folder
from .vendored import VendoredDistribution, files_once
from .wheelhouse import wheelhouse_environment

__all__ = ["package_gpu"]

_MAX_NAME = 29
"""Colosseum's page on Docker images: "less than 30 characters"."""


def package_gpu(
    output: Path,
    base: Path,
    *,
    access: SshAccess,
    content: NodeContent,
    wheels: Path | None = None,
    force: bool = False,
    progress: ProgressCallback = no_progress,
) -> PackagedImage:
    """Write an archive for GPU nodes that `docker load` takes, and its manifest beside it.

    Args:
        output: NAME.tar.gz.
        base: An archive of `docker save`.
        access: Who may log in.
        content: What the node works with.
        wheels: Folder of wheels, for a base with another Python than the running one; None: the
            running environment is taken.
        force: Overwrite an existing image.
        progress: Told of what is read and written.

    Raises:
        ConfigError: The name is none for an image, the file exists, or there are settings of the
            Radio API, which GPU nodes do not have.
        ImageError: The base is none, or the environment does not fit it.
        PhyemuError: Content is missing or damaged.
    """
    name = image_name(output)
    if len(name) > _MAX_NAME:
        raise ConfigError(
            f"{output.name}: Colosseum takes Docker images with names of at most {_MAX_NAME} "
            f"characters, this has {len(name)}"
        )
    if content.radio_conf is not None:
        raise ConfigError("radio.conf is for the Radio API, and GPU nodes are interactive only")
    refuse_existing(output, force=force)
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder())
        made = content.additions(scratch)
        surveyed = survey_docker_archive(base, progress=progress)
        node = list(gpu_additions(surveyed))
        target = choose_python(
            surveyed.path,
            find_pythons(surveyed.tree, search_path(surveyed.config)),
            surveyed.stack.facts.glibc,
            has_wheels=wheels is not None,
            place=" in its PATH",
            remedy="take a base that has one (python:3.12, a recent pytorch/pytorch)",
        )
        torch = find_torch(surveyed.tree, target.program.lstrip("/"), target.minor)
        distributions = [
            item
            for item in (
                installed_environment(target)
                if wheels is None
                else wheelhouse_environment(wheels, target, stack)
            )
            if torch is None or not is_of_torch(item.name)
        ]
        additions = [
            *files_once(distributions),
            *launchers(target.program),
            *node,
            *made,
            *access.additions(),
        ]
        return _write(
            output, name, surveyed, target, distributions, additions, access, torch, progress
        )


def _write(
    output: Path,
    name: str,
    base: DockerBase,
    target: PythonTarget,
    distributions: Sequence[VendoredDistribution],
    additions: Sequence[Addition],
    access: SshAccess,
    torch: Any,
    progress: ProgressCallback,
) -> PackagedImage:
    versions = {item.name: item.version for item in distributions}
    time_s = added_time_s(created_s(base.config))
    written: list[WrittenDockerImage] = []

    def write(file: BinaryIO) -> bytes:
        image = write_docker_image(
            base,
            additions,
            file,
            access=access,
            removed=host_keys(base.tree),
            repository=name.lower(),
            created_by=f"phyemu {versions['phyemu']} colosseum package --kind gpu",
            time_s=time_s,
            progress=progress,
        )
        written.append(image)
        made_of = {
            "kind": "gpu",
            "name": name,
            "image": {
                "file": output.name,
                "sha256": image.sha256,
                "size": image.size,
                "id": image.image_id,
                "layers": list(image.layers),
            },
            "base": {
                "name": base.path.name,
                "sha256": base.sha256,
                "size": base.size,
                "tags": list(base.names),
                "os": base.stack.facts.os_release.get("PRETTY_NAME", ""),
                "torch": None if torch is None else str(torch),
            },
            "python": {"version": f"3.{target.minor}", "program": target.program},
            "creation_date": time_s,
            "distributions": versions,
            "rewritten": list(image.rewritten),
            "removed": list(image.removed),
        }
        return render_manifest(made_of, image.added)

    notes = list(_notes(base, access, versions, torch))
    write_image(output, write)
    (image,) = written
    return packaged_image(
        output,
        image,
        base_size=base.content_size,
        target=target,
        versions=versions,
        notes=notes,
    )


def _notes(base: DockerBase, access: SshAccess, versions: dict[str, str], torch: Any) -> list[str]:
    notes = []
    if torch is not None:
        notes.append(f"PyTorch {torch} is the base's own")
    elif "torch" in versions and not any(name.startswith("nvidia-") for name in versions):
        notes.append(
            f"PyTorch {versions['torch']} is brought without CUDA, so no GPU can be used; take a "
            "base with PyTorch, or --wheels with one for CUDA"
        )
    notes += notes_on_sshd(_sshd_settings(base), base=base.path)
    locked = dict.fromkeys(
        account
        for path in ("etc/shadow", "etc/passwd")
        if (kept := base.stack.file(path)) is not None
        and (found := access.rewrite(path, kept.content)) is not None
        for account in found.locked
    )
    if locked:
        notes.append(f"the base's passwords are gone, of: {', '.join(locked)}")
    return notes


def _sshd_settings(base: DockerBase) -> dict[str, bytes]:
    """Return the files that tell the base's sshd something, by path."""
    drop_ins = base.stack.facts.sshd_settings
    found = {path: content for path, content in drop_ins.items() if base.tree.is_file(path)}
    main = base.stack.file(SSHD_CONFIG)
    return found if main is None else found | {SSHD_CONFIG: main.content}
