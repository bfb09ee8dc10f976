"""Faces in front of one switching operator, and their parts still to be visited."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.analyses.regions.stream.plan import Plan, Table
from splinegraph.analyses.regions.stream.result import Polygons, Task
from splinegraph.analyses.regions.stream.state import State
from splinegraph.core.values import Box

__all__ = ["Leaf", "Level"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]

Leaf = tuple[int, Codes, Floats]
"""Row of the state, codes of all units of the node, polygon."""


@dataclass(eq=False)
class _Face:
    """One face and its units that are on no single piece."""

    row: int
    base: Codes
    undecided: Ints
    forms: Floats
    ids: Ints
    ahead: Ints
    corners: Floats
    starts: Ints
    codes: Codes

    @property
    def done(self) -> bool:
        return not len(self.codes)


@dataclass(eq=False)
class Level:
    """Faces with one state, cut by the units of one node, lazily."""

    stage: int
    state: State
    table: Table
    faces: list[_Face] = field(default_factory=list)
    lost: int = 0

    @classmethod
    def open(cls, plan: Plan, stage: int, state: State, row_of: Ints, polygons: Polygons) -> Level:
        """Return the level at a stage; polygon i lies in row `row_of[i]` of the state."""
        from splinegraph.analyses.regions.stream.kernels.decisions import settle_breaks, settle_contests

        node = plan.stages[stage].node
        assert node is not None
        rows = state.rows(plan, node.args)
        table = plan.table(stage, lambda: _boxes(plan, node.args, rows, row_of, polygons))
        if table.sign < 0:
            rows = -rows
        units = len(table.position) if table.contest else rows.shape[2]
        codes = np.empty((len(polygons), units), dtype=np.int32)
        loops = (polygons.vertices, polygons.offsets)
        if table.contest:
            settle_contests(rows, row_of, *loops, table.position, table.after, codes)
        else:
            settle_breaks(rows, row_of, *loops, table.ends, table.closed, codes)
        level = cls(stage, state, table)
        for i, row in enumerate(row_of):
            level.faces.append(_face(table, int(row), rows[row], codes[i], polygons.face(i)))
        level.faces.reverse()
        return level

    @property
    def done(self) -> bool:
        """Whether every part was visited."""
        return not self.faces

    def take(self, most: int) -> list[Leaf]:
        """Return the next parts, at most so many, each on one piece of every unit."""
        from splinegraph.analyses.regions.stream.kernels.refinement import refine

        leaves: list[Leaf] = []
        while self.faces and len(leaves) < most:
            face, table = self.faces[-1], self.table
            corners, starts, codes, face.corners, face.starts, face.codes, lost = refine(
                face.forms, face.ids, face.ahead, table.ends, table.closed,
                face.corners, face.starts, face.codes, most - len(leaves),
            )  # fmt: skip
            self.lost += lost
            for i in range(len(codes)):
                whole = face.base.copy()
                whole[face.undecided] = codes[i]
                leaves.append((face.row, whole + np.int32(table.first), corners[starts[i] : starts[i + 1]].copy()))
            if face.done:
                self.faces.pop()
        return leaves

    def left(self) -> list[Task]:
        """Return what was not visited, one task per row of the state."""
        loops: dict[int, list[Floats]] = {}
        for face in reversed(self.faces):
            ends = face.starts[: len(face.codes) + 1]
            mine = [face.corners[a:b].copy() for a, b in itertools.pairwise(ends)]
            loops.setdefault(face.row, []).extend(reversed(mine))
        return [Task(self.stage, self.state.packed[row].copy(), Polygons.of(found)) for row, found in loops.items()]


def _face(table: Table, row: int, forms: Floats, codes: Codes, loop: Floats) -> _Face:
    """Return a face with what its undecided units need."""
    undecided = np.flatnonzero(codes < 0)
    ahead = np.full(len(undecided), -1, dtype=np.int64)
    if table.contest:
        ids = table.position[undecided]
        _chains(table, codes, undecided, ids, ahead)
        chosen = forms[:, np.maximum(table.position[undecided], 0)].transpose(1, 2, 0)
    else:
        ids = np.zeros((len(undecided), 1), dtype=np.int64)
        chosen = forms[:, undecided].T[:, None]
    return _Face(
        row, codes, undecided, np.ascontiguousarray(chosen), ids, ahead, np.ascontiguousarray(loop),
        np.array([0, len(loop)]), np.full((1, len(undecided)), -1, dtype=np.int32),
    )  # fmt: skip


def _chains(table: Table, codes: Codes, undecided: Ints, ids: Ints, ahead: Ints) -> None:
    """Take out the winners of the decided units ahead of each, and say which undecided one is ahead."""
    for k in np.flatnonzero(table.after[undecided] >= 0):
        a = table.after[undecided[k]]
        while a >= 0:
            if codes[a] >= 0:
                ids[k][ids[k] == table.position[a, codes[a]]] = -1
            elif ahead[k] < 0:
                ahead[k] = np.searchsorted(undecided, a)
            a = table.after[a]


def _boxes(plan: Plan, args: tuple[str, ...], rows: Floats, row_of: Ints, polygons: Polygons) -> list[Box]:
    """Return bounds of the arguments on the polygons, at batch size one."""
    low, high = np.full(rows.shape[2], np.inf), np.full(rows.shape[2], -np.inf)
    for i, row in enumerate(row_of):
        corners = polygons.face(i)
        values = rows[row, 0] + corners @ rows[row, 1:]
        low, high = np.minimum(low, values.min(0)), np.maximum(high, values.max(0))
    shapes = [plan.graph[arg].shape for arg in args]
    sizes = [int(np.prod(shape)) for shape in shapes]
    found = []
    for start, size, shape in zip(np.cumsum([0, *sizes[:-1]]), sizes, shapes, strict=True):
        ends = (torch.from_numpy(side[start : start + size].copy()).reshape(shape) for side in (low, high))
        found.append(Box(*ends))
    return found
