"""A mesh of which some faces are doubtful: their cells found again, the others kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.cells import Cells, Floats, Mesh
from splinegraph.analyses.regions.geometry.hrep import size_of
from splinegraph.analyses.regions.mending.splicing import splice
from splinegraph.analyses.regions.partition.facets import corners_of
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.analyses.regions.partition.volumes import domain_volume
from splinegraph.analyses.regions.stream.stream import stream, within
from splinegraph.analyses.regions.verify.plane import fills, reaching_out
from splinegraph.analyses.regions.verify.verification import Check
from splinegraph.errors import DomainError

__all__ = ["Mended", "mend"]

Ints = NDArray[np.int64]

WORTH = 0.5
"""Share of the faces beyond which all is done again: that is no dearer, and trusts nothing."""


class Mended(NamedTuple):
    """A partition after some of its faces were done again.

    Parameters
    ----------
    partition : Partition
        Without a mesh where the new faces did not fit between the old ones edge to edge.
    check : Check
        What was done again, and that old and new faces fill the domain.
    """

    partition: Partition
    check: Check


def mend(partition: Partition, patches: Sequence[Ints], *, deadline: float | None = None) -> Mended | None:
    """Replace faces of a mesh by the cells that a stream finds where they are.

    Parameters
    ----------
    partition : Partition
        With a mesh.
    patches : sequence of arrays of int64
        Faces that are not to be trusted; those of one array together make up one convex polygon.
    deadline : float, optional
        Of `time.monotonic`.

    Returns
    -------
    Mended or None
        None if this does not make a partition of the domain: too much is doubtful, the deadline passed, a cell is
        too thin for a polygon, the faces that were kept and the new ones do not add up to the domain's area, or
        kept faces reach out of their cells and there is no mesh to show it later.

    Notes
    -----
    The stream takes nothing from the doubtful faces but where to look: it starts at the inputs, and polygons come
    from the inequalities of the codes that it finds there. A kept face whose code it meets is replaced as well.
    Distinct codes name cells that do not overlap, so that faces that lie in the cells of their codes and have the
    domain's area in sum leave nothing out; `verify` looks at the former where there is a mesh. The time is in
    proportion to the cells near the doubtful faces, but for some passes over arrays of all cells.
    """
    mesh = partition.mesh
    kept = np.ones(len(partition), dtype=bool)
    kept[np.concatenate([np.zeros(0, dtype=np.int64), *patches])] = False
    if mesh is None or kept.all() or (~kept).mean() > WORTH:
        return None
    found = _again(partition, [_hull(mesh, rows) for rows in patches], deadline)
    if found is None:
        return None
    known = partition.index.find(found.packed)
    kept[known[known >= 0]] = False
    try:
        faces = _faces(partition.replace(cells=found, mesh=None))
    except DomainError:  # a polygon without end: codes that make no sense
        return None
    if len(faces.cells) < len(found):  # areas do not show a thin cell that is left out
        return None
    total = float(mesh.areas()[kept].sum() + faces.areas.sum())
    whole = domain_volume(partition.chart, partition.points[kept][0])
    if not abs(total - whole) <= fills(partition.chart) * whole:
        return None
    cells = Cells.concat([partition.cells[kept], faces.cells])
    spliced = splice(mesh, kept, faces.corners, faces.offsets, size_of(partition.chart))
    if spliced is None and not _inside(partition, mesh, kept):
        return None
    counts = {"faces": int((~kept).sum()), "cells": len(faces.cells), "in_mesh": spliced is not None}
    detail = f"{counts['faces']} of {len(partition)} faces done again, now {counts['cells']} cells of the stream"
    detail += "" if spliced is not None else ", without a mesh"
    check = Check.of("faces done again", True, f"{detail}; area {total:.12g} of {whole:.12g}", **counts)
    return Mended(partition.replace(cells=cells, mesh=spliced), check)


def _inside(partition: Partition, mesh: Mesh, kept: NDArray[np.bool_]) -> bool:
    """Return whether it is known that all faces that are kept lie in the cells of their codes."""
    return partition.graph.batched and not reaching_out(partition, mesh, np.flatnonzero(kept)).any()


def _again(partition: Partition, loops: Sequence[Floats], deadline: float | None) -> Cells | None:
    """Return the cells that meet some polygons, each once; None if not all could be found."""
    if not all(np.isfinite(loop).all() for loop in loops):
        return None
    task = within(partition.chart, [loop for loop in loops if len(loop) > 2])
    found = stream(
        partition.graph, partition.chart, layers=partition.layers, deadline=deadline, tasks=[task], keep_codes=True
    )
    if found.left or found.stats["unplaced"]:
        return None
    order = np.argsort(-found.cells.radii, kind="stable")  # of the parts of a cell the widest has the best point
    _, first = np.unique(found.cells.packed[order], axis=0, return_index=True)
    return found.cells[np.sort(order[first])]


class _Faces(NamedTuple):
    """Cells as polygons, each with corners of its own."""

    cells: Cells
    corners: Floats
    offsets: Ints
    areas: Floats


def _faces(partition: Partition) -> _Faces:
    """Return the polygons of cells from their inequalities; of those that have an interior."""
    from splinegraph.analyses.regions.stream.kernels.polygons import summarize

    corners, offsets = corners_of(partition)
    solid = np.diff(offsets) > 0
    offsets = offsets[np.append(True, solid)]
    points, radii, areas = summarize(corners, offsets)
    return _Faces(Cells(partition.packed[solid], points, radii), corners, offsets, areas)


def _hull(mesh: Mesh, faces: Ints) -> Floats:
    """Return the convex hull of some faces, counterclockwise."""
    loops = [mesh.corners[mesh.offsets[i] : mesh.offsets[i + 1]] for i in faces]
    corners = np.unique(mesh.vertices[np.concatenate(loops)], axis=0).tolist() if loops else []
    halves = [_chain(corners), _chain(corners[::-1])]
    return np.array([*halves[0][:-1], *halves[1][:-1]]).reshape(-1, 2)


def _chain(corners: list[list[float]]) -> list[list[float]]:
    """Return the lower half of the hull of points that come from left to right."""
    chain: list[list[float]] = []
    for x, y in corners:
        while len(chain) > 1:
            (a, b), (c, d) = chain[-2:]
            if (c - a) * (y - b) - (d - b) * (x - a) > 0:
                break
            chain.pop()
        chain.append([x, y])
    return chain
