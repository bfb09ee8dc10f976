"""What is special to softmax, norms and standardizations: Jacobians, proved constants, expansions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import splinegraph.operators.distances  # noqa: F401  # fills the table
from splinegraph.core.layout import BatchLayout
from splinegraph.core.operator import Operator
from splinegraph.core.parameters import Context, Expression
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.operators.linear import BatchNorm
from splinegraph.operators.normalizing import LogSoftmax, LogSumExp, NormalizingOperator, Softmax, VectorNorm
from splinegraph.operators.registry import LOWERINGS, Value
from splinegraph.operators.standardizing import GroupMean, GroupNorm, LayerNorm, RMSNorm
from splinegraph.testing import LAWS, Sample, facts

INF = math.inf
W3 = torch.tensor([0.5, -2.0, 1.5], dtype=torch.float64)
B3 = torch.tensor([0.1, 0.0, -3.0], dtype=torch.float64)
W6 = torch.tensor([0.5, -2.0, 1.5, 0.0, 1.0, 3.0], dtype=torch.float64)
B6 = torch.arange(6.0).double()
W43 = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).double()
WIDE = ((-20.0, 20.0), (0.0, 1.0))


def layer(x: Tensor) -> Tensor:
    return F.layer_norm(x, (3,), W3, B3, 1e-2)


NORMALIZING = [
    Sample(Softmax(-1), ((2, 5),), lambda x: x.softmax(-1), boxes=WIDE),
    Sample(Softmax(-2), ((3, 4, 2),), lambda x: x.softmax(1), batch=0, name="Softmax, inner axis"),
    Sample(Softmax(-1), ((3, 2, 1),), lambda x: x.softmax(-1), batch=1, name="Softmax of one"),
    Sample(LogSoftmax(-1), ((2, 5),), lambda x: x.log_softmax(-1), boxes=WIDE),
    Sample(LogSoftmax(-1), ((2, 2),), lambda x: x.log_softmax(-1), boxes=WIDE, name="LogSoftmax of two"),
    Sample(LogSoftmax(-2), ((3, 4, 2),), lambda x: x.log_softmax(1), name="LogSoftmax, inner axis"),
    Sample(LogSumExp((-1,)), ((2, 5),), lambda x: x.logsumexp(-1), boxes=WIDE),
    Sample(
        LogSumExp((-3, -1), True), ((2, 3, 2, 2),),
        lambda x: x.logsumexp((1, 3), True), name="LogSumExp, kept",
    ),
    Sample(LogSumExp((-3, -1)), ((2, 3, 2, 2),), lambda x: x.logsumexp((1, 3)), name="LogSumExp, two axes"),
    Sample(VectorNorm((-1,)), ((2, 5),), lambda x: x.norm(dim=-1), boxes=((0.5, 2.0), (-2.0, -0.5))),
    Sample(
        VectorNorm((-2, -1), True), ((2, 3, 2),),
        lambda x: x.norm(dim=(1, 2), keepdim=True), name="VectorNorm, kept",
    ),
    Sample(LayerNorm(1, W3, B3, 1e-2), ((2, 3),), layer, boxes=WIDE),
    Sample(LayerNorm(1, W3, B3, 1e-2), ((4, 2, 3),), layer, batch=1, name="LayerNorm, tokens"),
    Sample(
        LayerNorm(2, W43), ((2, 4, 3),),
        lambda x: F.layer_norm(x, (4, 3), W43), name="LayerNorm, two axes",
    ),
    Sample(LayerNorm(1), ((2, 1),), lambda x: F.layer_norm(x, (1,)), name="LayerNorm of one"),
    Sample(RMSNorm(1, W3, 1e-2), ((2, 3),), lambda x: F.rms_norm(x, (3,), W3, 1e-2), boxes=WIDE),
    Sample(RMSNorm(2), ((2, 2, 2),), lambda x: F.rms_norm(x, (2, 2), None, 1e-5), name="RMSNorm, two axes"),
    Sample(GroupNorm(2, W6, B6), ((2, 6),), lambda x: F.group_norm(x, 2, W6, B6), boxes=WIDE),
    Sample(
        GroupNorm(3, W6, B6, 1e-3, 2), ((2, 6, 2, 2),),
        lambda x: F.group_norm(x, 3, W6, B6, 1e-3), name="GroupNorm, images",
    ),
    Sample(
        GroupNorm(3, W3, B3, 1e-3, 1), ((2, 3, 4),),
        lambda x: F.instance_norm(x, weight=W3, bias=B3, eps=1e-3), name="InstanceNorm",
    ),
    Sample(
        GroupNorm(1, None, None, 1e-5, 1), ((2, 3, 2),),
        lambda x: F.group_norm(x, 1), name="GroupNorm, one group",
    ),
    Sample(
        GroupMean(2, 1), ((2, 4, 3),),
        lambda x: x.reshape(2, 2, 6).mean(-1, True).expand(2, 2, 6).reshape(2, 4, 3),
    ),
]  # fmt: skip

NORMALIZERS = [s for s in NORMALIZING if isinstance(s.operator, NormalizingOperator)]
FACTS = [law for law in LAWS if law.__module__ == facts.__name__]  # the others: test_conformance
EACH = pytest.mark.parametrize("sample", NORMALIZERS, ids=lambda s: s.label)


@pytest.mark.parametrize(
    ("law", "sample"),
    [pytest.param(law, s, id=f"{s.label}-{law.__name__}") for s in NORMALIZING for law in FACTS],
)
def test_law(law: Callable[[Sample], None], sample: Sample) -> None:
    law(sample)


@EACH
def test_jacobian_is_that_of_torch(sample: Sample) -> None:
    operator, reference = sample.operator, sample.reference
    assert reference is not None
    x = sample.point(0)[0]
    y, piece = operator.value_and_piece(x)
    assert not piece.exact
    torch.testing.assert_close(piece.apply(x), y)
    v, u = torch.randn(3, *x.shape, dtype=x.dtype), torch.randn(3, *y.shape, dtype=x.dtype)
    tangents, adjoints = piece.tangent(v), piece.adjoint(u)[0]
    for i in range(3):
        torch.testing.assert_close(tangents[i], torch.func.jvp(reference, (x,), (v[i],))[1])
        torch.testing.assert_close(adjoints[i], torch.func.vjp(reference, x)[1](u[i])[0])
    torch.testing.assert_close((u * tangents).sum(), (adjoints * v).sum())
    more = piece.tangent(v.expand(2, *v.shape))  # two leading axes
    torch.testing.assert_close(more[1], tangents)


@EACH
def test_tangent_differentiates_once_more(sample: Sample) -> None:
    operator, x = sample.operator, sample.point(1)[0].requires_grad_()
    v = torch.randn(x.shape, dtype=x.dtype)
    assert torch.autograd.gradcheck(lambda z: operator.linearize(z).tangent(v), (x,))
    assert torch.autograd.gradcheck(lambda z: operator.linearize(z).adjoint(operator.forward(z))[0], (x,))


@EACH
def test_expansion_is_the_operator(sample: Sample) -> None:
    operator: Any = sample.operator
    expansion = operator.expand()
    for scale in (1.0, 300.0):  # exponentials do not overflow
        x = scale * sample.point(3)[0]
        torch.testing.assert_close(expansion.run(x), operator.forward(x), rtol=1e-9, atol=1e-12)
    families = {step.family for step, _ in expansion.steps}
    assert families <= {"affine", "smooth", "maximum", "bilinear"}


def test_expansion_resolves_expressions() -> None:
    operator = GroupNorm(3, Expression(torch.exp, (W6,)), B6, trailing=1)  # type: ignore[arg-type]
    x = torch.randn(2, 6, 4)
    want = Context(torch.float32).resolve(operator).forward(x)
    torch.testing.assert_close(operator.expand().run(x), want)


def test_softmax_constants_are_attained() -> None:
    x = torch.tensor([[0.0, 0.0, -40.0, -40.0]], dtype=torch.float64)
    jacobian = torch.func.jacrev(Softmax(-1).forward)(x)[0, :, 0]
    for norm in (1, 2, INF):
        assert Softmax(-1).lipschitz(norm) == 0.5
        assert float(torch.linalg.matrix_norm(jacobian, norm)) == pytest.approx(0.5)
    box = Box(x - 1e-9, x + 1e-9)
    assert Softmax(-1).lipschitz(2, on=[box]) == pytest.approx(0.5)
    apart = x + torch.tensor([[3.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    p = float(torch.sigmoid(torch.tensor(3.0)))
    assert Softmax(-1).lipschitz(2, on=[Box(apart, apart)]) == pytest.approx(2 * p * (1 - p), rel=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_log_softmax_constants_are_attained(count: int) -> None:
    x = torch.zeros(1, count, dtype=torch.float64)
    x[0, 0] = 60.0
    jacobian = torch.func.jacrev(LogSoftmax(-1).forward)(x)[0, :, 0]
    for norm in (1, 2):
        claim = LogSoftmax(-1).lipschitz(norm, shapes=[(1, count)])
        assert claim == pytest.approx(float(torch.linalg.matrix_norm(jacobian, norm)), abs=1e-12)
    assert LogSoftmax(-1).lipschitz(2, shapes=[(1, count)]) == pytest.approx(math.sqrt(count) if count > 1 else 0)
    assert LogSoftmax(-1).lipschitz(INF, shapes=[(1, count)]) == (2 if count > 1 else 0)
    assert LogSoftmax(-1).lipschitz(2) == LogSoftmax(-1).lipschitz(1) == INF


@pytest.mark.parametrize("operator", [Softmax(-1), LogSoftmax(-1), LogSumExp((-1,)), VectorNorm((-1,))])
def test_bounds_are_attained_at_corners(operator: Operator) -> None:
    box = Box(torch.tensor([-1.0, 0.0, -2.0, 0.5]), torch.tensor([0.5, 2.0, -1.0, 0.5]))
    corners = torch.cartesian_prod(*(torch.tensor([a, b]) for a, b in zip(*box, strict=True)))
    corners = torch.cat([corners, corners.clamp(max=0.0).maximum(box.lower)])  # where |x| is least
    low, high = operator.bounds(box)
    y = operator.forward(corners)
    torch.testing.assert_close(low, y.amin(0))
    torch.testing.assert_close(high, y.amax(0))


def test_softmax_bounds_with_masked_and_unbounded_entries() -> None:
    low = torch.tensor([-1.0, -INF, -INF, 0.0])
    high = torch.tensor([1.0, -INF, INF, 0.0])
    lower, upper = Softmax(-1).bounds(Box(low, high))
    assert lower.tolist() == [0.0, 0.0, 0.0, 0.0]
    assert upper[[1, 2]].tolist() == [0.0, 1.0]
    assert float(upper[0]) == pytest.approx(math.e / (math.e + 1))
    x = torch.tensor([[0.3, -INF, 0.1, -INF]])
    piece = Softmax(-1).linearize(x)
    torch.testing.assert_close(piece.apply(x), x.softmax(-1))
    assert not piece.apply(x).isnan().any()


def test_standardized_values_stay_below_their_limit() -> None:
    everything = Box.everything((2, 9))
    for operator, limit in ((LayerNorm(1), math.sqrt(8)), (RMSNorm(1), 3.0)):
        low, high = operator.bounds(everything)
        assert float(low.min()) == pytest.approx(-limit)
        assert float(high.max()) == pytest.approx(limit)
        spike = torch.zeros(2, 9, dtype=torch.float64)
        spike[:, 0] = 1e6
        assert float(operator.forward(spike).max()) == pytest.approx(limit)  # so it is sharp


def test_standardization_is_tame_on_a_box_of_known_spread() -> None:
    """The global constant is 316; on a box it is one over the least spread, found by brute force."""
    assert LayerNorm(1).lipschitz(2) == pytest.approx(316.2277, abs=1e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        a, b = (3 * torch.randn(1, 4, generator=generator, dtype=torch.float64) for _ in range(2))
        box = Box(torch.minimum(a, b), torch.maximum(a, b))
        shares = torch.cartesian_prod(*[torch.linspace(0, 1, 13, dtype=torch.float64)] * 4)
        xs = box.lower + shares * (box.upper - box.lower)
        least = float(xs.var(-1, correction=0).min())
        claim = LayerNorm(1, eps=1e-9).lipschitz(2, on=[box])
        bound = 1 / claim**2 if claim < 1e4 else 0.0
        assert bound <= least + 1e-8  # eps is in the bound
        assert bound >= least - 0.25  # a grid of 13 points per axis misses the minimum by about that


def test_curvature_and_direction_of_norms() -> None:
    box = Box(
        torch.tensor([[0.0, 1.0], [-2.0, -1.0], [-1.0, 1.0]]),
        torch.tensor([[1.0, 2.0], [-1.0, 0.0], [2.0, 2.0]]),
    )
    up, down = Monotonicity.NONDECREASING, Monotonicity.NONINCREASING
    assert VectorNorm((-1,)).monotonicity(0, [box]).tolist() == [up, down, Monotonicity.UNKNOWN]
    assert LogSumExp((-1,)).monotonicity() == up
    assert LogSumExp((-1,)).curvature() == VectorNorm((-1,)).curvature() == Curvature.CONVEX
    assert LogSoftmax(-1).curvature() == Curvature.CONCAVE
    assert Softmax(-1).curvature() == Curvature.UNKNOWN


def test_norm_at_zero_has_the_tangent_zero() -> None:
    x = torch.zeros(2, 3, dtype=torch.float64)
    piece = VectorNorm((-1,)).linearize(x)
    tangent = piece.tangent(torch.ones_like(x))
    assert tangent.tolist() == [0.0, 0.0]
    assert piece.adjoint(torch.ones(2, dtype=torch.float64))[0].abs().sum() == 0


class FakeCall:
    """Records the operator that a lowering emits."""

    def __init__(self, target: str) -> None:
        self.target, self.shape = target, (1, 6, 2)

    def emit(self, operator: Operator, *args: Value, shape: Any = None) -> Value:
        self.operator = operator
        return Value("y", self.shape)

    def note(self, text: str) -> None:
        self.text = text

    def opaque(self) -> str:
        return "opaque"


X = Value("x", (1, 6, 2))
V6 = W6.square() + 0.1


@pytest.mark.parametrize(
    ("target", "args", "kind"),
    [
        ("aten.softmax.int", (X, -1), Softmax), ("aten.softmax.int", (X, 1, torch.float64), Softmax),
        ("aten._softmax.default", (X, 1, False), Softmax), ("aten.log_softmax.int", (X, 2), LogSoftmax),
        ("aten._log_softmax.default", (X, 2, False), LogSoftmax),
        ("aten.logsumexp.default", (X, [1, 2], True), LogSumExp),
        ("aten.logsumexp.default", (X, [2]), LogSumExp),
        ("aten.linalg_vector_norm.default", (X, 2, [1]), VectorNorm),
        ("aten.norm.ScalarOpt_dim", (X, 2.0, [2], True), VectorNorm),
        ("aten.linalg_norm.default", (X, None, [2]), VectorNorm),
        ("aten.layer_norm.default", (X, [2], W3[:2], None, 1e-3, False), LayerNorm),
        ("aten.native_layer_norm.default", (X, [6, 2], None, None, 1e-3), LayerNorm),
        ("aten.rms_norm.default", (X, [2], W3[:2]), RMSNorm),
        ("aten.rms_norm.default", (X, [2], None, 1e-3), RMSNorm),
        ("aten.group_norm.default", (X, 3, W6, B6, 1e-3, False), GroupNorm),
        ("aten.native_group_norm.default", (X, W6, B6, 2, 6, 2, 3, 1e-3), GroupNorm),
        ("aten.instance_norm.default", (X, W6, B6, None, None, True, 0.1, 1e-3, False), GroupNorm),
        ("aten.instance_norm.default", (X, W6, B6, B6, V6, False, 0.1, 1e-3, False), BatchNorm),
    ],
)  # fmt: skip
def test_lowerings_equal_torch(target: str, args: tuple[Any, ...], kind: type[Operator]) -> None:
    call, x = FakeCall(target), torch.randn(2, 6, 2, dtype=torch.float64)
    LOWERINGS[target](call, *args)
    assert type(call.operator) is kind
    packet, overload = target.split(".")[1:]
    want = getattr(getattr(torch.ops.aten, packet), overload)(x, *args[1:])
    want = want[0] if isinstance(want, tuple) else want
    if packet == "rms_norm" and len(args) == 3:  # its eps is that of float32, in which X was traced
        assert "float32" in call.text
        want = F.rms_norm(x, (2,), args[2], torch.finfo(torch.float32).eps)
    torch.testing.assert_close(Context(torch.float64).resolve(call.operator).forward(x), want)


@pytest.mark.parametrize(
    ("target", "args"),
    [
        ("aten.softmax.int", (X, 0)), ("aten.logsumexp.default", (X, [0, 1])),
        ("aten.linalg_vector_norm.default", (X,)), ("aten.linalg_vector_norm.default", (X, 0, [1])),
        ("aten.linalg_norm.default", (X, 2, [1, 2])), ("aten.linalg_norm.default", (X, "fro", [1, 2])),
        ("aten.layer_norm.default", (X, [2], X)), ("aten.rms_norm.default", (X, [1, 6, 2])),
        ("aten.group_norm.default", (Value("x", (6, 1, 2), layout=BatchLayout(1)), 3)),
        ("aten.instance_norm.default", (X, X, None, None, None, True)),
    ],
)  # fmt: skip
def test_lowerings_refuse_what_they_cannot_say(target: str, args: tuple[Any, ...]) -> None:
    assert LOWERINGS[target](FakeCall(target), *args) == "opaque"
