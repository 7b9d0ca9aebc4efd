"""A run folder: the resolved settings, what every stage left, and which stages are done."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from phyemu.errors import ConfigError
from phyemu.folder_lock import LOCK_NAME, locked_folder

__all__ = ["RunFolder"]

_SETTINGS = "loop.toml"


class RunFolder:
    """A folder in which an interrupted run can be continued.

    A stage is done when its result file exists; that file is written last and in one step, so a
    stage that was interrupted is simply run again (or continued, where it keeps checkpoints).
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    @contextmanager
    def held(cls, path: Path, settings: str, *, resume: bool) -> Iterator["RunFolder"]:
        """Make a run folder, or with `resume` find it; no other process may work there meanwhile.

        Raises:
            ConfigError: The folder is in use, cannot be written to, or has other settings.
        """
        # First without the lock, which would stay in a folder that is not ours.
        if resume:
            cls.reopen(path)
        else:
            cls._refuse_used(path)
        with locked_folder(path, "another phyemu loop is at work there"):
            folder = cls.reopen(path) if resume else cls.create(path, settings)
            if folder.settings != settings:
                raise ConfigError(
                    f"{path}: was begun with other settings; leave them out to resume it"
                )
            yield folder

    @classmethod
    def create(cls, path: Path, settings: str) -> "RunFolder":
        """Return a new run folder that holds `settings` (TOML text).

        Raises:
            ConfigError: The folder exists and is not empty.
        """
        cls._refuse_used(path)
        folder = cls(path)
        folder.write_text(_SETTINGS, settings)
        return folder

    @staticmethod
    def _refuse_used(path: Path) -> None:
        if path.exists() and (
            not path.is_dir() or any(entry.name != LOCK_NAME for entry in path.iterdir())
        ):
            raise ConfigError(
                f"{path}: exists already; name another folder with -o, or continue it with --resume"
            )

    @classmethod
    def reopen(cls, path: Path) -> "RunFolder":
        """Return the folder of an earlier run.

        Raises:
            ConfigError: `path` is no run folder.
        """
        if not (path / _SETTINGS).is_file():
            raise ConfigError(
                f"{path}: no run folder, it holds no {_SETTINGS}; start one without --resume"
            )
        return cls(path)

    @property
    def settings(self) -> str:
        """The resolved settings, TOML text."""
        return (self.path / _SETTINGS).read_text("utf-8")

    def file(self, name: str) -> Path:
        """Return the path of an artefact; its folder exists afterwards."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def folder(self, name: str) -> Path:
        """Return the path of a folder of artefacts; it exists afterwards."""
        path = self.path / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file whole or not at all, and return its path."""
        path = self.file(name)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
        return path

    def is_done(self, stage: str) -> bool:
        """Return whether the stage has left its result."""
        return self._result_path(stage).is_file()

    def finish(self, stage: str, result: Mapping[str, Any]) -> None:
        """Record the stage's result (anything JSON can hold); the stage is done from now on."""
        self.write_text(f"stages/{stage}.json", json.dumps(result, indent=1))

    def result(self, stage: str) -> dict[str, Any]:
        """Return what `finish` recorded.

        Raises:
            ConfigError: The stage is not done, or its result file is damaged.
        """
        path = self._result_path(stage)
        try:
            result: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise ConfigError(
                f"{self.path}: stage {stage} has not been run; continue with phyemu loop --resume"
            ) from None
        except ValueError as error:
            raise ConfigError(f"{path}: damaged ({error}); delete it and use --resume") from error
        return result

    def _result_path(self, stage: str) -> Path:
        return self.path / "stages" / f"{stage}.json"
