"""Whatever happens to the files of a job, collecting it ends with a table and named problems."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phyemu.batch.collection import collect


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_cost_themselves_only(sounding_job: Path, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / sounding_job.name
        shutil.copytree(sounding_job, root)
        files = sorted(path for path in root.rglob("*") if path.is_file())
        for _ in range(data.draw(st.integers(1, 4), label="damages")):
            path = data.draw(st.sampled_from(files), label="file")
            content = bytearray(path.read_bytes())
            end = data.draw(st.integers(0, len(content)), label="end")
            kind = data.draw(st.sampled_from(["cut", "change", "swap"]), label="kind")
            if kind == "cut":
                path.write_bytes(content[:end])
            elif kind == "change":
                junk = data.draw(st.binary(min_size=1, max_size=64), label="junk")
                content[end : end + len(junk)] = junk
                path.write_bytes(content)
            else:
                shutil.copy(data.draw(st.sampled_from(files), label="other"), Path(name) / "other")
                shutil.copy(Path(name) / "other", path)
        found = collect([root], Path(name) / "home")
        assert (found.folder / "results.csv").is_file()
        assert all("\n" not in line for line in found.lines())
        assert not list(found.folder.glob(".*"))
