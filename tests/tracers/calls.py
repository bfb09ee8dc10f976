"""One small function per lowering: a table from the targets of `LOWERINGS` to calls that export to them.

Calls that move entries around are in `calls_shapes`.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from tests.tracers.calls_functions import FUNCTIONS
from tests.tracers.calls_picking import PICKING, SAMPLING, SCATTERING
from tests.tracers.calls_shapes import FILLING, SHAPES
from tests.tracers.rows import IMAGE, POSITIVE, SEQUENCE, VOLUME, Row, aten, each, first, row

ELEMENTWISE = [
    *each("relu abs relu6 hardtanh leaky_relu softshrink"),
    *each("elu selu celu gelu silu mish hardswish softplus sigmoid special_expit tanh log_sigmoid"),
    *each("erf special_erf erfc special_erfc exp exp2 special_exp2 expm1 special_expm1 sin cos atan arctan square"),
    *each("log log2 log10 log1p special_log1p sqrt rsqrt reciprocal", **POSITIVE),
    *each("sign sgn round floor ceil trunc fix hardshrink"),
    row("leaky_relu", lambda x: F.leaky_relu(x, -0.3)),
    row("hardtanh", nn.Hardtanh(-0.5, 0.7)),
    row("hardtanh", lambda x: F.hardtanh(x + 0.0, -0.5, 0.7, inplace=True)),
    # torch's own derivative has 1/6 in single precision
    row("hardsigmoid", F.hardsigmoid, jacobian=lambda x: F.relu6(x + 3) / 6),
    row("rrelu", F.rrelu),
    row("prelu", F.prelu, (3, 4), constants=((3,),)),
    row("prelu", F.prelu, constants=((1,),)),
    row("_prelu_kernel", aten._prelu_kernel.default, (3, 4), constants=((1, 3, 1),)),
    row("threshold", nn.Threshold(0.2, 0.2)),
    row("threshold", nn.Threshold(0.2, -1.0)),
    row("heaviside", torch.heaviside, constants=((),), jacobian=lambda x, v: 0 * x),
    row("clamp", lambda x: x.clamp(-0.5, 0.5)),
    row("clamp", lambda x: torch.clamp(x, min=0.1)),
    row("clamp_min", lambda x: x.clamp_min(-0.5)),
    row("clamp_max", lambda x: x.clamp_max(0.5)),
    row("clamp.Tensor", lambda x, low: torch.clamp(x, low, low + 0.5), constants=((6,),)),
    row("clamp_min.Tensor", lambda x, low: aten.clamp_min.Tensor(x, low), constants=((6,),)),
    row("clamp_max.Tensor", lambda x, y: aten.clamp_max.Tensor(x, y), (6,), (6,)),
    row("pow.Tensor_Scalar", lambda x: x**3),
    row("pow.Tensor_Scalar", lambda x: x**-0.5, **POSITIVE),
    row("pow.Scalar", lambda x: 2.5**x),
]

ARITHMETIC = [
    row("add.Tensor", lambda x, y: x + y, (3, 4), (1, 4)),
    row("add.Tensor", lambda x, b: torch.add(b, x, alpha=2), constants=((6,),)),
    row("add.Scalar", lambda x: aten.add.Scalar(x, 2.0, 3.0)),
    row("sub.Tensor", lambda x, y: torch.sub(x, y, alpha=3), (6,), (6,)),
    row("sub.Tensor", lambda x, b: b - x, (3, 6), constants=((3, 6),)),
    row("sub.Scalar", lambda x: aten.sub.Scalar(x, 2.0)),
    row("rsub.Scalar", lambda x: 1 - x),
    row("rsub.Tensor", lambda x, y: torch.rsub(x, y, alpha=2), (6,), (6,)),
    row("neg", lambda x: -x),
    row("mul.Tensor", lambda x, w: x * w, constants=((6,),)),
    row("mul.Tensor", lambda x, y: x * y, (2, 3), (1, 3)),
    row("mul.Scalar", lambda x: aten.mul.Scalar(x, -2.0)),
    row("div.Tensor", lambda x, w: x / w, constants=((6,),)),
    row("div.Tensor", lambda x, y: x / y, (3,), (3,), **POSITIVE),
    row("reciprocal", lambda x: 1.0 / x, **POSITIVE),
    row("div.Scalar", lambda x: aten.div.Scalar(x, 4.0)),
    row("addcmul", lambda x, y, w: torch.addcmul(x, y, w, value=0.5), (6,), (6,), constants=((6,),)),
    row("lerp.Scalar", lambda x, y: torch.lerp(x, y, 0.3), (6,), (6,)),
    row("lerp.Tensor", lambda x, y, w: torch.lerp(x, y, w), (6,), (6,), constants=((6,),)),
    row("sum.dim_IntList", lambda x: x.sum(-1), (3, 4)),
    row("mean.dim", lambda x: x.mean((1, 3), keepdim=True), (2, 3, 4)),
    row("cumsum", lambda x: x.cumsum(1), (3, 4)),
]

LINEAR = [
    row("linear", F.linear, constants=((3, 6), (3,))),
    row("linear", F.linear, (2, 6), constants=((3, 6),)),
    row("matmul", lambda x, w: x @ w, constants=((6, 3),)),
    row("matmul", torch.matmul, (2, 3), (3, 4)),
    row("mm", torch.mm, constants=((6, 3),)),
    row("bmm", lambda x, w: torch.bmm(x, w.expand(x.shape[0], 3, 4)), (2, 3), constants=((3, 4),)),
    row("bmm", torch.bmm, (2, 3), (3, 4)),
    row("addmm", lambda x, b, w: torch.addmm(b, x, w, beta=0.5, alpha=2.0), constants=((3,), (6, 3))),
    row("baddbmm", lambda x, y, b: torch.baddbmm(b, x, y), (2, 3), (3, 4), constants=((2, 4),)),
    row("batch_norm", nn.BatchNorm1d(6).eval()),
    row("_native_batch_norm_legit_no_training", lambda x, w, b, m, v: first(
        aten._native_batch_norm_legit_no_training)(x, w, b, m.detach(), v.detach().abs(), 0.1, 1e-5),
        IMAGE, constants=((2,),) * 4),
    row("_batch_norm_no_update", lambda x, w, b, m, v: first(aten._batch_norm_no_update)(
        x, w, b, m.detach(), v.detach().abs(), 0.1, 1e-5), IMAGE, constants=((2,),) * 4),
    row("scaled_dot_product_attention", F.scaled_dot_product_attention, (2, 3, 4), (2, 3, 4), (2, 3, 4)),
]  # fmt: skip


def _conv(d: int) -> list[Row]:
    shape = (2, *(6, 5, 4)[:d])
    conv, transposed = getattr(F, f"conv{d}d"), getattr(F, f"conv_transpose{d}d")
    weight, back = (4, 1, *(3,) * d), (2, 2, *(3,) * d)
    overload = "default" if d == 1 else "input"
    return [
        row(f"conv{d}d", lambda x, w, b: conv(x, w, b, 2, 1, 1, 2), shape, constants=(weight, (4,))),
        row(f"conv{d}d.padding", lambda x, w: conv(x, w, None, 1, "same", 2, 2), shape, constants=(weight,)),
        row(f"conv_transpose{d}d.{overload}", lambda x, w, b: transposed(x, w, b, 2, 1, 1), shape,
            constants=(back, (2,))),
    ]  # fmt: skip


CONVOLUTION = [
    *_conv(1), *_conv(2), *_conv(3),
    row("convolution", lambda x, w: aten.convolution(x, w, None, [2], [1], [1], False, [0], 1), SEQUENCE,
        constants=((3, 2, 3),)),
    row("convolution", lambda x, w: aten.convolution(x, w, None, [2], [1], [1], True, [1], 1), SEQUENCE,
        constants=((2, 3, 3),)),
]  # fmt: skip


def _pool(d: int) -> list[Row]:
    shape = (2, *(7, 5, 5)[:d])
    size = (3, 2, 2)[:d]
    indexed = getattr(aten, f"max_pool{d}d_with_indices", None) if d > 1 else F.max_pool1d_with_indices
    assert indexed is not None
    return [
        row(f"max_pool{d}d", lambda x: getattr(F, f"max_pool{d}d")(x, 3, 2, 1), shape),
        row(f"max_pool{d}d_with_indices", lambda x: indexed(x, 3 if d == 1 else [3] * d, 2 if d == 1 else [2] * d)[0],
            shape),
        row(f"adaptive_max_pool{d}d", lambda x: getattr(F, f"adaptive_max_pool{d}d")(x, size), shape),
        row(f"avg_pool{d}d", lambda x: getattr(F, f"avg_pool{d}d")(x, 3, 2, 1, count_include_pad=False), shape),
        row(f"adaptive_avg_pool{d}d", lambda x: getattr(F, f"adaptive_avg_pool{d}d")(x, size), shape),
    ]  # fmt: skip


def _upsample(name: str, d: int) -> list[Row]:
    """Return the overload that Python emits, and the one with explicit sizes."""
    shape = (2, *(3, 4, 2)[:d])
    smooth, call = "linear" in name or "cubic" in name, getattr(aten, f"{name}{d}d")
    corners = (True,) if smooth else ()
    size = [2 * n for n in shape[1:]]
    mode = name.removeprefix("upsample_").removeprefix("_upsample_").replace("_", "-")
    return [
        row(f"{name}{d}d.vec", lambda x: F.interpolate(x, scale_factor=1.7, mode=mode), shape),
        row(f"{name}{d}d", lambda x: call.default(x, size, *corners), shape),
    ]


POOLING = [
    *_pool(1), *_pool(2), *_pool(3),
    row("_adaptive_avg_pool2d", lambda x: aten._adaptive_avg_pool2d(x, [3, 2]), IMAGE),
    row("_adaptive_avg_pool3d", lambda x: aten._adaptive_avg_pool3d(x, [3, 2, 2]), VOLUME),
    *(r for d in (1, 2, 3) for r in _upsample("upsample_nearest", d)),
    *(_upsample("_upsample_nearest_exact", d)[0] for d in (1, 2, 3)),
    *_upsample("upsample_linear", 1), *_upsample("upsample_bilinear", 2), *_upsample("upsample_trilinear", 3),
    *_upsample("upsample_bicubic", 2),
    *(row(f"_upsample_{m}2d_aa{o}", f, IMAGE) for m in ("bilinear", "bicubic") for o, f in (
        (".vec", lambda x, m=m: F.interpolate(x, size=(3, 7), mode=m, antialias=True)),
        ("", lambda x, m=m: getattr(aten, f"_upsample_{m}2d_aa").default(x, [4, 2], True)))),
]  # fmt: skip


def _pad(d: int) -> list[Row]:
    shape, sides = (2, *(4, 5, 3)[:d]), [1, 2] * d
    return [
        row(f"{kind}_pad{d}d", lambda x, kind=kind: getattr(aten, f"{kind}_pad{d}d")(x, sides), shape)
        for kind in ("reflection", "replication")
    ]


PADDING = [
    *_pad(1), *_pad(2), *_pad(3),
    row("pad", lambda x: F.pad(x, (1, -2), value=0.5), SEQUENCE),
    row("pad", lambda x: F.pad(x, (2, 1), mode="circular"), SEQUENCE),
    row("constant_pad_nd", lambda x: aten.constant_pad_nd(x, [1, 2, -1, 0], 3.0), IMAGE),
]  # fmt: skip

MAXIMUM = [
    row("maximum", torch.maximum, (6,), (6,)),
    row("maximum", lambda x: torch.maximum(x, torch.zeros(())), (6,)),
    row("minimum", torch.minimum, (3, 4), (1, 4)),
    row("max.other", lambda x, y: torch.max(x, y), (6,), (6,)),
    row("min.other", lambda x, y: torch.min(x, y), (6,), (6,)),
    row("fmax", torch.fmax, (6,), constants=((6,),)),
    row("fmin", torch.fmin, (6,), constants=((6,),)),
    row("amax", lambda x: x.amax((1, 2)), (3, 4)),
    row("amin", lambda x: x.amin(-1, keepdim=True), (3, 4)),
    row("max.dim", lambda x: x.max(1).values, (3, 4)),
    row("min.dim", lambda x: x.min(-1, keepdim=True)[0], (3, 4)),
    row("argmax", lambda x: x.argmax(-1).float() + x[..., 0], (3, 4)),
    row("argmin", lambda x: x.argmin(1, keepdim=True) + x, (3, 4)),
]

ORDER = [
    row("sort", lambda x: x.sort(-1, descending=True).values, (3, 4)),
    row("sort", lambda x: x.sort(1)[1] + x, (3, 4)),
    row("sort.stable", lambda x: torch.sort(x, stable=True)[0]),
    row("topk", lambda x: x.topk(3).values),
    row("topk", lambda x: x.topk(2, dim=1, largest=False).indices * 2.0 + x[:, :2], (3, 4)),
    row("kthvalue", lambda x: x.kthvalue(2, -1).values),
    row("median.dim", lambda x: x.median(-1).values),
    row("scatter.value zeros_like", lambda x: x * torch.zeros_like(x).scatter(-1, x.topk(2).indices, 1.0)),
    row("scatter.src ones_like", lambda x: x * torch.zeros_like(x).scatter(-1, x.topk(2)[1], torch.ones_like(x))),
]

LOGIC = [
    *(row(f"{kind}.Scalar", lambda x, kind=kind: getattr(torch, kind)(x, 0.3) * x)
      for kind in ("gt", "ge", "lt", "le", "eq", "ne")),
    *(row(f"{kind}.Tensor", lambda x, y, kind=kind: getattr(torch, kind)(x, y) * x, (6,), (6,))
      for kind in ("gt", "ge", "lt", "le", "eq", "ne")),
    row("gt.Tensor", lambda x, y: (y > x) * x, (6,), constants=((6,),)),
    row("logical_not", lambda x: torch.logical_not(x > 0) * x),
    row("bitwise_not", lambda x: ~(x > 0) * x),
    row("logical_and", lambda x: torch.logical_and(x > -0.5, x < 0.5) * x),
    row("logical_or", lambda x: torch.logical_or(x < -0.5, x > 0.5) * x),
    row("__and__.Tensor", lambda x: ((x > -0.5) & (x < 0.5)) * x),
    row("__or__.Tensor", lambda x: ((x < -0.5) | (x > 0.5)) * x),
    row("__and__.Scalar", lambda x: ((x > -0.5) & True) * x),
    row("__or__.Scalar", lambda x: ((x > -0.5) | False) * x),
    row("bitwise_and.Tensor", lambda x: torch.bitwise_and(x > -0.5, x < 0.5) * x),
    row("bitwise_or.Tensor", lambda x: torch.bitwise_or(x < -0.5, x > 0.5) * x),
    row("bitwise_and.Scalar", lambda x: torch.bitwise_and(x > -0.5, True) * x),
    row("bitwise_or.Scalar", lambda x: torch.bitwise_or(x > -0.5, False) * x),
    row("logical_xor", lambda x: torch.logical_xor(x > -0.5, x > 0.5) * x),
    row("bitwise_xor.Tensor", lambda x, w: torch.bitwise_xor(x > 0, w > 0) * x, constants=((6,),)),
    row("__xor__.Tensor", lambda x: ((x > -0.5) ^ (x > 0.5)) * x),
    row("where.self", lambda x, y: torch.where(x > y, x, -y), (6,), (6,)),
    row("where.self", lambda x, w: torch.where(w > 0, x, x * x), constants=((6,),)),
    row("where.ScalarOther", lambda x: torch.where(x > 0, x, 0.5)),
    row("where.ScalarSelf", lambda x: torch.where(x > 0, 0.5, x)),
    row("where.Scalar", lambda x: torch.where(x > 0, 0.5, -1.5) * x),
    row("masked_fill.Scalar", lambda x, w: x.masked_fill(w > 0, -3.0), (2, 3), constants=((3,),)),
    row("masked_fill.Scalar", lambda x: x.masked_fill(x < 0.1, 2.0)),
    row("masked_fill.Tensor", lambda x, w: x.masked_fill(w > 0, w[0]), (2, 3), constants=((3,),)),
]  # fmt: skip

NORMALIZING = [
    row("softmax.int", lambda x: x.softmax(-1), (2, 3)),
    row("_softmax", lambda x: aten._softmax(x, 1, False), (3, 2)),
    row("log_softmax.int", lambda x: x.log_softmax(-1), (2, 3)),
    row("_log_softmax", lambda x: aten._log_softmax(x, -1, False), (2, 3)),
    row("logsumexp", lambda x: x.logsumexp((1, 2)), (2, 3)),
    row("linalg_vector_norm", lambda x: torch.linalg.vector_norm(x, dim=-1), (2, 3)),
    row("linalg_norm", lambda x: torch.linalg.norm(x, dim=-1), (2, 3)),
    row("norm.ScalarOpt_dim", lambda x: aten.norm.ScalarOpt_dim(x, 2, [-1], True), (2, 3)),
    row("layer_norm", lambda x, w, b: F.layer_norm(x, (3,), w, b), (2, 3), constants=((3,), (3,))),
    row("native_layer_norm", lambda x: first(aten.native_layer_norm)(x, [2, 3], None, None, 1e-5), (2, 3)),
    row("rms_norm", lambda x, w: F.rms_norm(x, (3,), w), (2, 3), constants=((3,),),
        jacobian=lambda x, w: F.rms_norm(x, (3,), w, eps=torch.finfo(torch.float32).eps)),
    row("group_norm", lambda x, w, b: F.group_norm(x, 2, w, b), (4, 3), constants=((4,), (4,))),
    row("native_group_norm", lambda x: first(aten.native_group_norm)(x, None, None, x.shape[0], 4, 3, 2, 1e-5),
        (4, 3)),
    row("instance_norm", nn.InstanceNorm1d(4).eval(), (4, 3)),
]  # fmt: skip

# what several calls make together, where a lowering sees more than its own arguments

COMPOSED = [
    row("sum.dim_IntList", lambda x: (x * (x > 0)).sum(1) / ((x > 0).sum(1) + 1)),  # a live integer
    row("mul.Tensor", lambda x: ((x > 0) * (x < 1)) * x),
    # torch rounds 0.1 to float32 on its way, in a float64 model as well
    row("mul.Tensor", lambda x: (x > 0) * 0.1 * x + (x <= 0) * x, jacobian=lambda x: torch.where(x > 0, 0.1 * x, x)),
    row("max_unpool2d", lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2), (2, 4, 4)),
    row("max_unpool2d", lambda x: F.max_unpool2d(2 * F.max_pool2d(x, (2, 1)),
        F.max_pool2d(x, (2, 1), return_indices=True)[1], (2, 1), output_size=(5, 4)), (2, 5, 4)),
    row("max_unpool2d", lambda x: F.max_unpool2d(*F.max_pool2d(x, 3, 2, return_indices=True), 3, 2), (2, 5, 5),
        opaque="overlapping windows"),
    # taken apart where they are met
    row("tanh linear", nn.GRUCell(3, 2).eval(), (3,), (2,)),
    row("tanh linear", lambda x, h, c, *w: torch.cat(torch.lstm_cell(x, (h, c), *w), 1), (3,), (2,), (2,),
        constants=((8, 3), (8, 2), (8,), (8,))),
    row("relu linear", nn.RNNCell(3, 2, nonlinearity="relu").eval(), (3,), (2,)),
    row("sigmoid mul.Tensor", F.glu),
    row("norm.ScalarOpt_dim", F.pairwise_distance, (5,), (5,)),
    row("reshape", lambda x: F.channel_shuffle(x, 2), (4, 3, 2)),
    row("mul.Tensor", lambda x: x * torch.tensor([1.0, 2.0, 4.0]).clone().pow_(-2.0), (3,)),
    row("where.self", lambda x: torch.where(torch.isnan(x), torch.zeros_like(x), x)),
    row("scaled_dot_product_attention", lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        (2, 3, 4), (2, 3, 4), (2, 3, 4)),
    row("scaled_dot_product_attention", lambda q, k, m: F.scaled_dot_product_attention(q, k, k, attn_mask=m),
        (3, 4), (3, 4), constants=((3, 3),)),
    row("linalg_vector_norm", lambda x: F.normalize(x, dim=-1), (3, 4)),
    row("max_pool2d", lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True), (2, 6, 6)),
    row("max_pool2d", lambda x: F.max_pool2d(x, 2, 1, 0, 2), (2, 5, 6)),
    row("avg_pool2d", lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True), (2, 6, 6)),
    row("conv_transpose2d.input", lambda x, w: F.conv_transpose2d(x, w, None, 2, 1, 1, 1, 2), (2, 3, 3),
        constants=((2, 3, 3, 3),)),
    row("sigmoid", lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(), (3, 4, 4)),
    row("chunk", lambda x: F.silu(x.chunk(2, -1)[0]) * x.chunk(2, -1)[1]),
    row("detach", lambda x: x + (x.round() - x).detach(), jacobian=torch.round),
    row("softplus", lambda x: F.softplus(x, 2.0)),
    row("gelu", lambda x: F.gelu(x, approximate="tanh")),
    row("var.correction", lambda x: x.var(-1), (3, 4)),
    row("std.correction", lambda x: x.std((1, 2), unbiased=False, keepdim=True), (3, 4)),
]  # fmt: skip

ROWS = [
    *ELEMENTWISE, *ARITHMETIC, *LINEAR, *CONVOLUTION, *POOLING, *PADDING, *MAXIMUM, *ORDER, *LOGIC, *NORMALIZING,
    *SHAPES, *FILLING, *PICKING, *SCATTERING, *SAMPLING, *FUNCTIONS, *COMPOSED,
]  # fmt: skip

UNREACHED = {
    "lift_fresh": "live values are never fresh: torch.export writes lift_fresh_copy",
    "_assert_tensor_metadata": "returns nothing: export removes it, or the trace skips it",
}
