"""The noiseless link makes no error."""

import torch

from phyemu.dnn import Link, noiseless_link


def test_the_noiseless_link_returns_what_was_sent(generator: torch.Generator) -> None:
    link: Link = noiseless_link
    sent = torch.eye(4).unsqueeze(0)
    assert torch.equal(link(sent, generator), sent)
