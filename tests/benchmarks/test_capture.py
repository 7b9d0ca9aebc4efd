"""What a capture costs, as the benchmark measures it."""

import sys
from pathlib import Path

import pytest

from benchmarks.capture import watch


def test_processor_time_is_counted_only_while_there_is_progress(tmp_path: Path) -> None:
    # Busy for 0.3 s before the first sample, then for 0.5 s until the last one.
    work = """
import pathlib, sys, time
def busy(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
out = pathlib.Path(sys.argv[1])
busy(0.3)
out.write_bytes(bytes(100))
busy(0.5)
out.write_bytes(bytes(300))
busy(0.2)
"""
    out = tmp_path / "out"
    command = [sys.executable, "-c", work, str(out)]
    progress, cpu_s = watch(command, lambda: out.stat().st_size if out.exists() else 0)
    assert progress == 200
    # In all it is more than 1 s. A busy machine looks late, at worst at the end of each stretch.
    assert 0.2 < cpu_s < 0.75


def test_a_tool_that_fails_is_told_with_its_own_words() -> None:
    with pytest.raises(RuntimeError, match="no such device"):
        watch([sys.executable, "-c", "raise SystemExit('no such device')"], lambda: 0)
