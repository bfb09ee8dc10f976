"""Faults planted into a mesh: what a broken kernel would leave."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import splinegraph as sg
from splinegraph.analyses.regions.cells import Cells
from splinegraph.analyses.regions.mesh import mesh as module
from splinegraph.analyses.regions.mesh.mesh import Doubt, MeshResult

__all__ = ["doubted", "keys", "planted", "some_parent"]


def keys(partition: sg.Partition) -> list[bytes]:
    """Return the codes, in order."""
    return sorted(row.tobytes() for row in np.ascontiguousarray(partition.packed))


def planted(monkeypatch: pytest.MonkeyPatch, fault: Callable[[MeshResult], MeshResult]) -> None:
    """Let the mesh return results with a fault."""
    mesh = module.mesh

    def faulty(*args: Any, **more: Any) -> MeshResult:
        return fault(mesh(*args, **more))

    monkeypatch.setattr(module, "mesh", faulty)


def doubted(result: MeshResult, *groups: NDArray[np.int64]) -> MeshResult:
    """Return the result with groups of faces called odd, and garbage for their codes."""
    packed = result.cells.packed.copy()
    for group in groups:
        packed[group] = 255
    cells = Cells(packed, result.cells.points, result.cells.radii)
    doubts = tuple(Doubt("relu", group) for group in groups)
    return dataclasses.replace(result, cells=cells, anomalies=len(doubts), doubts=doubts)


def some_parent(result: MeshResult, bytes_: int) -> NDArray[np.int64]:
    """Return the faces with the most frequent first bytes: those that one face of the first layer was cut into."""
    _, inverse, counts = np.unique(result.cells.packed[:, :bytes_], axis=0, return_inverse=True, return_counts=True)
    return np.flatnonzero(inverse == counts.argmax())
