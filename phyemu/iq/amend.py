"""Adding to the metadata of a finished recording; its samples stay as they are."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phyemu.errors import RecordingError
from phyemu.iq.archive import DATA_START
from phyemu.iq.container import open_container
from phyemu.iq.metadata import declare_namespace, parse_metadata, render_tree
from phyemu.iq.partial import finish
from phyemu.iq.unfinished import claim, names_of

__all__ = ["amend_recording"]


def amend_recording(path: Path, fields: Mapping[str, Any]) -> None:
    """Set global fields of a recording that is an archive of phyemu's, or a pair.

    The names within an archive become those of its file, so a copy under another name is whole.

    Args:
        path: The archive (.sigmf) or the metadata of a pair.
        fields: JSON values by their keys, such as `phyemu:job`; a key that is there is replaced.

    Raises:
        RecordingError: It cannot be opened or written, is an archive of another program's layout,
            or a field is not allowed.
    """
    container = open_container(path)
    container.data_file.close()
    names = names_of(container.path)
    start = DATA_START if names.is_archive else 0
    if container.data_offset != start or names.path != container.path:
        raise RecordingError(
            f"{path}: an archive of another program, whose metadata are not changed in place; "
            "unpack it and edit its .sigmf-meta"
        )
    where = str(path)
    parse_metadata(container.meta_text, where=where)
    tree = json.loads(container.meta_text)
    tree["global"].update(fields)
    if any(key.startswith("phyemu:") for key in fields):
        declare_namespace(tree["global"])
    text = render_tree(tree, where=where)
    parse_metadata(text, where=where)
    try:
        with claim(names.data) as file:
            finish(names, file, tree, text.encode(), container.data_bytes)
    except BlockingIOError as error:
        raise RecordingError(f"{path}: another process is using it; wait until it ends") from error
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written ({error.strerror or error})") from error
