"""Where a Lipschitz constant holds: all of space, a box of inputs, or a ball."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.lipschitz.intervals import intervals
from splinegraph.analyses.lipschitz.rounding import roundoff
from splinegraph.analyses.lipschitz.units import Units
from splinegraph.core.domains.ball import Ball
from splinegraph.core.domains.chart import chart_of
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from splinegraph.errors import DomainError

Floats = NDArray[np.float64]

__all__ = ["Domain"]


@dataclass(frozen=True, eq=False)
class Domain:
    """All of space, one box per input, or a ball.

    Parameters
    ----------
    boxes : tuple of Box, or None
        In the shapes of one sample.
    ball : Ball, optional
        Where it is only a part of the box, which is the smallest around it.
    """

    boxes: tuple[Box, ...] | None = None
    ball: Ball | None = None

    @classmethod
    def of(cls, graph: SplineGraph, on: Any) -> Domain:
        """Return the domain that a user asks for.

        Raises
        ------
        DomainError
            If it is no box and no ball, or does not fit the inputs.
        """
        if on is None:
            return cls()
        domains = tuple(on) if isinstance(on, (tuple, list)) else (on,)
        ball = domains[0] if len(domains) == 1 and isinstance(domains[0], Ball) else None
        if ball is not None and len(graph.input_shapes) == 1:
            domains = (ball.box,)
        for domain in domains:
            if not isinstance(domain, Box):
                raise DomainError(
                    f"a Lipschitz constant on a {type(domain).__name__} is not built",
                    why="a ball is for networks of one input" if isinstance(domain, Ball) else "",
                    remedy="give a Box per input, a Ball if there is one input, or nothing for all of space",
                )
        if len(domains) == len(graph.input_shapes):
            domains = tuple(d.broadcast(s) for d, s in zip(domains, graph.input_shapes, strict=True))
        chart_of(graph, domains)  # refuses what does not fit
        return cls(domains, ball)

    @property
    def bounded(self) -> bool:
        """Whether it is."""
        return self.boxes is not None and all(box.bounded for box in self.boxes)

    @property
    def free(self) -> Tensor | None:
        """Which entries of all inputs can move, flattened; None if all can."""
        if self.boxes is None:
            return None
        free = torch.cat([(box.lower < box.upper).reshape(-1) for box in self.boxes]).cpu()
        return None if bool(free.all()) else free

    @property
    def sides(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Lower and upper ends of all inputs, flattened, or None."""
        if self.boxes is None:
            return None
        low, high = (torch.cat([s.reshape(-1) for s in side]) for side in zip(*self.boxes, strict=True))
        return low.detach().cpu().double().numpy(), high.detach().cpu().double().numpy()

    def intervals(self, graph: SplineGraph) -> dict[str, Box] | None:
        """Return boxes of all values, or None."""
        return None if self.boxes is None else intervals(graph, self.boxes)

    def most(self, rows: Floats) -> Floats:
        """Return upper bounds of linear functions of all inputs: of rows of shape (..., n0), shape (...).

        Exact on boxes and balls but for rounding, which they hold for: its margin is `roundoff` of the
        entries of a row times the sum of the sizes of all products.
        """
        sides = self.sides
        if sides is None:
            return np.where(rows.any(axis=-1), np.inf, 0.0)
        low, high = sides
        size = np.abs(rows)
        slack = roundoff(rows.shape[-1]) * (size @ np.maximum(np.abs(low), np.abs(high)))
        if self.ball is None:
            found = rows @ ((low + high) / 2) + size @ ((high - low) / 2)
        else:
            center = self.ball.center.reshape(-1).numpy()
            found = rows @ center + self.ball.radius * np.linalg.norm(rows, axis=-1)
        return np.asarray(found + slack)

    def farthest(self, rows: Floats) -> Floats:
        """Return where linear functions of all inputs, of shape (..., n0), are largest on a bounded domain."""
        if self.ball is not None:
            away = np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), np.finfo(np.float64).tiny)
            return np.asarray(self.ball.center.reshape(-1).numpy() + self.ball.radius * (rows / away))
        assert self.sides is not None
        return np.where(rows > 0, self.sides[1], self.sides[0])

    def nearest(self, X: Floats) -> Floats:
        """Return the nearest points of the domain to flattened inputs of shape (B, n0)."""
        if self.sides is None:
            return X
        if self.ball is None:
            return np.clip(X, *self.sides)
        x = torch.from_numpy(X).reshape(-1, *self.ball.shape)
        return self.ball.nearest(x).reshape(len(X), -1).numpy()

    def moving(self, units: Units) -> Units:
        """Return units with only those inputs that can move; their offsets are no longer those of the network."""
        free = self.free
        if free is None:
            return units
        keep = np.concatenate([free.numpy(), np.ones(units.count, dtype=bool)])
        return replace(units, forms=units.forms[keep], outputs=units.outputs[keep], inputs=int(free.sum()))

    def reduced(self, units: Units) -> Units:
        """Return units in as few inputs as the l2 constant needs: those that can move, and what forms tell apart."""
        return self.moving(units).reduced()
