"""A tool in an interpreter of its own, which does its share of a comparison when told to.

Peers are never required: one that is absent says why, and the tables say it too.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.harness import Elapsed

__all__ = ["PeerAbsentError", "PeerProcess", "gnuradio", "sionna"]

SIONNA_PYTHON = "PHYEMU_BENCH_SIONNA_PYTHON"
GNURADIO_PYTHON = "PHYEMU_BENCH_GNURADIO_PYTHON"


class PeerAbsentError(Exception):
    """The tool cannot be used here; the message says why and what to do."""


class PeerProcess:
    """One process that keeps the tool loaded; to be used in a `with`.

    Attributes:
        version: Of the tool.
    """

    def __init__(self, script: str, *, python: str, remedy: str) -> None:
        """Start `benchmarks/peers/SCRIPT` and wait until the tool is loaded.

        Raises:
            PeerAbsentError: There is no such interpreter, or it lacks the tool.
        """
        self._errors = tempfile.TemporaryFile("w+")
        try:
            self._process = subprocess.Popen(
                [python, str(Path(__file__).parent / "peers" / script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
        except OSError as exc:
            self._errors.close()
            raise PeerAbsentError(f"{python}: {exc.strerror}; {remedy}") from exc
        try:
            hello = self._read()
            if "absent" in hello:
                raise PeerAbsentError(f"{hello['absent']}; {remedy}")
        except PeerAbsentError:
            self.close()
            raise
        self.version = str(hello["version"])

    def __enter__(self) -> "PeerProcess":
        """Return the peer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process."""
        self.close()

    def measure(self, work: str, **settings: Any) -> dict[str, float]:
        """Return `cpu_s`, `wall_s` and `peak_bytes` of one call of a work.

        Raises:
            PeerAbsentError: The tool failed.
        """
        if self._process.stdin is None:
            raise PeerAbsentError("the process has no input")
        try:
            print(
                json.dumps({"work": work, "settings": settings}),
                file=self._process.stdin,
                flush=True,
            )
        except BrokenPipeError as exc:
            raise PeerAbsentError(self._last_words()) from exc
        return self._read()

    def candidate(self, work: str, **settings: Any) -> Callable[[], Elapsed]:
        """Return the work as a candidate of `compare`, timed by the peer in CPU time."""
        return lambda: Elapsed(seconds=self.measure(work, **settings)["cpu_s"])

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise PeerAbsentError(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1] if lines else f"the process ended with {self._process.wait()}"


def gnuradio() -> PeerProcess:
    """Return GNU Radio, as Debian's python3 has it."""
    python = os.environ.get(GNURADIO_PYTHON, "/usr/bin/python3")
    remedy = f"install gnuradio (make bench-peers), or name its interpreter in {GNURADIO_PYTHON}"
    return PeerProcess("with_gnuradio.py", python=python, remedy=remedy)


def sionna() -> PeerProcess:
    """Return Sionna, of this interpreter or of the one that the environment names."""
    python = os.environ.get(SIONNA_PYTHON, sys.executable)
    remedy = f"install sionna-no-rt (make bench-peers), or name its interpreter in {SIONNA_PYTHON}"
    return PeerProcess("with_sionna.py", python=python, remedy=remedy)
