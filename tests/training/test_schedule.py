import pytest

from phyemu.training.schedule import beta_at, cosine_ratio, warmup_cosine_ratio


def test_beta_grows_on_a_straight_line_to_ten_times() -> None:
    assert [beta_at(1e-4, 10.0, p) for p in (0.0, 0.5, 1.0)] == pytest.approx([1e-4, 5.5e-4, 1e-3])


def test_cosine_begins_at_one_and_ends_at_its_ratio() -> None:
    assert cosine_ratio(0.1, 0.0) == 1.0
    assert cosine_ratio(0.1, 1.0) == pytest.approx(0.1)
    assert cosine_ratio(1.0, 0.3) == 1.0  # the paper's constant rate


def test_warmup_climbs_then_falls() -> None:
    assert warmup_cosine_ratio(0.2, 0.1) == pytest.approx(0.5)
    assert warmup_cosine_ratio(0.2, 0.2) == 1.0
    assert warmup_cosine_ratio(0.2, 1.0) == pytest.approx(0.0)
    assert warmup_cosine_ratio(0.0, 0.0) == 1.0
