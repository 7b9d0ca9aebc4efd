"""Images, jobs and radio.conf files on their way to the team's storage at Colosseum.

All of it is done by rsync and ssh, as the user documentation has it: what they ask for (keys,
passwords, proxies) is between them and the user. Nothing goes through a local shell, and what goes
through the remote one is made of names that need no quoting.
"""

import re
import shlex
import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import IO

from phyemu.errors import ConfigError, TransportError
from phyemu.file_hash import file_sha256

__all__ = ["Command", "RemoteFolder", "Transfer", "UploadFolder", "run_commands", "upload_commands"]

PARTIAL_FOLDER = ".phyemu-partial"
_NOT_FOUND = 127


class UploadFolder(StrEnum):
    """Folders of a team's storage, in the order in which they are filled: jobs come last."""

    IMAGES = "images"
    CONFIG = "config"
    BATCH = "batch"


# Colosseum's own demand for images; jobs and configurations are read, not run.
_MODES = {UploadFolder.IMAGES: "755", UploadFolder.CONFIG: "644", UploadFolder.BATCH: "644"}


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteFolder:
    """A team's storage.

    Attributes:
        team: Name of the team.
        host: Where it is reached by ssh: HOST or USER@HOST, as in the user's ssh settings.
        share: Folder that holds the teams' folders.
    """

    team: str
    host: str = "file-proxy"
    share: str = "/share/nas"

    def __post_init__(self) -> None:
        """Refuse names that could be taken for options, or that a shell would read otherwise.

        Raises:
            ConfigError: One of them.
        """
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", self.team):
            raise ConfigError(
                "the name of a team is letters, digits, dots, dashes and underscores, no dot or "
                f"dash first, got {self.team!r}"
            )
        if not re.fullmatch(
            r"([A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9_][A-Za-z0-9._-]*", self.host
        ):
            raise ConfigError(
                f"the host must be HOST or USER@HOST as ssh knows it, got {self.host!r}; ports and "
                "proxies belong into ~/.ssh/config"
            )
        if not re.fullmatch(r"(/[A-Za-z0-9_][A-Za-z0-9._-]*)+", self.share):
            raise ConfigError(f"the share must be an absolute path, got {self.share!r}")

    @property
    def path(self) -> PurePosixPath:
        """Return the team's folder on the host."""
        return PurePosixPath(self.share) / self.team


@dataclass(frozen=True, kw_only=True, slots=True)
class Transfer:
    """A file and the folder it goes to; it keeps its name.

    Attributes:
        path: The file.
        folder: Of the team's storage.
    """

    path: Path
    folder: UploadFolder


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A program to run.

    Attributes:
        arguments: The program's name first.
        lines: Lines for its standard input.
        purpose: Ends the sentence "it was to ...".
    """

    arguments: tuple[str, ...]
    lines: tuple[str, ...] = ()
    purpose: str

    def shell_line(self) -> str:
        """Return the line that does the same in a shell."""
        line = shlex.join(self.arguments)
        return f"printf '%s\\n' {shlex.join(self.lines)} | {line}" if self.lines else line


def upload_commands(transfers: Iterable[Transfer], remote: RemoteFolder) -> list[Command]:
    """Return what uploads files: folders are made, files sent, their hashes compared over there.

    An interrupted transfer leaves its part in a hidden folder and goes on from it when the same
    commands are run again; a file gets its name when it is whole.

    Args:
        transfers: What to upload; jobs are sent last.
        remote: Where to.

    Raises:
        ConfigError: There is nothing to send, a file is missing or empty, or two have one name.
    """
    found = sorted(transfers, key=lambda item: (list(UploadFolder).index(item.folder), item.path))
    if not found:
        raise ConfigError("there is nothing to upload")
    sums: dict[str, str] = {}
    for item in found:
        _check_file(item.path)
        name = f"{item.folder}/{item.path.name}"
        if name in sums:
            raise ConfigError(f"{item.path}: {name} is there twice; upload one of them")
        sums[name] = file_sha256(item.path)
    folders = [folder for folder in UploadFolder if any(item.folder is folder for item in found)]
    commands = [
        _ssh(
            remote,
            f"cd {remote.path} && mkdir -p {' '.join(folders)}",
            purpose=f"find the folder {remote.path}, and make those in it",
        )
    ]
    for folder in folders:
        paths = [str(item.path.absolute()) for item in found if item.folder is folder]
        commands.append(_rsync(paths, folder, remote))
    commands.append(
        _ssh(
            remote,
            f"cd {remote.path} && sha256sum --quiet -c -",
            lines=tuple(f"{value}  {name}" for name, value in sums.items()),
            purpose="compare the SHA-256 of every file that was sent",
        )
    )
    return commands


def _check_file(path: Path) -> None:
    if not path.name.isprintable():
        # `sha256sum -c` would read another line behind it.
        raise ConfigError(f"{str(path)!r}: has a line break or the like in its name; rename it")
    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    if not path.stat().st_size:
        raise ConfigError(f"{path}: is empty; write it again")


def _ssh(
    remote: RemoteFolder, script: str, *, purpose: str, lines: tuple[str, ...] = ()
) -> Command:
    return Command(arguments=("ssh", "--", remote.host, script), lines=lines, purpose=purpose)


def _rsync(paths: Sequence[str], folder: UploadFolder, remote: RemoteFolder) -> Command:
    return Command(
        arguments=(
            "rsync",
            "-vP",
            "-e",
            "ssh",
            "--copy-links",
            "--ignore-times",  # what has the size and time of before may have other content
            f"--partial-dir={PARTIAL_FOLDER}",
            "--perms",
            f"--chmod=F{_MODES[folder]}",
            "--",
            *paths,
            f"{remote.host}:{remote.path / folder}/",
        ),
        purpose=f"send {len(paths)} {'file' if len(paths) == 1 else 'files'} to {folder}/",
    )


def run_commands(
    commands: Iterable[Command],
    *,
    output: IO[str] | int | None = None,
    started: Callable[[Command], None] = lambda _: None,
) -> None:
    """Run the commands, one after the other, up to the first that fails.

    Args:
        commands: What to run.
        output: Where their standard output goes; None: where this process's goes.
        started: Told of each command before it runs.

    Raises:
        TransportError: A program is missing, or failed; what it said is on standard error.
    """
    for command in commands:
        started(command)
        program = command.arguments[0]
        given = "".join(f"{line}\n" for line in command.lines)
        try:
            # Without lines for it, a program keeps the terminal: ssh may ask for a password.
            done = subprocess.run(
                command.arguments, input=given or None, text=True, stdout=output, check=False
            )
        except FileNotFoundError as error:
            raise TransportError(
                f"{program}: not found; install it (Debian: apt install rsync openssh-client)"
            ) from error
        except OSError as error:
            raise TransportError(f"{program}: cannot be run ({error.strerror})") from error
        if done.returncode:
            raise TransportError(_failure(command, done.returncode))


def _failure(command: Command, status: int) -> str:
    program = command.arguments[0]
    ended = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    if program == "ssh" and status == 255:
        remedy = f"is `ssh {command.arguments[2]}` possible? see ~/.ssh/config"
    elif command.lines and status == _NOT_FOUND:
        remedy = "the host has no sha256sum; all files were sent, compare them there by other means"
    elif command.lines:
        remedy = "the files named above differ from those here; upload them again"
    elif program == "rsync":
        remedy = "run the same command again: it goes on where it stopped"
    else:
        remedy = "is the name of the team right?"
    return f"{program} {ended}; it was to {command.purpose}; {remedy}"
