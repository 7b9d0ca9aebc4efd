"""The accounts of a root file system: `/etc/passwd` and `/etc/shadow` without known passwords.

Public base images ship passwords that everybody knows. In ours no account but root's has a
password: the second field of every line, a hash or empty (which is a login without password),
becomes `!*`, which no password matches, and the accounts that this concerns are named. Programs
and `su` from root go on. See shadow(5), passwd(5).
"""

from dataclasses import dataclass

from phyemu.errors import ImageError

__all__ = ["Rewritten", "rewrite_passwd", "rewrite_shadow"]

NO_LOGIN = ("nologin", "false", "sync")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewritten:
    """A file of the base as the image has it."""

    content: bytes
    locked: tuple[str, ...] = ()
    """Accounts that had a usable password in the base, and have none now (root included)."""


def rewrite_shadow(content: bytes, *, root_hash: str | None) -> Rewritten:
    """Return `/etc/shadow` with the given password for root, or none, and none for others.

    root's line has no ageing and no end, and no other account has to change its password at the
    next login (as those of Colosseum's bases have to): nobody could give the old one.

    Args:
        content: The base's; empty where it has none.
        root_hash: For crypt(3); None: only keys let root in (`*`: sshd takes `!` for a closed
            account).
    """
    root = f"root:{root_hash or '*'}::0:99999:7:::".encode()
    lines, locked = [], []
    for line in content.splitlines():
        name, colon, rest = line.partition(b":")
        if not colon:
            continue  # no account: login(1) and NSS skip it, too
        if _usable(rest.partition(b":")[0]):
            locked.append(name)
        if name == b"root":
            continue
        field, colon, ageing = rest.partition(b":")
        closed = b"!*" if _usable(field) else field
        # 0: to be changed at the next login; `su` from root would ask for a new one, too.
        ageing = ageing.removeprefix(b"0") if ageing.startswith(b"0:") else ageing
        lines.append(name + b":" + closed + colon + ageing)
    return Rewritten(content=_joined([root, *lines]), locked=_names(locked))


def rewrite_passwd(content: bytes) -> Rewritten:
    """Return `/etc/passwd` whose passwords are in `/etc/shadow`, so that none is in this file.

    Raises:
        ImageError: root is missing, lives elsewhere than in /root, or has no shell to log in to.
    """
    lines, locked, has_root = [], [], False
    for line in content.splitlines():
        fields = line.split(b":")
        if len(fields) == 7:
            if fields[0] == b"root":
                has_root = True
                _check_root(fields)
            if fields[1] != b"x" and _usable(fields[1]):
                locked.append(fields[0])
            fields[1] = b"x" if _usable(fields[1]) or fields[0] == b"root" else fields[1]
        lines.append(b":".join(fields))
    if not has_root:
        raise ImageError("/etc/passwd of the base has no root account; is it a root file system?")
    return Rewritten(content=_joined(lines), locked=_names(locked))


def _check_root(fields: list[bytes]) -> None:
    home, shell = (field.decode(errors="replace") for field in fields[5:7])
    if home.rstrip("/") != "/root":
        raise ImageError(f"root of the base lives in {home!r}, not in /root; take another base")
    if shell.rpartition("/")[2] in NO_LOGIN:
        raise ImageError(f"root of the base has the shell {shell}, no login; take another base")


def _usable(field: bytes) -> bool:
    """Return whether some password, also the empty one, may match."""
    return not field.startswith((b"!", b"*"))


def _joined(lines: list[bytes]) -> bytes:
    return b"\n".join(lines) + b"\n"


def _names(names: list[bytes]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.decode(errors="replace") for name in names))
