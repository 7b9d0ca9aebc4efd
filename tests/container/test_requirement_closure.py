"""What needs what, by metadata; the oracle for a real environment is pip's own resolution."""

import importlib.metadata
import re

import pytest

from phyemu.container.python_target import PythonTarget
from phyemu.container.requirement_closure import Candidate, requirement_closure
from phyemu.errors import ImageError

ENVIRONMENT = PythonTarget(
    minor=11, program="/usr/bin/python3.11", glibc=(2, 36)
).marker_environment


def closure(metadata: dict[str, list[str]], *roots: str) -> list[str]:
    def find(name: str) -> Candidate | None:
        if name not in metadata:
            return None
        return Candidate(name=name, version="2.0", requires=tuple(metadata[name]))

    return list(requirement_closure(roots, find, environment=ENVIRONMENT, remedy="get them"))


def test_markers_extras_and_circles_are_followed() -> None:
    metadata = {
        "a": ["B_b>=1", "win; sys_platform=='win32'", "old; python_version<'3.11'", "x[fast]"],
        "b-b": ["a", "c; platform_machine=='x86_64' and python_full_version>='3.11'"],
        "c": [],
        "x": ["slow-only; extra=='slow'", "speed; extra=='fast'"],
        "speed": ["c==2.*"],
    }
    assert closure(metadata, "a") == ["a", "b-b", "c", "speed", "x"]


def test_what_is_missing_is_named_with_who_needs_it() -> None:
    with pytest.raises(ImageError, match=r"missing: b>=3 \(for a; there is 2.0\), gone \(for b\)"):
        closure({"a": ["b>=3", "b"], "b": ["gone"]}, "a")
    with pytest.raises(ImageError, match="'b >> 1' is malformed"):
        closure({"a": ["b >> 1"]}, "a")


def test_this_environment_holds_all_that_phyemu_needs() -> None:
    def find(name: str) -> Candidate | None:
        try:
            dist = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            return None
        return Candidate(name=dist.name, version=dist.version, requires=tuple(dist.requires or ()))

    found = requirement_closure(["phyemu"], find, environment=ENVIRONMENT, remedy="")
    direct = {re.split(r"[\s<>=;\[]", text)[0].lower() for text in find("phyemu").requires  # type: ignore[union-attr]
              if ";" not in text}  # fmt: skip
    assert direct <= set(found)
    # Not direct: what these need.
    assert {"markupsafe", "llvmlite", "typing-extensions", "sympy"} <= set(found)
    # What is for development alone is left out.
    assert not {"pytest", "ruff", "mypy", "hypothesis"} & set(found)
