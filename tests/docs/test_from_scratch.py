"""The program of the page 'from scratch' gives the numbers of the library."""

from __future__ import annotations

import runpy
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import splinegraph as sg

PROGRAM = Path(__file__).parents[2] / "docs" / "from_scratch.py"


@pytest.fixture(scope="module")
def scratch() -> Any:
    return type("Scratch", (), {k: staticmethod(v) for k, v in runpy.run_path(str(PROGRAM)).items() if callable(v)})


def network(seed: int, *widths: int, convex: bool = False) -> nn.Sequential:
    torch.manual_seed(seed)
    modules: list[nn.Module] = []
    for number, (n, m) in enumerate(pairwise(widths)):
        linear = nn.Linear(n, m)
        if convex and number:
            linear.weight.data.abs_()
        modules += [linear, nn.ReLU()]
    return nn.Sequential(*modules[:-1]).double().eval()


BOX = sg.Box(-2 * torch.ones(2), 2 * torch.ones(2))


@pytest.mark.parametrize(("seed", "convex"), [(0, False), (1, True), (2, False)])
def test_its_numbers_are_those_of_the_library(scratch: Any, seed: int, convex: bool) -> None:
    model = network(seed, 2, 6, 5, 2, convex=convex)
    layers = scratch.trace(model)
    graph = sg.trace(model, torch.zeros(1, 2, dtype=torch.float64))
    x = torch.randn(20, 2, dtype=torch.float64)

    A, b = sg.affine_map(graph, x).dense()
    for row, slope, offset in zip(x.numpy(), A, b, strict=True):
        own = scratch.affine_map(layers, row)
        np.testing.assert_allclose(own[0], slope.detach(), atol=1e-12)
        np.testing.assert_allclose(own[1], offset.detach(), atol=1e-12)

    cells = scratch.regions(layers, -2, 2)
    partition = sg.enumerate_regions(graph, BOX)
    assert len(cells) == partition.count
    assert sum(scratch.area(cell.corners) for cell in cells) == pytest.approx(16)
    exact = max(float(np.linalg.norm(partition.cell(i).affine_map[0], 2)) for i in range(partition.count))
    assert scratch.lipschitz_exact(cells) == pytest.approx(exact)
    assert scratch.lipschitz_exact(cells) <= scratch.lipschitz_product(layers)
    assert scratch.lipschitz_product(layers) == pytest.approx(sg.lipschitz(graph, budget=0).product.upper, rel=1e-6)

    for output, verdict in enumerate(sg.convexity(graph, on=BOX)):
        assert scratch.convex_on(cells, output) == (str(verdict.status) in ("convex", "affine"))
    assert scratch.convex_by_signs(layers) == convex


@pytest.mark.parametrize("number", [0, 2, 4])
def test_signs_count_in_all_layers_but_the_first(scratch: Any, number: int) -> None:
    model = network(1, 2, 6, 5, 2, convex=True)
    model[number].weight.data[0, 0] = -1.0
    assert scratch.convex_by_signs(scratch.trace(model)) == (number == 0)


def test_it_is_200_lines_at_most_and_refuses_what_it_does_not_know(scratch: Any) -> None:
    assert len(PROGRAM.read_text(encoding="utf-8").splitlines()) <= 200
    with pytest.raises(TypeError, match="Tanh is not known"):
        scratch.trace(nn.Sequential(nn.Linear(2, 2), nn.Tanh()))
