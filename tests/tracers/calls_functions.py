"""Rows for divisions, special functions, norms, scans and contractions: see `calls`."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from tests.tracers.rows import POSITIVE, Row, aten, each, first, row

DIVISION: list[Row] = [
    row("div.Tensor_mode", lambda x: torch.div(x, 3.0, rounding_mode=None)),
    row("div.Tensor_mode", lambda x: torch.div(x, 0.7, rounding_mode="floor") * x),
    row(
        "div.Tensor_mode",
        lambda x, w: torch.div(x, w, rounding_mode="trunc") * x,
        constants=((6,),),
        opaque="several divisors",
    ),
    row("div.Scalar_mode", lambda x: aten.div.Scalar_mode(x, -0.7, rounding_mode="trunc") * x),
    row("true_divide.Tensor", lambda x, y: aten.true_divide.Tensor(x, y), (6,), (6,), **POSITIVE),
    row("divide.Tensor", lambda x, y: aten.divide.Tensor(x, y), (6,), (6,), **POSITIVE),
    row("floor_divide", lambda x: (x // 0.3) + x, jacobian=lambda x: x),
    row("floor_divide.Scalar", lambda x: aten.floor_divide.Scalar(x, -0.3) + x, jacobian=lambda x: x),
    row("remainder.Scalar", lambda x: x % 0.7),
    row("remainder.Scalar", lambda x: x % -0.7),
    row("remainder.Tensor", lambda x, w: x % w, constants=((6,),), opaque="several divisors"),
    row("remainder.Scalar", lambda x: x * (x.argmax(-1, keepdim=True) % 3)),
    row("fmod.Scalar", lambda x: torch.fmod(x, 0.7)),
    row("fmod.Tensor", lambda x, w: torch.fmod(x, w), constants=((6,),), opaque="several divisors"),
    row("frac", lambda x: x.frac()),
    *(
        row(name, lambda x, name=name: torch.where(getattr(torch, name)(2 * x), 0.0, x))
        for name in ("isnan", "isinf", "isposinf", "isneginf")
    ),
    row("isfinite", lambda x: torch.isfinite(x) * x),
    row("nan_to_num", lambda x: (2 * x).nan_to_num(1.0)),
]

SPECIAL: list[Row] = [
    *each("sinh cosh asinh arcsinh special_erfcx special_log_ndtr special_ndtr"),
    *each("acosh arccosh", span=(1.5, 3.0)),
    *each("asin arcsin acos arccos atanh arctanh erfinv special_erfinv tan", span=(-0.9, 0.9)),
    *each("lgamma special_gammaln digamma special_digamma special_psi", **POSITIVE),
    *each("logit special_logit", span=(0.1, 0.9)),
    row("logit", lambda x: torch.logit(x, 0.3), span=(0.1, 0.9)),
    row("pow.Tensor_Scalar", lambda x: x**0 + x),
    row("pow.Tensor_Tensor", lambda x: x ** torch.tensor(3.0), **POSITIVE),
    row("pow.Tensor_Tensor", lambda x, w: w.exp() ** x, constants=((6,),)),
    row("pow.Tensor_Tensor", lambda x, y: x.clamp(min=1e-3) ** y, (6,), (6,), **POSITIVE),
    row("pow.Tensor_Tensor", lambda x, w: (x.abs() + 0.1) ** w, constants=((1,),)),
    row("logaddexp", torch.logaddexp, (6,), (6,)),
    row("logaddexp", lambda x, w: torch.logaddexp(x, w), (2, 3), constants=((3,),)),
    row("logaddexp2", torch.logaddexp2, (2, 3), (1, 3)),
    row("hypot", torch.hypot, (6,), (6,)),
    row("lerp.Tensor", lambda x, y: torch.lerp(x, y, x.sigmoid()), (6,), (6,)),
]

NORMS: list[Row] = [
    row("linalg_vector_norm", lambda x: torch.linalg.vector_norm(x, 1, dim=-1), (2, 3)),
    row("linalg_vector_norm", lambda x: torch.linalg.vector_norm(x, torch.inf, dim=-1, keepdim=True), (2, 3)),
    row("linalg_vector_norm", lambda x: torch.linalg.vector_norm(x, 3, dim=(1, 2)), (2, 3)),
    row("cdist", lambda x, y: aten.cdist(x, y), (3, 2), (4, 2)),
    row("cdist", lambda x, w: aten.cdist(w, x, 1.0), (3, 2), constants=((5, 2),)),
    row("_cdist_forward", lambda x, w: aten._cdist_forward(x, w, 2.0, None), (3, 2), constants=((5, 2),)),
    row("cdist", lambda x, w: torch.cdist(x, w, p=float("inf")), (2,), constants=((5, 2),)),
    row("_euclidean_dist", lambda x, w: aten._euclidean_dist(x, w), (3, 2), constants=((5, 2),)),
    row("var_mean.correction", lambda x: sum(torch.var_mean(x, -1)), (3, 4)),
    row("std_mean.correction", lambda x: sum(torch.std_mean(x, 1, unbiased=False, keepdim=True)), (3, 4)),
]

SCANS: list[Row] = [
    row("prod.dim_int", lambda x: x.prod(-1), (2, 7)),
    row("prod.dim_int", lambda x: x.prod(1, keepdim=True), (4, 2)),
    row("cumprod", lambda x: x.cumprod(1), (5, 2)),
    row("cummax", lambda x: x.cummax(-1).values),
    row("cummin", lambda x: first(torch.cummin)(x, 1), (6, 2)),
    row("logcumsumexp", lambda x: x.logcumsumexp(-1), (2, 5)),
]

LOGIC: list[Row] = [
    row("any.dim", lambda x: (x > 0.5).any(-1, keepdim=True) * x, (2, 3)),
    row("all.dim", lambda x: torch.where((x > -0.5).all(1), x[:, 0], x[:, 1]), (3, 2)),
    row("any.dims", lambda x: aten.any.dims(x > 1, [1, 2], True) * x, (2, 3)),
    row("all.dims", lambda x: aten.all.dims(x.floor(), [1], True) * x, (2, 3)),
    row("to.dtype", lambda x: F.one_hot(x.argmax(-1), 4) * x, (2, 4)),
    row("to.dtype", lambda x: (x * 3).long() * 0.5 + x),
    row("to.dtype", lambda x: x.round().bool() * x),
]

CONTRACTION: list[Row] = [
    row("einsum", lambda x, w: torch.einsum("bi,oi->bo", x, w), constants=((3, 6),)),  # moves the batch by views
    row("einsum", lambda x, y: torch.einsum("bhid,bhjd->bhij", x, y), (2, 3, 4), (2, 3, 4)),
    row("einsum", lambda x, w: torch.einsum("bchw,cd->bdhw", x, w), (2, 3, 5), constants=((2, 4),)),
    row("einsum", lambda x, w: torch.einsum("bhwc,hkc->bhwk", x, w), (3, 4, 2), constants=((3, 5, 2),)),
    row("einsum", lambda x, w: torch.einsum("kij,...jl->...kil", w, x), (3, 4), constants=((5, 2, 3),)),
    row("einsum", lambda x, y: torch.einsum("bi,bj->bij", x, y), (3,), (4,)),
    row("einsum", lambda x, y, w: torch.einsum("bi,bj,ijk->bk", x, y, w), (3,), (4,), constants=((3, 4, 5),)),
    row("einsum", lambda x, w, v: torch.einsum("oi,ij,bj->bo", w, v, x), constants=((3, 4), (4, 6))),
    row("einsum", lambda x: torch.einsum("bii->bi", x), (3, 3)),
    row("einsum", lambda x: torch.einsum("...ij->...", x), (3, 4)),
    row("einsum", lambda x, w: torch.einsum("nct,vw->ncw", x, w), (3, 4), constants=((5, 2),)),
    row("bilinear", lambda x, y, w, b: F.bilinear(x, y, w, b), (3,), (4,), constants=((5, 3, 4), (5,))),
    row("bilinear", lambda x, y, w: F.bilinear(x, y, w), (2, 3), (2, 4), constants=((5, 3, 4),)),
    row("bilinear", lambda x, w, c: F.bilinear(x, c.expand(x.shape[0], 4), w), (3,), constants=((5, 3, 4), (4,))),
    row("bilinear", lambda x, w, c: F.bilinear(c.expand(x.shape[0], 3), x, w), (4,), constants=((5, 3, 4), (3,))),
    row("scaled_dot_product_attention", lambda q, k: F.scaled_dot_product_attention(q, k, k, enable_gqa=True),
        (4, 3, 2), (2, 3, 2)),
    row("scaled_dot_product_attention", lambda q, k, v: F.scaled_dot_product_attention(
        q, k.expand(q.shape[0], 2, 3, 2), v.expand(q.shape[0], 2, 3, 2), enable_gqa=True), (4, 3, 2),
        constants=((2, 3, 2), (2, 3, 2))),
]  # fmt: skip

FUNCTIONS = [*DIVISION, *SPECIAL, *NORMS, *SCANS, *LOGIC, *CONTRACTION]
