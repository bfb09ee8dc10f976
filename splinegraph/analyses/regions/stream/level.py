"""Faces in front of one switching operator, and their parts still to be visited."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

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
A = TypeVar("A", bound=NDArray[Any])

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
    pending: int = 1

    @property
    def done(self) -> bool:
        return not self.pending

    def grow(self) -> None:
        """Make room for more polygons."""
        self.corners, self.starts, self.codes = _longer(self.corners), _longer(self.starts), _longer(self.codes)


class _Room(NamedTuple):
    """Where leaves go, and arrays to work in; see `refine`."""

    corners: Floats
    starts: Ints
    codes: Codes
    out: Floats
    sizes: Ints
    space: Floats
    heights: Floats
    form: Floats
    entrants: Ints
    row: Codes

    @classmethod
    def of(cls, face: _Face, pieces: int) -> _Room:
        """Return room for some leaves of a face, each of whose units has so many pieces."""
        units, width = face.ids.shape
        m = 16 + 2 * pieces
        return cls(
            np.empty((64, 2)), np.zeros(9, np.int64), np.empty((8, units), np.int32),
            np.empty((pieces, m, 2)), np.empty(pieces, np.int64), np.empty((2, m, 2)), np.empty(m),
            np.empty(3), np.empty(width, np.int64), np.empty(units, np.int32),
        )  # fmt: skip

    def grown(self) -> _Room:
        """Return more room, with the same leaves."""
        pieces, m = len(self.sizes), 2 * len(self.heights)
        leaves = _longer(self.corners), _longer(self.starts), _longer(self.codes)
        return _Room(*leaves, np.empty((pieces, m, 2)), self.sizes, np.empty((2, m, 2)), np.empty(m), *self[7:])


def _longer(rows: A) -> A:
    """Return an array with the same rows and more than as many new ones."""
    new = np.empty((2 * len(rows) + 16, *rows.shape[1:]), dtype=rows.dtype)
    new[: len(rows)] = rows
    return new  # type: ignore[return-value]


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
        from splinegraph.analyses.regions.stream.kernels.refinement import FULL, refine

        leaves: list[Leaf] = []
        while self.faces and len(leaves) < most:
            face, table = self.faces[-1], self.table
            count, goal = np.array([face.pending, 0, 0]), most - len(leaves)
            if len(face.codes) == face.pending:
                face.grow()
            pieces = face.ids.shape[1] if table.contest else len(table.ends) + 1
            tables = (face.forms, face.ids, face.ahead, table.ends, table.closed)
            room: Any = _Room.of(face, pieces)
            while status := refine(*(*tables, face.corners, face.starts, face.codes, *room, count, goal)):
                if status == FULL:
                    face.grow()
                else:
                    room = room.grown()
            face.pending, found, lost = count.tolist()
            self.lost += lost
            for i in range(found):
                whole = face.base.copy()
                whole[face.undecided] = room.codes[i]
                corners = room.corners[room.starts[i] : room.starts[i + 1]].copy()
                leaves.append((face.row, whole + np.int32(table.first), corners))
            if face.done:
                self.faces.pop()
        return leaves

    def left(self) -> list[Task]:
        """Return what was not visited, one task per row of the state."""
        loops: dict[int, list[Floats]] = {}
        for face in reversed(self.faces):
            ends = face.starts[: face.pending + 1]
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
