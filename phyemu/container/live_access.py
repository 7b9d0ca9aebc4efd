"""Access to a root file system that is there, not an archive: for `docker build`.

`python -m phyemu.container.live_access ROOT KEY_FILE...` does to ROOT what packaging does to the
image of a base, so that both ways of building an image let in the same people.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from phyemu.errors import ImageError, PhyemuError

from .access import SshAccess, read_access
from .base_sshd import SSHD_CONFIG, notes_on_sshd

__all__ = ["install_access"]


def install_access(root: Path, access: SshAccess) -> list[str]:
    """Let the users of `access` log in to a root file system, and nobody else.

    Returns:
        What a user should know of the settings that its sshd had.

    Raises:
        ImageError: It is none, root cannot log in to it, or a file cannot be written.
    """
    try:
        settings = [root / SSHD_CONFIG, *sorted(root.glob(f"{SSHD_CONFIG}.d/*.conf"))]
        found_settings = {
            str(file.relative_to(root)): file.read_bytes() for file in settings if file.is_file()
        }
        notes = notes_on_sshd(found_settings, base=root)
        for path in access.REWRITTEN:
            file = root / path
            found = access.rewrite(path, file.read_bytes() if file.exists() else None)
            if found is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                if not file.exists():
                    file.touch(mode=0o600)
                file.write_bytes(found.content)
        for addition in access.additions():
            file = root / addition.path
            if addition.content is None:
                file.mkdir(parents=True, exist_ok=True)
            else:
                with addition.content.open() as content:
                    file.write_bytes(content.read())
            file.chmod(addition.mode)
            if os.geteuid() == 0:
                os.chown(file, 0, 0)  # sshd takes no keys out of another account's folder
        return notes
    except OSError as exc:
        raise ImageError(f"{exc.filename}: cannot be written ({exc.strerror})") from exc


def _main(arguments: Sequence[str]) -> None:
    if len(arguments) < 2:
        sys.exit("usage: python -m phyemu.container.live_access ROOT KEY_FILE...")
    root, *keys = map(Path, arguments)
    try:
        access = read_access(authorized_keys=tuple(keys), root_password_file=None, image_name="")
        for note in install_access(root, access):
            sys.stderr.write(f"note: {note}\n")
    except PhyemuError as exc:
        sys.exit(f"Error: {exc}")


if __name__ == "__main__":
    _main(sys.argv[1:])
