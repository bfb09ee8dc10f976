"""Means over label draws, and differences paired over them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from splinegraph.errors import ShapeError

__all__ = ["Estimate", "estimate", "paired"]


@dataclass(frozen=True)
class Estimate:
    """A mean over draws, and where its expectation is likely to be.

    The interval is Student's: at the level given if the values are independent and normal, about so otherwise. It is an
    estimate, not a bound.

    Parameters
    ----------
    mean : float
    deviation : float
        Of one draw: the root of the unbiased variance; NaN for a single one.
    low, high : float
        Ends of the interval; infinite for a single draw.
    draws : int
    level : float
    """

    mean: float
    deviation: float
    low: float
    high: float
    draws: int
    level: float

    @property
    def significant(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types; what is not known is None."""
        finite = {name: _finite(getattr(self, name)) for name in ("mean", "deviation", "low", "high")}
        return {"kind": "estimate", **finite, "draws": self.draws, "level": self.level, "significant": self.significant}

    def __str__(self) -> str:
        if self.draws < 2:
            return f"{self.mean:.4g} (one draw)"
        return f"{self.mean:.4g} ± {(self.high - self.low) / 2:.2g} ({self.level:.0%} interval, {self.draws} draws)"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def estimate(values: Sequence[float], *, level: float = 0.95) -> Estimate:
    """Return mean, deviation and Student's interval of the expectation.

    Parameters
    ----------
    values : sequence of float
        One per draw.
    level : float, optional
        Share of experiments whose interval holds the expectation.

    Returns
    -------
    Estimate

    Raises
    ------
    ShapeError
        If there are no values.

    Examples
    --------
    >>> print(estimate([1.0, 2.0, 3.0]))
    2 ± 2.5 (95% interval, 3 draws)
    """
    count = len(values)
    if not count:
        raise ShapeError("no draws", remedy="give one value per draw at least")
    mean = math.fsum(values) / count
    if count == 1:
        return Estimate(mean, math.nan, -math.inf, math.inf, 1, level)
    from scipy.stats import t

    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = float(t.ppf((1 + level) / 2, count - 1)) * deviation / math.sqrt(count)
    return Estimate(mean, deviation, mean - half, mean + half, count, level)


def paired(first: Sequence[float], second: Sequence[float], *, level: float = 0.95) -> Estimate:
    """Return `estimate` of ``first - second``, draw by draw.

    Both have the same draws in the same order, so that what a draw does to both cancels.

    Raises
    ------
    ShapeError
        If they have not equally many values, or none.

    Examples
    --------
    >>> paired([0.9, 0.8, 0.85], [0.8, 0.7, 0.76]).significant
    True
    """
    if len(first) != len(second):
        raise ShapeError(f"{len(first)} draws beside {len(second)}", remedy="give both the same draws")
    return estimate([a - b for a, b in zip(first, second, strict=True)], level=level)
