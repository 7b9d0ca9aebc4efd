"""Which images a run was trained on, whatever was trained there: a PhyDNN or a baseline."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phyemu.errors import ConfigError
from phyemu.run_files import CONFIG_NAME
from phyemu.toml_config import from_table, read_toml

from .config import DataConfig

__all__ = ["RunData", "read_run_data"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RunData:
    """What the settings of every run say of its images.

    Attributes:
        seed: Of the run, from which validation images are cut.
        data: Images.
    """

    seed: int = 0
    data: DataConfig = field(default_factory=DataConfig)


def read_run_data(folder: Path) -> RunData:
    """Return what images a run was trained on.

    Raises:
        ConfigError: The folder is no run, or its settings are damaged.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise ConfigError(
            f"{folder}: no run folder, it holds no {path.name}; make one: phyemu train"
        )
    table = read_toml(path)
    own: dict[str, Any] = {name: table[name] for name in ("seed", "data") if name in table}
    return from_table(RunData, own, where=str(path))
