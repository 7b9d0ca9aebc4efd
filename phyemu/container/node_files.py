"""What makes a root file system a node: launchers, the Radio API's scripts, the start-up unit."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from phyemu.errors import ImageError

from .addition import Addition, FileContent, TextContent, files_below
from .vendored import LIB

__all__ = ["CONTENT", "RADIO_API", "content_additions", "launchers", "node_additions"]

CONTENT = "root/phyemu"
RADIO_API = "root/radio_api"

_UNIT = "phyemu-node.service"
_BIN = "opt/phyemu/bin"


def deployed_folder() -> Path:
    """Return the folder of what is deployed on Colosseum, shipped in the wheel or in the checkout.

    Raises:
        ImageError: It is missing.
    """
    package = Path(str(files("phyemu")))
    for folder in (package / "_library" / "colosseum", package.parent / "colosseum"):
        if (folder / "radio_api").is_dir():
            return folder
    raise ImageError("phyemu's colosseum/radio_api is missing; install phyemu whole")


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
        f"exec /{_BIN}/python -c "
        '\'from phyemu_cli.main import main; main(prog_name="phyemu")\' "$@"\n'
    )
    for name, text in (("python", python), ("phyemu", command)):
        yield Addition(path=f"{_BIN}/{name}", content=TextContent(text.encode()), mode=0o755)


def node_additions(radio_conf: Path | None) -> Iterator[Addition]:
    """Yield the Radio API's scripts, the unit that starts the node at boot, and its folders.

    Args:
        radio_conf: Settings for a node that gets none from a batch job; None: none.
    """
    folder = deployed_folder()
    # The scripts run it by its path, so that they need not wait for phyemu to be found.
    client = Path(str(files("phyemu"))) / "node" / "control_client.py"
    yield Addition(path=f"{_BIN}/{client.name}", content=FileContent(client))
    for script in sorted((folder / "radio_api").glob("*.sh")):
        yield Addition(path=f"{RADIO_API}/{script.name}", content=FileContent(script), mode=0o755)
    units = "etc/systemd/system"
    yield Addition(path=f"{units}/{_UNIT}", content=FileContent(folder / _UNIT))
    wanted = f"{units}/multi-user.target.wants/{_UNIT}"
    yield Addition(path=wanted, target=f"../{_UNIT}", mode=0o777)
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
