"""One computed result of the comparison, and its JSON form."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from phyemu.errors import ConfigError

__all__ = ["FORMAT", "Cell", "CellKey", "CellKind", "fingerprint_of"]

FORMAT = "phyemu-cell-1"

_WORD = re.compile(r"[A-Za-z0-9]+(?:[-.][A-Za-z0-9]+)*")


class CellKind(StrEnum):
    """What a cell holds."""

    ACCURACY = "accuracy"
    """How many test images are classified rightly."""
    COST = "cost"
    """Latency, bytes and energy of a batch."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class CellKey:
    """Which result: equal keys are the same cell.

    Attributes:
        kind: Accuracy or cost.
        system: As `PhyDNN`, `BF-1`.
        variant: Settings it was trained with, as `paper` and `best` of PhyDNNs; empty: the only
            ones.
        dataset: As `cifar-10`.
        backbone: As `resnet20`.
        environment: As `office-los`, `awgn-12`; `none`: no channel.
        order: M of what is sent as symbols; 0: no symbols are.
        protocol: `tcp`, `udp`; empty: no full stack.
        seed: Of the training, and of the channel.
    """

    kind: CellKind
    system: str
    variant: str = ""
    dataset: str
    backbone: str
    environment: str
    order: int = 0
    protocol: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("system", "variant", "dataset", "backbone", "environment", "protocol"):
            value = getattr(self, name)
            optional = name in ("variant", "protocol")
            if not (_WORD.fullmatch(value) or (optional and not value)):
                raise ConfigError(
                    f"{name} {value!r}: write letters and digits, with hyphens between them"
                )
        if self.order < 0 or self.seed < 0:
            raise ConfigError(f"order and seed must be >= 0, got {self.order} and {self.seed}")

    @property
    def name(self) -> str:
        """Return the cell's file name without its suffix; no two keys share one."""
        parts = [
            self.system,
            self.variant or "-",
            self.dataset,
            self.backbone,
            self.environment,
            f"m{self.order}" if self.order else "-",
            self.protocol or "-",
            f"seed{self.seed}",
        ]
        return f"{self.kind}/" + "_".join(parts)

    def label(self) -> str:
        """Return the cell for people."""
        system = f"{self.system} ({self.variant})" if self.variant else self.system
        parts = [system, self.backbone, self.dataset, self.environment]
        parts += [f"M = {self.order}"] if self.order else []
        parts += [self.protocol.upper()] if self.protocol else []
        return f"{self.kind} of {', '.join(parts)}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A finished result.

    Attributes:
        key: Which one.
        figures: Finite numbers by name, units in the names.
        fingerprint: Of everything the figures depend on; another one is another result.
        modelled: Figures that no instrument measured, but a stated model (a device profile).
        engine: What the full stack ran on: `event-model`, `ns-3`; empty: none.
        run: Folder of the training run, relative to that of the comparison, or its name where it
            was made elsewhere; empty: none.
        provenance: Version, channel, images, hash of the weights ...; JSON values.
    """

    key: CellKey
    figures: Mapping[str, float]
    fingerprint: str
    modelled: frozenset[str] = frozenset()
    engine: str = ""
    run: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.figures:
            raise ConfigError(f"{self.key.label()}: holds no figures")
        for name, value in self.figures.items():
            if not math.isfinite(value):
                raise ConfigError(f"{self.key.label()}: {name} is {value}, not a finite number")
        unknown = self.modelled - set(self.figures)
        if unknown:
            raise ConfigError(f"{self.key.label()}: no figures {', '.join(sorted(unknown))}")

    def to_json(self) -> str:
        """Return the cell as JSON text; its `sha256` finds changes and damage."""
        content = {
            "format": FORMAT,
            "key": {**asdict(self.key), "kind": str(self.key.kind)},
            "figures": dict(self.figures),
            "modelled": sorted(self.modelled),
            "engine": self.engine,
            "run": self.run,
            "fingerprint": self.fingerprint,
            "provenance": dict(self.provenance),
        }
        return json.dumps({**content, "sha256": fingerprint_of(content)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Cell":
        """Return the cell that `to_json` wrote.

        Raises:
            ConfigError: It is truncated, changed by hand, or no cell.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise ConfigError(f"is no JSON ({exc})") from exc
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ConfigError(f"is no {FORMAT}")
        digest = content.pop("sha256", None)
        if digest != fingerprint_of(content):
            raise ConfigError("was changed since it was written: its sha256 does not fit")
        try:
            table = content["key"]
            known = {item.name for item in fields(CellKey)}
            if set(table) != known:
                raise ConfigError(f"its key has {sorted(table)}, not {sorted(known)}")
            return cls(
                key=CellKey(**{**table, "kind": CellKind(table["kind"])}),
                figures={str(name): float(value) for name, value in content["figures"].items()},
                fingerprint=str(content["fingerprint"]),
                modelled=frozenset(content["modelled"]),
                engine=str(content["engine"]),
                run=str(content["run"]),
                provenance=dict(content["provenance"]),
            )
        except ConfigError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise ConfigError(f"is no whole cell ({exc!r})") from exc


def fingerprint_of(content: Mapping[str, Any]) -> str:
    """Return a hash of JSON values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
