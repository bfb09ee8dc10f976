"""A number that is known between two others, and how it is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

from splinegraph.core.notebook import card

__all__ = ["Bound", "BoundKind"]

BoundKind = Literal["exact", "bracket", "upper", "lower", "estimate"]
"""exact: both ends are the number itself. bracket: both ends are proved and tell something. upper, lower: only
this end tells something, the other is trivial. estimate: nothing is proved, or only with some probability."""

EXACT = 2**53
"""Integers from here on go into JSON as text: readers make floats of them."""


@dataclass(frozen=True, eq=False)
class Bound:
    """``lower <= number <= upper``.

    Parameters
    ----------
    lower, upper : int or float
        Integers stay integers, of any size.
    kind : {'exact', 'bracket', 'upper', 'lower', 'estimate'}
    witness : object, optional
        What attains the lower bound: a point, say.
    certificate : object, optional
        What proves the upper bound; with a method `verify`, it can be asked again.

    Raises
    ------
    ValueError
        If an end is NaN, the ends are reversed, or an exact number has two.

    Examples
    --------
    >>> bound = Bound(1, 2**70, "upper")
    >>> bound.contains(12), round(bound.log10, 2)
    (True, 21.07)
    """

    lower: float
    upper: float
    kind: BoundKind
    witness: Any = None
    certificate: Any = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(BoundKind):
            raise ValueError(f"kind {self.kind!r}; give one of {', '.join(get_args(BoundKind))}")
        if not self.lower <= self.upper:
            raise ValueError(f"no number lies between {self.lower} and {self.upper}")
        if self.kind == "exact" and self.lower != self.upper:
            raise ValueError(f"an exact number has one value, not {self.lower} and {self.upper}")

    def __repr__(self) -> str:
        if self.kind == "exact":
            return f"<Bound: {_text(self.upper)}, exact>"
        return f"<Bound: {_text(self.lower)} to {_text(self.upper)}, {self.kind}>"

    def _repr_html_(self) -> str:
        return card(self)

    @property
    def gap(self) -> float:
        """Upper minus lower end."""
        return self.upper - self.lower

    @property
    def log10(self) -> float:
        """Decimal logarithm of the upper end, which may be an integer too large for a float."""
        return math.log10(self.upper) if self.upper > 0 else -math.inf

    def contains(self, value: float) -> bool:
        """Return whether a value is possible."""
        return self.lower <= value <= self.upper

    def verify(self) -> bool:
        """Return whether the certificate, asked again, proves the upper end.

        Raises
        ------
        ValueError
            If there is no certificate that could be asked.
        """
        if not hasattr(self.certificate, "verify"):
            raise ValueError("this bound has no certificate that can be verified")
        return bool(self.certificate.verify())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; infinite ends are null, integers beyond 2^53 text."""
        certificate = self.certificate.to_dict() if hasattr(self.certificate, "to_dict") else None
        return {
            "lower": _plain(self.lower),
            "upper": _plain(self.upper),
            "kind": self.kind,
            "log10_upper": self.log10 if 0 < self.upper < math.inf else None,
            "certificate": certificate,
        }


def _plain(value: float) -> float | str | None:
    if isinstance(value, int):
        return value if abs(value) < EXACT else str(value)
    return float(value) if math.isfinite(value) else None


def _text(value: float) -> str:
    if isinstance(value, int):
        return str(value) if abs(value) < 10**12 else f"10^{math.log10(abs(value)):.2f}"
    return f"{value:.6g}"
