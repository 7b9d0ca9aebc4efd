"""The plan of the streaming kernels keeps the response and chooses the cheaper way."""

import pytest
import torch

from phyemu.channel.fractional_delay import delay_filters
from phyemu.channel.multipath_plan import plan_multipath


@pytest.mark.parametrize(
    ("delays", "by_path"),
    [
        ([0.0, 2.0, 5.0], False),
        ([0.3, 40.6, 90.1], True),
        ([0.3, 0.8, 1.4, 2.2, 3.1, 3.9, 4.5, 5.5], False),
        ([0.3, 60.0, 61.0, 100.2], True),
        ([90.1, 0.3, 40.6], True),
    ],
)
def test_both_ways_keep_every_tap(delays: list[float], by_path: bool) -> None:
    delays_samples = torch.tensor(delays, dtype=torch.float64)
    plan = plan_multipath(delays_samples, held=False)
    lags, filters = delay_filters(delays_samples)
    assert plan.by_path is by_path
    if not by_path:
        assert plan.lags.tolist() == (lags + plan.latency_samples).tolist()
        return
    assert plan.lags.tolist() == sorted(plan.lags.tolist())
    for row, (path, first) in enumerate(zip(plan.order.tolist(), plan.lags.tolist(), strict=True)):
        expected = dict(zip((lags + plan.latency_samples).tolist(), filters[path], strict=True))
        for tap, value in enumerate(plan.filters[row].tolist()):
            assert value == pytest.approx(float(expected.get(first + tap, 0.0)), abs=1e-7)
