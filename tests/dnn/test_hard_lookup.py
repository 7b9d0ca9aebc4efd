"""A decision looked up, and the gradient that passes straight through it."""

import pytest
import torch
from torch import Tensor

from phyemu.dnn.hard_lookup import hard_lookup


@pytest.mark.parametrize("in_rows", [False, True])
def test_value_and_gradient_are_those_of_one_hot_rows(
    in_rows: bool, generator: torch.Generator
) -> None:
    posteriors = torch.rand((2, 30, 4), generator=generator, dtype=torch.float64).softmax(-1)
    posteriors[0, :3] = 0.25  # of a lost frame
    vectors = torch.randn((4, 5), generator=generator, dtype=torch.float64).requires_grad_()
    weights = torch.randn((2, 30, 5), generator=generator, dtype=torch.float64)
    given = (posteriors.mT.contiguous().mT if in_rows else posteriors).requires_grad_()
    found = hard_lookup(given, vectors)
    gradients = torch.autograd.grad((found * weights).sum(), (given, vectors))

    # The same by hand: the choice written as posteriors plus what they lack, held constant.
    choice = torch.nn.functional.one_hot(posteriors.argmax(-1), 4).double()
    choice[0, :3] = 0.25
    other = posteriors.detach().clone().requires_grad_()
    straight: Tensor = (other + (choice - other).detach()) @ vectors
    expected = torch.autograd.grad((straight * weights).sum(), (other, vectors))
    torch.testing.assert_close(found, straight)
    for ours, theirs in zip(gradients, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    with torch.no_grad():
        assert torch.equal(hard_lookup(given, vectors), found)
