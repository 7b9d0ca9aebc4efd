"""`phyemu colosseum package`: usage, report, import budget."""

import hashlib
import json
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from phyemu_cli.main import main

import phyemu.container
from tests.container.small_base import make_wheel
from tests.container.small_docker import legacy, system, write_archive


def package(*arguments: str | Path) -> Result:
    given = ["colosseum", "package", *map(str, arguments)]
    return CliRunner().invoke(main, given)


@pytest.fixture
def public_key(tmp_path: Path) -> Path:
    """Return a file with a public key."""
    path = tmp_path / "id.pub"
    path.write_text(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me\n"
    )
    return path


@pytest.fixture
def packaged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Return the calls of the library, which answers as if it had written an image."""
    calls: list[dict[str, object]] = []

    def note(output: Path, base: str, **options: object) -> SimpleNamespace:
        calls.append({"output": output, "base": base, **options})
        return SimpleNamespace(
            path=output,
            manifest=output.with_name("rx.manifest.json"),
            sha256="0" * 64,
            size=537_400_000,
            base_size=273_500_000,
            sizes={f"part {number}": 10**9 // 2**number for number in range(12)},
            python="3.11 (/usr/bin/python3.11)",
            distributions={"numpy": "2.4"},
            notes=("the base has no systemd",),
        )

    monkeypatch.setattr(phyemu.container, "package_srn", note)
    return calls


def test_help_loads_no_torch() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from phyemu_cli.main import main\n"
        "assert CliRunner().invoke(main, ['colosseum', 'package', '--help']).exit_code == 0\n"
        "import phyemu.container\n"
        "sys.exit(' '.join(sorted({'torch', 'numpy', 'scipy', 'h5py'} & set(sys.modules))) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"package --help loads {done.stderr}"


def test_options_reach_the_library(
    packaged: list[dict[str, object]], public_key: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    result = package(
        "--kind", "srn", "--base", "base.tar.gz", "-o", tmp_path / "rx.tar.gz",
        "--authorized-key", public_key, "--head", run, "--tail", run, "--order", 4, "--images", 9,
        "--content", tmp_path, "--wheels", run, "--force", "--quiet",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    (call,) = packaged
    content = call["content"]
    assert isinstance(content, phyemu.container.NodeContent)
    assert (content.head, content.tail, content.order, content.max_images) == (run, run, 4, 9)
    assert content.paths == (tmp_path,)
    assert (call["base"], call["wheels"], call["force"]) == ("base.tar.gz", run, True)
    assert isinstance(call["access"], phyemu.container.SshAccess)


def test_the_report_sums_the_small_parts(
    packaged: list[dict[str, object]], public_key: Path, tmp_path: Path
) -> None:
    arguments = ["--kind", "srn", "--base", "b", "-o", tmp_path / "rx.tar.gz", "--quiet",
                 "--authorized-key", public_key]  # fmt: skip
    result = package(*arguments)
    lines = result.stdout.splitlines()
    assert "537.4 MB" in lines[0]
    assert lines[1].split()[:3] == ["base", "273.5", "MB"]
    assert lines[2].split() == ["part", "0", "1000.0", "MB"]
    assert lines[10].split() == ["4", "others", "7.3", "MB"]
    assert lines[11] == "sha256 " + "0" * 64
    assert result.stderr == "note: the base has no systemd\n"
    answer = json.loads(package(*arguments, "--json").stdout)
    assert answer["sha256"] == "0" * 64
    assert answer["notes"] == ["the base has no systemd"]


def test_nobody_gets_in_by_default(packaged: list[dict[str, object]], tmp_path: Path) -> None:
    result = package("--kind", "srn", "--base", "b", "-o", tmp_path / "rx.tar.gz")
    assert result.exit_code == 2
    assert "--authorized-key" in result.stderr
    assert not packaged


@pytest.mark.parametrize(
    ("output", "code", "why"),
    [("rx_1.tar.gz", 1, "letters, digits and dashes"), ("rx.zip", 1, "NAME.tar.gz")],
)
def test_other_names_are_refused(
    public_key: Path, tmp_path: Path, output: str, code: int, why: str
) -> None:
    result = package(
        "--kind", "srn", "--base", "b", "-o", tmp_path / output, "--authorized-key", public_key
    )
    assert result.exit_code == code
    assert why in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_base_that_is_none_is_one_line(public_key: Path, tmp_path: Path) -> None:
    base = tmp_path / "base.tar.gz"
    base.write_text("no archive")
    result = package(
        "--kind", "srn", "--base", base, "-o", tmp_path / "rx.tar.gz", "--quiet",
        "--authorized-key", public_key,
    )  # fmt: skip
    assert result.exit_code == 1
    assert result.stderr.startswith(f"phyemu: {base}: is no tar archive")
    assert len(result.stderr.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base.tar.gz", "id.pub"]


def test_a_docker_base_makes_a_gpu_node(public_key: Path, tmp_path: Path) -> None:
    base = write_archive(tmp_path / "base.tar", legacy([system()]))
    wheels = tmp_path / "wheels"
    for requirement in map(Requirement, requires("phyemu") or ()):
        if requirement.marker is None:
            make_wheel(wheels, canonicalize_name(requirement.name))
    output = tmp_path / "phyemu-gpu.tar.gz"
    arguments = ["--kind", "gpu", "--base", base, "-o", output, "--wheels", wheels, "--quiet"]
    refused = package(*arguments)
    assert refused.exit_code == 2
    assert "--authorized-key" in refused.stderr
    assert not output.exists()
    result = package(*arguments, "--authorized-key", public_key, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["kind"], report["path"]) == ("gpu", str(output))
    assert report["sha256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    assert json.loads((tmp_path / "phyemu-gpu.manifest.json").read_text())["kind"] == "gpu"


def test_bases_of_the_other_kind_and_a_python_are_refused(public_key: Path, tmp_path: Path) -> None:
    docker = write_archive(tmp_path / "base.tar", legacy([system()]))
    other = write_archive(tmp_path / "root.tar", [("etc/passwd", b""), ("usr/bin/dash", b"")])
    output = tmp_path / "node.tar.gz"
    key = ["--authorized-key", public_key, "-o", output, "--quiet"]
    assert "--kind gpu" in package("--kind", "srn", "--base", docker, *key).stderr
    assert "--kind srn" in package("--kind", "gpu", "--base", other, *key).stderr
    result = package("--kind", "gpu", "--base", "debootstrap:bookworm", *key)
    assert result.exit_code == 2
    assert "--base debootstrap:... is for --kind srn" in result.stderr
    result = package("--kind", "gpu", "--base", docker, *key, "--python", docker)
    assert result.exit_code == 2
    assert "--python is for --kind srn" in result.stderr


@pytest.mark.parametrize("option", ["--images", "--order"])
def test_what_is_of_a_run_needs_one(public_key: Path, tmp_path: Path, option: str) -> None:
    result = package(
        "--kind", "srn", "--base", "b", "-o", tmp_path / "rx.tar.gz", option, 3,
        "--authorized-key", public_key,
    )  # fmt: skip
    assert result.exit_code == 2
    assert f"{option} needs --head or --tail" in result.stderr
