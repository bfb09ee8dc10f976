"""The answer: a Lipschitz constant between two bounds, and how each came about."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from splinegraph.analyses.lipschitz.lower import Witness
from splinegraph.analyses.lipschitz.product import Product
from splinegraph.core.bound import Bound
from splinegraph.core.graph import Node
from splinegraph.core.notebook import card
from splinegraph.core.values import Box

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LipschitzBound", "Rung", "domain_text", "norm_name"]


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
        plain = [_plain(v) for v in self.values]
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
    interrupted : bool
        Whether Ctrl-C ended it; both ends hold.
    """

    norm: float = 2
    domain: Any = None
    method: str = ""
    rungs: tuple[Rung, ...] = ()
    product: Product | None = field(default=None)

    interrupted: bool = False

    witness: Witness | None = None

    def __repr__(self) -> str:
        where = "" if self.domain is None else f" on {domain_text(self.domain)}"
        ends = f"{self.upper:.8g}, exact" if self.kind == "exact" else f"{self.lower:.8g} to {self.upper:.8g}"
        return f"<Lipschitz constant in l{norm_name(self.norm)}{where}: {ends}, by {self.method}>"

    def _repr_html_(self) -> str:
        return card(self)

    def explain(self) -> str:
        """Return a table: which method gave what, in what time, and what stands in the way of an upper end."""
        lines = [f"{'method':<24}{'side':<8}{'value':>14}{'seconds':>10}"]
        for rung in self.rungs:
            lines.append(f"{rung.method:<24}{rung.side:<8}{rung.text:>14}{rung.seconds:>10.2f}  {rung.note}".rstrip())
        return "\n".join([*lines, repr(self), *self.remarks])

    @property
    def remarks(self) -> tuple[str, ...]:
        """Why there is no upper end, operator by operator, and what to do about it; and what stopped the search."""
        found = []
        if self.product is not None and math.isinf(self.upper):
            found = [_remark(node, self.domain) for node in self.product.unbounded]
        return (*found, "interrupted: both ends hold") if self.interrupted else tuple(found)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw both ends after each method; see `splinegraph.analyses.lipschitz.figures` for more.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default on a figure of its own, which pyplot does not know of: ``ax.figure`` is it.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from splinegraph.analyses.lipschitz.figures import plot_ladder

        return plot_ladder(self, ax)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; infinite ones are null."""
        witness = self.witness
        return {
            **super().to_dict(),
            "norm": norm_name(self.norm),
            "domain": domain_text(self.domain),
            "method": self.method,
            "interrupted": self.interrupted,
            "remarks": list(self.remarks),
            "rungs": [rung.to_dict() for rung in self.rungs],
            "product": None if self.product is None else self.product.to_dict(),
            "witness": None if witness is None else [x.tolist() for x in witness.inputs],
        }


def _remark(node: Node, on: Any) -> str:
    """Say why an operator has no constant."""
    where = f"{node.op.label} ({node.where})"
    if not node.op.continuous:
        return f"{where} jumps: there is no constant where it does"
    return f"{where} has no constant there: give a {'bounded' if on is None else 'smaller'} domain"


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def norm_name(norm: float) -> str:
    """Return a norm as it is written: 1, 2 or inf."""
    return "inf" if norm == math.inf else str(int(norm))


def domain_text(on: Any) -> str:
    """Return where a constant holds, in a few words.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> domain_text(None), domain_text(sg.Box(torch.zeros(3), torch.ones(3)))
    ('all of space', 'a box from 0 to 1 in (3,)')
    """
    if on is None:
        return "all of space"
    if isinstance(on, (tuple, list)):
        return " and ".join(map(domain_text, on))
    if not isinstance(on, Box):
        return repr(on).strip("<>").replace("Ball", "a ball", 1)
    shape = tuple(on.lower.shape)
    if on.lower.numel() and bool((on.lower == on.lower.max()).all()) and bool((on.upper == on.upper.max()).all()):
        return f"a box from {float(on.lower.max()):g} to {float(on.upper.max()):g} in {shape}"
    sides = (on.upper - on.lower).reshape(-1)
    return f"a box in {shape}, sides up to {float(sides.max()) if len(sides) else 0.0:g} long"
