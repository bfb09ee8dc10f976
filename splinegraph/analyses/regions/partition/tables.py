"""A partition as a table and as a summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas

    from splinegraph.analyses.regions.partition.partition import Partition

__all__ = ["summary", "to_dataframe"]


def to_dataframe(partition: Partition) -> pandas.DataFrame:
    """Return one row per cell: code as bytes, point, radius, linear region, class, norm of the map, volume."""
    from splinegraph.analyses.regions.partition.storage import needed

    pandas = needed("pandas")
    columns: dict[str, Any] = {"code": [row.tobytes() for row in partition.packed]}
    columns |= {f"t{k}": partition.points[:, k] for k in range(partition.dim)}
    columns["radius"] = partition.radii
    columns["linear_region"] = partition.linear_region
    if len(partition.graph.outputs) == 1:
        columns["class"] = partition.classes()
    columns["norm"] = partition.map_norms()
    if partition.dim == 1 or partition.mesh is not None:
        columns["volume"] = partition.volumes().values
    frame = pandas.DataFrame(columns)
    frame.index.name = "cell"
    return frame


def summary(partition: Partition) -> dict[str, Any]:
    """Return the figures of a partition as plain values.

    The number of maximal linear regions is null until somebody has asked for it: it can cost more than the
    enumeration.
    """
    radii = partition.radii[np.isfinite(partition.radii)]
    region = partition._cache.get("linear_region")
    return {
        "graph": partition.graph.name,
        "dim": partition.dim,
        "domain": repr(partition.domain) if partition.domain is not None else None,
        "count": partition.count,
        "maximal_count": None if region is None else partition.maximal_count,
        "complete": partition.complete,
        "left": len(partition.left),
        "units": partition.codes.units,
        "operators": [{"name": x.name, "units": x.units, "pieces": x.alphabet} for x in partition.layers],
        "smallest_radius": float(radii.min()) if len(radii) else None,
        "method": partition.method,
        "seconds": partition.seconds,
        "notes": list(partition.notes),
        "verified": None if partition.verified is None else partition.verified.to_dict(),
        "provenance": partition.provenance.to_dict(),
    }
