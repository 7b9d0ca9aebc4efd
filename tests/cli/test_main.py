"""The group: lazy commands, one-line errors, import budget."""

import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from phyemu_cli.main import _COMMANDS, main, terminated_like_interrupted


def test_every_command_loads_and_has_help() -> None:
    for name in _COMMANDS:
        result = CliRunner().invoke(main, [name, "--help"])
        assert result.exit_code == 0, result.output
        assert "Usage:" in result.output


def test_help_and_version_never_load_torch() -> None:
    # The commands' own modules are imported for their help lines, so this holds for each of them.
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from phyemu_cli.main import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "heavy = {'torch', 'scipy', 'numba', 'matplotlib', 'sklearn', 'h5py', 'sigmf', 'uhd'}\n"
        "sys.exit(' '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"phyemu --help loads {done.stderr}"


def test_our_errors_are_one_line_and_exit_code_1(tmp_path: Path) -> None:
    bad = tmp_path / "bad.sigmf-meta"
    bad.write_text("{")
    result = CliRunner().invoke(main, ["inspect", str(bad)])
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert "bad.sigmf-meta" in result.stderr


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    bad = tmp_path / "bad.sigmf-meta"
    bad.write_text("{")
    result = CliRunner().invoke(main, ["--debug", "inspect", str(bad)])
    assert "Traceback" in result.stderr


def test_an_unknown_name_is_a_usage_error_that_lists_the_near_ones() -> None:
    result = CliRunner().invoke(main, ["inspect", "office-nlo"])
    assert result.exit_code == 2
    assert "office-nlos" in result.stderr


@pytest.mark.parametrize(("text", "hertz"), [("20e6", 20e6), ("20M", 20e6), ("2.4GHz", 2.4e9)])
def test_frequencies_are_written_as_radio_people_write_them(text: str, hertz: float) -> None:
    from phyemu_cli.options import FREQUENCY

    assert FREQUENCY.convert(text, None, None) == pytest.approx(hertz)


@pytest.mark.parametrize("text", ["0", "-1", "fast", "1.2.3M"])
def test_a_bad_frequency_shows_the_forms_allowed(text: str) -> None:
    from phyemu_cli.options import FREQUENCY

    with pytest.raises(click.BadParameter, match=r"20e6, 20M or 2\.4G"):
        FREQUENCY.convert(text, None, None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_that_ask_to_end_end_as_ctrl_c_does(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), terminated_like_interrupted():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with terminated_like_interrupted():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_exit_code_tells_the_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended_by(number: int) -> click.Command:
        return click.Command("devices", callback=lambda: signal.raise_signal(number))

    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)):
        command = ended_by(number)
        monkeypatch.setattr(type(main), "get_command", lambda *_, found=command: found)
        result = CliRunner().invoke(main, ["devices"])
        assert result.exit_code == code
        assert result.stderr == "phyemu: interrupted\n"


def test_a_forked_child_is_not_held_up() -> None:
    code = (
        "import os, signal\n"
        "from phyemu_cli.main import terminated_like_interrupted\n"
        "with terminated_like_interrupted():\n"
        "    if (child := os.fork()) == 0:\n"
        "        signal.raise_signal(signal.SIGTERM)\n"
        "        os._exit(0)\n"
        "    print(os.WTERMSIG(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == signal.SIGTERM
