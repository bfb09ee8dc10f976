"""Random points of the domain, each of which has to lie in a known cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from splinegraph.analyses.batches import widest
from splinegraph.analyses.regions.partition.location import find_points
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.analyses.regions.partition.uniform import sample_domain
from splinegraph.analyses.regions.verify.verification import Check
from splinegraph.core.graph import SplineGraph
from splinegraph.core.linearization import boundary

__all__ = ["CONFIDENCE", "clopper_pearson", "random_points"]

CONFIDENCE = 0.99

ENTRIES = {"cheap": 2**25, "full": 2**28}
"""Entries of the widest value in all passes together: large networks are tried at fewer points."""

FEW = 1000
"""Points without a cell that are asked whether they lie on a boundary; no more do, by chance."""

POINTS = {"cheap": 10_000, "full": 100_000}


def clopper_pearson(misses: int, count: int, confidence: float = CONFIDENCE) -> float:
    """Return an upper bound of a probability that so many of `count` independent trials came true.

    One-sided: too small a bound comes out with probability at most 1 - confidence, whatever the truth.

    References
    ----------
    .. [1] C. Clopper and E. Pearson, "The use of confidence or fiducial limits illustrated in the case of the
       binomial", Biometrika 26, 1934.

    Examples
    --------
    >>> round(clopper_pearson(0, 10_000), 6)
    0.00046
    """
    if misses >= count:
        return 1.0
    if misses == 0:
        return float(-np.expm1(np.log1p(-confidence) / count))
    from scipy.special import betaincinv

    return float(betaincinv(misses + 1, count - misses, confidence))


def random_points(partition: Partition, seed: int, *, level: str) -> Check:
    """Check that random points of the domain lie in known cells; bound the volume of those that are missed."""
    name = "random points of the domain"
    if not len(partition) or partition.dim == 0:
        return Check.skipped(name, "no cells" if not len(partition) else "the domain is a point")
    count = _affordable(partition.graph, level)
    if not partition.complete:  # an estimate of the share that is missing, no check
        count = max(100, count // 10)
    points, uniform = sample_domain(partition.chart, count, partition.points[0], seed=seed)
    missed = np.flatnonzero(find_points(partition, points) < 0)
    tied = 0
    if 0 < len(missed) <= FEW and partition.graph.batched:
        ties = boundary(partition.graph, partition.chart.lift(torch.from_numpy(points[missed]))).numpy()
        tied, missed = int(ties.sum()), missed[~ties]
    figures: dict[str, Any] = {"points": count, "missed": len(missed), "tied": tied, "uniform": uniform}
    detail = f"{count - len(missed)} of {count} in a known cell"
    if uniform:
        bound = clopper_pearson(len(missed) + tied, count)  # those on a boundary are in no known cell either
        figures |= {"missed_volume_at_most": bound, "confidence": CONFIDENCE, "kind": "estimate"}
        detail += f"; missed volume at most {bound:.2g} of the domain at {CONFIDENCE:.0%} confidence"
    if not partition.complete:
        return Check.skipped(name, f"the partition is incomplete; {detail}", **figures)
    return Check.of(name, not len(missed), detail, **figures)


def _affordable(graph: SplineGraph, level: str) -> int:
    """Return how many points to try; fewer of large networks, and of those that take one sample at a time."""
    fits = min(POINTS[level], ENTRIES[level] // widest(graph))
    return max(100, fits if graph.batched else fits // 10)
