"""Differences behind maxima, sorting and pooling."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.core.values import Box
from splinegraph.transforms.spline.contests import Race

RACES: dict[str, Callable[[Tensor], Tensor]] = {
    "max": lambda x: x.reshape(-1, 2, 4).amax(-1),
    "min": lambda x: x.reshape(-1, 2, 4).amin(-1),
    "maximum": lambda x: torch.maximum(x[:, :4], x[:, 4:]),
    "pool": lambda x: nn.functional.max_pool1d(x[:, None], 3, 2, 1)[:, 0],
    "sort": lambda x: x.reshape(-1, 2, 4).sort(-1).values,
}


class Call(nn.Module):
    """A function behind a linear layer of 8 units, or behind nothing."""

    def __init__(self, function: Callable[[Tensor], Tensor], *before: nn.Module) -> None:
        super().__init__()
        self.before, self.function = nn.Sequential(*before), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.before(x))


@pytest.mark.parametrize("name", RACES)
def test_values_move_as_far_as_is_said_and_some_that_far(name: str) -> None:
    graph = sg.trace(Call(RACES[name]).eval(), torch.zeros(1, 8))
    node = next(node for node in graph.operators if node.op.switching([(1, 8)] * len(node.args)) is not None)
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(60, *graph[node.args[0]].shape[1:], generator=generator, dtype=torch.float64)
    ys = [y] + [torch.randn(y.shape, generator=generator, dtype=torch.float64) for _ in node.args[1:]]
    lows = [-torch.rand(v.shape, generator=generator, dtype=torch.float64) for v in ys]
    highs = [torch.rand(v.shape, generator=generator, dtype=torch.float64) for v in ys]
    boxes = [Box(v + low, v + high) for v, low, high in zip(ys, lows, highs, strict=True)]
    operator = graph.resolved(torch.float64, torch.device("cpu"), 60)[node.name]
    race = Race.of(graph, node, operator, boxes)
    assert race is not None
    least, most = race.moved(list(zip(lows, highs, strict=True)), operator.bounds(*boxes))
    before, reached = operator.forward(*ys), torch.zeros(2)
    for _ in range(100):
        share = [torch.rand(v.shape, generator=generator, dtype=torch.float64).round() for v in ys]
        steps = [low + s * (high - low) for s, low, high in zip(share, lows, highs, strict=True)]
        gap = operator.forward(*(v + step for v, step in zip(ys, steps, strict=True))) - before
        assert bool((gap >= least - 1e-12).all())
        assert bool((gap <= most + 1e-12).all())
        reached += torch.tensor([(gap <= least + 1e-12).sum(), (gap >= most - 1e-12).sum()])
    assert bool((reached > 0).all())


def test_an_entry_that_cannot_win_does_not_count() -> None:
    graph = sg.trace(Call(lambda x: x.amax(-1)).eval(), torch.zeros(1, 2))
    (node,) = graph.operators
    box = Box(torch.tensor([[0.0, 2.0], [0.0, 0.5]]).double(), torch.tensor([[1.0, 3.0], [1.0, 1.0]]).double())
    race = Race.of(graph, node, node.op, [box])
    assert race is not None
    assert race.can[:, 0].tolist() == [[False, True], [True, True]]
    step = torch.tensor([[0.5, 0.125]] * 2, dtype=torch.float64)
    least, most = race.moved([(-step, step)], Box(torch.zeros(2), torch.zeros(2)))
    assert (least.tolist(), most.tolist()) == ([-0.125, -0.5], [0.125, 0.5])


SQUARE = Box(-torch.ones(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize(("name", "times"), [("max", 2.0), ("sort", 3.5), ("pool", 2.5)])
def test_the_bound_is_near_what_is_observed(name: str, times: float) -> None:
    torch.manual_seed(0)
    net = Call(RACES[name], nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 8)).eval()
    graph = sg.trace(net, torch.zeros(1, 2))
    found = sg.spline(graph, SQUARE, pieces=8)
    axis = torch.linspace(-1, 1, 150, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        observed = float((found.graph(points) - graph(points)).abs().max())
    assert observed <= found.largest_error <= times * observed


def test_what_competes_with_itself_moves_once() -> None:
    wide = [nn.Linear(2, 8), nn.Tanh()]
    torch.manual_seed(0)
    graph = sg.trace(Call(lambda x: x[:, :, None].expand(-1, -1, 20).amax(-1), *wide).eval(), torch.zeros(1, 2))
    alone = sg.trace(Call(lambda x: x, *wide).eval(), torch.zeros(1, 2))
    one, many = (sg.spline(g, SQUARE, pieces=6) for g in (alone, graph))
    assert many.largest_error <= 1.000001 * one.largest_error


def test_a_refusal_names_the_node_that_most_of_the_error_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splinegraph.transforms.spline.spline.ATTEMPTS", 1)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 1)).eval()
    with torch.no_grad():
        net[4].weight *= 1e-3  # type: ignore[operator]
        net[2].weight.zero_()  # type: ignore[union-attr, operator]
    graph = sg.trace(net, torch.zeros(1, 2))
    monkeypatch.setattr("splinegraph.transforms.spline.allotting.Allotment.pieces", lambda *_: 2)
    with pytest.raises(sg.SplineGraphError, match=r"certify a difference of 1e-09 at node 'gelu'.* are by GELU there"):
        sg.spline(graph, SQUARE, tol=1e-9)
