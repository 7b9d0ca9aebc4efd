"""`.ci/install-peers` on machines that have nothing; their package manager notes its calls."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "install-peers"
# Packages become installed where apt-get says so; calls that match $FAIL fail.
DPKG_QUERY = '#!/bin/sh\ngrep -qx "$3" "$STATE/packages" && echo "install ok installed"\n'
APT_GET = """#!/bin/bash
echo "$*" >> "$STATE/calls"
[[ -n $FAIL && "$*" =~ $FAIL ]] && exit 100
[[ "$*" == "install -y --no-install-recommends"* ]] && printf '%s\\n' "${@:4}" >> "$STATE/packages"
exit 0
"""


def install(folder: Path, *, fail: str = "", user: int = 0, apt: bool = True) -> tuple[int, ...]:
    """Run the script; return its exit code, and how many markers must run."""
    programs = folder / "bin"
    programs.mkdir()
    (folder / "packages").touch()
    (folder / "calls").touch()
    stubs = {"dpkg-query": DPKG_QUERY, "id": f"#!/bin/sh\necho {user}\n"}
    stubs |= {"apt-get": APT_GET} if apt else {}
    for name, text in stubs.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for name in ("bash", "sh", "grep", "env"):
        (programs / name).symlink_to(f"/bin/{name}" if name != "env" else "/usr/bin/env")
    python = "/usr/bin/python3"
    environment = {"PATH": str(programs), "STATE": str(folder), "FAIL": fail, "PYTHON": python}
    done = subprocess.run(
        ["/bin/bash", str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=60
    )
    (folder / "said").write_text(done.stderr)
    markers = ("usrp", "gnuradio", "rsync")
    assert set(done.stdout.split()) <= {f"--must-run={name}" for name in markers}
    return done.returncode, len(done.stdout.split())


pytestmark = pytest.mark.skipif(
    not Path("/usr/bin/python3").exists() or os.name != "posix", reason="no system Python"
)


def test_what_is_missing_is_installed_and_must_run(tmp_path: Path) -> None:
    assert install(tmp_path) == (0, 3)
    installed = (tmp_path / "packages").read_text().split()
    assert {"uhd-host", "python3-uhd", "gnuradio", "rsync"} <= set(installed)
    # The lists are there, so they are not fetched again.
    assert "update" not in (tmp_path / "calls").read_text().split()


@pytest.mark.parametrize(
    ("fail", "user", "apt", "said"),
    [
        ("", 1000, True, "not root: without uhd-host"),
        ("", 0, False, "no apt-get here: without uhd-host"),
        ("^update|simulate", 0, True, "apt-get update failed"),
        ("^update|download-only", 0, True, "cannot be fetched (no network?): without uhd-host"),
    ],
)
def test_a_machine_that_cannot_have_them_is_told_so_and_goes_on(
    tmp_path: Path, fail: str, user: int, apt: bool, said: str
) -> None:
    assert install(tmp_path, fail=fail, user=user, apt=apt) == (0, 0)
    assert said in (tmp_path / "said").read_text()
    assert not (tmp_path / "packages").read_text()


def test_packages_that_do_not_install_fail_the_run(tmp_path: Path) -> None:
    code, must_run = install(tmp_path, fail="^install -y --no-install-recommends")
    assert code != 0
    assert must_run == 0
