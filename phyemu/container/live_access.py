"""Access to a root file system that is there, not an archive: for `docker build`.

`python -m phyemu.container.live_access ROOT KEY_FILE...` does to ROOT what packaging does to the
image of a base, so that both ways of building an image let in the same people.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from phyemu.errors import ImageError, PhyemuError

from .access import SshAccess, read_access

__all__ = ["install_access"]


def install_access(root: Path, access: SshAccess) -> None:
    """Let the users of `access` log in to a root file system, and nobody else.

    Raises:
        ImageError: It is none, root cannot log in to it, or a file cannot be written.
    """
    try:
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
    except OSError as exc:
        raise ImageError(f"{exc.filename}: cannot be written ({exc.strerror})") from exc


def _main(arguments: Sequence[str]) -> None:
    if len(arguments) < 2:
        sys.exit("usage: python -m phyemu.container.live_access ROOT KEY_FILE...")
    root, *keys = map(Path, arguments)
    try:
        access = read_access(authorized_keys=tuple(keys), root_password_file=None, image_name="")
        install_access(root, access)
    except PhyemuError as exc:
        sys.exit(f"Error: {exc}")


if __name__ == "__main__":
    _main(sys.argv[1:])
