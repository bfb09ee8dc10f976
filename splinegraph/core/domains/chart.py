"""A domain in coordinates of its own: x = origin + t @ directions, with t in a polytope."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.errors import DomainError, ShapeError

__all__ = ["Chart", "chart_of"]

MOST_ENTRIES = 2**28
"""Entries of a dense basis (2 GiB in float64) beyond which it is not made."""


@dataclass(frozen=True, eq=False)
class Chart:
    """A convex set of inputs in its D free coordinates t.

    All inputs of a network are flattened and put one behind the other into x, of n entries.

    Parameters
    ----------
    shapes : tuple of tuple of int
        Shape of one sample of each input.
    origin : Tensor of shape (n,), float64
        The input at t = 0.
    lower, upper : Tensor of shape (D,), float64
        Bounds of t, which may be infinite.
    index : Tensor of shape (D,), int64, optional
        The entries of x that t itself is, where the free coordinates are some of the input's.
    directions : Tensor of shape (D, n), float64, optional
        One of `index` and `directions` is given.
    G, h : Tensor of shape (m, D) and (m,), float64
        Further constraints G t <= h.
    """

    shapes: tuple[tuple[int, ...], ...]
    origin: Tensor
    lower: Tensor
    upper: Tensor
    index: Tensor | None = None
    directions: Tensor | None = None
    G: Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.float64))
    h: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))

    def __post_init__(self) -> None:
        if (self.index is None) == (self.directions is None):
            raise ValueError("give one of index and directions")
        if not len(self.h):
            object.__setattr__(self, "G", torch.zeros(0, self.dim, dtype=torch.float64))

    @property
    def dim(self) -> int:
        """D, the number of free coordinates."""
        return self.lower.shape[0]

    @property
    def entries(self) -> int:
        """n, the number of entries of all inputs together."""
        return self.origin.shape[0]

    @functools.cached_property
    def bounded(self) -> bool:
        """Whether the bounds of t are finite; the constraints G t <= h are not asked."""
        return bool((self.lower.isfinite() & self.upper.isfinite()).all())

    @functools.cached_property
    def whole(self) -> bool:
        """Whether the coordinates t are the entries of x, in their order."""
        return self.index is not None and self.index.tolist() == list(range(self.entries))

    def split(self, flat: Tensor) -> tuple[Tensor, ...]:
        """Return flattened inputs of shape (*leading, n) as one tensor of shape (*leading, *in) per input."""
        if len(self.shapes) == 1:
            return (flat.reshape(*flat.shape[:-1], *self.shapes[0]),)
        parts = flat.split([math.prod(shape) for shape in self.shapes], dim=-1)
        return tuple(p.reshape(*flat.shape[:-1], *s) for p, s in zip(parts, self.shapes, strict=True))

    def flatten(self, xs: Sequence[Tensor]) -> Tensor:
        """Return inputs of shape (N, *in) as one tensor of shape (N, n), float64."""
        return torch.cat([x.reshape(len(x), -1).double() for x in xs], dim=1)

    def lift(self, t: Tensor) -> tuple[Tensor, ...]:
        """Return the inputs at coordinates t of shape (N, D): tensors of shape (N, *in)."""
        t = t.double()
        if self.whole:
            return self.split(t.clone())
        if self.index is None:
            assert self.directions is not None
            return self.split(torch.addmm(self.origin.to(t.device), t, self.directions.to(t.device)))
        x = self.origin.to(t.device).expand(len(t), -1).clone()
        x[:, self.index.to(t.device)] = t
        return self.split(x)

    def basis(self) -> tuple[Tensor, ...]:
        """Return the directions of the coordinates, one tensor of shape (D, *in) per input."""
        if self.dim * self.entries > MOST_ENTRIES:
            raise DomainError(
                f"a domain of {self.dim} free coordinates in {self.entries} entries is too large for this analysis",
                remedy="fix coordinates (lower == upper), or look at a plane or a segment",
            )
        if self.directions is not None:
            return self.split(self.directions)
        flat = torch.zeros(self.dim, self.entries, dtype=torch.float64)
        flat[torch.arange(self.dim), self.index] = 1.0
        return self.split(flat)

    def pullback(self, rows: Sequence[Tensor]) -> Tensor:
        """Return linear forms on the inputs, (K, *in) each, as forms on t: shape (K, D)."""
        flat = self.flatten(rows)
        if self.index is not None:
            return flat[:, self.index.to(flat.device)]
        assert self.directions is not None
        return flat @ self.directions.to(flat).T

    def coordinates(self, xs: Sequence[Tensor]) -> Tensor:
        """Return t of shape (N, D) for inputs of shape (N, *in): of the nearest point, for inputs off the chart."""
        flat = self.flatten(xs)
        if self.index is not None:
            return flat[:, self.index.to(flat.device)]
        assert self.directions is not None
        inverse: Tensor = torch.linalg.pinv(self.directions.to(flat))
        return (flat - self.origin.to(flat)) @ inverse

    def contains(self, t: Tensor, *, slack: float = 0.0) -> Tensor:
        """Return which coordinates t of shape (N, D) belong to the domain, widened by `slack`, shape (N,)."""
        inside = ((t >= self.lower.to(t) - slack) & (t <= self.upper.to(t) + slack)).all(-1)
        return inside & (t @ self.G.to(t).T <= self.h.to(t) + slack).all(-1)

    def constraints(self) -> tuple[Tensor, Tensor]:
        """Return all rows of G t <= h: finite lower bounds, finite upper bounds, then the further ones."""
        eye = torch.eye(self.dim, dtype=torch.float64)
        below, above = self.lower.isfinite(), self.upper.isfinite()
        rows = torch.cat([-eye[below], eye[above], self.G])
        return rows, torch.cat([-self.lower[below], self.upper[above], self.h])


def chart_of(graph: SplineGraph, on: Any) -> Chart:
    """Return the chart of a domain of a graph's inputs.

    Parameters
    ----------
    on : domain, or tuple of domains
        One per input of the graph.

    Raises
    ------
    DomainError
        If it does not fit the inputs, or is none.
    """
    require_graph(graph)
    domains = tuple(on) if isinstance(on, (tuple, list)) else (on,)
    for domain in domains:
        # whether there is one, without asking for it: it may be long in the making
        if not hasattr(type(domain), "chart") and "chart" not in getattr(domain, "__dict__", ()):
            raise DomainError(
                f"a {type(domain).__name__} is no domain",
                remedy="give a Box, Plane, Segment or Polytope, one per input",
            )
    shapes = graph.input_shapes
    if len(domains) == 1 and len(shapes) > 1:
        raise DomainError(f"one domain for {len(shapes)} inputs", remedy="give a tuple of domains, one per input")
    if len(domains) != len(shapes):
        raise DomainError(f"{len(domains)} domains for {len(shapes)} inputs", remedy="give one per input")
    charts = []
    for name, domain, shape in zip(graph.inputs, domains, shapes, strict=True):
        fitted = domain.broadcast(shape) if hasattr(domain, "broadcast") else domain
        if tuple(fitted.shape) != tuple(shape):
            raise ShapeError(
                f"the domain of input {name!r} has points of shape {tuple(fitted.shape)}, the input has {tuple(shape)}",
                remedy="give a domain in the shape of one sample, without the batch axis",
            )
        charts.append(fitted.chart)
    return charts[0] if len(charts) == 1 else product(charts)


def product(charts: Sequence[Chart]) -> Chart:
    """Return the chart of the product of domains, one per input; coordinates one behind the other."""
    index = directions = None
    if all(c.index is not None for c in charts):
        starts = [sum(c.entries for c in charts[:i]) for i in range(len(charts))]
        index = torch.cat([c.index + s for c, s in zip(charts, starts, strict=True) if c.index is not None])
    else:
        directions = torch.block_diag(*(c.flatten(c.basis()) for c in charts))
    return Chart(
        tuple(shape for c in charts for shape in c.shapes),
        torch.cat([c.origin for c in charts]),
        torch.cat([c.lower for c in charts]),
        torch.cat([c.upper for c in charts]),
        index,
        directions,
        torch.block_diag(*(c.G for c in charts)),
        torch.cat([c.h for c in charts]),
    )
