"""Images for Colosseum's nodes, built by streaming a base image, without LXD or Docker."""

from phyemu.container.access import AccessEntry, SshAccess, read_access
from phyemu.container.accounts import Rewritten
from phyemu.container.public_key import PublicKey, read_public_keys

__all__ = [
    "AccessEntry",
    "PublicKey",
    "Rewritten",
    "SshAccess",
    "read_access",
    "read_public_keys",
]
