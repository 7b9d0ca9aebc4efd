"""Where the symbols lie in memory changes no value and no gradient."""

import pytest
import torch
from torch import Tensor

from phyemu.dnn.categories import (
    argmax_symbol,
    in_rows,
    log_softmax,
    one_hot_like,
    products_in_rows,
    softmax,
    uniform_like,
)


@pytest.fixture
def values(generator: torch.Generator) -> Tensor:
    return torch.randn((3, 50, 6), generator=generator)


def rows(values: Tensor) -> Tensor:
    moved = values.mT.contiguous().mT
    assert in_rows(moved)
    assert not in_rows(values)
    return moved


def test_reductions_are_those_over_the_last_dimension(values: Tensor) -> None:
    torch.testing.assert_close(softmax(rows(values)), values.softmax(-1))
    torch.testing.assert_close(log_softmax(rows(values)), values.log_softmax(-1))
    assert torch.equal(argmax_symbol(rows(values)), values.argmax(-1))
    assert in_rows(softmax(rows(values)))
    assert in_rows(log_softmax(rows(values)))


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_neighbours_one_bit_apart_are_told_apart(scale: float) -> None:
    largest = torch.tensor([[[0.3, 1.0, 0.5, 1.0]]]) * scale
    above = torch.nextafter(largest, largest + scale)
    bumped = torch.where(torch.tensor([False, False, False, True]), above, largest)
    for found, expected in ((largest, 1), (bumped, 3)):  # of equals the first
        padded = found.repeat(1, 2, 1)
        assert argmax_symbol(rows(padded)).tolist() == [[expected, expected]]
    assert argmax_symbol(rows(-bumped.repeat(1, 2, 1))).tolist() == [[0, 0]]


def test_what_is_no_number_still_gives_a_symbol() -> None:
    broken = torch.full((1, 2, 4), torch.nan)
    assert bool(((argmax_symbol(rows(broken)) >= 0) & (argmax_symbol(rows(broken)) < 4)).all())


def test_one_hot_rows_and_draws_keep_the_layout(values: Tensor, generator: torch.Generator) -> None:
    symbols = values.argmax(-1)
    one_hot = one_hot_like(rows(values), symbols)
    assert torch.equal(one_hot.long(), torch.nn.functional.one_hot(symbols, 6))
    assert in_rows(one_hot)
    draws = uniform_like(rows(values), generator)
    assert in_rows(draws)
    assert bool(((draws >= 0) & (draws < 1)).all())


@pytest.mark.parametrize("shape", [(5, 3), (2, 5, 3), (2, 4, 5, 3)])
def test_products_and_their_gradients(shape: tuple[int, ...], generator: torch.Generator) -> None:
    matrix = torch.randn((4, 3), generator=generator, dtype=torch.float64).requires_grad_()
    vectors = torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
    offsets = torch.randn(4, generator=generator, dtype=torch.float64).requires_grad_()
    expected = torch.einsum("...d,md->...m", vectors, matrix)
    torch.testing.assert_close(products_in_rows(matrix, vectors), expected)
    torch.testing.assert_close(products_in_rows(matrix, vectors, offsets), expected + offsets)
    assert torch.autograd.gradcheck(products_in_rows, (matrix, vectors, offsets))
