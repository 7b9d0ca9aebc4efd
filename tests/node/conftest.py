"""A node below a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.scripted_node import ScriptedNode


@pytest.fixture
def node(tmp_path: Path) -> Iterator[ScriptedNode]:
    """Return a node that is off; its processes end with the test."""
    found = ScriptedNode(tmp_path / "node")
    yield found
    found.close()
