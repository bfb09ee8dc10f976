"""How much of a domain the cells found so far cover: which of some fixed random points lie in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.analyses.codes import codes
from splinegraph.analyses.packing import Bytes
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import SplineGraph

__all__ = ["Coverage", "uniform_points"]

POINTS = 1000
"""How many points: the fraction is known to within 0.03 with a confidence of 95 %."""

TRIES = 200
"""How many points of the bounding box are drawn for each point wanted."""


@dataclass(eq=False)
class Coverage:
    """Fixed random points of a domain, and which of them lie in cells seen so far.

    A point lies in a cell if its code is the cell's: that is exact, and does not depend on the cells' order. The
    fraction of the points is an estimate of the covered fraction of the domain's volume.

    Parameters
    ----------
    packed : array of uint8, shape (K, bytes)
        Codes of the points.
    """

    packed: Bytes

    def __post_init__(self) -> None:
        self._mixer = np.random.default_rng(0).integers(1, 2**63, self.packed.shape[1] // 8 + 1, dtype=np.uint64) | 1
        self._keys = self._hash(self.packed)
        self.seen = np.zeros(len(self.packed), dtype=bool)

    @classmethod
    def of(cls, graph: SplineGraph, chart: Chart, *, count: int = POINTS, seed: int = 0) -> Coverage:
        """Draw the points; none where the domain is unbounded, or fills too little of its bounding box."""
        points = uniform_points(chart, count, seed)
        with torch.no_grad():
            packed = codes(graph, *chart.lift(points)).packed if len(points) else np.zeros((0, 0), np.uint8)
        return cls(packed)

    def _hash(self, packed: Bytes) -> NDArray[np.uint64]:
        padded = np.zeros((len(packed), 8 * len(self._mixer)), dtype=np.uint8)
        padded[:, : packed.shape[1]] = packed
        words = padded.view(np.uint64)
        mixed = (words ^ (words >> np.uint64(29))) * self._mixer
        keys: NDArray[np.uint64] = np.bitwise_xor.reduce(mixed ^ (mixed >> np.uint64(32)), axis=1)
        return keys

    def add(self, packed: Bytes) -> None:
        """Take in cells by their codes, shape (N, bytes)."""
        if not len(self.packed) or not len(packed):
            return
        keys = np.sort(self._hash(packed))
        place = np.searchsorted(keys, self._keys)
        hit = keys[np.minimum(place, len(keys) - 1)] == self._keys
        candidates = np.flatnonzero(hit & ~self.seen)
        if len(candidates):  # bytes decide, not hashes
            there = set(map(bytes, packed[np.isin(self._hash(packed), self._keys[candidates])]))
            self.seen[[i for i in candidates if bytes(self.packed[i]) in there]] = True

    def restart(self, parts: Iterable[Bytes]) -> None:
        """Forget the cells seen so far, and take in these."""
        self.seen[:] = False
        for packed in parts:
            self.add(packed)

    @property
    def fraction(self) -> float | None:
        """Fraction of the points in cells seen so far; None without points."""
        return float(self.seen.mean()) if len(self.seen) else None

    def to_dict(self) -> dict[str, float | int | None]:
        """Return the counts, JSON-safe."""
        return {"points": len(self.seen), "inside": int(self.seen.sum()), "fraction": self.fraction}


def uniform_points(chart: Chart, count: int, seed: int) -> torch.Tensor:
    """Return `count` uniform random points of a chart, shape (count, D); none if that would take too long."""
    none = torch.zeros(0, chart.dim, dtype=torch.float64)
    if not chart.bounded:
        return none
    generator = torch.Generator().manual_seed(seed)
    found, drawn = none, 0
    while len(found) < count and drawn < TRIES * count:
        t = chart.lower + (chart.upper - chart.lower) * torch.rand(
            count, chart.dim, generator=generator, dtype=torch.float64
        )
        found, drawn = torch.cat([found, t[chart.contains(t)]]), drawn + count
    return found[:count] if len(found) >= count else none
