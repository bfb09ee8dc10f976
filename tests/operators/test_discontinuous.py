"""Jumps: the laws, breakpoints, boxes that meet no switch, gates, and what torch calls become."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from splinegraph.core.parameters import Context
from splinegraph.core.values import Box
from splinegraph.errors import UnsupportedOperatorError
from splinegraph.operators.comparison import Comparison, ToFloat, Where
from splinegraph.operators.discontinuous import Ceil, Floor, Hardshrink, Heaviside, Round, Sign, Threshold, Trunc
from splinegraph.operators.winners import KWinnersTakeAll, SortIndices, TopKIndices, TopKMask
from splinegraph.testing import Sample, check_operator
from splinegraph.tracers.tracing import trace

SLACK = torch.tensor(1e-12)
ROUNDED = {"law_curvature": "a chord of a point box can leave it by rounding, and cross a jump"}
LEVELS = torch.tensor([0.0, 1.0, -1.0, 0.5], dtype=torch.float64)


def heaviside(x: Tensor) -> Tensor:
    return torch.where(x > 0, 1.0, torch.where(x == 0, LEVELS, 0.0)).to(x.dtype) + 0 * x


def winners(k: int, dim: int = -1, largest: bool = True) -> Callable[[Tensor], Tensor]:
    """Return the mask, by counting who is ahead: ties to the lowest index."""

    def mask(x: Tensor) -> Tensor:
        rows = (x if largest else -x).movedim(dim, -1)
        mine, other = rows.unsqueeze(-1), rows.unsqueeze(-2)
        earlier = torch.ones(rows.shape[-1], rows.shape[-1]).tril(-1).bool()
        ahead = (other > mine) | ((other == mine) & earlier)
        return (ahead.sum(-1) < k).movedim(-1, dim).to(x.dtype) + 0 * x

    return mask


SAMPLES = [
    Sample(Sign(), ((3, 4),), torch.sign),
    Sample(Heaviside(LEVELS), ((3, 4),), heaviside),
    Sample(Hardshrink(0.5), ((3, 4),), lambda x: F.hardshrink(x, 0.5)),
    Sample(Threshold(0.5, -1.0), ((3, 4),), lambda x: F.threshold(x, 0.5, -1.0)),
    *(
        Sample(operator, ((3, 4),), function, skips=ROUNDED)
        for operator, function in (
            (Round(), torch.round),
            (Floor(), torch.floor),
            (Ceil(), torch.ceil),
            (Trunc(), torch.trunc),
        )
    ),
    *(
        Sample(Comparison(kind, other), shapes, lambda *xs, k=kind, o=other: getattr(torch, k)(*xs, *o_(o)))
        for kind in ("gt", "ge", "lt", "le", "eq", "ne")
        for other, shapes in ((0.5, ((3, 4),)), (LEVELS, ((3, 4),)), (None, ((3, 4), (3, 1))))
    ),
    Sample(SortIndices(), ((3, 5),), lambda x: x.argsort(stable=True)),
    Sample(SortIndices(-2, True), ((2, 4, 3),), lambda x: x.argsort(dim=-2, descending=True, stable=True)),
    Sample(TopKIndices(1, -2, False), ((2, 4, 3),), lambda x: x.argmin(-2, keepdim=True)),
    Sample(TopKIndices(2), ((3, 5),), lambda x: x.argsort(dim=-1, descending=True, stable=True)[..., :2]),
    Sample(TopKMask(2), ((3, 5),), winners(2)),
    Sample(TopKMask(2, -2, False), ((2, 4, 3),), winners(2, -2, False)),
    Sample(KWinnersTakeAll(2), ((3, 5),), lambda x: x * winners(2)(x)),
    Sample(KWinnersTakeAll(1, -2, False), ((2, 4, 3),), lambda x: x * winners(1, -2, False)(x)),
    Sample(KWinnersTakeAll(3), ((2, 3),), lambda x: x * 1),
    Sample(Where(), ((3, 4), (3, 4), (3, 1)), lambda c, a, b: torch.where(c > 0.5, a, b)),
    Sample(Where(None, torch.tensor(2.0)), ((3, 4), (3, 1)), lambda c, a: torch.where(c > 0.5, a, 2)),
    Sample(Where(LEVELS, None), ((3, 1), (4,)), lambda c, b: torch.where(c > 0.5, LEVELS, b), batch=None),
    Sample(Where(LEVELS, -LEVELS), ((3, 4),), lambda c: torch.where(c > 0.5, LEVELS, -LEVELS) + 0 * c),
    Sample(ToFloat(), ((3, 4),), lambda x: x),
]


def o_(other: Any) -> tuple[Any, ...]:
    return () if other is None else (other,)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{s.label}{s.shapes}")
def test_laws(sample: Sample) -> None:
    check_operator(sample)


def test_breakpoints_are_where_torch_has_them() -> None:
    x = torch.tensor([-0.5, 0.5, 0.0, -0.6, 0.6])
    operator = Hardshrink(0.5)
    assert operator.code(x).tolist() == [1, 1, 1, 0, 2]
    assert operator.piece(operator.code(x), [x.shape]).apply(x).tolist() == F.hardshrink(x, 0.5).tolist()
    assert Sign().code(torch.tensor([-1.0, 0.0, 2.0])).tolist() == [0, 1, 2]


def test_a_box_that_meets_no_jump_has_a_constant() -> None:
    def sides(low: float, high: float) -> list[Box]:
        return [Box(torch.tensor([low]), torch.tensor([high]))]

    assert Sign().lipschitz() == math.inf
    assert Sign().lipschitz(on=sides(-1, 0)) == math.inf
    assert Sign().lipschitz(on=sides(0.1, 1)) == 0
    assert Threshold(0.0, -1.0).lipschitz(on=sides(-1, 0)) == 0  # 0 still belongs to the left piece
    assert Threshold(0.0, -1.0).lipschitz(on=sides(0, 1)) == math.inf
    assert Floor().lipschitz(on=sides(0, 0.9)) == 0
    assert Floor().lipschitz(on=sides(0, 1)) == math.inf
    assert Comparison("gt", 0.1).lipschitz(on=sides(0.0, 0.5)) == math.inf
    assert Comparison("gt", 0.5).lipschitz(on=sides(0.0, 0.5)) == 0
    assert Comparison("gt", 0.5).lipschitz(on=[Box(torch.tensor([0]), torch.tensor([0]))]) == 0
    assert Comparison("gt", 0.5).lipschitz(on=[Box(torch.tensor([0]), torch.tensor([1]))]) == math.inf


def test_a_box_decides_winners() -> None:
    lower = torch.tensor([[3.0, 0.0, -1.0, -4.0]])
    wins, loses = KWinnersTakeAll(2).sure(Box(lower, lower + 1.5))
    assert wins.tolist() == [[True, False, False, False]]
    assert loses.tolist() == [[False, False, False, True]]
    assert KWinnersTakeAll(1).lipschitz(on=[Box(lower, lower + 1.5)]) == 1


def test_winners_have_k_times_losers_conditions() -> None:
    x = torch.randn(2, 5, generator=torch.Generator().manual_seed(0)).double()
    operator = KWinnersTakeAll(2)
    assert len(operator.conditions(operator.code(x), [x.shape])) == 2 * 2 * 3


def test_ties_of_winners_count_only_if_they_move_apart() -> None:
    x = torch.tensor([[1.0, 1.0, 0.0]])
    alike, apart = torch.tensor([[0.3, 0.3, 0.7]]), torch.tensor([[0.3, 0.4, 0.7]])
    for operator in (KWinnersTakeAll(1), TopKMask(1)):
        assert operator.code(x).tolist() == [[1, 0, 0]]
        assert not operator.ties([x], [alike], SLACK).any()
        assert operator.ties([x], [apart], SLACK).tolist() == [[True, True, False]]


def test_a_staircase_has_no_list_of_pieces() -> None:
    assert Floor().alphabet([(1,)]) == 0
    with pytest.raises(UnsupportedOperatorError, match="infinitely many"):
        Floor().pieces(0, [(1,)])
    assert Floor().code(torch.tensor([-1.5, 2.0])).tolist() == [-2, 2]
    assert Floor().code(torch.tensor([1e12], dtype=torch.float64)).tolist() == [10**12]


def test_truth_values_send_nothing_back() -> None:
    x = torch.randn(2, 3)
    for operator in (Comparison("gt", 0.0), TopKIndices(1), SortIndices()):
        code = operator.code(x)
        piece = operator.piece(code, [x.shape])
        assert piece.adjoint(torch.ones(code.shape)) == (None,)
        assert piece.tangent(torch.ones(4, 2, 3)).shape == (4, *code.shape)
    condition = x > 0
    piece = Where().linearize(condition, x, 2 * x)
    back = piece.adjoint(torch.ones(2, 3))
    assert back[0] is None
    assert torch.equal(back[1] + back[2], torch.ones(2, 3))
    assert torch.equal(Where().forward(condition, x, 2 * x), torch.where(condition, x, 2 * x))
    assert not Where().ties([condition, x, x], [torch.ones(2, 3)] * 3, SLACK).any()


def test_a_cast_follows_the_dtype_of_the_graph() -> None:
    truth = torch.tensor([True, False])
    for dtype in (torch.float32, torch.float64):
        operator = Context(dtype).resolve(ToFloat())
        assert operator.forward(truth).dtype == dtype
        assert operator.forward(truth).tolist() == [1, 0]


class Model(nn.Module):
    def __init__(self, function: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.linear, self.other, self.function = nn.Linear(6, 6), nn.Linear(6, 6), function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.linear(x), self.other(x))


def mask(h: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(h.shape, dtype=dtype).scatter(1, h.topk(2, dim=1).indices, 1)


def labels(function: Callable[[Tensor, Tensor], Any]) -> list[str]:
    torch.manual_seed(0)
    graph = trace(Model(function).eval(), torch.randn(1, 6))
    assert graph.exact
    return [node.op.label for node in graph.operators if node.op.label != "Linear"]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda h, g: h * mask(h), ["KWinnersTakeAll(2)"]),
        (lambda h, g: mask(h) * h, ["KWinnersTakeAll(2)"]),
        (lambda h, g: g * mask(h), ["TopKMask(2)", "Where"]),
        (lambda h, g: torch.where(mask(h, torch.bool), g, h), ["TopKMask(2)", "Comparison(> 0.5)", "Where"]),
        (
            lambda h, g: h * torch.zeros(h.shape).scatter(1, h.topk(2)[1], torch.ones(h.shape)),
            ["KWinnersTakeAll(2)"],
        ),
        (
            lambda h, g: h * (h >= h.topk(2).values[:, -1:]).float(),
            ["TopKValues(2)", "Slice", "Comparison(>=)", "Where"],
        ),
        (lambda h, g: h * (g > 0), ["Comparison(> 0)", "Where"]),
        (lambda h, g: torch.where(h > g, 1.0, g), ["Comparison(>)", "Where"]),
        (lambda h, g: torch.where(0.5 < h, h, 0.0), ["Comparison(> 0.5)", "Where"]),
        (
            lambda h, g: torch.where((h > 0) & ~(g < 0.1), h, g),
            ["Comparison(> 0)", "Comparison(< 0.1)", "Where", "Where", "Where"],
        ),
        (lambda h, g: g * (h.argmax(1, keepdim=True) == 2), ["TopKIndices(1)", "Comparison(== 2)", "Where"]),
        (lambda h, g: h.argmin(1, keepdim=True).float(), ["TopKIndices(1)", "ToFloat"]),
        (lambda h, g: F.threshold(h, 0.1, 0.1), ["LowerClamp"]),
        (lambda h, g: F.threshold(h, 0.1, 0.2), ["Threshold"]),
        (lambda h, g: F.hardshrink(h, 0.2), ["Hardshrink"]),
        (lambda h, g: torch.heaviside(h, torch.tensor(0.5)), ["Heaviside"]),
        (lambda h, g: h.sign() + g.round(), ["Sign", "Round", "Add"]),
    ],
)
def test_lowerings(function: Callable[[Tensor, Tensor], Any], expected: list[str]) -> None:
    assert labels(function) == expected
