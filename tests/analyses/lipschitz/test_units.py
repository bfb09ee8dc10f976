"""A network taken apart into units is the network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.lipschitz.intervals import intervals
from splinegraph.analyses.lipschitz.taking_apart import units


class Mixed(nn.Module):
    """Convolution, batch norm, PReLU, a skip, max pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.norm, self.act = nn.BatchNorm2d(3), nn.PReLU(3)
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        self.norm.running_mean.uniform_(-1, 1)
        self.norm.running_var.uniform_(0.5, 2)
        self.act.weight.data.copy_(torch.tensor([0.2, -0.5, 1.7]))
        self.head = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.norm(self.first(x)))
        y = nn.functional.max_pool2d(y + nn.functional.leaky_relu(self.second(y), 0.1), 2)
        head: Tensor = self.head(y.flatten(1))
        return head


class Compared(nn.Module):
    """Maxima and minima of arguments, |x|, a threshold away from zero."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 5), nn.Linear(3, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.maximum(self.a(x), self.b(x)) - torch.minimum(self.a(x), self.b(x)).abs()
        out: Tensor = self.c(torch.clamp(y, min=-0.3))
        return out


class Pooled(nn.Module):
    """Activations before maxima over overlapping, padded windows: that of one channel decreases, one is read twice."""

    def __init__(self, *slopes: float, twice: bool = False) -> None:
        super().__init__()
        self.first, self.act, self.pool = nn.Conv2d(1, 3, 3), nn.PReLU(3), nn.MaxPool2d(3, 2, 1)
        self.act.weight.data.copy_(torch.tensor(slopes))
        self.head, self.twice = nn.Linear(12, 2), twice

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.first(x))
        z = self.pool(y) + (y.mean((2, 3), keepdim=True) if self.twice else 0)
        head: Tensor = self.head(torch.clamp(z, min=-0.1).flatten(1))
        return head


CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda: nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 5), nn.LeakyReLU(0.2)), (3,)),
    "mixed": (Mixed, (1, 4, 4)),
    "compared": (Compared, (3,)),
    "pooled": (lambda: Pooled(0.0, 0.2, 1.0), (1, 6, 6)),
    "not convex": (lambda: Pooled(0.0, 0.2, 1.5), (1, 6, 6)),
    "decreasing": (lambda: Pooled(0.0, 0.2, -0.1), (1, 6, 6)),
    "twice": (lambda: Pooled(0.0, 0.2, 1.0, twice=True), (1, 6, 6)),
}  # fmt: skip


def case(name: str) -> tuple[sg.SplineGraph, tuple[int, ...]]:
    torch.manual_seed(0)
    make, shape = CASES[name]
    return sg.trace(make().double().eval(), torch.zeros(1, *shape, dtype=torch.float64)), shape


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("radius", [None, 0.3])
def test_has_the_maps_of_the_network(name: str, radius: float | None) -> None:
    graph, shape = case(name)
    box = None if radius is None else sg.Box(torch.full(shape, -radius), torch.full(shape, radius))
    found = units(graph, None if box is None else intervals(graph, [box]))
    assert found is not None
    assert (found.low < found.high).all()
    for seed in range(20):
        x = (torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 2 - 1) * (
            radius or 3.0
        )
        left, seen = found.fixed(found.states(x.reshape(-1).numpy()))
        A = sg.affine_map(graph, x[None]).dense().A.reshape(-1, x.numel()).numpy()
        assert left.count == 0
        np.testing.assert_allclose(left.outputs.T, A, atol=1e-12)
        assert seen.shape == (found.inputs + 1, found.count)


def test_drops_units_that_cannot_switch() -> None:
    graph, shape = case("mixed")
    whole, box = units(graph), sg.Box(torch.full(shape, -0.01), torch.full(shape, 0.01))
    small = units(graph, intervals(graph, [box]))
    assert whole is not None
    assert small is not None
    assert small.count < whole.count


def test_smooth_units_have_slopes_but_no_kink() -> None:
    graph = sg.trace(
        nn.Sequential(nn.Linear(2, 4), nn.GELU(), nn.Linear(4, 1)).double().eval(), torch.zeros(1, 2).double()
    )
    found = units(graph)
    assert found is not None
    np.testing.assert_allclose(found.low, -0.12890, atol=1e-4)
    np.testing.assert_allclose(found.high, 1.12890, atol=1e-4)
    assert np.isnan(found.slopes).all()


def test_refuses_what_has_no_slopes() -> None:
    graph = sg.trace(nn.Sequential(nn.Linear(2, 4), nn.Softmax(1)).double().eval(), torch.zeros(1, 2).double())
    assert units(graph) is None


def test_maxima_come_before_activations_that_alone_they_use() -> None:
    counts = {}
    for name in ("pooled", "not convex", "decreasing", "twice"):
        found = units(case(name)[0])
        assert found is not None
        counts[name] = found.count
    compared, clamped = 3 * (3 + 5 + 5 + 8), 12
    assert counts["pooled"] == compared + 2 * 4 + clamped  # a slope of 1 is affine
    assert counts["not convex"] == counts["decreasing"] == compared + 3 * 16 + clamped
    assert counts["twice"] == compared + 2 * 16 + clamped
