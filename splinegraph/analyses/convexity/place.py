"""Where a claim on curvature holds: a convex set of inputs, or all of space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.domains.ball import Ball
from splinegraph.core.domains.chart import chart_of
from splinegraph.core.domains.polytope import Polytope
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.values import Box
from splinegraph.errors import DomainError, ShapeError

__all__ = ["Place"]

ROUNDING = 1e-12
"""By how much the box around a flat domain or a polytope is widened, relative to its size."""

EDGES = 3
"""One in so many random points of a bounded set lies on its boundary: what is wrong in a corner shows nowhere else."""

INSIDE = 1 - 1e-12
"""Share of the way to the boundary of a polytope, so that rounding leaves points inside."""

SCALES = (0.1, 1.0, 10.0, 100.0)
"""Sizes of points where nothing bounds them."""


@dataclass(frozen=True, eq=False)
class Place:
    """A convex set of inputs: one domain per input, None for all of space.

    Parameters
    ----------
    graph : SplineGraph
    on : object
        As the user gave it.
    parts : tuple of Box, Plane, Segment, Polytope, Ball or None
        One per input.
    """

    graph: SplineGraph
    on: Any
    parts: tuple[Any, ...]

    @classmethod
    def of(cls, graph: SplineGraph, on: Any) -> Place:
        """Return the set that a user asks for.

        Raises
        ------
        DomainError, ShapeError
            If it is no domain, or does not fit the inputs.
        """
        require_graph(graph)
        shapes = graph.input_shapes
        if on is None:
            return cls(graph, None, (None,) * len(shapes))
        parts = tuple(on) if isinstance(on, tuple | list) else (on,)
        for part, shape in zip(parts, shapes, strict=False):
            if isinstance(part, Ball) and tuple(part.shape) != tuple(shape):
                raise ShapeError(
                    f"the ball has points of shape {tuple(part.shape)}, the input has {tuple(shape)}",
                    remedy="give a center in the shape of one sample, without the batch axis",
                )
        chart_of(graph, tuple(part.box if isinstance(part, Ball) else part for part in parts))  # refuses misfits
        fitted = (p.broadcast(tuple(s)) if isinstance(p, Box) else p for p, s in zip(parts, shapes, strict=True))
        return cls(graph, on, tuple(fitted))

    @property
    def boxes(self) -> tuple[Box, ...]:
        """A box around the set for each input, in float64."""
        return tuple(_around(part, shape) for part, shape in zip(self.parts, self.graph.input_shapes, strict=True))

    @property
    def curved(self) -> bool:
        """Whether a part is a ball, so that the set is no polytope."""
        return any(isinstance(part, Ball) for part in self.parts)

    @property
    def flat(self) -> Any:
        """The smallest domain without balls around it, as `splinegraph.enumerate_regions` takes it; None: all."""
        if self.on is None:
            return None
        found = tuple(part.box if isinstance(part, Ball) else part for part in self.parts)
        return found if len(found) > 1 else found[0]

    def parametrized(self, most: int) -> list[tuple[Tensor, Tensor]] | None:
        """Return the set, or one around it, as center + t @ moves for all inputs together.

        Returns
        -------
        list of (Tensor of shape (1, *in), Tensor of shape (D, 1, *in)), or None
            One pair per input; t is in the unit ball for a ball, else in the unit cube. None if it is unbounded or
            has more than `most` coordinates.
        """
        charts = [p.box.chart if isinstance(p, Ball) else None if p is None else p.chart for p in self.parts]
        if not all(c is not None and c.bounded for c in charts) or sum(c.dim for c in charts if c is not None) > most:
            return None
        count, start, found = sum(c.dim for c in charts if c is not None), 0, []
        for part, chart in zip(self.parts, charts, strict=True):
            assert chart is not None
            half = (chart.upper - chart.lower) / 2
            if isinstance(part, Ball):
                half = torch.full_like(half, part.radius)
            (center,), (basis,) = chart.lift(((chart.upper + chart.lower) / 2)[None]), chart.basis()
            moves = center.new_zeros(count, *center.shape)
            moves[start : start + chart.dim, 0] = basis * half.reshape(-1, *(1,) * (center.dim() - 1))
            start += chart.dim
            found.append((center, moves))
        return found

    def spread(self, moves: Tensor) -> Tensor:
        """Return how far t @ moves can go from 0, for moves of shape (D, ...) as `parametrized` has them."""
        total, start = moves.new_zeros(moves.shape[1:]), 0
        for part in self.parts:
            dim = part.box.chart.dim if isinstance(part, Ball) else part.chart.dim
            mine = moves[start : start + dim]
            total = total + (torch.linalg.vector_norm(mine, dim=0) if isinstance(part, Ball) else mine.abs().sum(0))
            start += dim
        return total

    def contains(self, xs: Sequence[Tensor]) -> bool:
        """Return whether a point, one tensor per input in the shape of a sample, lies in the set."""
        return all(part is None or bool(part.contains(x)) for part, x in zip(self.parts, xs, strict=True))

    def inside(self, xs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return a point with what rounding put outside of a box moved onto its side."""
        moved = (x.clamp(p.lower, p.upper) if isinstance(p, Box) else x for p, x in zip(self.parts, xs, strict=True))
        return tuple(x.detach().cpu().double() for x in moved)

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return random points of the set, one float64 tensor of shape (count, *in) per input."""
        every = zip(self.parts, self.graph.input_shapes, strict=True)
        return tuple(_sample(part, tuple(shape), count, generator) for part, shape in every)


def _around(part: Any, shape: Sequence[int]) -> Box:
    if part is None:
        return Box.everything(tuple(shape))
    if isinstance(part, Box):
        return Box(part.lower.detach().cpu().double(), part.upper.detach().cpu().double())
    if isinstance(part, Ball):
        return part.box
    chart = part.chart
    if chart.index is not None:
        lower, upper = chart.lower, chart.upper
        return Box(lower.reshape(tuple(shape)), upper.reshape(tuple(shape)))
    size = chart.directions.abs()
    half = ((chart.upper - chart.lower) / 2) @ size
    center = chart.origin + ((chart.upper + chart.lower) / 2) @ chart.directions
    half = half + ROUNDING * (half > 0) * (center.abs() + half).amax()
    return Box((center - half).reshape(tuple(shape)), (center + half).reshape(tuple(shape)))


def _sample(part: Any, shape: tuple[int, ...], count: int, generator: torch.Generator) -> Tensor:
    if part is not None and (isinstance(part, Ball) or part.bounded):
        found: Tensor = part.sample(count, generator=generator).double()
        found[::EDGES] = _outmost(part, found[::EDGES], generator)
        return found
    # an equal share of points for each size
    scale = torch.tensor(SCALES, dtype=torch.float64)[torch.arange(count) % len(SCALES)]
    scale = scale.reshape(-1, *(1,) * len(shape))
    step = torch.randn(count, *shape, generator=generator, dtype=torch.float64) * scale
    if part is None:
        return step
    if isinstance(part, Box):
        lower, upper = part.lower.double(), part.upper.double()
        inside = lower + torch.rand(count, *shape, generator=generator, dtype=torch.float64) * (upper - lower)
        one_sided = torch.where(lower.isfinite(), lower + step.abs(), upper - step.abs())
        free = torch.where(lower.isfinite() | upper.isfinite(), one_sided, step)
        return torch.where(lower.isfinite() & upper.isfinite(), inside.nan_to_num(), free)
    if isinstance(part, Polytope):
        return part.center + step * _reach(part, step).clamp(max=1.0)
    raise DomainError(f"cannot sample an unbounded {type(part).__name__}", remedy="give a finite extent")


def _outmost(part: Any, x: Tensor, generator: torch.Generator) -> Tensor:
    """Return points on the boundary of a bounded set: on all faces of a box, else away from the center."""
    if isinstance(part, Ball):
        away = x - part.center
        size = torch.linalg.vector_norm(away.reshape(len(x), -1), dim=1).reshape(-1, *(1,) * (x.dim() - 1))
        return part.nearest(part.center + away * (part.radius / size.clamp(min=1e-300)))
    if isinstance(part, Polytope):
        return part.center + (x - part.center) * _reach(part, x - part.center).clamp(max=1e9) * INSIDE
    chart = part.chart
    share = torch.rand(len(x), chart.dim, generator=generator, dtype=torch.float64) * 2 - 0.5
    (found,) = chart.lift(chart.lower + share.clamp(0, 1) * (chart.upper - chart.lower))
    return torch.as_tensor(found)


def _reach(polytope: Polytope, steps: Tensor) -> Tensor:
    """Return by what steps of shape (N, *n) from the center have to be multiplied to reach the boundary."""
    room = polytope.h - polytope.G @ polytope.center.reshape(-1)
    speed = steps.reshape(len(steps), -1) @ polytope.G.T
    reach = (room / speed).masked_fill(speed <= 0, torch.inf).amin(1)
    return reach.reshape(-1, *(1,) * (steps.dim() - 1))
