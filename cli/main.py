"""The group `phyemu`: loads a command when it is asked for, and turns our errors into one line."""

import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from phyemu import __version__
from phyemu.errors import PhyemuError

__all__ = ["main"]

# NumPy's linear algebra here is many small problems, which threads only slow down; torch has its
# own threads. To be set before NumPy is imported; a user's own setting wins.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# command -> the module of this package that holds it as `command`; the help line comes from there.
_COMMANDS = {
    "capture": "capture",
    "colosseum": "colosseum",
    "compare": "compare",
    "devices": "devices",
    "doctor": "doctor",
    "emulate": "emulate",
    "evaluate": "evaluate",
    "export": "export",
    "fit": "fit",
    "fullstack": "fullstack",
    "inspect": "inspect",
    "loop": "loop",
    "profile-device": "profile_device",
    "receive": "receive",
    "replay": "replay",
    "report": "report",
    "run": "run",
    "serve": "serve",
    "sound": "sound",
    "splits": "splits",
    "train": "train",
    "train-baseline": "train_baseline",
    "waveform": "waveform",
}


class _Terminated(KeyboardInterrupt):
    """A signal that asks the process to end; it ends as on Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """End on SIGTERM and SIGHUP as on Ctrl-C: cleanly. Who ignores them (nohup) goes on to."""
    process = os.getpid()

    def interrupt(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != process:  # a child that was forked: it has nothing to finish
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        raise _Terminated(number)

    taken = []
    # Python delivers signals to the main thread only.
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, interrupt)
                taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in alphabetical order."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, or None."""
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f".{_COMMANDS[cmd_name]}", __package__)
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a PhyemuError becomes one line on stderr and exit code 1."""
        try:
            with terminated_like_interrupted():
                return super().invoke(ctx)
        except PhyemuError as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            click.echo(f"phyemu: {' '.join(str(error).split())}", err=True)
            sys.exit(1)
        except KeyboardInterrupt as error:
            click.echo("phyemu: interrupted", err=True)
            sys.exit(128 + getattr(error, "number", signal.SIGINT))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="phyemu")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Close the loop between real radios, a channel emulator and physical-layer DNNs."""


if __name__ == "__main__":  # for torchrun -m
    main()
