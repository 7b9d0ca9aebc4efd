"""OpenSSH public keys: who may log in.

A line of `authorized_keys` is `TYPE BASE64 [COMMENT]`; the base64 repeats the type, so that a
truncated or edited key is told from a whole one (RFC 4253, Sec. 6.6; RFC 8709; RFC 5656).
"""

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import Path

from phyemu.errors import ConfigError

__all__ = ["PublicKey", "read_public_keys"]

MAX_FILE_BYTES = 65536
MIN_RSA_BITS = 2048
# Fields behind the type, and the length of the one that is checked: (number, index, bytes).
SHAPES = {
    "ssh-ed25519": (1, 0, 32),
    "sk-ssh-ed25519@openssh.com": (2, 0, 32),
    "ecdsa-sha2-nistp256": (2, 1, 65),
    "ecdsa-sha2-nistp384": (2, 1, 97),
    "ecdsa-sha2-nistp521": (2, 1, 133),
    "sk-ecdsa-sha2-nistp256@openssh.com": (3, 1, 65),
}
PRIVATE = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----|^PuTTY-User-Key-File", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicKey:
    """A public key as one line of `authorized_keys` holds it."""

    kind: str
    """Such as `ssh-ed25519`."""
    body: str
    """The key, base64."""
    comment: str = ""
    """Whose it is."""

    @property
    def line(self) -> str:
        """Return the line of `authorized_keys`, without its end."""
        return " ".join(part for part in (self.kind, self.body, self.comment) if part)


def read_public_keys(path: Path) -> tuple[PublicKey, ...]:
    """Return the public keys that a file holds, one a line; empty lines and `#` lines are skipped.

    Raises:
        ConfigError: The file is missing or has no key, has a private key (never shown), or a line
            that is no public key, is too weak, or has options.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror}); give your .pub file") from exc
    if PRIVATE.search(content):
        raise ConfigError(f"{path}: a private key, which no image may hold; give its .pub file")
    if b"---- BEGIN SSH2 PUBLIC KEY ----" in content:
        raise ConfigError(
            f"{path}: an RFC 4716 key; convert it with ssh-keygen -i -f {path} > key.pub"
        )
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: over {MAX_FILE_BYTES} bytes, no file of public keys")
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: is not text; give an OpenSSH public key (.pub)") from exc
    keys: dict[str, PublicKey] = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text and not text.startswith("#"):
            key = _parse(text, f"{path}, line {number}")
            keys.setdefault(key.body, key)
    if not keys:
        raise ConfigError(f"{path}: holds no public key; ssh-keygen -t ed25519 makes one")
    return tuple(keys.values())


def _parse(text: str, where: str) -> PublicKey:
    kind, _, rest = text.partition(" ")
    body, _, comment = rest.strip().partition(" ")
    if kind != "ssh-rsa" and kind not in SHAPES:
        known = ", ".join(["ssh-rsa", *SHAPES])
        raise ConfigError(
            f"{where}: begins with {kind[:40]!r}, no kind of key (options before it are not "
            f"taken); allowed: {known}"
        )
    if not comment.isprintable():
        raise ConfigError(f"{where}: the comment holds control characters; remove them")
    try:
        fields = _fields(base64.b64decode(body, validate=True))
    except (binascii.Error, ValueError) as exc:
        raise ConfigError(f"{where}: the key is damaged ({exc}); copy the whole line") from exc
    if not fields or fields[0] != kind.encode():
        raise ConfigError(f"{where}: the key is not of the kind {kind} that it says; copy it anew")
    _check(kind, fields[1:], where)
    return PublicKey(kind=kind, body=body, comment=comment.strip())


def _fields(blob: bytes) -> list[bytes]:
    """Return the length-prefixed fields of a key, or raise ValueError."""
    fields, at = [], 0
    while at < len(blob):
        length = int.from_bytes(blob[at : at + 4], "big")
        if at + 4 + length > len(blob) or len(blob) - at < 4:
            raise ValueError("it ends early")
        fields.append(blob[at + 4 : at + 4 + length])
        at += 4 + length
    return fields


def _check(kind: str, fields: list[bytes], where: str) -> None:
    if kind == "ssh-rsa":
        whole = len(fields) == 2 and all(fields)
        bits = int.from_bytes(fields[1], "big").bit_length() if whole else 0
        if whole and bits < MIN_RSA_BITS:
            raise ConfigError(
                f"{where}: an RSA key of {bits} bits, at least {MIN_RSA_BITS} are needed; "
                "ssh-keygen -t ed25519 makes a better one"
            )
    else:
        num_fields, index, length = SHAPES[kind]
        whole = len(fields) == num_fields and len(fields[index]) == length
        if "ecdsa" in kind:  # the curve's name, and an uncompressed point on it
            curve = kind.split("@")[0].rpartition("-")[2].encode()
            whole = whole and fields[0] == curve and fields[1][0] == 4
    if not whole:
        raise ConfigError(f"{where}: the key is damaged; copy the whole line")
