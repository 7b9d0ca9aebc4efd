"""Environments for images: the running one, and wheels for another Python."""

import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.tags import parse_tag

import phyemu.container.own_distribution as own_distribution_module
from phyemu.container import Addition, TextContent
from phyemu.container.installed_environment import installed_environment
from phyemu.container.own_distribution import own_distribution
from phyemu.container.python_target import PythonTarget
from phyemu.container.vendored import VendoredDistribution, belongs_in_lib, refuse_misfits
from phyemu.container.wheelhouse import wheelhouse_environment
from phyemu.errors import ImageError
from tests.container.small_base import make_wheel

HERE = PythonTarget(minor=sys.version_info[1], program="/usr/bin/python3", glibc=(2, 40))
OTHER = replace(HERE, minor=12 if sys.version_info[1] != 12 else 13, glibc=(2, 35))


@pytest.mark.parametrize(
    ("tag", "runs"),
    [
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("cp312-cp312-manylinux_2_35_x86_64", True),
        ("cp312-cp312-manylinux_2_36_x86_64", False),
        ("cp312-cp312-manylinux2014_x86_64", True),
        ("cp312-cp312-manylinux_2_17_aarch64", False),
        ("cp312-cp312-musllinux_1_2_x86_64", False),
        ("cp312-cp312-macosx_11_0_arm64", False),
        ("cp311-cp311-manylinux_2_17_x86_64", False),
        ("cp310-abi3-manylinux_2_17_x86_64", True),
        ("cp313-abi3-manylinux_2_17_x86_64", False),
        ("cp312-cp312t-manylinux_2_17_x86_64", False),
        ("py3-none-manylinux_2_31_x86_64", True),
        ("cp312-cp312-linux_x86_64", True),
    ],
)
def test_a_wheel_runs_where_its_tags_say(tag: str, runs: bool) -> None:
    target = PythonTarget(minor=12, program="/usr/bin/python3.12", glibc=(2, 35))
    assert target.supports(parse_tag(tag)) is runs


@pytest.mark.parametrize(
    ("path", "belongs"),
    [
        ("numpy/core.py", True),
        ("numpy.libs/libx.so", True),
        ("numpy-2.dist-info/METADATA", True),
        ("numpy-2.dist-info/licenses/RECORD", False),
        ("numpy-2.dist-info/RECORD", False),
        ("numpy-2.dist-info/direct_url.json", False),  # holds a path of this machine
        ("../../../bin/f2py", False),
        ("numpy/__pycache__/core.cpython-311.pyc", False),
        ("_virtualenv.pth", False),
        ("torch/bin/protoc", True),
    ],
)
def test_what_python_imports_is_vendored(path: str, belongs: bool) -> None:
    assert belongs_in_lib(path) is belongs


def test_wheels_for_no_c_library_are_searched_for_what_they_need() -> None:
    def built(symbols: bytes) -> VendoredDistribution:
        # Across the chunks in which a file is read, too.
        content = TextContent(bytes((1 << 20) - 6) + symbols)
        return VendoredDistribution(
            name="fast",
            version="1",
            tags=parse_tag("cp312-cp312-linux_x86_64"),
            files=(Addition(path="opt/phyemu/lib/fast.cpython-312.so", content=content),),
        )

    target = PythonTarget(minor=12, program="/usr/bin/python3.12", glibc=(2, 35))
    refuse_misfits([built(b"GLIBC_2.14\0GLIBC_2.34\0")], target, remedy="")
    with pytest.raises(ImageError, match=r"fast 1 \(needs glibc 2.38\)"):
        refuse_misfits([built(b"GLIBC_2.38\0GLIBC_2.4\0")], target, remedy="")


@pytest.fixture(scope="module")
def installed() -> tuple[VendoredDistribution, ...]:
    """Return the running environment: tens of thousands of files, listed once."""
    return installed_environment(HERE)


def test_the_running_environment_is_taken_as_pip_installed_it(
    installed: tuple[VendoredDistribution, ...],
) -> None:
    found = {item.name.lower(): item for item in installed}
    assert {"phyemu", "torch", "numpy", "jinja2"} <= set(found)
    assert "pytest" not in found
    numpy = {file.path: file for file in found["numpy"].files}
    core = numpy["opt/phyemu/lib/numpy/__init__.py"]
    assert core.content is not None
    with core.content.open() as file:
        import numpy as running

        assert file.read() == Path(running.__file__).read_bytes()
    paths = [file.path for item in found.values() for file in item.files]
    assert not [path for path in paths if path.endswith((".pyc", ".pth"))]
    assert f"opt/phyemu/lib/torch-{found['torch'].version}.dist-info/RECORD" not in paths
    assert all(path.startswith("opt/phyemu/lib/") for path in paths)


def test_another_python_or_an_older_c_library_is_refused_with_the_remedy(
    installed: tuple[VendoredDistribution, ...],
) -> None:
    with pytest.raises(ImageError, match=rf"the image has 3.{OTHER.minor}.*--wheels DIR"):
        installed_environment(OTHER)
    with pytest.raises(ImageError, match=r"not for Python .* glibc 2.20: .*torch.*; bring"):
        refuse_misfits(installed, replace(HERE, glibc=(2, 20)), remedy="bring wheels")


def test_phyemu_itself_runs_from_what_is_vendored(tmp_path: Path) -> None:
    for file in own_distribution().files:
        path = tmp_path / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        assert file.content is not None
        with file.content.open() as source:
            path.write_bytes(source.read())
    lib = tmp_path / "opt/phyemu/lib"
    code = (
        "import phyemu, phyemu_cli.main\n"
        "from phyemu.library import find_in_library\n"
        "print(phyemu.__file__, phyemu.__version__, find_in_library('urban-40db', 'colosseum'))\n"
        "from phyemu.node.deployment import deployed_files\n"
        "assert len(deployed_files()) > 8\n"
    )
    # -S: neither the checkout's finder nor its distributions are seen; click alone is lent.
    click = Path(__import__("click").__file__).parents[1]
    done = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            f"import sys; sys.path[:0] = [{str(lib)!r}, {str(click)!r}]\n" + code,
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    where, version, scenario = done.stdout.split()
    assert where == str(lib / "phyemu/__init__.py")
    assert version == own_distribution().version
    assert scenario.startswith(str(lib / "phyemu/_library/colosseum"))


def test_what_an_editor_left_in_a_checkout_stays_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("office.json", "office.json~", ".x.npz.partial", "gpu/sshd"):
        path = tmp_path / "colosseum" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    monkeypatch.setattr(own_distribution_module, "shipped_shelf", lambda shelf: tmp_path / shelf)
    library = "opt/phyemu/lib/phyemu/_library/colosseum/"
    found = {file.path for file in own_distribution().files if file.path.startswith(library)}
    assert found == {f"{library}office.json", f"{library}gpu/sshd"}


def test_a_wheelhouse_needs_what_phyemu_needs_and_no_more(wheelhouse: Path) -> None:
    (wheelhouse / "phyemu-0.0.1-py3-none-any.whl").unlink()  # the running one takes its place
    make_wheel(wheelhouse, "unneeded")
    make_wheel(wheelhouse, "numpy", "1.26", files={"numpy.py": b"older"})
    compiled = {"numpy/fast.so": b"x", "numpy-100.data/scripts/f2py": b"#!python",
                "numpy-100.data/purelib/numpy/pure.py": b"y"}  # fmt: skip
    tag = f"cp3{OTHER.minor}-cp3{OTHER.minor}-manylinux_2_28_x86_64"
    make_wheel(wheelhouse, "numpy", "100", tag=tag, files=compiled)
    make_wheel(wheelhouse, "numpy", "200", tag=tag.replace("2_28", "2_39"))
    make_wheel(wheelhouse, "scipy", "100", requirements=["helper>=2; python_version>'3.11'"])
    make_wheel(wheelhouse, "helper", "2")
    with ExitStack() as stack:
        found = {d.name: d for d in wheelhouse_environment(wheelhouse, OTHER, stack)}
        assert "unneeded" not in found
        assert found["helper"].version == "2"
        assert found["numpy"].version == "100"  # the newest that runs there
        files = {file.path: file for file in found["numpy"].files}
        assert set(files) == {
            "opt/phyemu/lib/numpy/fast.so",
            "opt/phyemu/lib/numpy/pure.py",
            "opt/phyemu/lib/numpy-100.dist-info/METADATA",
            "opt/phyemu/lib/numpy-100.dist-info/WHEEL",
        }
        content = files["opt/phyemu/lib/numpy/pure.py"].content
        assert content is not None
        with content.open() as file:
            assert file.read() == b"y"
        assert found["phyemu"].version == own_distribution().version


def test_a_wheelhouse_that_lacks_something_is_refused(wheelhouse: Path, tmp_path: Path) -> None:
    (wheelhouse / "scipy-99-py3-none-any.whl").unlink()
    make_wheel(wheelhouse, "scipy", "99", tag="cp39-cp39-manylinux_2_17_x86_64")
    make_wheel(wheelhouse, "torch", "100", requirements=["gone"])
    with ExitStack() as stack, pytest.raises(ImageError) as caught:
        wheelhouse_environment(wheelhouse, OTHER, stack)
    assert "missing: gone (for torch), scipy (for phyemu)" in str(caught.value).replace(
        ">=1.12", ""
    )
    (tmp_path / "empty").mkdir()
    with ExitStack() as stack, pytest.raises(ImageError, match="holds no wheels"):
        wheelhouse_environment(tmp_path / "empty", OTHER, stack)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("torch-100-py3-none-any.whl", b"no zip", "is no wheel"),
        ("torch.whl", b"", "not called as a wheel"),
    ],
)
def test_damaged_wheels_are_refused(wheelhouse: Path, name: str, content: bytes, why: str) -> None:
    (wheelhouse / name).write_bytes(content)
    with ExitStack() as stack, pytest.raises(ImageError, match=why):
        wheelhouse_environment(wheelhouse, OTHER, stack)


@pytest.mark.parametrize("file", ["../../etc/cron.d/x", "/etc/x", "a/../b"])
def test_wheels_that_write_elsewhere_are_refused(wheelhouse: Path, file: str) -> None:
    make_wheel(wheelhouse, "torch", "100", files={file: b"x"})
    with ExitStack() as stack, pytest.raises(ImageError, match="no wheel does"):
        wheelhouse_environment(wheelhouse, OTHER, stack)


def test_a_wheel_whose_data_are_damaged_fails_in_one_line(wheelhouse: Path) -> None:
    path = make_wheel(wheelhouse, "torch", "100", files={"torch.py": b"intact " * 10})
    path.write_bytes(path.read_bytes().replace(b"intact intact", b"intacX intact", 1))
    with ExitStack() as stack:
        found = {d.name: d for d in wheelhouse_environment(wheelhouse, OTHER, stack)}
        content = found["torch"].files[-1].content
        assert content is not None
        with content.open() as file, pytest.raises(OSError, match="CRC"):
            file.read(1 << 20)
