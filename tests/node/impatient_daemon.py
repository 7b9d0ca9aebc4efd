"""The daemon of a node with a fake worker and deadlines of seconds, below $PHYEMU_NODE_ROOT."""

import asyncio
import sys
from pathlib import Path

from phyemu.errors import PhyemuError
from phyemu.node.daemon import NodeDaemon
from phyemu.node.deadlines import Deadlines
from phyemu.node.layout import NodeLayout

# On a busy machine Python itself takes a second to start.
DEADLINES = Deadlines(
    ready_s=4.0,
    active_s=3.0,
    terminate_s=2.0,
    kill_s=2.3,
    abandon_s=5.0,
    failed_s=0.3,
    leave_s=2.0,
)

if __name__ == "__main__":
    worker = [sys.executable, "-I", "-S", str(Path(__file__).with_name("fake_worker.py"))]
    daemon = NodeDaemon(
        NodeLayout.of_environment(),
        worker_command=worker,
        deadlines=DEADLINES,
        heartbeat_s=0.5,
        silence_s=1.0,
    )
    try:
        asyncio.run(daemon.run())
    except PhyemuError as exc:
        sys.exit(f"phyemu-node: {exc}")
