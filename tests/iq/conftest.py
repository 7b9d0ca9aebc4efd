"""Fixtures of the recording tests."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

MakePair = Callable[..., Path]


@pytest.fixture
def make_pair(tmp_path: Path) -> MakePair:
    """Return a function that writes a pair by hand, so that anything in it may be wrong."""

    def make(
        *,
        data: bytes | None = bytes(400),
        text: str | bytes | None = None,
        globals_: dict[str, Any] | None = None,
        captures: list[dict[str, Any]] | None = None,
        annotations: list[dict[str, Any]] | None = None,
    ) -> Path:
        fields = {
            "core:datatype": "ci16_le",
            "core:sample_rate": 1e6,
            "core:version": "1.2.0",
            **(globals_ or {}),
        }
        tree = {
            "global": {key: value for key, value in fields.items() if value is not None},
            "captures": [{"core:sample_start": 0}] if captures is None else captures,
            "annotations": annotations or [],
        }
        path = tmp_path / "made.sigmf-meta"
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(json.dumps(tree) if text is None else text)
        if data is not None:
            path.with_suffix(".sigmf-data").write_bytes(data)
        return path

    return make


@pytest.fixture
def noise() -> np.ndarray:
    """Return 1000 samples of complex noise well below full scale."""
    rng = np.random.default_rng(20260101)
    return (0.1 * (rng.standard_normal(1000) + 1j * rng.standard_normal(1000))).astype(np.complex64)
