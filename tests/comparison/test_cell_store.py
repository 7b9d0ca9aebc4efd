"""Cells survive a round trip, a kill and damage."""

import json
import math
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phyemu.comparison import Cell, CellKey, CellKind, CellStore
from phyemu.errors import ConfigError

WORDS = st.from_regex(r"[A-Za-z0-9]{1,6}(-[A-Za-z0-9.]{0,3}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda word: ".." not in word and "-." not in word
)
KEYS = st.builds(
    CellKey,
    kind=st.sampled_from(CellKind),
    system=WORDS,
    variant=st.one_of(st.just(""), WORDS),
    dataset=WORDS,
    backbone=WORDS,
    environment=WORDS,
    order=st.integers(0, 256),
    protocol=st.sampled_from(("", "tcp", "udp")),
    seed=st.integers(0, 10**6),
)
NAMES = st.text(string.ascii_lowercase + "_", min_size=1, max_size=12)
FIGURES = st.dictionaries(
    NAMES, st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def cells(draw: st.DrawFn) -> Cell:
    """Return any cell."""
    figures = draw(FIGURES)
    return Cell(
        key=draw(KEYS),
        figures=figures,
        fingerprint=draw(st.text("0123456789abcdef", min_size=64, max_size=64)),
        modelled=frozenset(draw(st.sets(st.sampled_from(sorted(figures))))),
        engine=draw(st.sampled_from(("", "model", "ns-3"))),
        run=draw(st.text(max_size=20)),
        provenance=draw(st.dictionaries(NAMES, VALUES, max_size=4)),
    )


@given(cells())
def test_a_cell_comes_back_as_it_was_written(cell: Cell) -> None:
    assert Cell.from_json(cell.to_json()) == cell


@given(KEYS, KEYS)
def test_no_two_keys_share_a_file(one: CellKey, other: CellKey) -> None:
    assert (one.name == other.name) == (one == other)


@given(cells(), st.data())
def test_a_truncated_file_is_no_cell(cell: Cell, data: st.DataObject) -> None:
    text = cell.to_json()
    cut = data.draw(st.integers(0, len(text) - 2))  # the last character is a new line
    with pytest.raises(ConfigError):
        Cell.from_json(text[:cut])


@given(cells(), st.data())
def test_a_changed_figure_is_found(cell: Cell, data: st.DataObject) -> None:
    content = json.loads(cell.to_json())
    name = data.draw(st.sampled_from(sorted(content["figures"])))
    value = content["figures"][name]
    content["figures"][name] = math.nextafter(value, 0.0) if value else 1.0
    with pytest.raises(ConfigError, match="sha256"):
        Cell.from_json(json.dumps(content))


@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        Cell.from_json(content)
    assert caught.value.args[0]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_figure_is_a_finite_number(value: float) -> None:
    key = _key()
    with pytest.raises(ConfigError, match="not a finite number"):
        Cell(key=key, figures={"accuracy": value}, fingerprint="")


@pytest.mark.parametrize("name", ["", "../up", "a_b", "-", "a/b", "a--b"])
def test_a_key_holds_no_word_that_could_be_a_path_or_another_key(name: str) -> None:
    with pytest.raises(ConfigError, match="letters and digits"):
        _key(environment=name)


def test_a_store_finds_what_was_saved_and_names_what_is_damaged(tmp_path: Path) -> None:
    store = CellStore(tmp_path)
    cell = Cell(key=_key(), figures={"accuracy": 80.0}, fingerprint="f")
    assert store.find(cell.key) is None
    path = store.save(cell)
    assert store.find(cell.key) == cell
    assert [found.key for found in store.load()] == [cell.key]
    assert sorted(tmp_path.rglob("*.partial")) == []
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ConfigError, match=path.name):
        store.find(cell.key)
    with pytest.raises(ConfigError, match="delete it"):
        store.load()


def test_a_file_under_another_cells_name_is_refused(tmp_path: Path) -> None:
    store = CellStore(tmp_path)
    cell = Cell(key=_key(), figures={"accuracy": 80.0}, fingerprint="f")
    other = _key(environment="awgn-20")
    store.save(cell).rename(store.path(other))
    with pytest.raises(ConfigError, match="holds the accuracy of"):
        store.find(other)
    with pytest.raises(ConfigError, match="holds the accuracy of"):
        store.load()


def test_an_empty_folder_has_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no finished cells"):
        CellStore(tmp_path).load()


def test_what_a_kill_leaves_half_written_is_no_cell(tmp_path: Path) -> None:
    store = CellStore(tmp_path)
    cell = Cell(key=_key(), figures={"accuracy": 80.0}, fingerprint="f")
    path = store.save(cell)
    path.with_name(f".{path.name}.partial").write_text("{")
    assert len(store.load()) == 1


def _key(**fields: object) -> CellKey:
    return CellKey(
        **{
            "kind": CellKind.ACCURACY,
            "system": "PhyDNN",
            "dataset": "cifar-10",
            "backbone": "resnet20",
            "environment": "awgn-12",
            **fields,
        }
    )
