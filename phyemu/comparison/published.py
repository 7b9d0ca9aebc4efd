"""What the paper states, read from `published.toml`: tables whole, sentences with a number."""

from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files

from phyemu.errors import ConfigError
from phyemu.toml_config import from_table, read_toml

from .exhibit import Exhibit

__all__ = ["PublishedValue", "published_value", "published_values"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedValue:
    """A number of the paper, and where it stands.

    Attributes:
        id: Unique name.
        exhibit: Table or figure that it belongs to.
        quantity: What it is a value of.
        value: The number.
        unit: `%`, `points`, `ms`, `KB` (1024 bytes), `x` (a ratio) ...; empty for a count.
        source: Table and row, or section and paragraph.
        bound: How it is meant: `up to`, `less than`, `about`; empty: as it stands.
        sentence: The words, where it stands in the text.
        note: What the entry leaves open, or where the paper's statements differ.
        system: Whose value; empty where the quantity says so.
        backbone: As `resnet20`; empty: not stated, or several.
        dataset: `cifar-10`, `cifar-100`; empty: as the backbone.
        environment: As in the settings; `office` is the mean of both; empty: as the backbone.
        order: M; None: not stated.
    """

    id: str
    exhibit: Exhibit
    quantity: str
    value: float
    unit: str
    source: str
    bound: str = ""
    sentence: str = ""
    note: str = ""
    system: str = ""
    backbone: str = ""
    dataset: str = ""
    environment: str = ""
    order: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Published:
    values: tuple[PublishedValue, ...]


@cache
def published_values() -> dict[str, PublishedValue]:
    """Return every value by its id, in the file's order.

    Raises:
        ConfigError: The shipped file is damaged.

    >>> published_values()["table-2/cifar-10/resnet20/m16"].value
    82.89
    """
    with as_file(files("phyemu.comparison") / "published.toml") as path:
        found = from_table(_Published, read_toml(path), where="published.toml").values
    values = {item.id: item for item in found}
    if len(values) < len(found):
        raise ConfigError("published.toml: an id is there twice")
    return values


def published_value(name: str) -> float | None:
    """Return the number of an id, or None where the paper states none."""
    value = published_values().get(name)
    return None if value is None else value.value
