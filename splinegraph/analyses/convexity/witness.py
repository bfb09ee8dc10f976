"""Two points and a weight that refute convexity or concavity, checked in exact rationals."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.convexity.running import rounded
from splinegraph.analyses.lipschitz.rounding import UNIT
from splinegraph.core.graph import SplineGraph
from splinegraph.core.notebook import card

__all__ = ["Witness"]

Points = tuple[Tensor, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Witness:
    """Two points and a weight: the value between them is on the wrong side of the chord.

    Parameters
    ----------
    graph : SplineGraph
    index : tuple of int
        The output's entry, as ``graph.output(*index)`` takes it.
    x, y : tuple of Tensor, float64
        One per input, in the shape of one sample.
    weight : float
        w, in (0, 1).
    gap : float
        f(w x + (1 - w) y) - (w f(x) + (1 - w) f(y)) as found in float64. Positive: f is not convex; negative: f is
        not concave.
    method : str
        What found it.
    """

    graph: SplineGraph
    index: tuple[int, ...]
    x: Points
    y: Points
    weight: float
    gap: float
    method: str = ""

    def __repr__(self) -> str:
        return f"<Witness: not {self.against}, gap {self.gap:.4g} at weight {self.weight:.4g}>"

    def _repr_html_(self) -> str:
        return card(self)

    @property
    def against(self) -> str:
        """What it refutes: 'convex' or 'concave'."""
        return "convex" if self.gap > 0 else "concave"

    def verify(self) -> bool:
        """Return whether it refutes what it says.

        Where all nodes are piecewise affine the three values are worked out in exact rationals of the parameters
        and inputs, and the answer is a proof. Otherwise they are worked out in float64, and the gap must exceed a
        running bound of their rounding errors, in which smooth functions count by `running.KERNEL`.
        """
        return self._refutes(self.exact_gap) if self.graph.exact else self._refutes(*self.rounded_gap)

    def holds(self) -> bool:
        """Return whether it refutes what it says: in float64 where the gap exceeds all rounding, else by `verify`."""
        return self._refutes(*self.rounded_gap) or (self.graph.exact and self.verify())

    def _refutes(self, gap: Fraction | float, margin: float = 0.0) -> bool:
        return bool(gap > margin) if self.against == "convex" else bool(gap < -margin)

    @functools.cached_property
    def exact_gap(self) -> Fraction:
        """The gap in exact rationals; needs a piecewise affine graph."""
        from splinegraph.core.exact import evaluate_exact

        w = Fraction(self.weight)
        points = [tuple(_fractions(x) for x in side) for side in (self.x, self.y)]
        between = tuple(w * a + (1 - w) * b for a, b in zip(*points, strict=True))
        several = len(self.graph.outputs) > 1
        outputs = (evaluate_exact(self.graph, *p) for p in (between, *points))
        values = [self._entry(y if several else (y,)) for y in outputs]
        return Fraction(values[0] - w * values[1] - (1 - w) * values[2])

    @functools.cached_property
    def rounded_gap(self) -> tuple[float, float]:
        """The gap in float64, and a running bound of its rounding errors."""
        w = self.weight
        between = tuple(w * a + (1 - w) * b for a, b in zip(self.x, self.y, strict=True))
        gap = margin = 0.0
        with torch.no_grad():
            for share, point, off in ((1.0, between, 4 * UNIT), (-w, self.x, 0.0), (w - 1, self.y, 0.0)):
                xs = [p.double()[None] for p in point]
                # the weighted sum of the ends is rounded too, relative to their sizes
                sizes = [torch.maximum(a.abs(), b.abs())[None] for a, b in zip(self.x, self.y, strict=True)]
                found = rounded(self.graph, xs, [off * s for s in sizes])
                gap += share * float(self._entry(tuple(r.value[0] for r in found)))
                margin += abs(share) * float(self._entry(tuple(r.error[0] for r in found)))
        return gap, margin

    def _entry(self, outputs: tuple[Any, ...]) -> Any:
        """Return the entry of the outputs, one array each."""
        if len(self.graph.outputs) > 1:
            return outputs[self.index[0]][self.index[1:]]
        return outputs[0][self.index]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "against": self.against, "x": [x.tolist() for x in self.x], "y": [y.tolist() for y in self.y],
            "weight": self.weight, "gap": self.gap, "method": self.method,
        }  # fmt: skip


def _fractions(x: Tensor) -> Any:
    """Return a tensor's numbers as an object array of their exact values."""
    import numpy as np

    found = np.empty(tuple(x.shape), dtype=object)
    found[...] = np.array([Fraction(v) for v in x.reshape(-1).tolist()], dtype=object).reshape(x.shape)
    return found
