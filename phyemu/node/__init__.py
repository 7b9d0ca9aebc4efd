"""What runs on a node of a Colosseum job: its settings, its state machine, its daemon, its worker.

The daemon's modules load neither NumPy nor torch: a node answers before they are there.
"""

from phyemu.node.environment import Environment
from phyemu.node.layout import NodeLayout
from phyemu.node.radio_conf import RadioConf, Role, load_radio_conf, write_radio_conf

__all__ = [
    "Environment",
    "NodeLayout",
    "RadioConf",
    "Role",
    "load_radio_conf",
    "write_radio_conf",
]
