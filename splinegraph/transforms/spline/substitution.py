"""A smooth network's piecewise affine stand-in, and what follows from it for the smooth one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.bound import Bound
from splinegraph.core.graph import SplineGraph
from splinegraph.core.notebook import card
from splinegraph.core.values import Box
from splinegraph.errors import ShapeError

__all__ = ["SplineNode", "SplineSubstitution"]


@dataclass(frozen=True)
class SplineNode:
    """What one node was replaced by.

    Parameters
    ----------
    node, module, function : str
        Name, module path, and what was replaced.
    units : int
        The splines that take its place: one per entry, two for a product.
    interval : pair of floats
        The range of their argument.
    pieces : int
        Of each.
    error : float
        Of the node's own value: the largest over its entries.
    contribution : float
        Bound of what it adds to the difference at an output: the largest over outputs and cells.
    share : float
        Its contribution's part of the sum of all.
    """

    node: str
    module: str
    function: str
    units: int
    interval: tuple[float, float]
    pieces: int
    error: float
    contribution: float
    share: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; infinite ends are null."""
        found = dict(self.__dict__)
        found["interval"] = [x if math.isfinite(x) else None for x in self.interval]
        return found

    def _repr_html_(self) -> str:
        return card(self)


@dataclass(frozen=True, eq=False)
class SplineSubstitution:
    """A piecewise affine network f~ with ``|f~(x) - f(x)| <= error_bound`` at every x of the domain.

    Made by `splinegraph.spline`. All analyses of piecewise affine networks take `graph`. A bound of the values says
    nothing of slopes: **no Lipschitz constant and no convexity of f follows** from those of f~. What does follow,
    `change_bound` and `convexity_gap` say.

    Parameters
    ----------
    original : SplineGraph
        f, as it was given.
    graph : SplineGraph
        f~, exactly piecewise affine; its weights are those of f, the same tensors.
    domain : object
        Where the bound holds.
    error_intervals : tuple of Box
        One per output, in the shape of one sample: where f~(x) - f(x) is.
    nodes : tuple of SplineNode
        What was replaced.
    cells : int
        Into how many cells the domain was cut for the bound.

    Notes
    -----
    The bound is of the two real functions of the weights as they are now. A float64 evaluation adds its own
    rounding; so does a float32 one, about 1e-7 of the largest values inside.
    """

    original: SplineGraph
    graph: SplineGraph
    domain: Any
    error_intervals: tuple[Box, ...]
    nodes: tuple[SplineNode, ...]
    cells: int = 1

    @property
    def error_bounds(self) -> tuple[Tensor, ...]:
        """The bound per entry of each output, in the shape of one sample, float64."""
        return tuple(torch.maximum(box.lower.abs(), box.upper.abs()) for box in self.error_intervals)

    @property
    def error_bound(self) -> Tensor:
        """The bound per entry of the only output, in the shape of one sample; `error_bounds` has those of several."""
        self._only()
        return self.error_bounds[0]

    @property
    def largest_error(self) -> float:
        """The bound of all outputs in the infinity norm."""
        return max((float(bound.max()) for bound in self.error_bounds if bound.numel()), default=0.0)

    def error_in(self, norm: float = 2) -> float:
        """Return the bound of all outputs together in a norm: 1, 2 or inf."""
        return float(torch.linalg.vector_norm(torch.cat([b.reshape(-1) for b in self.error_bounds]), norm))

    @property
    def pieces(self) -> int:
        """The pieces of all nodes' splines, each node counted once."""
        return sum(node.pieces for node in self.nodes)

    def enclosure(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return lower and upper bounds of f at inputs of the domain, from f~ in float64, shape (B, *out)."""
        value = self.graph(*(x.double() for x in inputs)).detach()
        box = self._only()
        return value - box.upper, value - box.lower

    def _only(self) -> Box:
        if len(self.error_intervals) > 1:
            raise ShapeError(
                f"{self.original.name} has {len(self.error_intervals)} outputs",
                remedy="choose one first: graph.output(i)",
            )
        return self.error_intervals[0]

    def change_bound(self, constant: float | Bound, distance: float, norm: float = 2) -> float:
        """Return a bound of |f(x) - f(y)| for x, y of the domain, at most a distance apart.

        Parameters
        ----------
        constant : float or Bound
            A Lipschitz constant of f~ on the domain (its upper end), norm to norm.
        distance : float
        norm : {1, 2, inf}
            Of the outputs.

        Returns
        -------
        float
            constant * distance + 2 error: not a Lipschitz bound of f, as it does not fall to 0 with the distance.
        """
        upper = constant.upper if isinstance(constant, Bound) else float(constant)
        return upper * distance + 2 * self.error_in(norm)

    def convexity_gap(self) -> tuple[Tensor, ...]:
        """Return by how much f can miss convexity on a convex domain, per output, where f~ is convex there.

        f(w x + (1 - w) y) <= w f(x) + (1 - w) f(y) + gap. It is 2 error; the same for concavity.
        """
        return tuple(2 * bound for bound in self.error_bounds)

    def observed_error(self, *inputs: Tensor) -> Bound:
        """Return the largest |f~ - f| over some inputs: a lower bound of the difference, above it the certified one."""
        points = tuple(x.double() for x in inputs)
        with torch.no_grad():
            values = [graph(*points) for graph in (self.original, self.graph)]
        pairs = zip(*(v if isinstance(v, tuple) else (v,) for v in values), strict=True)
        seen = max(float((a - b).abs().max()) for a, b in pairs)
        return Bound(min(seen, self.largest_error), self.largest_error, "bracket")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.graph.name,
            "error_intervals": [[side.tolist() for side in box] for box in self.error_intervals],
            "largest_error": self.largest_error,
            "pieces": self.pieces,
            "cells": self.cells,
            "nodes": [node.to_dict() for node in self.nodes],
        }

    def __repr__(self) -> str:
        return (
            f"<SplineSubstitution of {self.original.name}: {len(self.nodes)} nodes, {self.pieces} pieces, "
            f"error at most {self.largest_error:.4g}>"
        )

    def _repr_html_(self) -> str:
        return card(self)

    def __str__(self) -> str:
        head = ("node", "function", "units", "range", "pieces", "error", "adds", "share")
        rows = [head]
        for n in sorted(self.nodes, key=lambda n: -n.contribution):
            span = f"[{n.interval[0]:.4g}, {n.interval[1]:.4g}]"
            rows.append((
                n.node, n.function, str(n.units), span, str(n.pieces), f"{n.error:.3g}", f"{n.contribution:.3g}",
                f"{n.share:.0%}",
            ))  # fmt: skip
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = ["  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([repr(self), *lines])
