"""Cells over the rational numbers: what the search finds has an interior, what it leaves out has none."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from splinegraph.analyses.regions.search.search import Search
from tests.analyses.regions.search.nets import Layer, box, compiled, keys, mlp
from tests.analyses.regions.search.rational import exact_cell
from tests.analyses.regions.search.test_architectures import Apply, Pooled

CASES = {
    "relu": mlp(2, 4, 3, 1),
    "zero bias": mlp(2, 4, 3, 1, bias=False),
    "ends": mlp(2, 2, 2, 1, act=lambda: nn.Hardtanh(-0.2, 0.1)),
    "duplicates": Layer([[1, 0], [1, 0], [-1, 0], [0, 0], [0.5, 0.5]], [0, 0, 0, 0, -1]),
}


@pytest.mark.parametrize("name", CASES)
def test_all_codes_one_by_one(name: str) -> None:
    program = compiled(CASES[name], box(2), 2)[2]
    found = keys(Search(program).run(None, limit=10**6)[0].packed)
    assert program.width <= 4
    used = [np.unique(column) for column in _possible(program.layers)]
    for row in itertools.product(*used):
        packed = np.array(row, dtype=np.uint8)
        assert (exact_cell(program, packed) is not None) == (packed.tobytes() in found)


def _possible(layers: tuple) -> list[list[int]]:
    """Return the bytes that each column of a packed code can have; of three pieces never the fourth."""
    columns = []
    for layer in layers:
        for _ in range(layer.bits):
            columns.append([v << (8 - layer.units) for v in range(2**layer.units)])
    return columns


@pytest.mark.parametrize("model", [Pooled(), Apply(3, lambda y: y.sort(dim=-1).values)], ids=["pool", "sort"])
def test_every_cell_found_is_solid(model: nn.Module) -> None:
    program = compiled(model, box(3), 3)[2]
    cells, _ = Search(program).run(None, limit=10**6)
    for row in cells.packed[:: max(1, len(cells) // 20)]:
        assert exact_cell(program, row) is not None


def test_the_witness_lies_in_the_cell() -> None:
    import splinegraph as sg

    graph, chart, program = compiled(mlp(3, 6, 6, 1), box(3), 3)
    cells, _ = Search(program).run(None, limit=10**6)
    for row in cells.packed[::10]:
        point = exact_cell(program, row)
        assert point is not None
        t = torch.tensor([[float(v) for v in point]], dtype=torch.float64)
        assert (sg.codes(graph, *chart.lift(t)).packed[0] == row).all()


def test_a_sliver_is_solid_and_a_tie_is_not() -> None:
    g = [0.5, 0.25]
    program = compiled(Layer([g, g], [0.125, 0.125 + 2.0**-40]), box(2), 2)[2]
    codes = {format(v, "02b"): np.array([v << 6], dtype=np.uint8) for v in range(4)}
    assert exact_cell(program, codes["01"]) is not None
    assert exact_cell(program, codes["10"]) is None
