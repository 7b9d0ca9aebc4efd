"""The comparison's arithmetic, on candidates whose time is told."""

import pytest

from benchmarks.harness import Elapsed, Row, Skipped, Table, best_of, compare, summary_table


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def lasting(self, durations_s: list[float]) -> "Work":
        return Work(self, durations_s)


class Work:
    def __init__(self, clock: Clock, durations_s: list[float]) -> None:
        self.clock, self.left_s, self.calls = clock, list(durations_s), 0

    def __call__(self) -> None:
        self.calls += 1
        self.clock.now_s += self.left_s.pop(0)


def test_rates_are_of_medians_and_ratios_are_taken_round_by_round() -> None:
    clock = Clock()
    # The first call of each warms up and does not count.
    ours = clock.lasting([100.0, 1.0, 2.0, 4.0])
    theirs = clock.lasting([100.0, 3.0, 8.0, 8.0])
    first, second = compare({"ours": ours, "theirs": theirs}, units=10.0, rounds=3, clock=clock)
    assert (first.rate, first.ratio, first.spread) == (10 / 2, 1.0, (4 - 1) / 2)
    # Round by round 3, 4 and 2 times as long; the ratio of the medians would be 4.
    assert (second.rate, second.spread) == (10 / 8, 5 / 8)
    assert second.ratio == pytest.approx(3.0)
    assert ours.calls == theirs.calls == 4


def test_units_differ_by_candidate() -> None:
    clock = Clock()
    calls = {"ours": clock.lasting([0.0, 1.0]), "theirs": clock.lasting([0.0, 1.0])}
    rows = compare(calls, units={"ours": 100.0, "theirs": 2.0}, rounds=1, clock=clock)
    assert [row.rate for row in rows] == [100.0, 2.0]
    assert rows[1].ratio == pytest.approx(50.0)


def test_a_candidate_that_timed_itself_is_believed() -> None:
    clock = Clock()
    calls = {"ours": clock.lasting([1.0, 1.0]), "theirs": lambda: Elapsed(seconds=7.0)}
    assert compare(calls, units=1.0, rounds=1, clock=clock)[1].ratio == 7.0


def test_the_best_of_many_rounds_takes_the_fastest_of_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("time.perf_counter", clock)
    calls = {
        "ours": clock.lasting([1.0, 5.0, 2.0, 4.0]),
        "theirs": clock.lasting([1.0, 3.0, 9.0, 8.0]),
    }
    first, second = best_of(calls, units=12.0, rounds=3)
    assert (first.rate, first.ratio, first.spread) == (6.0, 1.0, 3 / 4)
    assert (second.rate, second.ratio, second.spread) == (4.0, 1.5, 6 / 8)


def test_who_is_absent_stands_in_the_table_with_the_reason() -> None:
    row = Row(name="ours", rate=2e6, ratio=1.0, spread=0.1)
    absent = Skipped(name="sionna", reason="No module named 'sionna'")
    table = Table(title="Work", unit="samples", rows=[row], skipped=[absent], note="Medians.")
    assert table.markdown().splitlines() == [
        "## Work",
        "",
        "| tool | Msamples/s | ours is faster by | spread |",
        "| --- | ---: | ---: | ---: |",
        "| ours | 2 | 1.00x | 10 % |",
        "| sionna | - | - | absent: No module named 'sionna' |",
        "",
        "Medians.",
    ]


@pytest.mark.parametrize(
    ("ratio", "written"),
    [(0.0019, "0.0019x"), (0.14, "0.14x"), (9.87, "9.87x"), (19.04, "19.0x"), (425.3, "425x")],
)
def test_the_summary_sets_each_of_the_others_beside_ours(ratio: float, written: str) -> None:
    rows = [
        Row(name="ours", rate=200e6, ratio=1.0, spread=0.0),
        Row(name="theirs", rate=1e6, ratio=ratio, spread=0.0),
    ]
    table = Table(title="Work", unit="samples", rows=rows)
    assert f"| Work | 200 | theirs | 1 | {written} |" in summary_table([table])
    assert "| Work | 200 | - | - | - |" in summary_table(
        [Table(title="Work", unit="samples", rows=rows[:1])]
    )
