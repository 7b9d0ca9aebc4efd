"""`comparison.toml`, the settings of a comparison in its folder: when they may be written there."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from phyemu.errors import ConfigError
from phyemu.run_files import CONFIG_NAME, METRICS_NAME
from phyemu.toml_config import to_toml
from phyemu.whole_file import write_whole

from .config import ComparisonConfig
from .presets import read_comparison

__all__ = ["check_settings", "keep_settings"]

_NAME = "comparison.toml"
_OF_A_RUN = (CONFIG_NAME, METRICS_NAME, "checkpoints")


def check_settings(config: ComparisonConfig, folder: Path) -> None:
    """Refuse settings that a folder is not to keep, before anything is written there.

    Where images are missing, hundreds of cells would fail, one by one, and the settings stay.

    Raises:
        ConfigError: The folder is a run; it has damaged settings; or there are no images where
            these say, and those that it has say otherwise, if it has any.
    """
    path = folder / _NAME
    if not path.is_file():
        for name in _OF_A_RUN:
            if (folder / name).exists():
                raise ConfigError(
                    f"{folder}: is a run, as it has {name}; name a folder of its own for the "
                    "comparison: -o FOLDER"
                )
    elif read_comparison(path).datasets == config.datasets:
        return
    for name, spec in config.datasets.items():
        kind, _, location = spec.partition(":")
        if location and not Path(location).exists():
            raise ConfigError(
                f"dataset {name}: {location}: no such folder or archive; say where it is: "
                f"--dataset {name}={kind}:PATH (once for each dataset that is to be compared), or "
                "take --preset quick, which needs none"
            )


def keep_settings(config: ComparisonConfig, folder: Path, of_this_call: Collection[str]) -> None:
    """Write the settings of a comparison, but for what is of this call, where they stand already.

    Raises:
        ConfigError: Those that stand there are damaged.
    """
    path = folder / _NAME
    if of_this_call and path.is_file():
        own = read_comparison(path)
        config = replace(config, **{name: getattr(own, name) for name in of_this_call})
    write_whole(path, to_toml(config))
