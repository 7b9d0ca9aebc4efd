"""Progress in a log: few lines, plain, with what a bar would show."""

import io
import sys

import pytest
from phyemu_cli.progress import ProgressLines, progress_bars


class Clock:
    """A clock that is set by hand [s]."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Log:
    """What `ProgressLines` wrote, and when [min]."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.minutes: list[float] = []
        self.lines: list[str] = []
        self.progress = ProgressLines(self._write, self.clock)

    def _write(self, line: str) -> None:
        self.lines.append(line)
        self.minutes.append((self.clock.now_s - 1000.0) / 60)

    def work(self, stage: str, steps: range, step_s: float, note: str = "") -> None:
        """Report `steps` that take `step_s` each, after the beginning."""
        self.progress.report(stage, steps.start, steps.stop - 1, note)
        for done in steps[1:]:
            self.clock.now_s += step_s
            self.progress.report(stage, done, steps.stop - 1, note)


@pytest.fixture
def log() -> Log:
    return Log()


def test_long_work_tells_a_line_after_a_minute_and_then_at_every_tenth(log: Log) -> None:
    log.work("phydnn", range(1001), 10.0)  # 1000 steps of 10 s: a tenth takes 1000 s
    assert log.minutes == pytest.approx([1 + index * 1000 / 60 for index in range(10)])
    assert log.lines[0] == "phydnn: 6/1000 (0 %), after 0:01:00, 2:45:40 left"
    assert log.lines[1].startswith("phydnn: 106/1000 (10 %), after 0:17:40, ")


def test_short_work_tells_at_most_a_line_a_minute(log: Log) -> None:
    log.work("phydnn", range(101), 3.0)  # 5 minutes: a tenth takes half a minute
    assert log.minutes == pytest.approx([1, 2, 3, 4])
    log.progress.close()
    assert log.lines[-1] == "phydnn: 100/100 (100 %), after 0:05:00"
    log.progress.close()
    assert len(log.lines) == 5


def test_a_line_has_the_losses_and_the_validation_that_a_bar_would_show(log: Log) -> None:
    log.work("phydnn", range(11), 60.0, "loss 1.234, validation 80.1 %")
    assert log.lines[0] == (
        "phydnn: 1/10 (10 %), after 0:01:00, 0:09:00 left, loss 1.234, validation 80.1 %"
    )


def test_what_remains_is_of_the_work_done_here(log: Log) -> None:
    log.work("phydnn", range(80, 101), 30.0)  # 80 steps were there when it was continued
    assert log.lines[0] == "phydnn: 82/100 (82 %), after 0:01:00, 0:09:00 left"


def test_the_end_of_a_stage_has_its_last_note_and_comes_before_the_next_stage(log: Log) -> None:
    log.work("backbone", range(4), 1.0)
    log.progress.report("backbone", 3, 3, "validation 91.0 %")
    log.clock.now_s += 50  # saving: no part of the stage
    assert log.lines == []
    log.progress.report("phydnn", 0, 3)
    assert log.lines == ["backbone: 3/3 (100 %), after 0:00:03, validation 91.0 %"]


def test_stages_that_come_again_tell_each_end_before_the_next_begins(log: Log) -> None:
    for cell in range(3):
        log.progress.report("cells", cell, 3)
        log.work("phydnn", range(3), 40.0 if cell == 1 else 1.0, f"cell {cell}")
    log.progress.report("cells", 3, 3)
    log.progress.close()
    assert log.lines == [
        "phydnn: 2/2 (100 %), after 0:00:02, cell 0",
        "phydnn: 2/2 (100 %), after 0:01:20, cell 1",
        "cells: 2/3 (66 %), after 0:01:22, 0:00:41 left",
        "phydnn: 2/2 (100 %), after 0:00:02, cell 2",
        "cells: 3/3 (100 %), after 0:01:24",
    ]


def test_a_stage_that_follows_itself_tells_both_ends(log: Log) -> None:
    for channel in ("office-los", "office-nlos"):
        log.work("evaluate", range(1, 5), 1.0, channel)
    log.progress.close()
    assert log.lines == [
        f"evaluate: 4/4 (100 %), after 0:00:03, {channel}"
        for channel in ("office-los", "office-nlos")
    ]


def test_an_end_that_is_reported_again_is_told_once(log: Log) -> None:
    log.progress.report("backbone", 3, 3)
    log.progress.report("phydnn", 0, 3)
    log.progress.report("backbone", 3, 3)
    log.progress.report("phydnn", 3, 3)
    log.progress.close()
    assert [line.split(":")[0] for line in log.lines] == ["backbone", "phydnn"]


def test_work_without_a_known_end_tells_a_line_a_minute(log: Log) -> None:
    for done in range(0, 600, 2):
        log.progress.report("capture", done, 0)
        log.clock.now_s += 1
    assert log.minutes == pytest.approx([1, 2, 3, 4])
    assert log.lines[0] == "capture: 120, after 0:01:00"


def test_names_bring_no_control_characters_into_a_log(log: Log) -> None:
    log.progress.report("inspect", 1, 1, "a\x1b[31m\r\nb")
    log.progress.close()
    assert log.lines == ["inspect: 1/1 (100 %), after 0:00:00, a?[31m??b"]


def test_a_file_gets_lines_even_where_colours_are_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with progress_bars(quiet=False) as progress:
        progress("phydnn", 3, 3)
    assert file.getvalue() == "phydnn: 3/3 (100 %), after 0:00:00\n"


def test_a_terminal_gets_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bars(quiet=False) as progress:
        progress("phydnn", 3, 3)
    assert "━" in terminal.getvalue()


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars(quiet=True) as progress:
        progress("phydnn", 3, 3)
    assert capsys.readouterr().err == ""
