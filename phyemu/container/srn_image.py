"""The image of an SRN: a base with phyemu, its environment, its content and a way in."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from phyemu.errors import ConfigError, ImageError
from phyemu.node import load_radio_conf
from phyemu.progress import ProgressCallback, no_progress

from .access import SshAccess
from .addition import Addition
from .base_image import BaseImage, survey_base
from .debootstrap import DEBOOTSTRAP, build_base
from .image_name import image_name
from .installed_environment import installed_environment, wheels_remedy
from .lxd_image import image_time_s, write_lxd_image
from .manifest import manifest_path, render_manifest, sizes_by_part
from .node_files import CONTENT, content_additions, launchers, node_additions
from .python_target import MIN_MINOR, PythonTarget
from .standalone_python import StandalonePython, read_standalone_python
from .vendored import VendoredDistribution
from .wheelhouse import wheelhouse_environment

__all__ = ["NodeContent", "PackagedImage", "package_srn"]

_PHYDNN = f"{CONTENT}/phydnn"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeContent:
    """What a node transmits or receives with.

    Attributes:
        head: Run whose head, card and test images go into the image: it can transmit.
        tail: Run whose tail, card and sent symbols go into it: it can receive and score.
        order: M, where a run holds several; None: the smallest.
        max_images: At most so many test images; None: as many as the run was limited to.
        paths: Files and folders for /root/phyemu.
        radio_conf: Settings for a node that gets none from a batch job.
    """

    head: Path | None = None
    tail: Path | None = None
    order: int | None = None
    max_images: int | None = None
    paths: tuple[Path, ...] = ()
    radio_conf: Path | None = None

    def __post_init__(self) -> None:
        if self.head is None and self.tail is None:
            for name in ("order", "max_images"):
                if getattr(self, name) is not None:
                    raise ConfigError(f"{name} is for a head or a tail, and there is none")

    def additions(self, scratch: Path) -> list[Addition]:
        """Return all of it; what has to be made is made in `scratch`.

        Raises:
            PhyemuError: A run holds no such export, or a file is none.
        """
        if self.radio_conf is not None:
            load_radio_conf(self.radio_conf)
        if self.head is not None:
            from phyemu.node.content import write_head_content  # torch, for these two alone

            write_head_content(self.head, scratch, order=self.order, max_images=self.max_images)
        if self.tail is not None:
            from phyemu.node.content import write_tail_content

            write_tail_content(self.tail, scratch, order=self.order, max_images=self.max_images)
        made = list(content_additions(scratch, landing=_PHYDNN))
        return [*made, *(item for path in self.paths for item in content_additions(path))]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedImage:
    """An image that was written.

    Attributes:
        path: Of the image.
        manifest: Of its manifest.
        sha256: Of the image.
        size: Of the image [bytes].
        base_size: Of the base's entries, not compressed [bytes].
        sizes: Bytes of each part that was added, not compressed, the largest first.
        python: Of the node.
        distributions: Version of each distribution that was added.
        notes: What its user should know.
    """

    path: Path
    manifest: Path
    sha256: str
    size: int
    base_size: int
    sizes: Mapping[str, int]
    python: str
    distributions: Mapping[str, str]
    notes: tuple[str, ...] = field(default=())


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
    for path in (output, manifest_path(output)):
        if path.exists() and not force:
            raise ConfigError(f"{path}: exists already; give --force to overwrite it")
    if not output.parent.is_dir():
        raise ConfigError(f"{output.parent}: no such folder")
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(prefix="phyemu-image-")))
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
            *_without_doubles(distributions),
            *launchers(target.program),
            *node_additions(content.radio_conf),
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
    """Return the Python to use: the one that is brought, the running one's like, or the newest."""
    import sys

    if base.glibc is None:
        raise ImageError(
            f"{base.path}: has no GNU C library, for which the compiled parts are built; take a "
            "base of Debian or Ubuntu"
        )
    if python is not None:
        return PythonTarget(minor=python.minor, program=python.program, glibc=base.glibc)
    fitting = {minor: path for minor, path in base.pythons.items() if minor >= MIN_MINOR}
    if not fitting:
        found = ", ".join(f"3.{minor}" for minor in sorted(base.pythons)) or "none"
        raise ImageError(
            f"{base.path}: has no Python from 3.{MIN_MINOR} on (found: {found}); bring one: "
            "--python cpython-3.N-x86_64-unknown-linux-gnu-install_only.tar.gz "
            "(python-build-standalone), or install python3.11 in the base; and "
            + wheels_remedy(MIN_MINOR, base.glibc)
        )
    running = sys.version_info[1]
    minor = running if running in fitting and not has_wheels else max(fitting)
    return PythonTarget(minor=minor, program=f"/{fitting[minor]}", glibc=base.glibc)


def _without_doubles(distributions: Sequence[VendoredDistribution]) -> list[Addition]:
    # Two distributions may bring the same file, such as the __init__.py of a shared namespace; pip
    # keeps one of them, too.
    files: dict[str, Addition] = {}
    for distribution in distributions:
        for file in distribution.files:
            files.setdefault(file.path, file)
    return list(files.values())


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
    partial, beside = output.with_name(f".{output.name}.partial"), manifest_path(output)
    try:
        with partial.open("wb") as file:
            written = write_lxd_image(
                base,
                additions,
                file,
                access=access,
                name=name,
                description=f"phyemu {versions['phyemu']} on {shown}",
                time_s=image_time_s(base),
                python=python,
                progress=progress,
            )
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
            "left_out": list(base.left_out),
        }
        partial_manifest = beside.with_name(f".{beside.name}.partial")
        partial_manifest.write_bytes(render_manifest(made_of, written.added))
        partial.chmod(0o755)
        partial.replace(output)
        partial_manifest.replace(beside)
    except OSError as exc:
        raise ImageError(f"{exc.filename or output}: cannot be written ({exc.strerror})") from exc
    finally:
        partial.unlink(missing_ok=True)
    return PackagedImage(
        path=output,
        manifest=beside,
        sha256=written.sha256,
        size=written.size,
        base_size=base.content_size,
        sizes=sizes_by_part(written.added),
        python=f"3.{target.minor} ({target.program})",
        distributions=versions,
        notes=tuple(_notes(base, distributions)),
    )


def _notes(base: BaseImage, distributions: Sequence[VendoredDistribution]) -> list[str]:
    notes = []
    if base.left_out:
        notes.append(
            f"left out of the base, as LXD knows no such thing: {', '.join(base.left_out)}"
        )
    if not base.has_systemd:
        notes.append("the base has no systemd: nothing starts phyemu-node.service, or sshd")
    if not any(_has_uhd(path) for path in base.tree.paths_below("")):
        notes.append("the base has no UHD for Python (python3-uhd): no radio can be opened")
    gpu = [item.name for item in distributions if item.name.startswith("nvidia-")]
    if gpu:
        notes.append(
            f"the environment brings CUDA ({len(gpu)} distributions), and SRNs have no GPU; a "
            "torch for CPUs makes the image smaller by gigabytes"
        )
    return notes


def _has_uhd(path: str) -> bool:
    return path.endswith(("-packages/uhd/__init__.py", "-packages/uhd"))
