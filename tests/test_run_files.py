"""A run's files have one name each, in one place."""

import re
from pathlib import Path

import phyemu_cli
import pytest

import phyemu
from phyemu import run_files


@pytest.mark.parametrize("constant", run_files.__all__)
def test_a_name_is_spelled_in_one_module(constant: str) -> None:
    name = getattr(run_files, constant)
    spelled = re.compile(rf'["/]{re.escape(name)}"')
    roots = [Path(module.__file__).parent for module in (phyemu, phyemu_cli)]
    modules = [path for root in roots for path in root.rglob("*.py")]
    assert [path.name for path in modules if spelled.search(path.read_text("utf-8"))] == [
        "run_files.py"
    ]
