"""Clusters of packed codes by the number of units that differ."""

from __future__ import annotations

import numpy as np

from splinegraph.analyses.activation.tables import Ints
from splinegraph.analyses.packing import Bytes, differing

__all__ = ["medoids", "nearest"]

ROUNDS = 20
"""Most rounds of choosing better medoids."""

ENTRIES = 2**24
"""Bytes that are compared at a time."""


def nearest(packed: Bytes, centers: Bytes, units: int, bits: int) -> tuple[Ints, Ints]:
    """Return for each row the nearest center, the first of equals, and on how many units it differs."""
    step = max(1, ENTRIES // max(centers.size, 1))
    found, away = [], []
    for start in range(0, len(packed), step):
        distances = differing(packed[start : start + step, None], centers[None], units, bits)
        found.append(distances.argmin(1))
        away.append(distances.min(1))
    return np.concatenate(found), np.concatenate(away)


def medoids(packed: Bytes, units: int, bits: int, number: int, seed: int) -> Ints:
    """Return which rows are the centers of `number` clusters.

    Notes
    -----
    The first is drawn, each further one with a probability proportional to the squared distance to those before
    (k-means++); then rounds of assigning rows and taking the row of a cluster that is nearest to all of it [1]_,
    until nothing changes. The sum of distances never grows; it need not be the smallest possible.

    References
    ----------
    .. [1] H.-S. Park and C.-H. Jun, "A simple and fast algorithm for K-medoids clustering", 2009.
    """
    rng = np.random.default_rng(seed)
    chosen = [int(rng.integers(len(packed)))]
    away = nearest(packed, packed[chosen], units, bits)[1].astype(np.float64)
    while len(chosen) < number:
        chosen.append(int(rng.choice(len(packed), p=away**2 / (away**2).sum())))
        away = np.minimum(away, nearest(packed, packed[chosen[-1:]], units, bits)[1])
    centers = np.array(chosen)
    for _ in range(ROUNDS):
        member = nearest(packed, packed[centers], units, bits)[0]
        better = centers.copy()
        for cluster in range(number):
            rows = np.flatnonzero(member == cluster)
            if len(rows):
                inside = sum(differing(packed[rows], packed[row], units, bits) for row in rows)
                better[cluster] = rows[np.argmin(inside)]
        if (better == centers).all():
            break
        centers = better
    return centers
