"""One row or more per operator: what `splinegraph.testing` checks the laws on.

Add a row for every new operator, with the parameters that are most likely to break it: negative, zero and
above-one slopes, overlapping windows, padding, axes of size one, a batch axis that is not the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from splinegraph.core.algebra import LinearCombination, MoveAxis, Select
from splinegraph.core.functionals import Functionals
from splinegraph.core.parameters import BATCH
from splinegraph.operators.arithmetic import CumulativeSum, Reduce, Scale, Shift
from splinegraph.operators.convolution import Conv, ConvTranspose
from splinegraph.operators.division import FiniteTest, NanToNum
from splinegraph.operators.elementwise import (
    Abs,
    Clamp,
    Hardsigmoid,
    LeakyReLU,
    LowerClamp,
    PReLU,
    ReLU,
    Softshrink,
    UpperClamp,
)
from splinegraph.operators.knotted import Knotted
from splinegraph.operators.linear import BatchNorm, LeftMatmul, Linear, RightMatmul
from splinegraph.operators.max_pooling import AdaptiveMaxPool, MaxPool
from splinegraph.operators.maximum import Amax, Maximum
from splinegraph.operators.padding import Pad, PadByIndex
from splinegraph.operators.pooling import AvgPool, Resample
from splinegraph.operators.preprocessing import Normalize
from splinegraph.operators.registry import constant
from splinegraph.operators.scattering import IndexAdd, ScatterAdd
from splinegraph.operators.shape import (
    Concat,
    Expand,
    Flip,
    Gather,
    IndexSelect,
    MaskedFill,
    Permute,
    Place,
    Repeat,
    Reshape,
    Roll,
    Slice,
)
from splinegraph.operators.training import BatchStatistics, Dropout
from splinegraph.testing import Sample
from tests.operators import samples_nonlinear, samples_smooth


def weights(*shape: int, seed: int = 0) -> Tensor:
    """Return normal weights with a few zeros, as a parameter that wants a gradient."""
    w = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.nn.Parameter(w.where(w.abs() > 0.2, 0))


def ints(*values: int) -> Tensor:
    return torch.tensor(values)


PLACES = torch.tensor([[3, 0, 3], [1, 2, 4]])


# Elementwise splines


def _ramp(x: Tensor, i: int) -> Tensor:
    """Return how far x has gone through piece i of the sawtooth below, from its first knot."""
    low, high = (i - 101) / 32, (i - 100) / 32
    return (x + 3.125).clamp(max=0) if i == 0 else (x - low).clamp(min=0, max=high - low if i < 200 else None)


ELEMENTWISE = [
    Sample(ReLU(), ((2, 5),), torch.relu, boxes=((0.0, 2.0), (-2.0, 0.0))),
    Sample(ReLU(), ((3, 2, 4),), torch.relu, batch=1, name="ReLU, batch behind"),
    Sample(Abs(), ((2, 5),), torch.abs, boxes=((0.0, 2.0), (-2.0, 0.0))),
    *(
        Sample(LeakyReLU(s), ((2, 6),), lambda x, s=s: F.leaky_relu(x, s), boxes=((0.0, 2.0), (-2.0, 0.0)))
        for s in (0.01, -0.3, 0.0, 1.0, 1.3)
    ),
    Sample(PReLU(w1 := weights(1)), ((2, 3, 4),), lambda x: F.prelu(x, w1), name="PReLU, one weight"),
    Sample(
        PReLU(w2 := torch.tensor([0.25, -1.5, 0.0, 3.0], dtype=torch.float64), 2), ((2, 4, 2, 3),),
        lambda x: F.prelu(x, w2), name="PReLU, channels",
    ),
    *(
        Sample(Clamp(a, b), ((2, 8),), lambda x, a=a, b=b: x.clamp(a, b), boxes=((a, b), (-5.0, a), (b, 7.0)))
        for a, b in ((-1.0, 1.0), (0.0, 6.0), (1.0, 2.5), (0.5, 0.5))
    ),
    Sample(LowerClamp(-0.5), ((2, 5),), lambda x: x.clamp(min=-0.5), boxes=((-0.5, 1.0), (-2.0, -0.5))),
    Sample(UpperClamp(-0.5), ((2, 5),), lambda x: x.clamp(max=-0.5), boxes=((-0.5, 1.0), (-2.0, -0.5))),
    # the derivative of torch's own kernel is 1/6 rounded to float32
    Sample(
        Hardsigmoid(), ((2, 9),), lambda x: (x / 6 + 0.5).clamp(0, 1), ((-5.0, 5.0),),
        boxes=((-3.0, 3.0), (3.0, 4.0)),
    ),
    Sample(Softshrink(0.5), ((2, 9),), F.softshrink, boxes=((-0.5, 0.5), (0.5, 2.0), (-2.0, 0.5))),
    Sample(Softshrink(0.0), ((2, 9),), lambda x: F.softshrink(x, 0.0), name="Softshrink(0)"),
    Sample(
        Knotted((-2.0, -0.5, 1.5), (-1.0, 0.25, -3.0, 2.0), 0.75), ((2, 9),),
        lambda x: 0.75 - (x + 2) + 1.25 * (x + 2).relu() - 3.25 * (x + 0.5).relu() + 5 * (x - 1.5).relu(),
        boxes=((-2.0, -0.5), (-0.5, 0.0), (1.5, 4.0)),
    ),
    Sample(
        Knotted(tuple(i / 32 for i in range(-100, 100)), tuple(float(i % 3) for i in range(201)), -2.0, "Sawtooth"),
        ((2, 6),), lambda x: sum((-2 + 0 * x, *(_ramp(x, i) * (i % 3) for i in range(201)))),
        name="Knotted, more pieces than int8 counts",
    ),
]  # fmt: skip


# Affine: weights

W, B, M = weights(4, 3), weights(4, seed=1), weights(2, 3, 4, seed=2)
MEAN, VAR = weights(3, seed=3).detach(), weights(3, seed=4).detach().abs() + 0.1
GAIN = weights(3, seed=8)

LINEAR = [
    Sample(Linear(W, B), ((2, 3),), lambda x: F.linear(x, W, B)),
    Sample(Linear(W), ((5, 2, 3),), lambda x: F.linear(x, W), batch=1, name="Linear, no bias, more axes"),
    Sample(Functionals(M, B[:2]), ((2, 3, 4),), lambda x: torch.einsum("bij,mij->bm", x, M) + B[:2]),
    Sample(Linear(torch.zeros(2, 3)), ((2, 3),), lambda x: x.new_zeros(2, 2), name="Linear, zero weight"),
    Sample(RightMatmul(W.mT), ((2, 5, 3),), lambda x: x @ W.mT),
    Sample(RightMatmul(M), ((3, 2, 5, 3),), lambda x: x @ M, name="RightMatmul, batched matrix"),
    Sample(RightMatmul(M), ((3, 1, 5, 3),), lambda x: x @ M, name="RightMatmul, broadcast"),
    Sample(LeftMatmul(W), ((2, 3, 5),), lambda x: W @ x),
    Sample(LeftMatmul(M), ((3, 2, 4, 5),), lambda x: M @ x, name="LeftMatmul, batched matrix"),
    Sample(LeftMatmul(M), ((3, 1, 4, 5),), lambda x: M @ x, name="LeftMatmul, broadcast"),
    Sample(
        BatchNorm(GAIN, GAIN, MEAN, VAR, 1e-3, 2), ((2, 3, 2, 2),),
        lambda x: F.batch_norm(x, MEAN, VAR, GAIN, GAIN, eps=1e-3),
    ),
    Sample(
        BatchNorm(None, None, MEAN, VAR), ((2, 3),), lambda x: F.batch_norm(x, MEAN, VAR),
        name="BatchNorm, no weight",
    ),
    Sample(
        BatchStatistics(BatchNorm(GAIN, GAIN, MEAN, VAR, 1e-3, 2)), ((2, 3, 2, 2),),
        lambda x: F.batch_norm(x, MEAN, VAR, GAIN, GAIN, eps=1e-3), name="BatchStatistics",
    ),
    Sample(Dropout(0.5), ((2, 3),), lambda x: F.dropout(x, 0.5, training=False)),
    Sample(
        Normalize(MEAN, VAR, 2), ((2, 3, 2, 2),), lambda x: (x - MEAN.reshape(3, 1, 1)) / VAR.reshape(3, 1, 1),
    ),
    Sample(Normalize(MEAN[:1], VAR[1:2]), ((2, 3),), lambda x: (x - MEAN[0]) / VAR[1], name="Normalize, one number"),
]  # fmt: skip


def conv(
    weight: Tensor,
    bias: Tensor | None,
    size: Sequence[int],
    name: str,
    channels: int | None = None,
    **settings: Any,
) -> Sample:
    d = weight.dim() - 2
    function: Any = (F.conv1d, F.conv2d, F.conv3d)[d - 1]
    shape = (2, weight.shape[1] * settings.get("groups", 1), *size)
    full: dict[str, Any] = {"stride": (1,) * d, "padding": (0,) * d, "dilation": (1,) * d} | settings
    return Sample(
        Conv(weight, bias, **full),
        (shape,),
        lambda x: function(x, weight, bias, **full),
        name=f"Conv, {name}",
    )


def conv_transpose(weight: Tensor, bias: Tensor | None, size: Sequence[int], name: str, **settings: Any) -> Sample:
    d = weight.dim() - 2
    function: Any = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[d - 1]
    defaults = {"stride": (1,) * d, "padding": (0,) * d, "output_padding": (0,) * d, "dilation": (1,) * d}
    full: dict[str, Any] = defaults | settings
    operator = ConvTranspose(weight, bias, **full)
    shape = (2, weight.shape[0], *size)
    return Sample(operator, (shape,), lambda x: function(x, weight, bias, **full), name=f"ConvTranspose, {name}")


CONVOLUTION = [
    conv(weights(4, 2, 3), B, (7,), "1d"),
    conv(weights(4, 2, 3, 2), B, (5, 4), "2d"),
    conv(weights(4, 1, 3, 3), None, (5, 4), "groups, padding", padding=(1, 2), groups=2),
    conv(weights(3, 2, 2, 2), None, (6, 7), "strides that leave rows out", stride=(3, 4)),
    conv(weights(3, 2, 3, 2), None, (7, 5), "dilation", dilation=(2, 3), padding=(1, 1), stride=(2, 1)),
    conv(weights(2, 1, 1, 1), None, (5, 5), "1x1 stride 4", stride=(4, 4)),
    conv(weights(2, 2, 2, 1, 2), None, (3, 2, 3), "3d", padding=(1, 0, 0)),
    conv_transpose(weights(2, 3, 3), weights(3), (4,), "1d", stride=(2,), padding=(1,), output_padding=(1,)),
    conv_transpose(weights(4, 2, 2, 3), None, (3, 2), "2d, groups", groups=2, dilation=(2, 1)),
    conv_transpose(weights(2, 1, 3, 3), None, (2, 3), "output padding", stride=(3, 2), output_padding=(2, 1)),
    conv_transpose(weights(2, 1, 2, 2, 2), None, (2, 1, 2), "3d", stride=(1, 2, 1)),
]


# Affine: arithmetic

FACTOR = weights(3, 1, seed=5)

ARITHMETIC = [
    Sample(Scale(-2.0), ((2, 3),), lambda x: -2 * x),
    Sample(Scale(0.0), ((2, 3),), lambda x: 0 * x, name="Scale(0)"),
    Sample(Scale(FACTOR), ((2, 3, 4),), lambda x: x * FACTOR, name="Scale, broadcast factor"),
    Sample(Scale(FACTOR), ((2, 1, 4),), lambda x: x * FACTOR, name="Scale, broadcast argument"),
    Sample(Shift(1.5), ((2, 3),), lambda x: x + 1.5),
    Sample(Shift(FACTOR), ((2, 3, 4),), lambda x: x + FACTOR, name="Shift, broadcast offset"),
    Sample(Shift(FACTOR), ((2, 1, 4),), lambda x: x + FACTOR, name="Shift, broadcast argument"),
    Sample(Reduce((-2,)), ((2, 3, 4),), lambda x: x.sum(-2)),
    Sample(Reduce((-3, -1), True), ((4, 2, 3),), lambda x: x.sum((-3, -1), True), batch=1, name="Sum, keepdim"),
    Sample(Reduce((-2, -1), False, True), ((2, 3, 4),), lambda x: x.mean((-2, -1))),
    Sample(Reduce((-1,), True, True), ((2, 1),), lambda x: x, name="Mean, one entry"),
    Sample(CumulativeSum(-1), ((2, 4),), lambda x: x.cumsum(-1)),
    Sample(CumulativeSum(-2), ((2, 4, 3),), lambda x: x.cumsum(-2), name="CumulativeSum, inner axis"),
    Sample(LinearCombination(), ((2, 3), (2, 3)), torch.add),
    Sample(LinearCombination((1.0, -1.0)), ((2, 3, 4), (2, 1, 4)), torch.sub, name="Subtract, broadcast"),
    Sample(
        LinearCombination((-0.5, 2.0, 0.0)),
        ((2, 3),) * 3,
        lambda x, y, z: 2 * y - 0.5 * x,
        name="Combination",
    ),
    Sample(LinearCombination((1.0, 1.0)), ((2, 3, 1), (2, 1, 4)), torch.add, name="Add, outer"),
]


# Affine: shapes

MASK = torch.tensor([[True, False, False, True], [False, False, True, False]])
FILL = weights(4, seed=6)

SHAPE = [
    Sample(Select(-1, 2), ((2, 3, 4),), lambda x: x[..., 2]),
    Sample(Select(-2, -1), ((2, 3, 4),), lambda x: x[:, -1], name="Select, from the end"),
    Sample(MoveAxis(-1, -3), ((2, 3, 4),), lambda x: x.movedim(-1, -3), batch_out=1),
    Sample(Reshape((-1, 6), 3), ((2, 2, 3),), lambda x: x.reshape(-1, 6)),
    Sample(
        Reshape((3, -1, 2, 2), 3), ((3, 2, 4),), lambda x: x.reshape(3, -1, 2, 2), batch=1,
        name="Reshape, batch",
    ),
    Sample(Permute((-1, -3, -2)), ((2, 3, 4),), lambda x: x.permute(2, 0, 1), batch_out=1),
    Sample(Expand((-1, 3, -1)), ((2, 1, 2),), lambda x: x.expand(-1, 3, -1)),
    Sample(Slice(-1, 1, 8, 3), ((2, 9),), lambda x: x[:, 1:8:3]),
    Sample(Slice(-2, -3, 9), ((2, 5, 2),), lambda x: x[:, -3:9], name="Slice, from the end"),
    Sample(Place(-1, 7, 1, 6, 2), ((2, 3),), lambda x: F.pad(torch.stack([x, 0 * x], -1).flatten(1), (1, 0))),
    Sample(Concat(-1), ((2, 3), (2, 1), (2, 4)), lambda *xs: torch.cat(xs, -1)),
    Sample(Concat(-2), ((2, 1, 3), (2, 2, 3)), lambda *xs: torch.cat(xs, -2), name="Concat, inner axis"),
    Sample(
        Concat(-1, (None, constant(torch.Tensor.expand, FILL, BATCH, 4), None)), ((2, 3), (2, 1)),
        lambda x, y: torch.cat([x, FILL.expand(len(x), 4), y], -1), name="Concat, a constant",
    ),
    Sample(
        Concat(-1, (None, None)), ((2, 2), (2, 2)), lambda x, y: torch.cat([x, y], -1),
        name="Concat, no constant",
    ),
    Sample(Flip((-1, -2)), ((2, 3, 4),), lambda x: x.flip(-1, -2)),
    Sample(Roll((2, -1), (-1, -2)), ((2, 3, 4),), lambda x: x.roll((2, -1), (-1, -2))),
    Sample(Repeat((1, 2, 3)), ((2, 1, 2),), lambda x: x.repeat(1, 2, 3)),
    Sample(IndexSelect(-1, ints(3, 0, 3, 3)), ((2, 4),), lambda x: x[:, [3, 0, 3, 3]]),
    Sample(IndexSelect(-2, ints(1)), ((2, 3, 2),), lambda x: x[:, [1]], name="IndexSelect, one"),
    Sample(
        IndexAdd(-2, ints(3, 3, 0), 5), ((2, 3, 2),),
        lambda x: torch.zeros(len(x), 5, 2).double().index_add(1, ints(3, 3, 0), x),
    ),
    Sample(
        ScatterAdd(-2, constant(torch.broadcast_to, PLACES, (BATCH, 2, 3)), 5), ((2, 2, 3),),
        lambda x: torch.zeros(len(x), 5, 3).double().scatter_add(1, PLACES.expand(len(x), 2, 3), x),
    ),
    *(Sample(FiniteTest(f), ((2, 3),), getattr(torch, f)) for f in ("isnan", "isfinite")),
    Sample(NanToNum(1.0), ((2, 3),), torch.nan_to_num),
    Sample(
        Gather(-1, constant(torch.broadcast_to, ints(3, 0, 3), (BATCH, 3))), ((2, 4),), lambda x: x[:, [3, 0, 3]]
    ),
    Sample(MaskedFill(MASK[0], -1.5), ((2, 4),), lambda x: x.masked_fill(MASK[0], -1.5)),
    Sample(
        MaskedFill(MASK, FILL), ((3, 2, 4),), lambda x: torch.where(MASK, FILL, x), name="MaskedFill, tensor",
    ),
    Sample(
        MaskedFill(MASK, 0.0), ((3, 1, 4),), lambda x: x.masked_fill(MASK, 0.0), name="MaskedFill, broadcast",
    ),
    Sample(Pad((1, 2, 0, 1), 0.5), ((2, 1, 3, 2),), lambda x: F.pad(x, (1, 2, 0, 1), value=0.5)),
    Sample(Pad((-1, 2)), ((2, 4),), lambda x: F.pad(x, (-1, 2)), name="Pad, crop"),
    Sample(
        PadByIndex((-1, -2), (ints(2, 1, 0, 1, 2, 1), ints(1, 0, 1))), ((2, 1, 2, 3),),
        lambda x: F.pad(x, (2, 1, 1, 0), mode="reflect"),
    ),
    Sample(
        PadByIndex((-1,), (ints(0, 0, 0, 1, 2, 2),), "replicate"), ((2, 1, 3),),
        lambda x: F.pad(x, (2, 1), mode="replicate"),
    ),
]  # fmt: skip


# Pooling

SIGNED, AVERAGE = weights(4, 3, seed=7), torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]], dtype=torch.float64)

POOLING = [
    Sample(AvgPool((2,), (2,), (0,)), ((2, 1, 5),), lambda x: F.avg_pool1d(x, 2)),
    Sample(
        AvgPool((3,), (1,), (1,)), ((2, 2, 4),), lambda x: F.avg_pool1d(x, 3, 1, 1),
        name="AvgPool, 1d, padding",
    ),
    Sample(
        AvgPool((3, 2), (2, 1), (1, 0), True, False), ((2, 1, 4, 4),),
        lambda x: F.avg_pool2d(x, (3, 2), (2, 1), (1, 0), True, False),
    ),
    Sample(
        AvgPool((2, 2), (1, 1), (1, 1), False, True, 3), ((2, 1, 3, 3),),
        lambda x: F.avg_pool2d(x, 2, 1, 1, divisor_override=3), name="AvgPool, divisor",
    ),
    Sample(
        AvgPool((2, 1, 2), (1, 1, 2), (0, 0, 0)), ((2, 1, 3, 2, 2),),
        lambda x: F.avg_pool3d(x, (2, 1, 2), (1, 1, 2)), name="AvgPool, 3d",
    ),
    Sample(Resample((((-1, AVERAGE),),)), ((2, 1, 3),), lambda x: F.adaptive_avg_pool1d(x, 2)),
    Sample(
        Resample((((-2, SIGNED), (-1, -AVERAGE)),), "signed"), ((2, 1, 3, 3),),
        lambda x: SIGNED @ x @ -AVERAGE.mT,
    ),
    Sample(
        Resample((((-1, AVERAGE),), ((-1, -2 * AVERAGE),))), ((2, 1, 3),),
        lambda x: -F.adaptive_avg_pool1d(x, 2), name="Resample, a difference",
        skips={"law_tight": "parts that cancel are bounded one by one"},
    ),
]  # fmt: skip


# Maxima

MAXIMUM = [
    Sample(Maximum(), ((2, 3), (2, 3)), torch.maximum),
    Sample(Maximum(), ((2, 3, 1), (2, 1, 4)), torch.maximum, name="Maximum, broadcast"),
    Sample(Amax((-1,)), ((2, 4),), lambda x: x.amax(-1)),
    Sample(Amax((-1,), True), ((2, 3, 1),), lambda x: x, name="Max, one entry"),
    Sample(
        Amax((-3, -1)), ((3, 2, 2),), lambda x: x.amax((-3, -1)), batch=1, batch_out=0, name="Max, two axes",
    ),
    Sample(Amax((-2, -1), True), ((2, 3, 2),), lambda x: x.amax((-2, -1), True), name="Max, keepdim"),
    Sample(MaxPool((2,), (2,)), ((2, 2, 6),), lambda x: F.max_pool1d(x, 2)),
    Sample(
        MaxPool((3,), (1,), (1,), (2,)), ((2, 1, 7),), lambda x: F.max_pool1d(x, 3, 1, 1, 2),
        name="MaxPool, dilation",
    ),
    Sample(MaxPool((2, 2), (2, 2), (0, 0), (1, 1)), ((2, 2, 4, 4),), lambda x: F.max_pool2d(x, 2)),
    Sample(
        MaxPool((3, 2), (1, 2), (1, 1), (1, 1)), ((2, 1, 4, 5),),
        lambda x: F.max_pool2d(x, (3, 2), (1, 2), 1),
        name="MaxPool, overlap and padding",
    ),
    Sample(
        MaxPool((3, 2), (2, 3), (1, 0), (1, 2), True), ((2, 1, 6, 6),),
        lambda x: F.max_pool2d(x, (3, 2), (2, 3), (1, 0), (1, 2), True),
        name="MaxPool, ceil_mode and dilation",
    ),
    Sample(
        MaxPool((2, 1, 2), (1, 1, 2), (0, 0, 0), (1, 1, 1)), ((2, 1, 3, 2, 4),),
        lambda x: F.max_pool3d(x, (2, 1, 2), (1, 1, 2)), name="MaxPool, 3d",
    ),
    Sample(AdaptiveMaxPool((3,)), ((2, 2, 7),), lambda x: F.adaptive_max_pool1d(x, 3)),
    Sample(AdaptiveMaxPool((2, 3)), ((2, 1, 4, 5),), lambda x: F.adaptive_max_pool2d(x, (2, 3))),
    Sample(
        AdaptiveMaxPool((1, 1)), ((2, 2, 3, 2),), lambda x: F.adaptive_max_pool2d(x, 1),
        name="AdaptiveMaxPool, global",
    ),
    Sample(
        AdaptiveMaxPool((5,)), ((2, 1, 3),), lambda x: F.adaptive_max_pool1d(x, 5),
        name="AdaptiveMaxPool, larger",
    ),
]  # fmt: skip

SAMPLES: list[Sample] = [
    *ELEMENTWISE, *LINEAR, *CONVOLUTION, *ARITHMETIC, *SHAPE, *POOLING, *MAXIMUM, *samples_smooth.SMOOTH,
    *samples_nonlinear.SAMPLES,
]  # fmt: skip
