"""Samples of smooth operators: inflections, extrema and kinks lie inside some of the boxes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from splinegraph.core.operator import Operator
from splinegraph.operators.smooth import Exp, Expm1, Log, Log1p, Pow, Reciprocal, Rsqrt, Sqrt, Square
from splinegraph.operators.smooth_functions import (
    ELU,
    GELU,
    Atan,
    Cos,
    Erf,
    Hardswish,
    LogSigmoid,
    Mish,
    Sigmoid,
    SiLU,
    Sin,
    Softplus,
    Tanh,
)
from splinegraph.operators.smooth_special import (
    Acosh,
    Asin,
    Asinh,
    Atanh,
    Cosh,
    Digamma,
    Erfcx,
    Erfinv,
    Lgamma,
    Logit,
    LogNormalCDF,
    Sinh,
)
from splinegraph.testing import Sample

Function = Callable[[Tensor], Tensor]
WIDE, POSITIVE = (-6.0, 6.0), (0.125, 4.0)

_SMOOTH: list[tuple[Operator, Function, tuple[float, float]]] = [
    (Sigmoid(), torch.sigmoid, WIDE),
    (Tanh(), torch.tanh, WIDE),
    (Erf(), torch.erf, (-3.0, 3.0)),
    (Atan(), torch.atan, WIDE),
    (GELU(), F.gelu, WIDE),
    (GELU("tanh"), lambda x: F.gelu(x, approximate="tanh"), WIDE),
    (SiLU(), F.silu, WIDE),
    (Mish(), F.mish, WIDE),
    (Hardswish(), F.hardswish, WIDE),
    (Softplus(), F.softplus, WIDE),
    (Softplus(3.0), lambda x: F.softplus(x, 3.0), WIDE),
    (LogSigmoid(), F.logsigmoid, WIDE),
    (ELU(), F.elu, WIDE),
    (ELU(2.5), lambda x: F.elu(x, 2.5), WIDE),
    (ELU(-0.5), lambda x: F.elu(x, -0.5), WIDE),
    (ELU(0.0), lambda x: F.elu(x, 0.0), WIDE),
    (ELU(1.6732632423543772, 1.0507009873554805), torch.selu, WIDE),
    (ELU(2.0, 1.0, 0.5), lambda x: F.celu(x, 2.0), WIDE),
    (Exp(), torch.exp, (-3.0, 3.0)),
    (Expm1(), torch.expm1, (-3.0, 3.0)),
    (Log(), torch.log, POSITIVE),
    (Log1p(), torch.log1p, (-0.75, 3.0)),
    (Pow(3.0), lambda x: x**3, (-3.0, 3.0)),
    (Pow(4.0), lambda x: x**4, (-2.0, 2.0)),
    (Pow(2.5), lambda x: x**2.5, POSITIVE),
    (Pow(0.3), lambda x: x**0.3, POSITIVE),
    (Pow(-1.5), lambda x: x**-1.5, POSITIVE),
    (Square(), torch.square, (-3.0, 3.0)),
    (Sqrt(), torch.sqrt, POSITIVE),
    (Rsqrt(), torch.rsqrt, POSITIVE),
    (Reciprocal(), torch.reciprocal, POSITIVE),
    (Sin(), torch.sin, WIDE),
    (Cos(), torch.cos, WIDE),
    (Sinh(), torch.sinh, (-3.0, 3.0)),
    (Cosh(), torch.cosh, (-3.0, 3.0)),
    (Asinh(), torch.asinh, WIDE),
    (Acosh(), torch.acosh, (1.125, 4.0)),
    (Erfcx(), torch.special.erfcx, (-2.0, 4.0)),
    (LogNormalCDF(), torch.special.log_ndtr, (-4.0, 4.0)),
    (Lgamma(), torch.lgamma, POSITIVE),
    (Digamma(), torch.digamma, POSITIVE),
]

SMOOTH = [
    *(
        Sample(
            op,
            ((2, 8),),
            f,
            (span,),
            boxes=((max(0.0, span[0]), max(1.0, span[0] + 0.5)), (span[0], max(0.0, span[0] + 0.1))),
        )
        for op, f, span in _SMOOTH
    ),
    # not near the ends of the domain, which laws would leave
    *(
        Sample(op, ((2, 8),), f, ((-0.7, -0.3),), boxes=((-0.3, 0.6), (-0.8, 0.0)))
        for op, f in ((Asin(), torch.asin), (Atanh(), torch.atanh), (Erfinv(), torch.erfinv))
    ),
    Sample(
        Logit(),
        ((2, 8),),
        torch.logit,
        ((0.25, 0.625),),
        boxes=((0.25, 0.5), (0.5, 0.625)),
        skips={"law_lipschitz": "its boxes leave the domain"},
    ),
    Sample(Reciprocal(), ((2, 8),), torch.reciprocal, ((-4.0, -0.125),), name="Reciprocal, negative"),
]
