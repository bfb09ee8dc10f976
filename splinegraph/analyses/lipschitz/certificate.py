"""What proves an upper bound, checked anew from the network itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.bound import norm_name
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.product import product
from splinegraph.analyses.lipschitz.sdp.inequality import Inequality
from splinegraph.analyses.lipschitz.taking_apart import units
from splinegraph.analyses.provenance import weight_hash
from splinegraph.core.graph import SplineGraph

__all__ = ["Certificate"]


@dataclass(frozen=True, eq=False)
class Certificate:
    """An upper bound of a Lipschitz constant, and what it follows from.

    Parameters
    ----------
    graph : SplineGraph
    domain : Domain
    norm : {1, 2, inf}
    upper : float
    multipliers : array of shape (n,), optional
        Of the matrix inequality; without them the bound is the product of the operators' constants.
    """

    graph: SplineGraph
    domain: Domain
    norm: float
    upper: float
    multipliers: NDArray[np.float64] | None = None

    def verify(self) -> bool:
        """Return whether the bound holds, by taking the network apart again and a proof in float64 with margins."""
        boxes = self.domain.intervals(self.graph)
        if self.multipliers is None:
            return product(self.graph, self.norm, boxes).upper <= self.upper * (1 + 1e-9)
        found = units(self.graph, boxes)
        if found is None or self.norm != 2 or len(self.multipliers) != found.count:
            return False
        return Inequality(self.domain.reduced(found)).proved(self.upper**2, self.multipliers)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, with the hash of the weights that it is about."""
        T: Sequence[float] | None = None if self.multipliers is None else self.multipliers.tolist()
        return {
            "norm": norm_name(self.norm),
            "upper": self.upper,
            "multipliers": T,
            "weights_sha256": weight_hash(self.graph),
        }
