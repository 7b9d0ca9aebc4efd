"""The root password that a user gives: read from a file, kept only as a hash.

The hash is SHA-512 crypt (`$6$`), which the C libraries of all base images know. Its salt is drawn
from public things, the name of the image and the keys that may log in, so that equal inputs give
an equal image. It is *not* drawn from the password: a fast function of it beside the hash would let
guesses be tried without the hash's many rounds. Who wants a random salt gives the file the hash
(`openssl passwd -6`) instead of the password, and it is taken as it is.
"""

import base64
import hashlib
import re
import stat
from pathlib import Path

from phyemu.errors import ConfigError

__all__ = ["hash_password", "read_password"]

MIN_CHARACTERS = 12
MAX_BYTES = 512
ROUNDS = 500_000
HASH = re.compile(r"\$6\$(rounds=[0-9]{4,9}\$)?[./A-Za-z0-9]{1,16}\$[./A-Za-z0-9]{86}")
OTHER_HASH = re.compile(r"\$[0-9a-z]+\$.*\$[./A-Za-z0-9]{20,}")


def read_password(path: Path) -> str:
    """Return what a password file holds: one line, a password or its SHA-512 crypt hash.

    Raises:
        ConfigError: The file is missing, others may read it, or it is empty, too short, too long,
            more than a line, or a hash of another kind. The password is never shown.
    """
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            content = file.read(MAX_BYTES + 3)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror})") from exc
    if mode & stat.S_IRWXO:
        raise ConfigError(
            f"{path}: mode {stat.S_IMODE(mode):o} lets others at the password; chmod 600 {path}"
        )
    try:
        password = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: the password is not UTF-8") from exc
    if not password.strip():
        raise ConfigError(f"{path}: holds no password; an image needs one of its own")
    if not password.isprintable():
        raise ConfigError(f"{path}: must hold one line, the password, without control characters")
    if len(password.encode()) > MAX_BYTES:
        raise ConfigError(f"{path}: over {MAX_BYTES} bytes, no password")
    if len(password) < MIN_CHARACTERS:
        raise ConfigError(
            f"{path}: the password has {len(password)} characters, at least {MIN_CHARACTERS} are "
            "needed; openssl rand -base64 18 makes one"
        )
    if OTHER_HASH.fullmatch(password) and not HASH.fullmatch(password):
        raise ConfigError(
            f"{path}: looks like a hash, but not of SHA-512 crypt, which every base image knows; "
            "openssl passwd -6 makes one"
        )
    return password


def hash_password(password: str, *, salt_from: str) -> str:
    """Return the SHA-512 crypt hash of a password; a hash is returned as it is.

    Args:
        password: As `read_password` returns it.
        salt_from: Public text that differs between images; equal text gives an equal hash.
    """
    if HASH.fullmatch(password):
        return password
    from passlib.hash import sha512_crypt

    digest = hashlib.sha256(b"phyemu root password salt\0" + salt_from.encode()).digest()
    salt = base64.b64encode(digest, b"./").decode()[:16]
    return str(sha512_crypt.using(rounds=ROUNDS, salt=salt).hash(password))
