"""What makes a root file system a node: launchers, the Radio API's scripts, the start-up unit."""

from collections.abc import Iterator
from pathlib import Path

from phyemu.errors import ImageError
from phyemu.node.deployment import UNIT_LINKS, deployed_files

from .addition import Addition, FileContent, TextContent, files_below
from .vendored import LIB

__all__ = ["CONTENT", "RADIO_API", "content_additions", "launchers", "node_additions"]

CONTENT = "root/phyemu"
RADIO_API = "root/radio_api"

_BIN = "opt/phyemu/bin"


def launchers(program: str) -> Iterator[Addition]:
    """Yield `/opt/phyemu/bin/python` and `phyemu`.

    Args:
        program: Absolute path of the image's Python. What the base has for it, such as UHD, stays
            importable, behind what phyemu brings.
    """
    python = (
        "#!/bin/sh\n"
        f'PYTHONPATH="/{LIB}${{PYTHONPATH:+:$PYTHONPATH}}"\n'
        "export PYTHONPATH\n"
        f'exec {program} "$@"\n'
    )
    command = (
        "#!/bin/sh\n"
        f"exec /{_BIN}/python -P -c "  # -P: nothing in the current folder is a module of ours
        '\'from phyemu_cli.main import main; main(prog_name="phyemu")\' "$@"\n'
    )
    for name, text in (("python", python), ("phyemu", command)):
        yield Addition(path=f"{_BIN}/{name}", content=TextContent(text.encode()), mode=0o755)


def node_additions(radio_conf: Path | None) -> Iterator[Addition]:
    """Yield the Radio API's scripts, the unit that starts the node at boot, and its folders.

    Args:
        radio_conf: Settings for a node that gets none from a batch job; None: none.
    """
    for path, (content, mode) in deployed_files().items():
        yield Addition(path=path, content=TextContent(content), mode=mode)
    for path, target in UNIT_LINKS.items():
        yield Addition(path=path, target=target, mode=0o777)
    if radio_conf is not None:
        yield Addition(
            path=f"{RADIO_API}/radio.conf", content=FileContent(radio_conf), part="content"
        )
    yield Addition(path=CONTENT, mode=0o755)
    yield Addition(path="logs", mode=0o755)


def content_additions(path: Path, *, landing: str = CONTENT) -> Iterator[Addition]:
    """Yield a file, or the files below a folder, as content of the node.

    Args:
        path: On this machine. A folder's content lands in `landing` itself.
        landing: Where in the root file system.

    Raises:
        ImageError: There is no such path, or it holds what cannot be content.
    """
    if path.is_dir():
        yield from files_below(path, landing, part="content")
    elif path.is_file():
        yield Addition(path=f"{landing}/{path.name}", content=FileContent(path), part="content")
    else:
        raise ImageError(f"{path}: no such file or folder")
