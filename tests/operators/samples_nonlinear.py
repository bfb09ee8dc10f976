"""Samples of bilinear, normalizing, ordering and jumping operators."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from splinegraph.operators.bilinear import MatrixProduct, Product
from splinegraph.operators.comparison import Comparison, ToFloat, Where
from splinegraph.operators.discontinuous import Ceil, Floor, Hardshrink, Heaviside, Round, Sign, Threshold, Trunc
from splinegraph.operators.division import FloorDivide, ToInteger, TruncDivide
from splinegraph.operators.live_index import LiveGather
from splinegraph.operators.normalizing import LogSoftmax, LogSumExp, Softmax, VectorNorm
from splinegraph.operators.opaque import Hole, Opaque
from splinegraph.operators.order import Sort, TopKValues
from splinegraph.operators.standardizing import GroupMean, GroupNorm, LayerNorm, RMSNorm
from splinegraph.operators.winners import KWinnersTakeAll, SortIndices, TopKIndices, TopKMask
from splinegraph.testing import Sample

BILINEAR = [
    Sample(Product(), ((2, 3), (2, 3)), torch.mul),
    Sample(Product(), ((2, 3, 1), (2, 1, 4)), torch.mul, name="Product, broadcast"),
    Sample(MatrixProduct(), ((2, 3, 4), (2, 4, 2)), torch.matmul),
    Sample(MatrixProduct(), ((2, 1, 3, 2), (2, 3, 2, 1)), torch.matmul, name="MatrixProduct, broadcast"),
]

# Normalizing

GAIN = torch.nn.Parameter(torch.tensor([0.5, -1.5, 0.0, 2.0], dtype=torch.float64))
GAINS = torch.nn.Parameter(torch.arange(-2.0, 4.0, dtype=torch.float64).reshape(2, 3))

NORMALIZING = [
    Sample(Softmax(-1), ((2, 4),), lambda x: x.softmax(-1)),
    Sample(Softmax(-2), ((2, 3, 2),), lambda x: x.softmax(-2), name="Softmax, inner axis"),
    Sample(Softmax(-1), ((2, 1),), lambda x: x.softmax(-1), name="Softmax, one entry"),
    Sample(LogSoftmax(-1), ((2, 4),), lambda x: x.log_softmax(-1)),
    Sample(LogSoftmax(-2), ((2, 3, 2),), lambda x: x.log_softmax(-2), name="LogSoftmax, inner axis"),
    Sample(LogSumExp((-1,)), ((2, 4),), lambda x: x.logsumexp(-1)),
    Sample(
        LogSumExp((-3, -1), True), ((2, 2, 3),), lambda x: x.logsumexp((-3, -1), True), batch=1,
        name="LogSumExp 2",
    ),
    Sample(VectorNorm((-1,)), ((2, 4),), lambda x: torch.linalg.vector_norm(x, dim=-1)),
    Sample(
        VectorNorm((-2, -1), True), ((2, 2, 3),),
        lambda x: torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True), name="VectorNorm, keepdim",
    ),
    Sample(LayerNorm(1), ((2, 4),), lambda x: F.layer_norm(x, (4,))),
    Sample(
        LayerNorm(2, GAINS, GAINS, 0.1), ((2, 2, 3),),
        lambda x: F.layer_norm(x, (2, 3), GAINS, GAINS, 0.1), name="LayerNorm, weight",
    ),
    Sample(RMSNorm(1, GAIN, 0.01), ((2, 4),), lambda x: F.rms_norm(x, (4,), GAIN, 0.01)),
    Sample(
        GroupNorm(2, GAIN, GAIN, 0.01, 1), ((2, 4, 3),),
        lambda x: F.group_norm(x, 2, GAIN, GAIN, 0.01), name="GroupNorm, weight",
    ),
    Sample(GroupNorm(4, None, None, 0.01, 2), ((2, 4, 1, 2),), lambda x: F.group_norm(x, 4, eps=0.01)),
    Sample(
        GroupMean(2, 1), ((2, 4, 3),),
        lambda x: x.unflatten(1, (2, 2)).mean((2, 3), True).expand(2, 2, 2, 3).flatten(1, 2),
    ),
]  # fmt: skip

# Order

ORDER = [
    Sample(Sort(), ((2, 4),), lambda x: x.sort(-1).values),
    Sample(Sort(-2, True), ((2, 3, 2),), lambda x: x.sort(-2, True).values, name="Sort, descending"),
    Sample(TopKValues(2), ((2, 5),), lambda x: x.topk(2).values),
    Sample(TopKValues(1, -2), ((2, 4, 2),), lambda x: x.amax(-2, True), name="TopKValues(1), inner axis"),
    Sample(
        TopKValues(2, -1, False),
        ((2, 4),),
        lambda x: x.topk(2, largest=False).values,
        name="TopKValues, least",
    ),
    Sample(TopKValues(3), ((2, 3),), lambda x: x.topk(3).values),
]

# Jumps

_LEVEL = torch.tensor([0.5, -1.0, 0.0], dtype=torch.float64)
_SIDE = torch.tensor([[2.0], [-1.0]], dtype=torch.float64)
_OFF_CELL = "segments leave the whole numbers that conditions are"


def _winners(x: Tensor, k: int, dim: int = -1, largest: bool = True) -> Tensor:
    order = x.sort(dim=dim, descending=largest, stable=True).indices.narrow(dim, 0, k)
    return torch.zeros_like(x).scatter(dim, order, 1.0)


DISCONTINUOUS = [
    Sample(Sign(), ((2, 6),), torch.sign, boxes=((0.0, 1.0), (-1.0, 0.0), (0.5, 1.0))),
    Sample(
        Heaviside(0.25), ((2, 6),), lambda x: torch.heaviside(x, x.new_tensor(0.25)),
        boxes=((0.0, 1.0), (-1.0, 0.0)),
        skips={"law_tangent": "torch has no forward derivative of heaviside"},
    ),
    *(
        Sample(Hardshrink(s), ((2, 8),), lambda x, s=s: F.hardshrink(x, s),
        boxes=((-s, s), (s, 2.0), (-2.0, -s)),
               name=f"Hardshrink({s})")
        for s in (0.5, 1.5)
    ),
    *(
        Sample(Threshold(a, b), ((2, 6),), lambda x, a=a, b=b: F.threshold(x, a, b),
        boxes=((a, 4.0), (-4.0, a)), name=f"Threshold({a}, {b})")
        for a, b in ((0.5, 2.0), (0.5, -1.0), (1.0, 1.0))
    ),
    *(Sample(op, ((2, 6),), f, boxes=((0.0, 0.5), (-1.0, 0.0), (0.5, 1.0))) for op, f in (
        (Round(), torch.round), (Floor(), torch.floor), (Ceil(), torch.ceil), (Trunc(), torch.trunc))),
    *(
        Sample(Comparison(k), ((2, 3), (2, 3)), getattr(torch, k), name=f"Comparison({k})")
        for k in ("gt", "ge", "lt", "le", "eq", "ne")
    ),
    *(
        Sample(Comparison(k, 0.5), ((2, 6),), lambda x, k=k: getattr(torch, k)(x, 0.5),
        boxes=((0.5, 1.0), (0.0, 0.5)))
        for k in ("gt", "ge", "lt", "le", "eq", "ne")
    ),
    Sample(Comparison("gt", _LEVEL), ((2, 2, 3),), lambda x: x > _LEVEL, name="Comparison, tensor"),
    Sample(Comparison("le"), ((2, 3, 1), (2, 1, 2)), torch.le, name="Comparison, broadcast"),
    Sample(SortIndices(), ((2, 4),), lambda x: x.sort(dim=-1, stable=True).indices),
    Sample(
        SortIndices(-2, True), ((2, 3, 2),), lambda x: x.sort(dim=-2, descending=True, stable=True).indices,
        name="SortIndices, down",
    ),
    Sample(
        TopKIndices(2), ((2, 5),), lambda x: x.sort(dim=-1, descending=True, stable=True).indices[..., :2],
    ),
    Sample(TopKIndices(1, -2, False), ((2, 4, 2),), lambda x: x.argmin(-2, True)),
    Sample(TopKMask(2), ((2, 5),), lambda x: _winners(x, 2)),
    Sample(TopKMask(1, -2, False), ((2, 3, 2),), lambda x: _winners(x, 1, -2, False)),
    Sample(KWinnersTakeAll(2), ((2, 5),), lambda x: x * _winners(x, 2)),
    Sample(KWinnersTakeAll(1, -2, False), ((2, 3, 2),), lambda x: x * _winners(x, 1, -2, False)),
    Sample(KWinnersTakeAll(3), ((2, 3),), lambda x: x * 1, name="KWinnersTakeAll, all"),
    Sample(
        Where(), ((2, 3), (2, 3), (2, 3)),
        lambda c, a, b: torch.where(c != 0, a, b), ((0.0, 1.0), (-3.0, 3.0), (-3.0, 3.0)),
        whole=(0,), skips={"law_cell": _OFF_CELL, "law_ties": _OFF_CELL, "law_curvature": _OFF_CELL},
    ),
    Sample(
        Where(None, _SIDE), ((3, 2, 1), (3, 1, 4)),
        lambda c, a: torch.where(c != 0, a, _SIDE), ((0.0, 1.0), (-3.0, 3.0)),
        whole=(0,), skips={"law_cell": _OFF_CELL, "law_ties": _OFF_CELL, "law_curvature": _OFF_CELL},
        name="Where, constant side",
    ),
    Sample(ToFloat(), ((2, 3),), lambda x: x),
]  # fmt: skip

# Integers

INTEGERS = [
    *(Sample(op, ((2, 6),), f, boxes=((0.0, 0.5), (-1.0, 0.0), (0.5, 1.0))) for op, f in (
        (FloorDivide(0.5), lambda x: (x / 0.5).floor()), (TruncDivide(2.0), lambda x: (x / 2).trunc()),
        (ToInteger(), lambda x: x.long()))),
    Sample(
        LiveGather(-1), ((2, 4), (2, 3)), lambda i, x: x.gather(-1, i.long()), ((0.0, 2.0), (-3.0, 3.0)),
        whole=(0,), skips={"law_cell": _OFF_CELL, "law_ties": _OFF_CELL, "law_curvature": _OFF_CELL},
    ),
    Sample(
        LiveGather(-2), ((2, 1, 3), (2, 3, 3)), lambda i, x: x.gather(-2, i.long()), ((0.0, 2.0), (-3.0, 3.0)),
        whole=(0,), skips={"law_cell": _OFF_CELL, "law_ties": _OFF_CELL, "law_curvature": _OFF_CELL},
        name="LiveGather, inner axis",
    ),
]  # fmt: skip

_ATEN = torch.ops.aten

OPAQUE = [
    Sample(Opaque(_ATEN.special_erfcx.default, target="erfcx"), ((2, 3),), torch.special.erfcx),
    Sample(
        Opaque(_ATEN.linalg_cross.default, (Hole(0), Hole(1)), {"dim": -1}, "cross"),
        ((2, 3), (2, 3)), torch.linalg.cross,
    ),
    Sample(
        Opaque(_ATEN.cumprod.default, (Hole(0), -1), target="cumprod"), ((2, 3),), lambda x: x.cumprod(-1),
    ),
    Sample(
        Opaque(_ATEN.cummax.default, (Hole(0), -1), target="cummax", index=0), ((2, 4),),
        lambda x: x.cummax(-1)[0],
    ),
    Sample(Opaque(_ATEN.isfinite.default, target="isfinite", floating=False), ((2, 4),), torch.isfinite),
]  # fmt: skip

SAMPLES: list[Sample] = [*BILINEAR, *NORMALIZING, *ORDER, *DISCONTINUOUS, *INTEGERS, *OPAQUE]
