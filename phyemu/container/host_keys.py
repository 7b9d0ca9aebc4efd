"""Host keys of sshd: everyone who has a base knows its own, so that no image has any.

A radio node makes its own at the first boot, before sshd starts; `gpu_files.py` has the like for a
GPU node, which has no systemd.
"""

from collections.abc import Iterator, Sequence

from .addition import Addition, TextContent
from .base_tree import BaseTree

__all__ = ["KEYGEN", "host_keys", "key_maker"]

KEYGEN = "usr/bin/ssh-keygen"

_UNITS = "etc/systemd/system"
_UNIT = "phyemu-host-keys.service"
# With its default dependencies it would come after ssh.socket, where a base has that.
_TEXT = f"""[Unit]
Description=Host keys of sshd, where there are none yet (phyemu)
DefaultDependencies=no
After=local-fs.target
Before=ssh.service sshd.service ssh.socket shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/{KEYGEN} -A

[Install]
WantedBy=multi-user.target
"""


def host_keys(tree: BaseTree) -> Sequence[str]:
    """Return the paths of the host keys in a root file system, sorted."""
    folder = tree.followed("etc/ssh")
    return sorted(
        path for path in tree.paths_below(folder) if path.startswith(f"{folder}/ssh_host_")
    )


def key_maker() -> Iterator[Addition]:
    """Yield the unit that makes the keys, enabled."""
    yield Addition(path=f"{_UNITS}/{_UNIT}", content=TextContent(_TEXT.encode()))
    link = f"{_UNITS}/multi-user.target.wants/{_UNIT}"
    yield Addition(path=link, target=f"/{_UNITS}/{_UNIT}", mode=0o777)
