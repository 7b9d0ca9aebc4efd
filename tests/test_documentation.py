"""Python snippets of the documentation run as they are written, each in a fresh namespace."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu.training import preset, train_run

DOCS = Path(__file__).parents[1] / "docs"
# The others need a radio, data sets that are not shipped, or other programs.
PAGES = ("fullstack", "metering", "phydnn", "training")


def snippets(page: str) -> list[str]:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what the pages speak of: a run, and a recording of its images."""
    folder = tmp_path_factory.mktemp("lab")
    config = preset("digits", "awgn:12")
    config = replace(
        config,
        data=replace(config.data, limit=64),
        backbone=replace(config.backbone, width=4, epochs=1, batch_size=20),
        phydnn=replace(config.phydnn, orders=(4,), epochs=(1,), batch_size=20),
    )
    train_run(config, folder / "runs" / "lab")
    words = ["waveform", "images", str(folder / "runs" / "lab"), "-o", str(folder / "rx.sigmf")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    (folder / "runs" / "lab" / "sent.npz").unlink()
    return folder


@pytest.mark.parametrize(
    ("page", "index"), [(page, index) for page in PAGES for index in range(len(snippets(page)))]
)
def test_a_snippet_runs_as_it_is_written(
    page: str, index: int, lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lab)
    code = compile(snippets(page)[index], f"docs/{page}.md, snippet {index + 1}", "exec")
    exec(code, {"__name__": "snippet"})  # noqa: S102 - what our own pages say


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_snippets(page: str) -> None:
    assert snippets(page)
