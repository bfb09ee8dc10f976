"""Networks and helpers that the tests of the search share."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.regions.cells import Cells
from splinegraph.analyses.regions.search.program import Program, compile_program
from splinegraph.analyses.regions.search.search import Search
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.core.graph import SplineGraph


def mlp(*widths: int, seed: int = 0, bias: bool = True, act: Any = nn.ReLU) -> nn.Sequential:
    """Return the networks of the table of known counts: default initialization in float32, then cast."""
    torch.manual_seed(seed)
    parts: list[nn.Module] = []
    for i, (a, b) in enumerate(itertools.pairwise(widths)):
        parts.append(nn.Linear(a, b, bias=bias))
        if i < len(widths) - 2:
            parts.append(act())
    return nn.Sequential(*parts).double().eval()


class Layer(nn.Module):
    """Units with given weights, a switch, and their sum."""

    def __init__(self, weight: Any, bias: Any, switch: nn.Module | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.as_tensor(np.asarray(weight), dtype=torch.float64))
        self.bias = nn.Parameter(torch.as_tensor(np.asarray(bias), dtype=torch.float64))
        self.switch = nn.ReLU() if switch is None else switch

    def forward(self, x: Tensor) -> Tensor:
        return self.switch(nn.functional.linear(x, self.weight, self.bias)).sum(-1, keepdim=True)


def trace(model: nn.Module, *shape: int) -> SplineGraph:
    return sg.trace(model.double().eval(), torch.zeros(1, *shape, dtype=torch.float64))


def box(dim: int, low: float = -1.0, high: float = 1.0) -> sg.Box:
    return sg.Box(torch.full((dim,), low, dtype=torch.float64), torch.full((dim,), high, dtype=torch.float64))


def compiled(model: nn.Module, domain: Any, *shape: int) -> tuple[SplineGraph, Chart, Program]:
    graph = trace(model, *shape)
    chart = chart_of(graph, domain)
    return graph, chart, compile_program(graph, chart)


def cells_of(model: nn.Module, dim: int, low: float = -1.0, high: float = 1.0, *, check: bool = True) -> Cells:
    graph, chart, program = compiled(model, box(dim, low, high), dim)
    engine = Search(program)
    cells, left = engine.run(None, limit=10**6)
    assert not left
    assert engine.stats["stalls"] == 0
    if check:
        sound(graph, chart, cells)
    return cells


def keys(packed: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in packed}


def sound(graph: SplineGraph, chart: Chart, cells: Cells, points: int = 2000) -> None:
    """Check codes against the network's own: at each cell's point, near it, and at random points."""
    known = keys(cells.packed)
    assert len(known) == len(cells)
    assert (cells.radii > 0).all()
    rng = np.random.default_rng(0)
    away = rng.standard_normal(cells.points.shape)
    away *= 0.99 * cells.radii[:, None] / np.linalg.norm(away, axis=1, keepdims=True)
    wide = cells.radii > 1e-9
    for found in (cells.points, cells.points + away):
        at = torch.from_numpy(found[wide])
        assert bool(chart.contains(at).all())
        assert (sg.codes(graph, *chart.lift(at)).packed == cells.packed[wide]).all()
    t = torch.rand(points, chart.dim, dtype=torch.float64) * (chart.upper - chart.lower) + chart.lower
    t = t[chart.contains(t)]
    assert keys(sg.codes(graph, *chart.lift(t)).packed) <= known
