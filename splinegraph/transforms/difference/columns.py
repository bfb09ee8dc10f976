"""Univariate piecewise affine functions as differences of convex ones, in exact rationals."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["ConvexColumn", "Line", "halves", "in_two"]

Line = tuple[Fraction, Fraction]
"""Slope and value at zero."""


@dataclass(frozen=True)
class ConvexColumn:
    """The largest of some lines p t + c, with slopes that increase, of one variable t = g - h + line.

    With a = max(p, 0) and m = max(-p, 0) over all lines, the largest of
    ``(p + m) g + (a - p) h + p line + c`` less ``m g + a h`` is the function, and no factor is negative.
    """

    lines: tuple[Line, ...]

    @property
    def rise(self) -> Fraction:
        """The factor a."""
        return max(Fraction(0), *(p for p, _ in self.lines))

    @property
    def fall(self) -> Fraction:
        """The factor m."""
        return max(Fraction(0), *(-p for p, _ in self.lines))

    @property
    def exact(self) -> bool:
        """Whether all factors are floats, and values at zero sums of two."""
        factors = [self.rise, self.fall]
        for p, _ in self.lines:
            factors += [p, p + self.fall, self.rise - p]
        return all(Fraction(float(number)) == number for number in factors) and self.offsets_exact

    @property
    def offsets_exact(self) -> bool:
        """Whether all values at zero are sums of two floats."""
        return all(sum(map(Fraction, in_two(c))) == c for _, c in self.lines)

    @property
    def bends(self) -> bool:
        """Whether there is more than one line."""
        return len(self.lines) > 1


def in_two(number: Fraction) -> tuple[float, float]:
    """Return the nearest float and that nearest to the rest."""
    high = float(number)
    return high, float(number - Fraction(high))


def halves(lines: Sequence[Line], breakpoints: Sequence[Fraction]) -> tuple[ConvexColumn, ConvexColumn]:
    """Return two convex functions whose difference is the continuous function with these pieces.

    Parameters
    ----------
    lines : sequence of (slope, value at zero)
        From left to right.
    breakpoints : sequence of Fraction
        One fewer, increasing.

    Notes
    -----
    The slopes of the first rise where those of the function do, those of the second where they fall. What both have
    in common is chosen so that zero is among the slopes of each, if that can be.
    """
    slopes = [p for p, _ in lines]
    steps = [b - a for a, b in itertools.pairwise(slopes)]
    down = sum((max(-d, Fraction(0)) for d in steps), Fraction(0))
    # the second starts with q, one of the slopes from -down to 0, and the first with slopes[0] + q, if possible <= 0
    q = max(-down, min(Fraction(0), -slopes[0]))
    lower: list[Line] = [(q, Fraction(0))]
    for step, b in zip(steps, breakpoints, strict=True):
        p, c = lower[-1]
        p_next = p + max(-step, Fraction(0))
        lower.append((p_next, c - (p_next - p) * b))
    upper = [(p + q, c + d) for (p, c), (q, d) in zip(lines, lower, strict=True)]
    return ConvexColumn(_distinct(upper)), ConvexColumn(_distinct(lower))


def _distinct(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return the lines without repetitions of a slope: by continuity they repeat the line."""
    found = [lines[0]]
    for line in lines[1:]:
        if line[0] != found[-1][0]:
            found.append(line)
    return tuple(found)
