"""Rational maps and inequalities against Fractions worked out by hand, and symbolic output."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
import sympy
import torch
from torch import Tensor, nn

from splinegraph.analyses.regions.partition.exact import exact_cell
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.core.domains.segment import Segment
from splinegraph.errors import SplineGraphError
from tests.analyses.regions.partition.brute import brute, function, graph_of, mlp


def forward(net: nn.Sequential, x: list[Fraction]) -> list[Fraction]:
    """Run Linear and ReLU layers in rational arithmetic."""
    for layer in net:
        if isinstance(layer, nn.Linear):
            weight = [[Fraction(w) for w in row] for row in layer.weight.tolist()]
            bias = [Fraction(b) for b in layer.bias.tolist()]
            x = [sum((w * v for w, v in zip(row, x, strict=True)), b) for row, b in zip(weight, bias, strict=True)]
        else:
            x = [max(v, Fraction(0)) for v in x]
    return x


def net(*sizes: int) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [m for a, b in itertools.pairwise(sizes) for m in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1]).double().eval()


def test_maps_are_exactly_the_network() -> None:
    model = net(2, 5, 4, 2)
    partition = brute(graph_of(model, (2,)))
    for i in range(len(partition)):
        point = [Fraction(v) for v in partition.points[i].tolist()]
        cell = exact_cell(partition, i)
        value = [sum(a * t for a, t in zip(row, point, strict=True)) + b for row, b in zip(cell.A, cell.b, strict=True)]
        assert value == forward(model, point)
        assert all(sum(g * t for g, t in zip(row, point, strict=True)) < h
                   for row, h in zip(cell.G, cell.h, strict=True))  # fmt: skip
        assert not cell.empty


def pooled(x: Tensor) -> Tensor:
    z = nn.functional.max_pool1d(torch.cat([x, -x, x[:, :1] + 0.25], 1)[:, None], 2, 1)[:, 0]
    return z.sort(1).values[:, 1:3] + nn.functional.hardtanh(x, -0.5, 0.3)


def test_maxima_order_and_several_breakpoints_agree_with_floats() -> None:
    partition = brute(function(pooled, (2,)))
    maps = partition.affine_maps()
    for i in range(len(partition)):
        cell = exact_cell(partition, i)
        assert np.allclose(np.array(cell.A, dtype=float), maps.A[i], rtol=0, atol=1e-15)
        G, h = np.array(cell.G, dtype=float), np.array(cell.h, dtype=float)
        others = np.delete(partition.points, i, axis=0)
        assert (G @ partition.points[i] < h).all()
        assert not (others @ G.T <= h).all(axis=1).any()


def test_the_chart_is_exact_too() -> None:
    start, end = torch.tensor([0.1, -0.7]), torch.tensor([0.9, 0.3])
    model = net(2, 3, 1)
    partition = brute(graph_of(model, (2,)), Segment(start, end))
    cell = exact_cell(partition, 0)
    t = Fraction(float(partition.points[0, 0]))
    chart = partition.chart
    ways = zip(chart.origin.tolist(), chart.directions[0].tolist(), strict=True)
    x = [Fraction(o) + t * Fraction(d) for o, d in ways]
    assert cell.A[0][0] * t + cell.b[0] == forward(model, x)[0]


def test_one_dimension_gives_a_piecewise_function() -> None:
    model = net(1, 4, 3, 2)
    partition = brute(graph_of(model, (1,)))
    outputs = partition.to_sympy()
    assert len(outputs) == 2
    for k, output in enumerate(outputs):
        (symbol,) = output.free_symbols
        for t in (Fraction(-1), Fraction(-1, 3), Fraction(1, 7), Fraction(1)):
            value = forward(model, [t])[k]
            assert output.subs(symbol, sympy.Rational(t.numerator, t.denominator)) == sympy.Rational(
                value.numerator, value.denominator
            )


def test_cells_with_one_map_are_one_piece() -> None:
    (output,) = brute(function(lambda x: torch.relu(x) - torch.relu(-x), (1,))).to_sympy()
    (symbol,) = output.free_symbols
    assert len(output.args) == 1
    assert output.args[0].expr == symbol


def test_more_dimensions_give_matrices_and_inequalities() -> None:
    model = net(2, 4, 2)
    partition = brute(graph_of(model, (2,)))
    cells = partition.to_sympy()
    assert len(cells) == partition.count
    x = partition.domain.sample(15, generator=torch.Generator().manual_seed(5)).double()
    owner = partition.locate(x).cells
    for point, i in zip(x.tolist(), owner.tolist(), strict=True):
        exact = [sympy.Rational(*Fraction(v).as_integer_ratio()) for v in point]
        inside = [all(bool(r.subs(dict(zip(c.symbols, exact, strict=True)))) for r in c.inequalities) for c in cells]
        assert inside == [k == i for k in range(len(cells))]
    value = cells[owner[0]].A * sympy.Matrix([sympy.Rational(*Fraction(v).as_integer_ratio()) for v in x[0].tolist()])
    expected = forward(model, [Fraction(v) for v in x[0].tolist()])
    assert list(value + cells[owner[0]].b) == [sympy.Rational(v.numerator, v.denominator) for v in expected]
    assert all(len(c.inequalities) == len(partition.cell(i).vertices) for i, c in enumerate(cells))


def test_large_partitions_are_not_written_out() -> None:
    partition = brute(mlp(1, 3, 1))
    many = np.arange(1001) % len(partition)
    large: Partition = partition.replace(cells=partition.cells[many])
    with pytest.raises(SplineGraphError, match="too many"):
        large.to_sympy()
