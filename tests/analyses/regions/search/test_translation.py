"""Moving or scaling a network together with its domain changes no count where float64 resolves it."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from splinegraph.analyses.regions.cells import Cells
from splinegraph.analyses.regions.search.program import compile_program
from splinegraph.analyses.regions.search.search import Search, position
from tests.analyses.regions.search.nets import box, cells_of, compiled, keys, mlp, sound


def moved(model: nn.Sequential, shift: float, scale: float = 1.0) -> nn.Sequential:
    """Return x -> model((x - shift) / scale)."""
    other = copy.deepcopy(model)
    first = other[0]
    assert isinstance(first, nn.Linear)
    with torch.no_grad():
        first.weight.div_(scale)
        first.bias.sub_(first.weight.sum(1) * shift)
    return other


def integers(seed: int) -> nn.Sequential:
    """Return a network of small integers: hyperplanes coincide everywhere, and integer shifts round nothing."""
    model = mlp(3, 10, 8, 1)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randint(-2, 3, parameter.shape, generator=draw))
    return model


def there(model: nn.Sequential, shift: float, scale: float = 1.0) -> Cells:
    dim = model[0].in_features
    assert isinstance(dim, int)
    return cells_of(moved(model, shift, scale), dim, shift - scale, shift + scale)


@pytest.mark.parametrize("shift", [1e3, -1e5, 1e6])
@pytest.mark.parametrize("seed", range(3))
def test_translation(seed: int, shift: float) -> None:
    model = mlp(3, 8, 8, 1, seed=seed)
    near, far = there(model, 0.0), there(model, shift)
    assert keys(far.packed) == keys(near.packed)
    assert np.abs(far.points - shift).max() <= 1.0


@pytest.mark.parametrize("shift", [1e3, 1e6, -1e7])
@pytest.mark.parametrize("seed", [3, 4])
def test_translation_of_coincident_hyperplanes(seed: int, shift: float) -> None:
    model = integers(seed)
    assert keys(there(model, shift).packed) == keys(there(model, 0.0).packed)


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
@pytest.mark.parametrize("seed", [0, 3])
def test_scaling(seed: int, scale: float) -> None:
    for model in (mlp(3, 8, 8, 1, seed=seed), integers(seed)):
        near = cells_of(model, 3)
        far = cells_of(moved(model, 0.0, scale), 3, -scale, scale, check=False)
        assert keys(far.packed) == keys(near.packed)


def test_a_polytope_far_away() -> None:
    """Further constraints move with the domain: where the sum is at most zero the same cells are left."""
    model, found = mlp(3, 8, 8, 1), []
    for shift in (0.0, 1e5):
        graph, chart, _ = compiled(moved(model, shift), box(3), 3)
        rows, ends = torch.ones(1, 3, dtype=torch.float64), torch.full((3,), shift, dtype=torch.float64)
        chart = dataclasses.replace(chart, lower=ends - 1, upper=ends + 1, G=rows, h=rows @ ends)
        cells, left = Search(compile_program(graph, chart)).run(None, limit=10**6)
        assert not left
        sound(graph, chart, cells)
        found.append(keys(cells.packed))
    assert found[0] == found[1]


def test_parts_of_a_search_far_away() -> None:
    """Tasks carry the program's own coordinates, cells the chart's."""
    engine = Search(compiled(moved(mlp(3, 8, 8, 1), 1e6), box(3, 1e6 - 1, 1e6 + 1), 3)[2])
    whole, _ = engine.run(None, limit=10**6)
    first, tasks = engine.run(None, limit=20)
    parts = Cells.concat([first, *(engine.run(task, limit=10**6)[0] for task in sorted(tasks, key=position))])
    assert (parts.packed == whole.packed).all()
    assert (parts.points == whole.points).all()
