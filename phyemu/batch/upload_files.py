"""What a user names to upload: batches, images, jobs and settings, each checked first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from phyemu.batch.folder_check import check_batch
from phyemu.batch.job import load_job
from phyemu.batch.job_schema import BATCH_JOB_SCHEMA
from phyemu.batch.packaged_image import check_packaged
from phyemu.batch.plan import PLAN_NAME, PlannedImage
from phyemu.batch.upload import Transfer, UploadFolder
from phyemu.container.image_name import image_name
from phyemu.errors import ConfigError
from phyemu.node import load_radio_conf

__all__ = ["Uploads", "find_uploads"]

_CONFIG_NAME = re.compile(
    BATCH_JOB_SCHEMA["properties"]["NodeData"]["items"]["properties"]["ModemConfig"]["pattern"]
)
_JOB_NAME = re.compile(BATCH_JOB_SCHEMA["properties"]["BatchName"]["pattern"])
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, kw_only=True, slots=True)
class Uploads:
    """Files to upload.

    Attributes:
        transfers: Files and where they go.
        team: The batches' own team; None where they name none.
        images_elsewhere: Images that jobs name and that are not among the files.
        unchecked: Images without a manifest beside them, so nothing is known of their content.
    """

    transfers: tuple[Transfer, ...]
    team: str | None
    images_elsewhere: tuple[str, ...]
    unchecked: tuple[Path, ...]


def find_uploads(paths: Sequence[Path]) -> Uploads:
    """Return what is to be uploaded for what a user named.

    Args:
        paths: Folders of batches, images (NAME.tar.gz), jobs (.json) and settings (.conf).

    Raises:
        ConfigError: Something is none of these or breaks its rules, an image is not what its
            manifest says or a batch needs, or batches are of two teams.
    """
    transfers: list[Transfer] = []
    teams: dict[str, Path] = {}
    wanted: dict[str, PlannedImage | None] = {}
    for path in paths:
        if path.is_dir():
            plan = check_batch(path)
            if plan.team is not None:
                teams[plan.team] = path
            for image in plan.images:
                before = wanted.get(image.name)
                if before is not None and before.files != image.files:
                    raise ConfigError(
                        f"{path}: image {image.name} needs another content than in the batch "
                        "before; give the images of one of them other names"
                    )
                wanted[image.name] = image
            for job in plan.jobs:
                transfers.append(Transfer(path=path / job.file, folder=UploadFolder.BATCH))
                for node in job.nodes:
                    transfers.append(Transfer(path=path / node.config, folder=UploadFolder.CONFIG))
        else:
            transfers.append(Transfer(path=path, folder=_folder_of(path)))
            if path.suffix == ".json":
                for entry in load_job(path).nodes:
                    wanted.setdefault(entry.image, None)
    if len(teams) > 1:
        raise ConfigError(f"the batches are of several teams: {', '.join(teams)}; give --team")
    given = set()
    unchecked = []
    for item in transfers:
        if item.folder is UploadFolder.IMAGES:
            name = image_name(item.path)
            if not check_packaged(item.path, wanted.get(name)):
                unchecked.append(item.path)
            given.add(name)
    return Uploads(
        transfers=tuple(transfers),
        team=next(iter(teams), None),
        images_elsewhere=tuple(name for name in wanted if name not in given),
        unchecked=tuple(unchecked),
    )


def _folder_of(path: Path) -> UploadFolder:
    if path.name.endswith(".tar.gz"):
        image_name(path)
        with path.open("rb") as file:
            if file.read(len(_GZIP_MAGIC)) != _GZIP_MAGIC:
                raise ConfigError(f"{path}: is not compressed by gzip, so it is no image")
        return UploadFolder.IMAGES
    if path.name == PLAN_NAME:
        raise ConfigError(f"{path}: is the plan of a batch; name its folder, {path.parent}")
    if path.suffix == ".json":
        if _JOB_NAME.fullmatch(path.stem) is None:
            raise ConfigError(
                f"{str(path)!r}: no name of a job; a name is letters, digits, dots, dashes, "
                "underscores and spaces"
            )
        return UploadFolder.BATCH
    if path.suffix == ".conf":
        if _CONFIG_NAME.fullmatch(path.name) is None:
            raise ConfigError(
                f"{str(path)!r}: a job could not name it; a name is letters, digits, dots, dashes "
                "and underscores"
            )
        load_radio_conf(path)
        return UploadFolder.CONFIG
    raise ConfigError(
        f"{path}: is no image (.tar.gz), job (.json), radio.conf (.conf) or folder of a batch"
    )
