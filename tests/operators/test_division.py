"""Divisions that jump where torch's do, to the last bit."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.core.values import Box
from splinegraph.operators.division import FiniteTest, NanToNum


class Net(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def traced(function: Callable[[Tensor], Tensor], size: int) -> sg.SplineGraph:
    return sg.trace(Net(function).eval(), torch.randn(2, size, dtype=torch.float64))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.remainder(x, 0.1),
        lambda x: torch.fmod(x, 0.1),
        lambda x: torch.floor_divide(x, -0.1),
        lambda x: torch.div(x, 0.1, rounding_mode="trunc"),
        lambda x: torch.div(x, 0.3, rounding_mode="floor"),
    ],
)
def test_jumps_are_where_torch_has_them(function: Callable[[Tensor], Tensor]) -> None:
    """On multiples of the divisor as typed in, where rounding decides, and beside them."""
    points = torch.arange(-2000, 2001, dtype=torch.float64) / 10
    points = torch.cat([points, points + 1e-5, points - 1e-5])[:, None]
    graph = traced(function, 1)
    assert graph.exact
    torch.testing.assert_close(graph(points), function(points), rtol=0, atol=1e-9)


def test_divisors_of_their_own_are_not_taken_for_reciprocals() -> None:
    divisor = torch.tensor([0.1, 0.3], dtype=torch.float64)
    graph = traced(lambda x: torch.floor_divide(x, divisor), 2)
    x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    assert torch.equal(graph(x), torch.floor_divide(x, divisor))


@pytest.mark.parametrize("number", [16777216, 100000007])
def test_integers_stay_whole(number: int) -> None:
    graph = traced(lambda x: (x.long() % (number + 1)).double(), 1)
    x = torch.tensor([[float(number)]], dtype=torch.float64)
    assert graph(x).item() == number


@pytest.mark.parametrize("operator", [FiniteTest("isinf"), FiniteTest("isfinite"), NanToNum(0.0, None, 5.0)])
def test_bounds_hold_at_infinity(operator: FiniteTest | NanToNum) -> None:
    ends = torch.tensor([-torch.inf, torch.inf, 1.0], dtype=torch.float64)
    box = operator.bounds(Box(ends, ends))
    value = operator.forward(ends).double()
    assert bool(((box.lower <= value) & (value <= box.upper)).all())


def test_the_map_of_a_product_over_segments_is_the_function() -> None:
    index = torch.tensor([0, 0, 1])

    def product(x: Tensor) -> Tensor:
        ones = torch.ones(len(x), 2, dtype=x.dtype)
        return ones.scatter_reduce(1, index.expand(len(x), 3), x, "prod")

    x = torch.tensor([[2.0, 3.0, 5.0]], dtype=torch.float64)
    a, b = sg.affine_map(traced(product, 3), x).dense()
    torch.testing.assert_close(torch.einsum("boi,bi->bo", a, x) + b, product(x))
