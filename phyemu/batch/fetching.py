"""Fetching results from the team's storage: rsync over ssh, told by argument lists only.

Nothing of what a user types is read by a shell: neither here, nor at the other end, where rsync
itself takes the path (`--protect-args`) and only wildcards mean something. Files that came whole
are not fetched again, and one that was cut goes on where it ended. Links and devices are left where
they are. Every machine has a folder of its own here, with paths as they are there, so that two
sources never mix.
"""

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from phyemu.errors import ConfigError, TransportError

__all__ = ["RemoteSource", "fetch", "fetch_command", "remote_folder"]

_REMOTE = re.compile(r"(?:([^@:/\s]+)@)?([^@:/\s]+):(.+)", re.DOTALL)
_STDERR = 2  # its progress is no result
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteSource:
    """A folder on another machine.

    Attributes:
        host: Machine, as ssh knows it, with the user's name in front where one was given.
        path: Absolute or relative to the home folder there; `*` and `?` stand for several folders.
    """

    host: str
    path: str

    def place(self, into: Path) -> Path:
        """Return the folder that stands for its root, or for the home folder there."""
        return into / self.host / ("root" if self.path.startswith("/") else "home")

    def fetched(self, into: Path) -> list[Path]:
        """Return the folders and files of it that are in `into`, by name."""
        place, path = self.place(into), self.path.lstrip("/")
        if not set(path) & set("*?["):
            return [place / path]
        return sorted(place.glob(re.sub(r"\*+", "*", path)))

    def __str__(self) -> str:
        return f"{self.host}:{self.path}"


def remote_folder(source: str) -> RemoteSource | None:
    """Return the folder on another machine that HOST:PATH or USER@HOST:PATH names.

    None where the source has no such form, or exists here.

    Raises:
        ConfigError: User, host or path hold what none of them should.
    """
    if Path(source).exists():
        return None
    match = _REMOTE.fullmatch(source)
    if match is None:
        return None
    user, host, path = match[1], match[2], match[3]
    for what, value in (("user", user), ("host", host)):
        if value is not None and not _HOST.fullmatch(value):
            raise ConfigError(
                f"{source!r}: {what} {value!r} may hold letters, digits, dots, dashes and "
                f"underscores, and no dash in front"
            )
    if not path.isprintable() or ".." in PurePosixPath(path).parts:
        raise ConfigError(f"{source!r}: the path must be printable and without '..'")
    # Without "." and double slashes, which would mean something to rsync.
    path = ("/" if path.startswith("/") else "") + "/".join(
        part for part in path.split("/") if part not in ("", ".")
    )
    if not PurePosixPath(path).name:
        raise ConfigError(f"{source!r}: name a folder, such as /share/nas/TEAM/RESERVATION-1234")
    return RemoteSource(host=f"{user}@{host}" if user else host, path=path)


def fetch_command(folder: RemoteSource, into: Path) -> list[str]:
    """Return the command that fetches a folder to its place in `into`, as a list of arguments."""
    return [
        "rsync",
        "--recursive",
        "--times",
        "--relative",
        "--no-implied-dirs",
        "--partial",
        "--protect-args",
        "--no-links",
        "--no-devices",
        "--no-specials",
        "--info=progress2",
        "--rsh=ssh",
        "--",
        f"{folder.host}:{folder.path}",
        f"{folder.place(into)}/",
    ]


def fetch(folder: RemoteSource, into: Path, *, quiet: bool = False) -> list[Path]:
    """Fetch a folder, or what is new or changed in it, and return where it is.

    A path with wildcards gives every folder here that it names, and no other.

    Args:
        folder: On the other machine; ssh must reach it (password and keys are its business).
        into: Folder for all that is fetched; it is made.
        quiet: Whether rsync's progress is kept off stderr.

    Raises:
        TransportError: rsync is missing, or failed; what came so far is kept.
        ConfigError: `into` cannot be made.
    """
    command = fetch_command(folder, into)
    try:
        folder.place(into).mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"{into}: cannot be made ({exc.strerror or exc})") from exc
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.DEVNULL if quiet else _STDERR,
            stderr=subprocess.PIPE,
            check=False,
        )
    except FileNotFoundError:
        raise TransportError(
            "rsync is not installed; install it (apt install rsync), or copy the folder here in "
            "another way and give its path"
        ) from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        reason = " ".join((lines[0] if lines else "no reason given").split())[:300]
        raise TransportError(
            f"{folder}: could not be fetched (rsync exit code {done.returncode}: {reason}); run it "
            f"again to go on: {shlex.join(command)}"
        )
    return folder.fetched(into)
