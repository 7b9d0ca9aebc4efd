"""Compiled kernels: old code must not go on inside new code."""

from pathlib import Path

import phyemu.channel
from phyemu.channel import kernel_math, stream_kernel


def test_kept_code_is_bound_to_the_sources_of_all_kernels() -> None:
    folder = Path(phyemu.channel.__file__).parent
    kernels = {path.name for path in folder.glob("*.py") if "@kernel" in path.read_text("utf-8")}
    assert {"stream_kernel.py", "multipath_kernel.py"} < kernels
    assert kernels <= {path.name for path in kernel_math._SOURCES}
    # Where numba remembers what its kept code was made of.
    kept = stream_kernel.receive._cache._cache_file  # type: ignore[attr-defined]
    assert kept._source_stamp == kernel_math._STAMP
    assert len(kept._source_stamp) == len(kernel_math._SOURCES)
