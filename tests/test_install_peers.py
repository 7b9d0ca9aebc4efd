"""`.ci/install-peers` on machines that have nothing; their package manager notes its calls."""

import os
import shutil
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


EVERY = {"usrp", "gnuradio", "octave", "rootfs", "rsync"}


def install(
    folder: Path,
    *,
    fail: str = "",
    user: int = 0,
    apt: bool = True,
    builds: bool = True,
    devices: bool = True,
) -> tuple[int, set[str]]:
    """Run the script; return its exit code, and the markers that must run."""
    programs = folder / "bin"
    programs.mkdir()
    (folder / "packages").touch()
    (folder / "calls").touch()
    stubs = {"dpkg-query": DPKG_QUERY, "id": f"#!/bin/sh\necho {user}\n"}
    stubs |= {"apt-get": APT_GET} if apt else {}
    stubs["debootstrap"] = f"#!/bin/sh\nexit {0 if builds else 1}\n"
    stubs["mknod"] = f"#!/bin/sh\nexit {0 if devices else 1}\n"
    for name, text in stubs.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for name in ("bash", "sh", "grep", "env", "mktemp", "rm"):
        (programs / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    python = "/usr/bin/python3"
    environment = {"PATH": str(programs), "STATE": str(folder), "FAIL": fail, "PYTHON": python}
    done = subprocess.run(
        ["/bin/bash", str(SCRIPT)], env=environment, capture_output=True, text=True, timeout=60
    )
    (folder / "said").write_text(done.stderr)
    markers = {line.removeprefix("--must-run=") for line in done.stdout.splitlines()}
    assert markers <= EVERY
    return done.returncode, markers


pytestmark = pytest.mark.skipif(
    not Path("/usr/bin/python3").exists() or os.name != "posix", reason="no system Python"
)


def test_what_is_missing_is_installed_and_must_run(tmp_path: Path) -> None:
    code, must_run = install(tmp_path)
    assert code == 0
    assert must_run | {"rootfs"} == EVERY  # which also depends on this machine's Python
    installed = (tmp_path / "packages").read_text().split()
    assert {"uhd-host", "python3-uhd", "gnuradio", "octave", "debootstrap"} <= set(installed)
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
    assert install(tmp_path, fail=fail, user=user, apt=apt) == (0, set())
    assert said in (tmp_path / "said").read_text()
    assert not (tmp_path / "packages").read_text()


@pytest.mark.parametrize(
    ("builds", "devices", "said"),
    [(False, True, "debootstrap finds no mirror"), (True, False, "no devices can be made here")],
)
def test_without_a_mirror_or_devices_tests_of_root_file_systems_may_skip(
    tmp_path: Path, builds: bool, devices: bool, said: str
) -> None:
    code, must_run = install(tmp_path, builds=builds, devices=devices)
    assert code == 0
    assert must_run == EVERY - {"rootfs"}
    stderr = (tmp_path / "said").read_text()
    assert said in stderr or "no suite of Debian's has Python" in stderr
    assert "tests of root file systems skip" in stderr


def test_packages_that_do_not_install_fail_the_run(tmp_path: Path) -> None:
    code, must_run = install(tmp_path, fail="^install -y --no-install-recommends")
    assert code != 0
    assert must_run == set()
