"""The best continuous piecewise affine approximant of a function, by number of pieces or by error."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from numbers import Real
from typing import Literal, get_args

import numpy as np

from splinegraph.errors import DomainError, SplineGraphError, require_whole
from splinegraph.splines.certifying import ULPS, certify
from splinegraph.splines.links import Line, Tube
from splinegraph.splines.piecewise import PiecewiseAffine
from splinegraph.splines.univariate import Univariate

__all__ = ["Side", "approximate"]

EXACT = 1e-10
"""Relative precision of the least error."""

COARSE = 1e-6
"""Relative precision of the least error where the number of pieces jumps."""

QUICK = 1e-3
"""Relative precision from which on functions are only looked at at sampled points."""

LEAST = 1e-300
"""The least width that is told from 0."""

Side = Literal["minimax", "upper", "lower"]


def approximate(
    function: Univariate,
    interval: tuple[float, float] = (-math.inf, math.inf),
    *,
    pieces: int | None = None,
    tol: float | None = None,
    side: Side = "minimax",
    max_pieces: int = 10_000,
    precision: float = EXACT,
) -> PiecewiseAffine:
    r"""Return the continuous piecewise affine function nearest to `function` on an interval.

    Minimises :math:`E = \sup |f - p|` over the continuous functions p with so many pieces, knots free. On an
    interval where f is convex, p interpolates f at the knots whose chords are all 2 E away from it, and is
    shifted by E: no function of that many affine pieces is nearer, continuous or not. It is then convex
    too, and where f is monotone so is p.

    Parameters
    ----------
    function : Univariate
    interval : pair of floats
        An end may be infinite where the function has an asymptote.
    pieces : int
        The largest number of affine pieces.
    tol : float
        The error allowed, instead of `pieces`: the fewest pieces that reach it, with nearly their least error.
    side : {"minimax", "upper", "lower"}
        Whether p may lie on both sides of f, above or below it only. One side costs twice the error, with the
        same knots.
    max_pieces : int
        Where `tol` gives up.
    precision : float
        How much more than the least error is put up with, relative to it. From 1e-3 on this is many times faster
        for functions that are neither convex nor concave. The bounds of the error are certified either way.

    Returns
    -------
    PiecewiseAffine
        With certified bounds of ``f - p`` (see `certifying`); `error` is the larger one.

    Raises
    ------
    DomainError
        Where the function is infinite, or has no asymptote at an infinite end.
    SplineGraphError
        If `tol` needs more than `max_pieces`, or is less than the rounding of the function.

    Notes
    -----
    Fewest pieces for a width: each piece reaches as far as any can (see `links`), knots on convex and concave
    stretches all at once (see `chains`). The number falls with the width, so the least width for so many
    pieces is found by Brent's method: to a relative 1e-10, or to 1e-6 where one more piece gets over an
    inflection at once. Large numbers n of pieces reach
    :math:`E n^2 \to (\int \sqrt{|f''|})^2 / 16`.

    Examples
    --------
    >>> square = Univariate(lambda x: x * x, lambda x: 2 * x)
    >>> p = approximate(square, (0.0, 1.0), pieces=4)
    >>> p, p.knots  # 1 / (8 n^2)
    (PiecewiseAffine(4 pieces on [0, 1], error 0.0078125), array([0.25, 0.5 , 0.75]))
    """
    _check(function, interval, pieces, tol, side)
    tube = Tube.of(function, interval, precision >= QUICK)
    share = 1.0 if side == "minimax" else 2.0
    if pieces is not None:
        return _on_side(function, _best(function, tube, interval, pieces, precision), side)
    assert tol is not None
    if tol / share < _rounding(tube):
        raise SplineGraphError(
            f"no piecewise affine function within {tol:g}",
            why=f"the values of the function are rounded by up to {_rounding(tube):.1g}",
            remedy="allow a larger error",
        )
    count = len(tube.follow(tol / share, max_pieces + 1)[0])
    while count <= max_pieces:
        p = _on_side(function, _best(function, tube, interval, count, max(precision, 1e-3), tol / share), side)
        if p.error <= tol:
            return p
        count += 1  # by rounding: the error of fewer pieces is all but tol
    raise SplineGraphError(
        f"an error of {tol:g} needs more than {max_pieces} pieces",
        where=f"[{interval[0]:g}, {interval[1]:g}]",
        remedy="allow a larger error or more pieces, or take a smaller interval",
    )


def _check(
    function: Univariate, interval: tuple[float, float], pieces: int | None, tol: float | None, side: str
) -> None:
    """Refuse what has no answer."""
    if not isinstance(function, Univariate):
        raise SplineGraphError(f"the function is a {type(function).__name__}", remedy="give a splines.Univariate")
    if pieces is not None:
        require_whole("pieces", pieces)
    what, where = "no piecewise affine function near this one", f"[{interval[0]:g}, {interval[1]:g}]"
    lower, upper = interval
    if (pieces is None) == (tol is None):
        raise SplineGraphError(what, why="it is not said how near", remedy="give either pieces or tol")
    if tol is not None and not (isinstance(tol, Real) and 0 < tol < math.inf):
        raise SplineGraphError(what, why=f"tol={tol!r}", remedy="give a positive number")
    if side not in get_args(Side):
        raise SplineGraphError(what, why=f"side={side!r}", remedy=f"take one of {', '.join(get_args(Side))}")
    if not lower < upper or lower < function.domain[0] or upper > function.domain[1]:
        domain = f"[{function.domain[0]:g}, {function.domain[1]:g}]"
        raise DomainError(
            what, where=where, why="the interval is empty or leaves the domain", remedy=f"stay in {domain}"
        )
    for end, x in enumerate(interval):
        if math.isinf(x) and function.asymptote(end) is None:
            raise DomainError(what, where=where, why=f"it has no asymptote at {x:g}", remedy="take a bounded interval")
        if math.isfinite(x) and not math.isfinite(function.at(x)):
            raise DomainError(
                what, where=where, why=f"it is {function.at(x):g} at {x:g}", remedy="stay away from there"
            )
    lines = [function.asymptote(end) for end in (0, 1) if math.isinf(interval[end])]
    if pieces == 1 and len(lines) == 2 and lines[0] is not None and lines[1] is not None:
        if lines[0].slope != lines[1].slope:
            raise DomainError(what, where=where, why="its two asymptotes differ", remedy="allow 2 pieces or more")


def _rounding(tube: Tube) -> float:
    """Return a width that rounding alone would fill."""
    marks = [x for x in (*tube.function.inflections, *tube.finite) if tube.ends[0] <= x <= tube.ends[1]]
    sizes = [abs(x) + abs(tube.function.at(x)) for x in marks] + [abs(ray.intercept) for ray in tube.rays if ray]
    return max(2 * ULPS * (max(sizes, default=0.0) or 1.0), LEAST)


def _best(
    function: Univariate,
    tube: Tube,
    interval: tuple[float, float],
    pieces: int,
    precision: float,
    enough: float | None = None,
) -> PiecewiseAffine:
    """Return the function of so many pieces with the least error, of which `enough` is an upper bound."""
    from scipy.optimize import brentq

    best: tuple[float, list[Line]] = (math.inf, [])

    tried: dict[float, float] = {}

    def excess(log_width: float) -> float:
        nonlocal best
        if log_width in tried:  # hints for the next call may move it by rounding, across 0
            return tried[log_width]
        width = max(math.exp(log_width), LEAST)
        lines, needed = tube.follow(width, pieces)
        if needed <= width < best[0]:
            best = width, lines
        found = math.log(max(needed, LEAST) / width)
        if needed <= width and len(lines) < pieces:  # the pieces that are left may reach a smaller width
            found = min(found, -0.1)
        tried[log_width] = min(1.0, max(-1.0, found))
        return tried[log_width]

    floor = math.log(_rounding(tube))
    high = math.log(enough) if enough is not None else max(math.log(tube.estimate(pieces)), floor)
    low, step = high, 0.5 / (10 + pieces)
    while excess(high) > 0:
        low, high, step = high, high + step, 2 * step
    while low == high or excess(low) <= 0:
        if low < floor:
            return _joined(function, best[1], interval)
        high, low, step = low, low - step, 2 * step
    brentq(excess, low, high, xtol=max(COARSE, precision if tube.quick else 0.0), rtol=1e-12)
    low = max(x for x, y in tried.items() if y > 0)
    high = min(x for x, y in tried.items() if y <= 0 and x > low)
    # where a piece more reaches over an inflection the excess jumps: there is nothing to refine
    if precision < COARSE and tried[low] - tried[high] < 1000 * COARSE:
        brentq(excess, low, high, xtol=precision, rtol=1e-12)
    return _joined(function, best[1], interval)


def _joined(function: Univariate, lines: list[Line], interval: tuple[float, float]) -> PiecewiseAffine:
    """Return the continuous function that the lines make, shifted to the middle of its errors."""
    if len(lines) == 1:
        line = lines[0]
        p = PiecewiseAffine(np.zeros(0), np.array([line.slope]), line.at(0.0))
    else:
        knots = np.array([_crossing(*pair) for pair in itertools.pairwise(lines)])
        values = np.array([line.at(x) for line, x in zip(lines, knots.tolist(), strict=False)])
        kept = np.concatenate([[True], np.diff(knots) > 0])
        p = PiecewiseAffine.through(knots[kept], values[kept], lines[0].slope, lines[-1].slope)
    below, above = certify(function, p, interval)
    return _shifted(function, p, 0.5 * (below + above), interval)


def _crossing(first: Line, second: Line) -> float:
    """Return where a line meets the next, within the window between them."""
    bend = second.slope - first.slope
    x = first.end if bend == 0 else first.end - (second.at(first.end) - first.at(first.end)) / bend
    return min(max(x, first.start), first.end)


def _shifted(function: Univariate, p: PiecewiseAffine, by: float, interval: tuple[float, float]) -> PiecewiseAffine:
    """Return p + by, certified."""
    p = PiecewiseAffine(p.knots, p.slopes, p.anchor + by)
    below, above = certify(function, p, interval)
    return replace(p, interval=interval, below=below, above=above)


def _on_side(function: Univariate, p: PiecewiseAffine, side: Side) -> PiecewiseAffine:
    """Return p moved above or below the function, by no more than is certified to be needed."""
    if side == "minimax":
        return p
    sign = 1 if side == "upper" else -1
    beyond = p.above if side == "upper" else p.below
    step = ULPS * max(abs(p.anchor), abs(beyond))
    for turn in range(40):  # the last digits are lost to rounding: try until the bound itself agrees
        moved = _shifted(function, p, beyond + sign * turn * step, p.interval)
        if sign * (moved.above if side == "upper" else moved.below) <= 0:
            return replace(moved, above=0.0) if side == "upper" else replace(moved, below=0.0)
        step *= 1.5
    raise SplineGraphError("no one-sided approximant", why="rounding outweighs the error", remedy="allow fewer pieces")
