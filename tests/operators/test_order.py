"""Sort and top-k values: the laws, ties, facts at the ends, and what torch calls become."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from splinegraph.core.values import Box, Curvature
from splinegraph.operators.order import GatherPiece, Sort, TopKValues
from splinegraph.testing import Sample, check_operator
from splinegraph.tracers.tracing import trace

SLACK = torch.tensor(1e-12)

SAMPLES = [
    Sample(Sort(), ((3, 5),), lambda x: x.sort(-1).values),
    Sample(Sort(-2, True), ((2, 4, 3),), lambda x: x.sort(-2, True).values),
    Sample(Sort(), ((2, 1),), lambda x: x),
    Sample(TopKValues(2), ((3, 5),), lambda x: x.topk(2).values),
    Sample(TopKValues(3, -2, False), ((2, 5, 3),), lambda x: x.topk(3, -2, False).values),
    Sample(TopKValues(4), ((2, 4),), lambda x: x.topk(4).values),
    Sample(TopKValues(1, -1), ((4, 2),), lambda x: x.amax(-1, keepdim=True), batch=0),
    Sample(TopKValues(1, -2, False), ((4, 2),), lambda x: x.amin(-2, keepdim=True), batch=1),
]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{s.label}{s.shapes}")
def test_laws(sample: Sample) -> None:
    check_operator(sample)


def test_ties_go_to_the_lowest_index() -> None:
    x = torch.tensor([[2.0, 1.0, 2.0, 2.0]])
    assert Sort().code(x).tolist() == [[1, 0, 2, 3]]
    assert Sort(-1, True).code(x).tolist() == [[0, 2, 3, 1]]
    assert TopKValues(1).code(x).tolist() == [[0]]
    assert TopKValues(2).code(x).tolist() == [[0, 2]]


def test_the_order_of_losers_is_no_condition() -> None:
    x = torch.tensor([[5.0, 4.0, 3.0, 2.0, 1.0]])
    operator = TopKValues(2)
    conditions = operator.conditions(operator.code(x), [x.shape])
    assert len(conditions) == 1 + 3
    assert bool((conditions.margins(torch.tensor([[5.0, 4.0, 1.0, 2.0, 3.0]])) > 0).all())


def test_equal_entries_that_move_alike_are_no_boundary() -> None:
    x, v = torch.tensor([[1.0, 1.0, 0.0]]), torch.tensor([[0.3, 0.3, 0.7]])
    assert not Sort().ties([x], [v], SLACK).any()
    assert not TopKValues(1).ties([x], [v], SLACK).any()
    apart = torch.tensor([[0.3, 0.4, 0.7]])
    assert Sort().ties([x], [apart], SLACK).tolist() == [[False, True, True]]
    assert TopKValues(1).ties([x], [apart], SLACK).tolist() == [[True]]


def test_extremes_are_convex_and_concave() -> None:
    box = [Box.around(torch.zeros(3, 2).double(), radius=1.0)]
    flags = Sort(-2).curvature(box).reshape(-1)
    assert flags.tolist() == [Curvature.CONCAVE, Curvature.UNKNOWN, Curvature.CONVEX]
    assert TopKValues(2).curvature().tolist() == [Curvature.CONVEX, Curvature.UNKNOWN]
    assert Sort().curvature().tolist() == Curvature.UNKNOWN
    assert Sort().curvature([Box(torch.zeros(1), torch.ones(1))]).tolist() == [Curvature.AFFINE]


def test_gather_adds_up_what_was_repeated() -> None:
    piece = GatherPiece(torch.tensor([[0, 0, 2]]), -1, 3)
    assert piece.tangent(torch.tensor([[1.0, 2.0, 3.0]])).tolist() == [[1.0, 1.0, 3.0]]
    assert piece.adjoint(torch.ones(2, 1, 3))[0].tolist() == [[[2.0, 0.0, 1.0]]] * 2


def test_code_of_a_long_axis_fits() -> None:
    assert Sort().code(torch.zeros(1, 32767)).dtype == torch.int16
    x = torch.zeros(1, 40000)
    assert Sort().switch(x)[1].dtype == Sort().code(x).dtype == torch.int32
    assert int(Sort().code(x).max()) == 39999


class Model(nn.Module):
    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.linear, self.function = nn.Linear(6, 6), function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.linear(x))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda h: h.sort(dim=1, descending=True).values, ["Sort"]),
        (lambda h: torch.sort(h, stable=True)[0], ["Sort"]),
        (lambda h: h.topk(2, largest=False)[0], ["TopKValues(2)"]),
        (lambda h: h.kthvalue(3, dim=1)[0].unsqueeze(1), ["TopKValues(3)", "Select", "Reshape"]),
        (lambda h: h.kthvalue(3, dim=1, keepdim=True)[0], ["TopKValues(3)", "Select", "Reshape"]),
        (lambda h: h.reshape(-1, 2, 3).median(dim=1)[0], ["Reshape", "TopKValues(1)", "Select"]),
        (lambda h: h.argsort(dim=1) + h, ["SortIndices", "ToFloat", "Add"]),
    ],
)
def test_lowerings(function: Callable[[Tensor], Any], expected: list[str]) -> None:
    graph = trace(Model(function).eval(), torch.randn(1, 6))
    assert [node.op.label for node in graph.operators] == ["Linear", *expected]
    assert graph.exact
