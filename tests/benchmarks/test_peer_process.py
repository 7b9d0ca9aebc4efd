"""A tool in another process: it is timed there, and its absence says why."""

import sys
from pathlib import Path

import pytest

import benchmarks.peers
from benchmarks.peer_process import PeerAbsentError, PeerProcess

PEERS = Path(benchmarks.peers.__file__).parent
PEER = f"""
import sys, time
sys.path.insert(0, {str(PEERS)!r})
from answer import answer

def load():
    print("a tool may print what it likes")
    LOADING
    def spin(seconds):
        def work():
            end = time.process_time() + seconds
            while time.process_time() < end:
                pass
        return work
    return "1.2", {{"spin": spin}}

answer(load)
"""


def script(folder: Path, loading: str = "") -> str:
    path = folder / "peer.py"
    path.write_text(PEER.replace("LOADING", loading or "pass"), encoding="utf-8")
    return str(path)


def test_a_peer_times_its_work_itself(tmp_path: Path) -> None:
    with PeerProcess(script(tmp_path), python=sys.executable, remedy="-") as peer:
        assert peer.version == "1.2"
        # The work spins for this long of its own CPU time; the last turn may overshoot a little.
        assert 0.02 <= peer.candidate("spin", seconds=0.02)().seconds < 0.2
        measured = peer.measure("spin", seconds=0.0)
        assert measured["cpu_s"] < 0.02
        assert measured["peak_bytes"] > 1e6


def test_a_tool_that_is_missing_says_what_to_do(tmp_path: Path) -> None:
    missing = script(tmp_path, "import no_such_tool")
    with pytest.raises(PeerAbsentError, match="No module named 'no_such_tool'; install it"):
        PeerProcess(missing, python=sys.executable, remedy="install it")


def test_an_interpreter_that_is_missing_says_what_to_do(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "no-such-python")
    with pytest.raises(PeerAbsentError, match="No such file or directory; install it"):
        PeerProcess(script(tmp_path), python=nowhere, remedy="install it")


def test_a_tool_that_fails_is_absent_with_its_last_words(tmp_path: Path) -> None:
    with (
        PeerProcess(script(tmp_path), python=sys.executable, remedy="-") as peer,
        pytest.raises(PeerAbsentError, match="TypeError"),
    ):
        peer.measure("spin", seconds="many")
