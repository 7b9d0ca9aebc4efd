"""colosseum/gpu/Dockerfile builds what `package --kind gpu` writes: read as Docker reads it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from phyemu.container.docker_config import ENTRYPOINT
from phyemu.container.gpu_files import MOVED_SSHD, SSHD
from phyemu.library import shipped_shelf

FOLDER = shipped_shelf("colosseum") / "gpu"


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """Return the instructions with their arguments, continued lines joined."""
    text = (FOLDER / "Dockerfile").read_text()
    text = "".join(line for line in text.splitlines(True) if not line.lstrip().startswith("#"))
    lines = text.replace("\\\n", " ").splitlines()
    found = [(name, rest) for name, _, rest in (line.partition(" ") for line in lines if line)]
    assert {name for name, _ in found} <= {
        "ARG", "FROM", "ENV", "RUN", "COPY", "EXPOSE", "USER", "ENTRYPOINT",
    }  # fmt: skip
    return found


def only(steps: list[tuple[str, str]], name: str) -> str:
    (rest,) = [rest for found, rest in steps if found == name]
    return rest


def test_it_starts_what_colosseum_starts(steps: list[tuple[str, str]]) -> None:
    assert json.loads(only(steps, "ENTRYPOINT")) == list(ENTRYPOINT)
    assert only(steps, "EXPOSE") == "22"
    assert only(steps, "USER") == "root"
    assert only(steps, "COPY") == f"--chmod=755 sshd /{SSHD}"
    installs = next(rest for name, rest in steps if "openssh-server" in rest)
    assert f"--divert /{MOVED_SSHD} --add /{SSHD}" in installs
    # What the package has made is gone in the same layer.
    assert re.search(r"&& rm -rf .*/etc/ssh/ssh_host_\*$", installs)


def test_the_base_is_the_users_choice_and_the_only_argument(steps: list[tuple[str, str]]) -> None:
    assert only(steps, "ARG").startswith("BASE=")
    assert only(steps, "FROM") == "${BASE}"


def test_there_is_no_password_and_no_key_in_it(steps: list[tuple[str, str]]) -> None:
    text = " ".join(rest for _, rest in steps)
    assert not re.search(r"passw|chpasswd|ChangeMe|usermod|ssh-keygen|PermitRootLogin", text)
    access = [rest for _, rest in steps if "live_access" in rest]
    assert [" ".join(rest.split()) for rest in access] == [
        "--mount=type=secret,id=authorized_keys,required=true "
        "python3 -m phyemu.container.live_access / /run/secrets/authorized_keys"
    ]
    # Accounts are closed last, when no package can add any.
    assert steps.index(("RUN", access[0])) == max(i for i, s in enumerate(steps) if s[0] == "RUN")


def test_the_shell_takes_its_commands(steps: list[tuple[str, str]]) -> None:
    for name, rest in steps:
        if name == "RUN":
            command = re.sub(r"^(--mount=\S+\s+)+", "", rest)
            subprocess.run(["/bin/sh", "-n", "-c", command], check=True, timeout=30)
    subprocess.run(["/bin/sh", "-n", str(FOLDER / "sshd")], check=True, timeout=30)


PYTHON = """#!/bin/sh
# Debian's: it refuses unless it is told otherwise. The base's: programs land where `scripts` says.
[ "$PIP_BREAK_SYSTEM_PACKAGES" = 1 ] || {{ echo "error: externally-managed" >&2; exit 1; }}
case "$*" in
  "-m pip install --no-cache-dir {root}/context/phyemu-1-py3-none-any.whl[live]") ;;
  *) echo "not called like this: $*" >&2; exit 1 ;;
esac
printf '#!/bin/sh\\necho phyemu, version 1\\n' > {scripts}/phyemu
chmod 755 {scripts}/phyemu
"""


@pytest.mark.parametrize("scripts", ["usr/local/bin", "opt/conda/bin"])
def test_phyemu_is_installed_and_found_on_every_base(
    steps: list[tuple[str, str]], tmp_path: Path, scripts: str
) -> None:
    for folder in ("usr/local/bin", "opt/conda/bin", "etc/profile.d", "context", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "context/phyemu-1-py3-none-any.whl").touch()
    python = tmp_path / "bin/python3"
    python.write_text(PYTHON.format(root=tmp_path, scripts=tmp_path / scripts))
    python.chmod(0o755)
    (command,) = (rest for name, rest in steps if name == "RUN" and "pip install" in rest)
    command = re.sub(r"^(--mount=\S+\s+)+", "", command)
    command = re.sub(r"(?<![\w}])/(context|root|usr/local|etc)\b", rf"{tmp_path}/\1", command)
    folders = (tmp_path / "opt/conda/bin", tmp_path / "usr/local/bin", tmp_path / "bin")
    variables = dict(line.split("=") for line in (only(steps, "ENV"),))
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, timeout=30,
        env={**variables, "PATH": ":".join(map(str, (*folders, "/usr/bin", "/bin")))},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = subprocess.run(
        [tmp_path / "usr/local/bin/phyemu"], capture_output=True, text=True, timeout=30
    )
    assert found.stdout == "phyemu, version 1\n"
    assert f"export PATH='{folders[0]}:" in (tmp_path / "etc/profile.d/phyemu.sh").read_text()


def test_only_what_the_build_needs_leaves_the_folder() -> None:
    lines = (FOLDER / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules == ["*", "!phyemu-*.whl", "!sshd"]


def has_engine() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    command = [docker, "version", "--format", "{{.Server.Version}}"]
    return subprocess.run(command, capture_output=True, timeout=60).returncode == 0


@pytest.mark.skipif(not has_engine(), reason="no Docker engine")
def test_docker_finds_nothing_to_complain_about() -> None:
    command = ["docker", "build", "--check", str(FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
