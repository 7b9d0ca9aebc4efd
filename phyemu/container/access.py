"""Who may log in to an image over ssh: the keys and the password that a user gives, nothing else.

Every image needs at least one of the two; none has a default. What `SshAccess` contributes are
additions (`/root/.ssh`), and files of the base rewritten: the accounts (`accounts.py`), and
`/etc/ssh/sshd_config`, which begins with our settings. There sshd keeps the first value it reads,
so that they hold whatever the base or its drop-ins say, and also where sshd is older than drop-ins
(8.2; base-1804 has 7.6). What they cannot overrule `base_sshd.py` refuses or names.
"""

from dataclasses import dataclass
from pathlib import Path

from phyemu.container.accounts import Rewritten, rewrite_passwd, rewrite_shadow
from phyemu.container.addition import Addition, TextContent
from phyemu.container.base_sshd import SSHD_CONFIG
from phyemu.container.password import hash_password, read_password
from phyemu.container.public_key import PublicKey, read_public_keys
from phyemu.errors import ConfigError, ImageError

__all__ = ["SshAccess", "read_access"]

SHADOW = ("etc/shadow", "etc/shadow-")
PASSWD = ("etc/passwd", "etc/passwd-")
MADE = ("etc/shadow", SSHD_CONFIG)  # where the base has none


@dataclass(frozen=True, kw_only=True, slots=True)
class SshAccess:
    """Who may log in to an image as root."""

    authorized_keys: tuple[PublicKey, ...] = ()
    root_hash: str | None = None
    """For crypt(3), of the password that the user gave."""

    REWRITTEN = (*SHADOW, *PASSWD, SSHD_CONFIG)
    """Files of the base, without a leading slash, that `rewrite` makes anew."""

    def __post_init__(self) -> None:
        """Refuse access for nobody."""
        if not self.authorized_keys and self.root_hash is None:
            raise ConfigError(
                "an image needs a way in, and has no default password; give "
                "--authorized-key ~/.ssh/id_ed25519.pub, or --root-password-file FILE"
            )

    def additions(self) -> tuple[Addition, ...]:
        """Return what the image gets instead of the base's entries of the same paths.

        Without keys `authorized_keys` is there, too, but empty: the base's must not stay.
        """
        lines = "".join(f"{key.line}\n" for key in self.authorized_keys)
        return (
            Addition(path="root/.ssh", mode=0o700, part="access", replaces=True),
            Addition(
                path="root/.ssh/authorized_keys",
                content=TextContent(lines.encode()),
                mode=0o600,
                part="access",
            ),
        )

    def rewrite(self, path: str, content: bytes | None) -> Rewritten | None:
        """Return a file of the base as the image has it; None: the image has none either.

        Args:
            path: One of `REWRITTEN`.
            content: The base's; None where it has no such file.

        Raises:
            ImageError: The base has no accounts, or root cannot log in to it.
        """
        if content is None and path == "etc/passwd":
            raise ImageError("the base has no /etc/passwd; is it a root file system?")
        if content is None and path not in MADE:
            return None
        if path in SHADOW:
            return rewrite_shadow(content or b"", root_hash=self.root_hash)
        if path in PASSWD:
            return rewrite_passwd(content or b"")
        return Rewritten(content=self.sshd_settings() + (content or b""))

    def sshd_settings(self) -> bytes:
        """Return the lines that `/etc/ssh/sshd_config` begins with."""
        with_password = self.root_hash is not None
        settings = {
            "PermitRootLogin": "yes" if with_password else "prohibit-password",
            "PasswordAuthentication": "yes" if with_password else "no",
            "PubkeyAuthentication": "yes" if self.authorized_keys else "no",
            "AuthorizedKeysFile": ".ssh/authorized_keys",
            # Other ways in that a base may have opened.
            "AuthorizedKeysCommand": "none",
            "AuthorizedPrincipalsCommand": "none",
            "TrustedUserCAKeys": "none",
            "HostbasedAuthentication": "no",
            "KerberosAuthentication": "no",
            "GSSAPIAuthentication": "no",
            "PermitEmptyPasswords": "no",
            # Passwords by way of PAM; the first is the name before sshd 8.7, an alias since.
            "ChallengeResponseAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
        }
        lines = [
            "# By phyemu: sshd keeps the first value of each setting.",
            *map(" ".join, settings.items()),
        ]
        return ("\n".join(lines) + "\n\n").encode()


def read_access(
    *, authorized_keys: tuple[Path, ...], root_password_file: Path | None, image_name: str
) -> SshAccess:
    """Return the access to an image from the files that a user gives.

    Args:
        authorized_keys: Files of OpenSSH public keys.
        root_password_file: A file with one line, the password of root or its hash.
        image_name: Of the image; with the keys it makes the salt of the password's hash.

    Raises:
        ConfigError: None of both is given, or a file does not hold what it should.
    """
    keys: dict[str, PublicKey] = {}
    for path in authorized_keys:
        for key in read_public_keys(path):
            keys.setdefault(key.body, key)
    root_hash = None
    if root_password_file is not None:
        salt_from = "\0".join([image_name, *sorted(keys)])
        root_hash = hash_password(read_password(root_password_file), salt_from=salt_from)
    return SshAccess(authorized_keys=tuple(keys.values()), root_hash=root_hash)
