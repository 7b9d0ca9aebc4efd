"""What a step of a training must not wait for on a device: values that decide what the host does.

The meta device has no values, so asking for one fails there.
"""

import torch

from phyemu.channel import Awgn, ChannelDraw, ImpulseResponse
from phyemu.channel.impairments import Impairments
from phyemu.dnn.categories import argmax_symbol, log_softmax, products_in_rows
from phyemu.dnn.hard_lookup import hard_lookup
from phyemu.link import SymbolLink
from phyemu.waveform import Constellation, FrameFormat, psk, symbol_posteriors


def constellation() -> Constellation:
    """Return 4-PSK whose points, checked on the host, have moved to the device."""
    moved = psk(4)
    object.__setattr__(moved, "points", moved.points.to("meta"))
    return moved


def test_a_response_is_not_looked_into() -> None:
    gains = torch.ones((2, 1, 1), dtype=torch.complex64, device="meta")
    delays = torch.zeros(1, dtype=torch.float64, device="meta")
    response = ImpulseResponse(gains, delays, 1e-3)
    draw = ChannelDraw(
        response, torch.zeros(2, device="meta"), Impairments.none(2, device=torch.device("meta"))
    )
    link = SymbolLink(Awgn(12.0), constellation(), FrameFormat())
    assert link.effective_channel(draw).sinr.shape == (2,)


def test_posteriors_lookup_and_choice_ask_for_no_value() -> None:
    points = torch.ones((2, 6), dtype=torch.complex64, device="meta")
    variance = torch.ones((2, 1), device="meta")
    posteriors = symbol_posteriors(points, constellation(), noise_variance=variance)
    assert posteriors.shape == (2, 6, 4)
    assert argmax_symbol(posteriors).shape == (2, 6)
    vectors = torch.ones((4, 3), device="meta")
    assert hard_lookup(posteriors, vectors).shape == (2, 6, 3)
    slices = torch.ones((2, 6, 3), device="meta")
    assert log_softmax(products_in_rows(vectors, slices)).shape == (2, 6, 4)
