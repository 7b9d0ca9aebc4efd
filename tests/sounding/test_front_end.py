"""An estimate knows whether it is one."""

import math

from phyemu.sounding import Estimate, FrontEndEstimate


def test_unknown_and_insignificant_values_say_so() -> None:
    assert not Estimate().is_known
    assert not Estimate(value=1.0, std=math.inf).is_significant
    assert not Estimate(value=0.2, std=0.1).is_significant
    assert Estimate(value=-0.4, std=0.1).is_significant


def test_dc_offset_is_one_complex_number() -> None:
    estimate = FrontEndEstimate(
        dc_offset_i=Estimate(value=0.1, std=0.0), dc_offset_q=Estimate(value=-0.2, std=0.0)
    )
    assert estimate.dc_offset == 0.1 - 0.2j
    assert math.isnan(FrontEndEstimate().dc_offset.real)
