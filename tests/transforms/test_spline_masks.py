"""Softmaxes whose masks hold minus infinity."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import splinegraph as sg
from splinegraph.core.algebra import prune
from splinegraph.errors import DomainError
from splinegraph.transforms.spline.masking import unmasked
from splinegraph.transforms.spline.spline import _Work
from splinegraph.transforms.spline.unfolding import unfolded

CAUSAL = torch.full((3, 3), -torch.inf).triu(1)

BOX = sg.Box(-torch.ones(3, 2, dtype=torch.float64) / 4, torch.ones(3, 2, dtype=torch.float64) / 4)


class Attention(nn.Module):
    """One head on three tokens that sees what went before; the mask is given in one of three ways."""

    def __init__(self, way: str, mask: Tensor = CAUSAL) -> None:
        super().__init__()
        self.way, self.q, self.v = way, nn.Linear(2, 2), nn.Linear(2, 2)
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        q, v = self.q(x), self.v(x)
        if self.way == "causal":
            return F.scaled_dot_product_attention(q, q, v, is_causal=True)
        scores = q @ q.mT
        scores = scores + self.mask if self.way == "added" else scores.masked_fill(self.mask < 0, -torch.inf)
        return scores.softmax(-1) @ v


def traced(way: str, mask: Tensor = CAUSAL) -> sg.SplineGraph:
    torch.manual_seed(0)
    return sg.trace(Attention(way, mask).eval(), torch.zeros(1, 3, 2))


BIASED = CAUSAL - 0.5 * torch.arange(3)


@pytest.mark.parametrize(
    ("way", "mask"), [("added", CAUSAL), ("added", BIASED), ("filled", CAUSAL), ("causal", CAUSAL)]
)
def test_causal_attention(way: str, mask: Tensor) -> None:
    graph = traced(way, mask)
    x = torch.cat([BOX.sample(300), torch.stack([BOX.lower, BOX.upper])])
    for flat in (unfolded(graph), unfolded(graph, [BOX])):
        assert torch.allclose(flat(x), graph(x), atol=1e-14)
    found = sg.spline(graph, BOX, tol=0.05)
    with torch.no_grad():
        gap = found.graph(x) - graph(x)
    assert float(gap.abs().max()) <= found.largest_error <= 0.05
    (box,) = found.error_intervals
    assert bool(((gap >= box.lower) & (gap <= box.upper)).all())


def test_the_first_token_sees_itself_alone() -> None:
    found = sg.spline(traced("added"), BOX, tol=0.05)
    x = BOX.sample(2)
    x[1, 0] = x[0, 0]
    values = found.graph(x)
    (box,) = found.error_intervals
    assert bool(((values[0, 0] - values[1, 0]).abs() <= (box.upper - box.lower)[0] + 1e-12).all())


def test_bounds_of_the_weights_are_those_of_the_masked_ones() -> None:
    graph = traced("added")
    bounds = _Work.of(graph, BOX, 100, 4).smooth.boxes["softmax"]
    x = BOX.sample(100)
    weights = replace(graph, outputs=("softmax",), nodes=prune(graph.nodes, ("softmax",), graph.inputs), _cache={})(x)
    assert bool((weights >= bounds.lower.amin(0) - 1e-12).all())
    assert bool((weights <= bounds.upper.amax(0) + 1e-12).all())


def test_which_entries_are_left_out() -> None:
    _, masks = unmasked(traced("added"))
    assert [mask.tolist() for mask in masks.values()] == [CAUSAL.isneginf().tolist()]
    plain = traced("added", torch.zeros(3, 3))
    same, none = unmasked(plain)
    assert (same is plain, none) == (True, {})


def test_other_functions_of_minus_infinity_are_refused() -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x + torch.tensor([0.0, -torch.inf])).sigmoid()

    graph = sg.trace(Net().eval(), torch.zeros(1, 2))
    with pytest.raises(DomainError, match="an entry of its argument is infinite"):
        sg.spline(graph, sg.Box(-torch.ones(2), torch.ones(2)), tol=0.01)
