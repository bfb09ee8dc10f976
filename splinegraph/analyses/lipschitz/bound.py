"""The answer: a Lipschitz constant between two bounds, and how each came about."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from splinegraph.analyses.lipschitz.lower import Witness
from splinegraph.analyses.lipschitz.product import Product
from splinegraph.core.bound import Bound

__all__ = ["LipschitzBound", "Rung", "norm_name"]


@dataclass(frozen=True)
class Rung:
    """What one method gave.

    Parameters
    ----------
    method : str
    side : {'lower', 'upper', 'both'}
    value : float or pair of float
    seconds : float
    note : str
        Why it gave nothing, or not all.
    """

    method: str
    side: str
    value: float | tuple[float, float]
    seconds: float
    note: str = ""

    @property
    def values(self) -> tuple[float, ...]:
        """The value, or both."""
        return self.value if isinstance(self.value, tuple) else (self.value,)

    @property
    def text(self) -> str:
        """The value, or both, for people."""
        return " to ".join(f"{v:.6g}" for v in self.values)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; infinite ones are null."""
        plain = [float(v) if math.isfinite(v) else None for v in self.values]
        return {
            "method": self.method, "side": self.side, "value": plain if len(plain) > 1 else plain[0],
            "seconds": self.seconds, "note": self.note,
        }  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class LipschitzBound(Bound):
    """A Lipschitz constant: ``lower <= K <= upper``; made by `splinegraph.lipschitz`.

    Parameters
    ----------
    lower, upper, kind, witness, certificate
        As in `Bound`. The witness is a point where the local map has a norm of at least `lower`.
    norm : {1, 2, inf}
        Of inputs and of outputs.
    domain : object or None
        Where it holds; None for all of space.
    method : str
        What proved the upper end.
    rungs : tuple of Rung
        All methods that ran, in order.
    product : Product or None
        Constants of all operators.
    """

    norm: float = 2
    domain: Any = None
    method: str = ""
    rungs: tuple[Rung, ...] = ()
    product: Product | None = field(default=None)

    witness: Witness | None = None

    def __repr__(self) -> str:
        where = "" if self.domain is None else f" on {self.domain!r}"
        ends = f"{self.upper:.8g}, exact" if self.kind == "exact" else f"{self.lower:.8g} to {self.upper:.8g}"
        return f"<Lipschitz constant in l{norm_name(self.norm)}{where}: {ends}, by {self.method}>"

    def explain(self) -> str:
        """Return a table: which method gave what, in what time."""
        lines = [f"{'method':<28}{'side':<8}{'value':>24}{'seconds':>10}"]
        for rung in self.rungs:
            lines.append(f"{rung.method:<28}{rung.side:<8}{rung.text:>24}{rung.seconds:>10.2f}  {rung.note}".rstrip())
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            **super().to_dict(),
            "norm": norm_name(self.norm),
            "method": self.method,
            "rungs": [rung.to_dict() for rung in self.rungs],
        }


def norm_name(norm: float) -> str:
    """Return a norm as it is written: 1, 2 or inf."""
    return "inf" if norm == math.inf else str(int(norm))
