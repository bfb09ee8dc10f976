"""Operators of one variable as functions that can be approximated."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from splinegraph.core.operator import Operator
from splinegraph.core.values import Box, Curvature
from splinegraph.errors import DomainError
from splinegraph.operators.smooth import SmoothElementwise
from splinegraph.operators.smooth_functions import Cos, Sin, Softplus
from splinegraph.splines.univariate import Array, Univariate

__all__ = ["MOST_WAVES", "edges", "function_on", "is_univariate", "slopes_on"]

MOST_WAVES = 10_000
"""Half waves of a sine beyond which it is not approximated."""

STEEPEST = 700.0
"""Where exp comes near the largest float64."""


def is_univariate(operator: Operator) -> bool:
    """Return whether an operator is a smooth function of one variable that can be approximated."""
    return isinstance(operator, (SmoothElementwise, Sin, Cos))


def edges(operator: Operator) -> tuple[float, ...]:
    """Return the finite ends of a function's domain, and its pole."""
    if not isinstance(operator, SmoothElementwise):
        return ()
    profile = operator.profile
    return (*filter(math.isfinite, profile.domain), *(() if profile.pole is None else (0.0,)))


def slopes_on(operator: Operator, box: Box) -> tuple[Tensor, Tensor]:
    """Return the least and the largest slope of an elementwise operator on a box, per entry."""
    if isinstance(operator, Sin):
        least, most = Cos().bounds(box)
        return least, most
    if isinstance(operator, Cos):
        least, most = Sin().bounds(box)
        return -most, -least
    ranged: Callable[[list[Box]], tuple[Tensor, Tensor]] = operator.slope_range  # type: ignore[attr-defined]
    return ranged([box])


def function_on(operator: Operator, interval: tuple[float, float]) -> Univariate:
    """Return an operator as a function that is continuous on an interval.

    Raises
    ------
    DomainError
        If it is not defined or not bounded there, or waves too often.
    """
    if isinstance(operator, (Sin, Cos)):
        return _wave(operator, interval)
    assert isinstance(operator, SmoothElementwise)
    profile = operator.profile
    low, high = (torch.tensor(end, dtype=torch.float64) for end in interval)
    if bool(profile.undefined(low, high)):
        raise _unbounded(operator, interval, "it is not defined on all of it")
    ends = operator.bounds(Box(low, high))
    if any(end in edges(operator) for end in interval) and not ends.bounded:
        raise _unbounded(operator, interval, "it has no bound there")
    if isinstance(operator, Softplus):  # the formula, where torch's kernel takes a short cut
        operator = replace(operator, threshold=STEEPEST)
    return Univariate(
        _numpy(operator.forward), _numpy(operator.derivative), profile.inflections,
        tuple(int(c) for c in profile.curvatures), profile.domain, profile.values, profile.slopes,
        tuple((kink.at, kink.left, kink.right) for kink in profile.kinks), profile.asymptotes,
    )  # fmt: skip


def _unbounded(operator: Operator, interval: tuple[float, float], why: str) -> DomainError:
    return DomainError(
        f"{operator.label} cannot be approximated on [{interval[0]:.6g}, {interval[1]:.6g}]",
        why=f"{why}, and its argument may reach that far",
        remedy="give a smaller domain, more cells, or a smaller tol so that errors before it cannot push it there",
    )


def _numpy(f: Callable[[Tensor], Tensor]) -> Callable[[Array], Array]:
    def applied(x: Array) -> Array:
        found: Array = f(torch.from_numpy(x if x.flags.writeable else x.copy())).numpy()
        return found

    return applied


def _wave(operator: Sin | Cos, interval: tuple[float, float]) -> Univariate:
    """Return a sine with its inflections in an interval."""
    low, high = interval
    if not high - low <= MOST_WAVES * math.pi or max(abs(low), abs(high)) > 1e6:
        raise _unbounded(operator, interval, f"it has too many waves there, over {MOST_WAVES} or beyond 1e6")
    first, last = (math.floor((end + operator.phase) / math.pi) for end in interval)
    marks = tuple(n * math.pi - operator.phase for n in range(first, last + 2))
    # sin is convex on (n pi, (n + 1) pi) for odd n
    bends = tuple(int(Curvature.CONVEX if n % 2 else Curvature.CONCAVE) for n in range(first - 1, last + 2))
    return Univariate(_numpy(operator.forward), _numpy(operator.derivative), marks, bends)
