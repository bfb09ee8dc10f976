"""Fewest continuous affine pieces within a tube: each piece reaches as far right as any can.

The tube is all that is at most `width` from f. The line that reaches furthest leaves the tube through one
of its sides; the part of it beyond its last contact with the other side (the window) is what can be
reached with that many pieces and no fewer, and the next piece starts anywhere on it (Suri 1986, "A linear
time algorithm for minimum link paths inside a simple polygon", doi:10.1016/0734-189X(86)90127-1).
Lines are named by their slope: the best one for a slope is pinned by where ``m x - f`` and ``f - m x`` are
largest.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from splinegraph.errors import DomainError
from splinegraph.splines.certifying import slope_points
from splinegraph.splines.chains import chain
from splinegraph.splines.sampling import Remembered, sampled
from splinegraph.splines.univariate import AFFINE, CONVEX, Asymptote, Stretch, Univariate

__all__ = ["Line", "Tube", "arches"]

FAR = 1e-30
"""How near to its asymptote a function is taken to be one with it, when knots are placed."""

TOUCH = 1e-7
"""How near a line is to a function that it touches, in units of its largest distance."""


class Line(NamedTuple):
    """The line through (x, y); the window that it leaves for the next is [start, end]."""

    x: float
    y: float
    slope: float
    start: float = math.nan
    end: float = math.nan

    def at(self, x: float) -> float:
        """Return the value at x."""
        return self.y + self.slope * (x - self.x)


class _Window(NamedTuple):
    """Where a line starts: below f + width from `start`, above f - width from `end` (f times `sign`)."""

    start: float
    end: float
    sign: int


class _Fit(NamedTuple):
    """The line of best fit on a window: half the gap, its slope, and its contacts from below and above."""

    width: float
    slope: float
    low: float
    high: float
    lows: tuple[float, ...] = ()
    highs: tuple[float, ...] = ()


def arches(stretches: list[Stretch]) -> list[Stretch]:
    """Join neighbours without a kink between them whose union is convex or concave."""
    joined = [stretches[0]]
    for new in stretches[1:]:
        last = joined[-1]
        # slopes at the same point may differ by rounding
        smooth = math.isclose(last.slopes[1], new.slopes[0], rel_tol=1e-12, abs_tol=1e-14)
        shared = last.curvature & new.curvature
        if smooth and shared:
            joined[-1] = Stretch(last.lower, new.upper, shared, (last.slopes[0], new.slopes[1]))
        else:
            joined.append(new)
    return joined


@dataclass(frozen=True)
class Tube:
    """A function on an interval, ready to be followed by lines.

    If `quick`, lines touch the function at sampled points alone, and what is left to be gained is not looked for.
    """

    function: Univariate
    stretches: list[Stretch]
    ends: tuple[float, float]
    rays: tuple[Asymptote | None, Asymptote | None]
    samples: list[tuple[list[float], list[float]]]
    quick: bool = False
    hints: dict[tuple[int, int], float] = field(default_factory=dict)

    @classmethod
    def of(cls, function: Univariate, interval: tuple[float, float], quick: bool = False) -> Tube:
        """Return the tube's centre line; infinite ends are moved to where the asymptote is met."""
        rays = tuple(function.asymptote(i) if math.isinf(interval[i]) else None for i in (0, 1))
        marks = [
            *function.inflections,
            *(kink[0] for kink in function.kinks),
            *(x for x in interval if math.isfinite(x)),
        ]
        marks = [x for x in marks if interval[0] <= x <= interval[1]] or [0.0]
        ends = [
            interval[i] if ray is None else _far(function, ray, (min(marks), max(marks))[i], (-1, 1)[i])
            for i, ray in enumerate(rays)
        ]
        joined = arches(function.stretches(ends[0], ends[1]))
        samples = [sampled(function, arch, quick) for arch in joined]
        if quick:
            function = Remembered.of(function, [x for points, _ in samples for x in points])
        return cls(function, joined, (ends[0], ends[1]), (rays[0], rays[1]), samples, quick)

    def follow(self, width: float, most: int) -> tuple[list[Line], float]:
        """Return at most `most` lines from end to end, and the width that the last one would need."""
        lines: list[Line] = []
        window = _Window(self.ends[0], self.ends[0], 1)
        if self.rays[0] is not None:
            right = self.rays[1]
            if right is None or right.slope == self.rays[0].slope:
                whole = self._along(window, self.rays[0].slope)
                if whole.width <= width or most == 1:
                    return [self._line(whole, 1)], whole.width
            line, window = self._first(self.rays[0], width)
            lines.append(line)
        while True:
            if len(lines) < most - 1:
                run, window = self._run(window, width, most - 1 - len(lines))
                lines += run
                if run:
                    continue
            fit = self._finish(window)
            if fit.width <= width or len(lines) >= most - 1:
                return [*lines, self._line(fit, window.sign)], fit.width
            line, window = self._reach(window, width)
            lines.append(line)

    def estimate(self, pieces: int) -> float:
        """Return about the width that n pieces need: (int sqrt(abs(f''))) ** 2 / 16 n ** 2, that of very many."""
        total = 0.0
        for x, slopes in self.samples:
            rise = np.abs(np.diff(slopes))
            total += float(np.sum(np.sqrt(np.where(np.isfinite(rise), rise, 0.0) * np.diff(x))))
        return max(total, 1e-12) ** 2 / (16 * pieces**2)

    @property
    def finite(self) -> list[float]:
        """The ends that were not moved."""
        return [end for end, ray in zip(self.ends, self.rays, strict=True) if ray is None]

    def _line(self, fit: _Fit, sign: int) -> Line:
        """Return the line halfway between its contacts."""
        f, x, y = self.function.at, fit.low, fit.high
        middle = 0.5 * (f(x) + fit.slope * sign * (y - x) + f(y))
        return Line(y, middle, sign * fit.slope)

    def _finish(self, window: _Window) -> _Fit:
        """Return the best line from the window to the right end."""
        ray = self.rays[1]
        return self._fit(window, self.ends[1]) if ray is None else self._along(window, ray.slope)

    def _along(self, window: _Window, slope: float) -> _Fit:
        """Return the best line of that slope from the window to the right end."""
        slope *= window.sign
        high, low = self._contacts(slope, window, self.ends[1])
        return _Fit(0.5 * self._gap(slope, window.sign, low, high), slope, low, high)

    def _gap(self, slope: float, sign: int, low: float, high: float) -> float:
        """Return how far apart the lines of that slope through two points of f are."""
        f = self.function.at
        return sign * (f(low) - f(high)) - slope * (low - high)

    def _contacts(self, slope: float, window: _Window, end: float) -> tuple[float, float]:
        """Return where m x - f is largest on [window.start, end], and f - m x on [window.end, end]."""
        start, after, sign = window
        high, low = [start, end], [after, end]
        for i, (lower, upper, bend, _) in enumerate(self.stretches):
            for points, left in ((high, start), (low, after)):
                if upper > left and lower < end:
                    points += [x for x in (lower, upper) if left < x < end]
            if bend == AFFINE:
                continue
            convex = (bend == CONVEX) == (sign > 0)
            points, left = (high, max(start, lower)) if convex else (low, max(after, lower))
            right = min(upper, end)
            if left < right:
                points.append(self._tangent(sign * slope, left, right, i))
        f = self.function.at
        return max(high, key=lambda x: slope * x - sign * f(x)), max(low, key=lambda x: sign * f(x) - slope * x)

    def _tangent(self, slope: float, left: float, right: float, arch: int) -> float:
        """Return where f' = slope on a part of an arch, the nearer end if nowhere."""
        grid, slopes = self.samples[arch]
        sign, s = 1 if self.stretches[arch].curvature == CONVEX else -1, self.function.slope_at
        # slopes on the grid are sign f' and increase
        i = bisect.bisect_left(slopes, sign * slope)
        left, right = max(left, grid[max(i - 1, 0)]), min(right, grid[min(i, len(grid) - 1)])
        if left >= right:
            return right if i and grid[i - 1] >= right else left
        if self.quick:
            chord = sign * (self.function.at(right) - self.function.at(left))
            return right if chord < sign * slope * (right - left) else left
        if sign * (s(left) - slope) >= 0:
            return left
        if sign * (s(right, -1) - slope) <= 0:
            return right
        # an error here matters by its square
        return _root(lambda x: s(x, -1) - slope, left, right, 1e-10)

    def _fit(self, window: _Window, end: float) -> _Fit:
        """Return the best line from the window to `end`: the lowest point of a convex function of the slope.

        Its derivative at m is half of `high - low`, the contacts; the two tangents around the lowest point
        cross at the next m.
        """
        f, sign = self.function.at, window.sign
        left, right = (window.start, end), (end, window.end)  # (high, low), for slopes of -inf and inf
        slope, best, met = 0.0, _Fit(math.inf, 0.0, end, end), [left, right]
        for _ in range(100):
            (a, b), (c, d) = left, right
            rise = sign * (f(b) - f(a) - f(d) + f(c))
            run = (b - a) - (d - c)
            previous, slope = slope, rise / run if run else 0.0
            floor = 0.5 * (sign * (f(b) - f(a)) - slope * (b - a))
            high, low = self._contacts(slope, window, end)
            width = 0.5 * self._gap(slope, sign, low, high)
            if width < best.width:
                best = _Fit(width, slope, low, high)
            met.append((high, low))
            if width <= floor * (1 + 1e-13) or slope == previous or (high, low) in (left, right):
                break
            if high < low:
                left = (high, low)
            elif high > low:
                right = (high, low)
            else:
                break
        return self._pinned(best, sign, met)

    def _pinned(self, fit: _Fit, sign: int, met: list[tuple[float, float]]) -> _Fit:
        """Return the line with those of the contacts met on the way that it touches."""
        f, slope, slack = self.function.at, fit.slope, TOUCH * fit.width

        def above(x: float) -> float:
            return sign * f(x) - slope * x

        top, bottom = above(fit.low), above(fit.high)
        lows = {low for _, low in met[-6:] + met[:2] if above(low) >= top - slack}
        highs = {high for high, _ in met[-6:] + met[:2] if above(high) <= bottom + slack}
        return fit._replace(lows=tuple(sorted(lows)), highs=tuple(sorted(highs)))

    def _reach(self, window: _Window, width: float) -> tuple[Line, _Window]:
        """Return the line that goes furthest right from a window, and the window it leaves."""
        last = self.ends[1]
        # the widths asked for one after the other are close: so are the ends
        key = (sum(arch.upper <= window.end for arch in self.stretches), window.sign)
        end = self.hints.get(key, window.end + 2 * (window.end - window.start))
        end, low, high = (min(end, last) if end > window.end else last), window.end, math.inf
        for _ in range(200):
            fit = self._fit(window, end)
            excess = fit.width - width
            if excess <= 0:
                low = end
            else:
                high = end
            if abs(excess) <= 1e-14 * width or (end == last and excess <= 0) or high - low <= 4e-16 * abs(low):
                break
            rate = self._rate(fit, window.sign, end)
            newton = end - excess / rate if rate > 0 else math.nan
            wide = min(last, end + 2 * (end - window.end)) if math.isinf(high) else 0.5 * (low + high)
            end = newton if low < newton < min(high, wide if math.isinf(high) else high) else wide
        self.hints[key] = end
        lower = end in fit.lows or end not in fit.highs
        others = [x for x in (fit.highs if lower else fit.lows) if x < end]
        start = max(others, default=window.end)
        side = window.sign if lower else -window.sign
        line = self._line(fit, window.sign)
        return line._replace(start=start, end=end), _Window(start, end, side)

    def _rate(self, fit: _Fit, sign: int, end: float) -> float:
        """Return how fast the width of the best line grows as its end moves right, 0 if not at all."""
        pairs = [(high - low, high, low) for high in fit.highs for low in fit.lows]
        (falling, a, b), (rising, c, d) = min(pairs), max(pairs)
        if not falling < 0 < rising:
            return 0.0
        away = sign * self.function.slope_at(end, -1) - fit.slope
        weight = rising / (rising - falling)
        low = weight * (b == end) + (1 - weight) * (d == end)
        high = weight * (a == end) + (1 - weight) * (c == end)
        return 0.5 * (low - high) * away

    def _run(self, window: _Window, width: float, most: int) -> tuple[list[Line], _Window]:
        """Return the next lines that stay on one arch: chords, raised or lowered by `width`."""
        arch = next((a for a in self.stretches if a.lower <= window.end < a.upper), None)
        if arch is None or arch.curvature == AFFINE or window.start < arch.lower:
            return [], window
        sign = 1 if arch.curvature == CONVEX else -1
        fresh = window.start == window.end
        if sign != window.sign and not fresh:
            return [], window
        knots = chain(self.function, arch, window.end, 2 * width, most, self.quick)
        if not len(knots):
            return self._chord(window, width, arch, sign)
        knots = np.concatenate([[window.end], knots])
        values = self.function(knots)
        slopes = np.diff(values) / np.diff(knots)
        left, right = knots[:-1], knots[1:]
        # where the next one may start from is wanted only of the last line
        touch = slope_points(self.function, slopes[-1:], left[-1:], right[-1:], np.array([float(sign)]))
        starts = [*left[1:].tolist(), float(touch[0])]
        points = zip(
            left.tolist(), (values - sign * width).tolist(), slopes.tolist(), starts, right.tolist(), strict=False
        )
        return [Line(*point) for point in points], _Window(starts[-1], float(right[-1]), sign)

    def _chord(self, window: _Window, width: float, arch: Stretch, sign: int) -> tuple[list[Line], _Window]:
        """Return the next chord, by its touching point and then its end; none if it leaves the arch."""
        f, s, u = self.function.at, self.function.slope_at, window.end
        value = f(u)

        def sag(x: float) -> float:
            # the slope at u may be infinite
            return sign * (value - f(x) - s(x, -1) * (u - x)) - 2 * width if x > u else -2 * width

        if not sag(arch.upper) > 0:
            return [], window
        touch = _root(sag, u, arch.upper)
        height, slope = f(touch), s(touch)

        def rise(x: float) -> float:
            return sign * (f(x) - height - slope * (x - touch)) - 2 * width

        if not rise(arch.upper) > 0:
            return [], window
        end = _root(rise, touch, arch.upper)
        return [Line(touch, height + sign * width, slope, touch, end)], _Window(touch, end, sign)

    def _first(self, ray: Asymptote, width: float) -> tuple[Line, _Window]:
        """Return the ray from the left that goes furthest right along the asymptote, and its window."""

        def over(x: float) -> float:
            return self.function.at(x) - ray.slope * x

        def short(goal: float, x: float) -> float:
            return over(x) - goal

        left, right = self.ends
        points = [left]
        for i, arch in enumerate(self.stretches):
            inner = [] if arch.curvature == AFFINE else [self._tangent(ray.slope, arch.lower, arch.upper, i)]
            points += sorted({*inner, arch.upper} - {arch.lower})
        least = most = (ray.intercept, left)
        for a, b in itertools.pairwise(points):
            value = over(b)
            for sign, pin in ((1, least), (-1, most)):
                if sign * (value - pin[0]) > 2 * width:
                    goal = pin[0] + sign * 2 * width
                    end = _root(functools.partial(short, goal), a, b)
                    level = pin[0] + sign * width
                    line = Line(end, level + ray.slope * end, ray.slope, pin[1], end)
                    return line, _Window(pin[1], end, sign)
            least, most = min(least, (value, b)), max(most, (value, b))
        level = 0.5 * (least[0] + most[0])
        return Line(right, level + ray.slope * right, ray.slope, right, right), _Window(right, right, 1)


def _root(function: Callable[[float], float], left: float, right: float, precision: float = 1e-15) -> float:
    """Return a root of a continuous function that changes sign, by Brent's method."""
    from scipy.optimize import brentq

    if function(left) * function(right) >= 0:
        return left if abs(function(left)) <= abs(function(right)) else right
    # relative to the end that is nearer to 0, as the other one may be very far
    size = min(abs(left), abs(right)) or min(1.0, right - left)
    try:
        return float(brentq(function, left, right, xtol=1e-17 * size, rtol=precision, maxiter=1000))
    except ValueError as error:
        raise DomainError(
            "no piecewise affine function near this one", where=f"[{left:g}, {right:g}]",
            why="its value or slope is not a number there", remedy="take another interval",
        ) from error  # fmt: skip


def _far(function: Univariate, ray: Asymptote, start: float, direction: int) -> float:
    """Return a point beyond which the function is as good as its asymptote."""
    step = 1.0
    for _ in range(900):
        x = start + direction * step
        if abs(function.at(x) - (ray.slope * x + ray.intercept)) <= FAR:
            return x
        step *= 2
    return start + direction * step
