"""The closed loop: sound, fit, train, transmit, receive, score, report."""

from phyemu.loop.config import AirConfig, LoopConfig, SoundingRun, default_training
from phyemu.loop.page import write_loop_report
from phyemu.loop.resolve import resolve_loop_config
from phyemu.loop.run import read_loop_config, run_loop
from phyemu.loop.table import LoopResult, LoopRow

__all__ = [
    "AirConfig",
    "LoopConfig",
    "LoopResult",
    "LoopRow",
    "SoundingRun",
    "default_training",
    "read_loop_config",
    "resolve_loop_config",
    "run_loop",
    "write_loop_report",
]
