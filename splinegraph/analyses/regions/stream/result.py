"""What a streamed enumeration finds."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.cells import Cells

if sys.platform != "win32":
    import resource

__all__ = ["Polygons", "StreamResult", "Task", "peak_memory"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Polygons:
    """Convex polygons, each with corners of its own, counterclockwise, in the chart's coordinates.

    Parameters
    ----------
    vertices : array of float64, shape (V, 2)
    offsets : array of int64, shape (F + 1,)
        Polygon i is ``vertices[offsets[i] : offsets[i + 1]]``.
    """

    vertices: Floats
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def face(self, i: int) -> Floats:
        """Return the corners of polygon i."""
        return self.vertices[self.offsets[i] : self.offsets[i + 1]]

    @classmethod
    def of(cls, loops: list[Floats]) -> Polygons:
        """Return the polygons of a list."""
        sizes = np.array([0, *(len(loop) for loop in loops)], dtype=np.int64)
        return cls(np.concatenate(loops) if loops else np.zeros((0, 2)), np.cumsum(sizes))

    def areas(self) -> Floats:
        """Return the area of each."""
        from splinegraph.analyses.regions.stream.kernels.polygons import summarize

        areas: Floats = summarize(self.vertices, self.offsets)[2]
        return areas


@dataclass(frozen=True, eq=False)
class Task:
    """Polygons on which the codes of the first nodes are known: work that is left.

    Parameters
    ----------
    stage : int
        How many switching nodes are decided, plus one.
    prefix : array of uint8
        Their packed codes.
    polygons : Polygons
        In the frame: the chart's bounding box as [-1, 1]^2.
    """

    stage: int
    prefix: NDArray[np.uint8]
    polygons: Polygons

    def to_bytes(self) -> bytes:
        """Return it as bytes, to be kept."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer, stage=self.stage, prefix=self.prefix, vertices=self.polygons.vertices, offsets=self.polygons.offsets
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Task:
        """Return the task that was kept; nothing in the bytes is executed."""
        with np.load(io.BytesIO(data), allow_pickle=False) as kept:
            polygons = Polygons(kept["vertices"], kept["offsets"])
            return cls(int(kept["stage"]), kept["prefix"], polygons)


@dataclass(frozen=True, eq=False)
class StreamResult:
    """Cells of a two-dimensional domain, found depth-first.

    Parameters
    ----------
    cells : Cells
        Their `packed` codes are empty where they were not kept.
    hashes : array of uint64, shape (N, 2)
        128 bits of each cell's packed code (BLAKE2b).
    polygons : Polygons
        Polygon i is cell i.
    left : tuple of Task
        What is left to do; `stream` takes it up again.
    complete : bool
    covered, area : float
        Area of the cells found and of what was to be done, in the chart's coordinates.
    lost : float
        The part of the area that is neither covered nor left: rounding.
    peak_memory : int
        Of the whole process, in bytes; 0 where the system does not tell.
    stats : dict
        `faces` per switching node, and the seconds spent.
    """

    cells: Cells
    hashes: NDArray[np.uint64]
    polygons: Polygons
    left: tuple[Task, ...]
    complete: bool
    covered: float
    area: float
    lost: float
    peak_memory: int
    stats: dict[str, Any]

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        share = 100 * self.covered / self.area
        done = "complete" if self.complete else f"{share:.3g} % of the area"
        memory = f", {self.peak_memory / 2**20:.0f} MiB at most" if self.peak_memory else ""
        return f"<StreamResult: {len(self)} cells, {done}{memory}>"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe summary."""
        return {
            "cells": len(self), "complete": self.complete, "left": len(self.left), "covered": self.covered,
            "area": self.area, "lost": self.lost, "peak_memory": self.peak_memory, **self.stats,
        }  # fmt: skip


def peak_memory() -> int:
    """Return the largest memory that the process has held so far, in bytes; 0 where the system does not tell."""
    if sys.platform != "win32":
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return 0
