"""What makes a root file system a GPU node: sshd as Colosseum starts it, and phyemu in $PATH.

Colosseum starts `/usr/sbin/sshd -D` in every container, whatever the image says, and sshd without
host keys ends at once. So that keys are made at the first start and never shipped, `/usr/sbin/sshd`
is a script that makes them, and runs the base's sshd from `/opt/phyemu/libexec`.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from phyemu.errors import ImageError
from phyemu.library import shipped_shelf

from .addition import Addition, FileContent, TextContent
from .docker_archive import DockerBase
from .host_keys import KEYGEN
from .node_files import CONTENT

__all__ = ["environment_of", "gpu_additions", "search_path"]

SSHD = "usr/sbin/sshd"
MOVED_SSHD = "opt/phyemu/libexec/sshd"

_BIN = "/opt/phyemu/bin"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that an image's configuration sets."""
    lines = (config.get("config") or {}).get("Env") or ()
    pairs = (str(line).partition("=") for line in lines)
    return {name: value for name, equals, value in pairs if equals and _NAME.fullmatch(name)}


def search_path(config: Mapping[str, Any]) -> list[str]:
    """Return the folders of $PATH, without the slash before them."""
    folders = environment_of(config).get("PATH", _DEFAULT_PATH).split(":")
    return list(dict.fromkeys(folder.strip("/") for folder in folders if folder.startswith("/")))


def gpu_additions(base: DockerBase) -> Iterator[Addition]:
    """Yield the node's own files.

    Raises:
        ImageError: The base has no sshd where Colosseum starts it, or no ssh-keygen.
    """
    sshd = base.stack.file(SSHD)
    if sshd is None or not base.tree.is_file(KEYGEN):
        raise ImageError(
            f"{base.path}: has no OpenSSH server (/usr/sbin/sshd, /usr/bin/ssh-keygen), which "
            "Colosseum starts; build on a base that has (docker build with colosseum/gpu/"
            "Dockerfile, or RUN apt-get install openssh-server)"
        )
    own = FileContent(shipped_shelf("colosseum") / "gpu" / "sshd")
    moved = base.stack.file(MOVED_SSHD)
    real = sshd.content if moved is None else moved.content  # a base that is an image of ours
    yield Addition(path=SSHD, content=own, mode=0o755)
    yield Addition(path=MOVED_SSHD, content=TextContent(real), mode=0o755)
    yield Addition(path="usr/local/bin/phyemu", target=f"{_BIN}/phyemu", mode=0o777)
    profile = _profile(environment_of(base.config)).encode()
    yield Addition(path="etc/profile.d/phyemu.sh", content=TextContent(profile))
    yield Addition(path=CONTENT, mode=0o755)


def _profile(variables: Mapping[str, str]) -> str:
    """Return a script that sets what an engine sets, and sshd does not pass on."""
    merged = {**variables, "PATH": f"{_BIN}:{variables.get('PATH', _DEFAULT_PATH)}"}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in merged.items()]
    return "\n".join(["# The environment of the image, for logins over ssh.", *lines]) + "\n"
