"""Where a node's files lie below its root: `/` on an SRN, another folder in rehearsals."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NODE_LOG", "STATUS_FILE", "NodeLayout", "task_number"]

# Names below /logs; who reads what was brought home finds them in another folder.
NODE_LOG = "node.jsonl"
STATUS_FILE = "status.json"
_TASK = re.compile(r"task-(\d{4,9})")


def task_number(name: str) -> int | None:
    """Return which worker run a folder of /logs is of, from 1; None where it is of none."""
    match = _TASK.fullmatch(name)
    return int(match[1]) if match is not None else None


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """Paths of a node.

    Attributes:
        root: What they are below.
    """

    root: Path

    @classmethod
    def of_environment(cls, variables: Mapping[str, str] = os.environ) -> "NodeLayout":
        """Return the layout below `$PHYEMU_NODE_ROOT`, or `/`."""
        return cls(Path(variables.get("PHYEMU_NODE_ROOT") or "/").absolute())

    @property
    def radio_api(self) -> Path:
        """The scripts that Colosseum calls, and the inputs that it pushes."""
        return self.root / "root" / "radio_api"

    @property
    def radio_conf(self) -> Path:
        """Our settings, `ModemConfig` of the batch job."""
        return self.radio_api / "radio.conf"

    @property
    def colosseum_config(self) -> Path:
        """Colosseum's settings at boot."""
        return self.radio_api / "colosseum_config.ini"

    @property
    def environment(self) -> Path:
        """Colosseum's updates of the environment."""
        return self.radio_api / "environment.json"

    @property
    def outcomes(self) -> Path:
        """Colosseum's mandated outcomes."""
        return self.radio_api / "mandated_outcomes.json"

    @property
    def content(self) -> Path:
        """What the image carries: waveforms, exported PhyDNNs, images."""
        return self.root / "root" / "phyemu"

    @property
    def run(self) -> Path:
        """What lives as long as the container."""
        return self.root / "run" / "phyemu"

    @property
    def socket(self) -> Path:
        """The control socket."""
        return self.run / "node.sock"

    @property
    def pid(self) -> Path:
        """The daemon's process, locked while it lives."""
        return self.run / "node.pid"

    @property
    def state(self) -> Path:
        """The daemon's state, for those who find it dead or hung."""
        return self.run / "state.json"

    @property
    def worker_pid(self) -> Path:
        """The worker's process, for a daemon that comes after one that died."""
        return self.run / "worker.json"

    @property
    def requested(self) -> Path:
        """A start or stop that came before the daemon did."""
        return self.run / "requested"

    @property
    def scratch(self) -> Path:
        """What a worker makes for itself; emptied before the next one begins."""
        return self.run / "scratch"

    @property
    def logs(self) -> Path:
        """What Colosseum keeps."""
        return self.root / "logs"

    @property
    def node_log(self) -> Path:
        """Every event, one JSON object a line."""
        return self.logs / NODE_LOG

    @property
    def status(self) -> Path:
        """The last state, as JSON."""
        return self.logs / STATUS_FILE

    @property
    def inputs(self) -> Path:
        """The inputs as they were when they were read."""
        return self.logs / "inputs"

    def task(self, number: int) -> Path:
        """Return the folder of a worker run, counted from 1."""
        return self.logs / f"task-{number:04d}"
