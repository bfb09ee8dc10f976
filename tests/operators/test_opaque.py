"""Calls without an operator of their own: they run, and have a tangent or say that they have none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from splinegraph.core.operator import Operator
from splinegraph.core.parameters import BATCH, Context, Expression, leaves
from splinegraph.errors import UnsupportedOperatorError
from splinegraph.operators.opaque import Hole, Opaque, opaque_call
from splinegraph.operators.registry import Value
from splinegraph.testing import Sample, check_operator
from splinegraph.tracers.tracing import trace

NO_JVP = {
    "law_tangent": "torch has no forward mode of cdist to compare with",
    "law_differentiable": "nor a second derivative",
}


def stacked(items: list[Tensor], *, scale: Tensor) -> Tensor:
    return torch.stack(items, -1).sin() * scale


SAMPLES = [
    Sample(Opaque(torch.special.erfcx), ((3, 4),), torch.special.erfcx),
    Sample(Opaque(torch.atan2, (Hole(1), Hole(0))), ((3, 4), (3, 1)), lambda x, y: torch.atan2(y, x)),
    Sample(Opaque(torch.atan2, (Hole(0), Hole(0))), ((3, 4),), lambda x: torch.atan2(x, x), ((0.5, 3.0),)),
    Sample(
        Opaque(stacked, ([Hole(0), Hole(1)],), {"scale": torch.tensor(2.0)}),
        ((3, 4), (3, 4)),
        lambda x, y: torch.stack([x, y], -1).sin() * 2,
    ),
    Sample(
        Opaque(torch.cummax, (Hole(0), -1), index=0, target="aten.cummax.default"),
        ((3, 4),),
        lambda x: x.cummax(-1)[0],
    ),
    Sample(
        Opaque(torch.cdist, (Hole(0), Hole(1))),
        ((2, 3, 4), (2, 2, 4)),
        lambda x, y: torch.cdist(x, y),
        skips=NO_JVP,
    ),
]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{s.label}{s.shapes}")
def test_laws(sample: Sample) -> None:
    check_operator(sample)


def test_nothing_is_claimed() -> None:
    operator = Opaque(torch.erf)
    assert not operator.piecewise_affine
    assert not operator.continuous
    assert not operator.linearize(torch.ones(2)).exact


def test_constants_in_the_template_are_found_and_cast() -> None:
    weight = nn.Parameter(torch.ones(2))
    shift = Expression(torch.full, ((BATCH, 1), 3.0), {"dtype": torch.float32})
    operator = Opaque(lambda a, b, scale: a[0] * a[1] * scale + b, ([Hole(0), weight], shift), {"scale": weight})
    assert {id(leaf) for leaf in leaves(operator)} == {id(weight)}
    x = torch.ones(3, 2, dtype=torch.float64)
    value = Context(torch.float64, None, 3).resolve(operator).forward(x)
    assert value.dtype == torch.float64
    assert value.tolist() == [[4, 4]] * 3


def test_a_requested_dtype_follows_the_graph() -> None:
    operator = Opaque(torch.sum, (Hole(0),), {"dim": -1, "dtype": torch.float32})
    x = torch.full((1, 2), 0.1, dtype=torch.float64)
    assert operator.forward(x).item() == x.sum().item()


def test_integer_arguments_get_nothing_back() -> None:
    operator = Opaque(torch.gather, (Hole(0), -1, Hole(1)))
    x, index = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[2, 0]])
    piece = operator.linearize(x, index)
    assert piece.apply(2 * x, index).tolist() == [[6, 2]]
    assert piece.tangent(torch.ones(4, 1, 3), torch.zeros(4, 1, 2)).tolist() == [[[1, 1]]] * 4
    back = piece.adjoint(torch.ones(1, 2))
    assert back[0].tolist() == [[1, 0, 1]]
    assert back[1] is None


def test_integers_stand_still() -> None:
    x = torch.rand(2, 3)
    piece = Opaque(torch.bucketize, (Hole(0), torch.linspace(0, 1, 5)), floating=False).linearize(x)
    assert not piece.exact
    assert piece.apply(0 * x).tolist() == torch.bucketize(x, torch.linspace(0, 1, 5)).tolist()
    assert piece.tangent(torch.ones(4, 2, 3)).tolist() == torch.zeros(4, 2, 3).tolist()
    assert piece.adjoint(torch.ones(2, 3)) == (None,)


def test_what_has_no_tangent_says_so() -> None:
    x = torch.rand(2, 3)
    with pytest.raises(UnsupportedOperatorError, match=r"bessel_j0.*register a lowering"):
        Opaque(torch.special.bessel_j0).linearize(x)
    piece = Opaque(torch.special.zeta, (Hole(0), 2.0)).linearize(x + 2)
    with pytest.raises(UnsupportedOperatorError, match="zeta"):
        piece.tangent(x)
    with pytest.raises(UnsupportedOperatorError, match="zeta"):
        piece.adjoint(x)


class FakeCall:
    """Collects what a lowering emits."""

    target = "aten.fake.default"
    dtype = torch.float32

    def __init__(self, *shapes: tuple[int, ...]) -> None:
        self.shapes, self.shape = shapes, shapes[0]
        self.dtypes = (torch.float32, torch.int32)[: len(shapes)]
        self.emitted: list[SimpleNamespace] = []

    def emit(self, operator: Operator, *args: Value, shape: Any = None) -> Value:
        self.emitted.append(SimpleNamespace(operator=operator, args=[a.name for a in args]))
        return Value(f"v{len(self.emitted)}", tuple(shape or self.shape))


def test_live_arguments_become_holes() -> None:
    call, x, y = FakeCall((1, 2)), Value("x", (1, 2)), Value("y", (1, 2))
    opaque_call(call, torch.cat, ([y, x, y], -1), {"out": None})  # type: ignore[arg-type]
    (node,) = call.emitted
    assert node.args == ["y", "x"]
    assert node.operator.args == ([Hole(0), Hole(1), Hole(0)], -1)
    assert node.operator.index is None


def test_every_result_becomes_a_node() -> None:
    call = FakeCall((1, 2), (1, 3))
    first, second = opaque_call(call, torch.frexp, (Value("x", (1, 2)),), {})  # type: ignore[arg-type,misc]
    assert (first.shape, second.shape) == ((1, 2), (1, 3))
    assert [node.operator.index for node in call.emitted] == [0, 1]
    assert [node.operator.floating for node in call.emitted] == [True, False]


def test_a_trace_with_an_unknown_call_succeeds() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.special.bessel_j0(x).relu()

    graph = trace(Model().eval(), torch.randn(1, 6))
    assert [node.op.label for node in graph.obstacles] == ["Opaque(aten.special_bessel_j0.default)"]
