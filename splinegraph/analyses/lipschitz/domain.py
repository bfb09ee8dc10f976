"""Where a Lipschitz constant holds: all of space, or a box of inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.lipschitz.intervals import intervals
from splinegraph.analyses.lipschitz.units import Units
from splinegraph.core.domains.chart import chart_of
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from splinegraph.errors import DomainError

__all__ = ["Domain"]


@dataclass(frozen=True, eq=False)
class Domain:
    """All of space, or one box per input.

    Parameters
    ----------
    boxes : tuple of Box, or None
        In the shapes of one sample.
    """

    boxes: tuple[Box, ...] | None = None

    @classmethod
    def of(cls, graph: SplineGraph, on: Any) -> Domain:
        """Return the domain that a user asks for.

        Raises
        ------
        DomainError
            If it is no box, or does not fit the inputs.
        """
        if on is None:
            return cls()
        domains = tuple(on) if isinstance(on, (tuple, list)) else (on,)
        for domain in domains:
            if not isinstance(domain, Box):
                raise DomainError(
                    f"a Lipschitz constant on a {type(domain).__name__} is not built",
                    remedy="give a Box per input, or nothing for all of space",
                )
        if len(domains) == len(graph.input_shapes):
            domains = tuple(d.broadcast(s) for d, s in zip(domains, graph.input_shapes, strict=True))
        chart_of(graph, domains)  # refuses what does not fit
        return cls(domains)

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

    def reduced(self, units: Units) -> Units:
        """Return units in as few inputs as the l2 constant needs: those that can move, and what forms tell apart."""
        free = self.free
        if free is not None:
            keep = np.concatenate([free.numpy(), np.ones(units.count, dtype=bool)])
            units = replace(units, forms=units.forms[keep], outputs=units.outputs[keep], inputs=int(free.sum()))
        return units.reduced()
