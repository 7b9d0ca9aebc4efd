from dataclasses import replace

import pytest

from phyemu.errors import ConfigError
from phyemu.metering import InferenceCost

COST = InferenceCost(
    num_images=64,
    head_s=0.0199,
    communication_s=0.0067,
    tail_s=0.0092,
    head_j=0.1474,
    transmit_j=0.0076,
    payload_bytes=16384.0,
    overhead_bytes=256.0,
    modelled=frozenset({"head_s", "head_j", "transmit_j"}),
    device="jetson-orin-nano",
    meter="powers of jetson-orin-nano",
)


def test_sums_are_of_the_parts() -> None:
    assert COST.total_s == pytest.approx(0.0358)
    assert COST.device_j == pytest.approx(0.155)
    assert COST.total_bytes == 16640


def test_lines_mark_what_is_modelled() -> None:
    assert COST.latency_line() == (
        "latency of 64 images on jetson-orin-nano: 35.80 ms (head ~19.90, communication 6.70, "
        "tail 9.20 on this machine; ~ is modelled)"
    )
    measured = replace(COST, modelled=frozenset({"transmit_j"}), device="this machine")
    assert measured.latency_line().endswith("tail 9.20; ~ is modelled)")
    assert "155.00 mJ (head ~147.40, transmission ~7.60" in COST.energy_line()
    assert replace(COST, num_images=1).energy_line().startswith("energy of 1 image on")


def test_json_holds_parts_sums_and_marks() -> None:
    told = COST.to_dict()
    assert told["modelled"] == ["head_j", "head_s", "transmit_j"]
    assert (told["total_s"], told["head_s"]) == (COST.total_s, 0.0199)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head_s": -1.0}, "head_s must not be negative"),
        ({"transmit_j": float("nan")}, "transmit_j must not be negative"),
        ({"num_images": 0}, "num_images must be at least 1"),
        ({"modelled": frozenset({"head"})}, "names no field of a cost: head"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(COST, **changes)
