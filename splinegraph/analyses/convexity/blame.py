"""Which units break convexity: those that switch where an output's slope falls."""

from __future__ import annotations

import numpy as np

from splinegraph.analyses.convexity.facets import numbers_of
from splinegraph.analyses.convexity.jumps import jumps_of
from splinegraph.analyses.regions.partition.flips import flips
from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["Unit", "blame_of"]

Unit = tuple[str, int]
"""A node's name and a unit of it, flattened."""


def blame_of(partition: Partition, output: int | None = None) -> dict[Unit, float]:
    """Return the most negative jump of a slope at the facets where each unit switches, the worst unit first.

    Parameters
    ----------
    partition : Partition
        Of a continuous network; nothing is returned for others.
    output : int, optional
        An entry, counted through all outputs; default: the worst of all.

    Notes
    -----
    Units of the first layer that switches at a facet are blamed, all if there are several; jumps that rounding could
    make are left out.
    """
    if not partition.graph.continuous:
        return {}
    jumps = jumps_of(partition)
    columns = numbers_of(partition, None if output is None else [output])
    beyond = jumps.values + jumps.slack < 0
    worst = np.where(beyond, jumps.values, 0.0)[:, columns].min(axis=1, initial=0.0)
    facets = np.flatnonzero(worst < 0)
    i, j = jumps.pairs[facets].T
    found: dict[Unit, float] = {}
    blamed = np.zeros(len(facets), dtype=bool)
    for layer, rows, units in flips(partition.layers, partition.packed[i], partition.packed[j]):
        first = ~blamed[rows]
        for row, unit in zip(rows[first].tolist(), units[first].tolist(), strict=True):
            key = layer.name, unit
            found[key] = min(found.get(key, 0.0), float(worst[facets[row]]))
        blamed[rows] = True
    return dict(sorted(found.items(), key=lambda item: item[1]))
