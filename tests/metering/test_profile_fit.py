import pytest
import torch
from torch import nn

from phyemu.errors import ConfigError, FitError
from phyemu.metering import (
    Combination,
    ComputeModel,
    KindRates,
    OperationKind,
    TimedWork,
    Work,
    WorkShare,
    count_work,
    fit_compute_model,
    relative_errors,
)
from phyemu.metering.calibration import (
    calibration_layers,
    calibration_networks,
    unseen_networks,
)

TRUTH = ComputeModel(
    combination=Combination.SUM,
    convolution=KindRates(operation_s=20e-6, macs_per_s=50e9, bytes_per_s=16e9),
    product=KindRates(operation_s=6e-6, macs_per_s=30e9, bytes_per_s=80e9),
    norm=KindRates(operation_s=9e-6, bytes_per_s=50e9),
    pooling=KindRates(operation_s=4e-6, bytes_per_s=3e9),
    other=KindRates(operation_s=3e-6, bytes_per_s=90e9),
)


def work(**shares: WorkShare) -> Work:
    return Work(shares={OperationKind(kind): share for kind, share in shares.items()})


def test_a_sum_adds_launches_arithmetic_and_memory_of_each_kind() -> None:
    done = work(
        convolution=WorkShare(num_operations=2, macs=5_000_000, bytes_moved=1_600_000),
        other=WorkShare(num_operations=3, bytes_moved=900_000),
    )
    # 2 x 20 us, 100 us, 100 us; 3 x 3 us, 10 us.
    assert TRUTH.seconds(done) == pytest.approx(259e-6)


def test_an_overlap_is_the_longer_of_arithmetic_and_memory() -> None:
    rates = KindRates(operation_s=10e-6, macs_per_s=1e9, bytes_per_s=1e9)
    model = ComputeModel(
        combination=Combination.OVERLAP,
        convolution=rates,
        product=rates,
        norm=rates,
        pooling=rates,
        other=rates,
    )
    done = work(
        convolution=WorkShare(num_operations=1, macs=3_000, bytes_moved=1_000),
        norm=WorkShare(num_operations=1, bytes_moved=1_000),
    )
    assert model.seconds(done) == pytest.approx(20e-6 + 3e-6)
    more = work(norm=WorkShare(num_operations=1, bytes_moved=4_000), convolution=WorkShare())
    assert model.seconds(more) == pytest.approx(10e-6 + 4e-6)


def test_rates_behind_exact_times_are_found_again(generator: torch.Generator) -> None:
    cases = [*calibration_layers(), *calibration_networks()]
    works = [count_work(case.network, case.shape) for case in cases]
    timed = [
        TimedWork(name=case.name, work=done, seconds=TRUTH.seconds(done))
        for case, done in zip(cases, works, strict=True)
    ]
    found = fit_compute_model(timed)
    for kind in OperationKind:
        truth, rates = getattr(TRUTH, kind), getattr(found, kind)
        assert rates.operation_s == pytest.approx(truth.operation_s, rel=1e-3)
        if truth.macs_per_s is not None:
            assert rates.macs_per_s == pytest.approx(truth.macs_per_s, rel=1e-3)
        assert rates.bytes_per_s == pytest.approx(truth.bytes_per_s, rel=1e-3)
    unseen = [count_work(case.network, case.shape) for case in unseen_networks()]
    errors = relative_errors(
        found,
        [TimedWork(name=str(k), work=w, seconds=TRUTH.seconds(w)) for k, w in enumerate(unseen)],
    )
    assert max(abs(error) for error in errors.values()) < 1e-3


def test_an_error_is_model_over_measurement() -> None:
    done = work(other=WorkShare(num_operations=1, bytes_moved=0))
    assert relative_errors(TRUTH, [TimedWork(name="a", work=done, seconds=2e-6)]) == {
        "a": pytest.approx(0.5)
    }


def test_times_of_nothing_are_refused() -> None:
    done = count_work(nn.ReLU(), (3,))
    with pytest.raises(FitError, match="times above zero"):
        fit_compute_model([TimedWork(name="a", work=done, seconds=0.0)])
    with pytest.raises(FitError, match=r"nothing that was timed has .* convolution"):
        fit_compute_model([TimedWork(name="a", work=done, seconds=1.0)])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"operation_s": -1e-6}, "operation_s must not be negative"),
        ({"operation_s": 0.0, "macs_per_s": 0.0}, "macs_per_s must be positive"),
        ({"operation_s": 0.0, "bytes_per_s": float("inf")}, "bytes_per_s must be positive"),
    ],
)
def test_rates_that_cannot_be_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        KindRates(**values)


def test_cases_are_of_every_kind_and_small() -> None:
    kinds: set[OperationKind] = set()
    for case in (*calibration_layers(), *calibration_networks(), *unseen_networks()):
        done = count_work(case.network, case.shape)
        kinds |= set(done.shares)
        assert done.macs < 2e8
    assert kinds == set(OperationKind)
