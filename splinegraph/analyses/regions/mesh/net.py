"""The arrays of a mesh: half-edges, faces, vertices."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Net", "grown", "larger", "start"]

ORIGIN, NEXT, TWIN, MARK = range(4)
"""Columns of `half`: the vertex where a half-edge starts, the half-edge that follows around its face (on the left),
the same edge seen from the other face (-1: none), and a place for notes."""

FIRST, ROOT, DOUBT, STACK = range(4)
"""Columns of `face`: any half-edge of it, the face of before this pass that it is a part of, whether something was
odd about a face of before this pass, and a stack of parts of a face that wait to be looked at."""

VERTICES, HALVES, FACES, TURN, PENDING, ANOMALIES = range(6)
"""Places in `number`: how many there are; the next face to look at, how many faces wait on the stack, and how often
something was odd."""

DONE, FULL, PAUSED = range(3)
"""Why a pass over the faces comes back: all are done, the arrays are too small, it is time to look at the clock."""

MOST_FACES = 340_000_000
"""Half-edges are counted with 32 bits."""

Ints = NDArray[np.int32]


class Net(NamedTuple):
    """A mesh, with room to grow.

    Parameters
    ----------
    half : array of int32, shape (half-edges, 4)
    face : array of int32, shape (faces, 4)
    place : array of float64, shape (vertices, 3)
        Coordinates, and for a vertex made by a cut how far it lies from the first of its `ends` to the second.
    ends : array of int32, shape (vertices, 2)
        Two older vertices.
    number : array of int64, shape (6,)
        See `VERTICES` and what follows.
    """

    half: Ints
    face: Ints
    place: NDArray[np.float64]
    ends: Ints
    number: NDArray[np.int64]


SPACE = 512
"""Faces that a mesh has room for at first."""

A = TypeVar("A", bound=NDArray[Any])


def start(corners: NDArray[np.float64]) -> Net:
    """Return a mesh of one face, whose corners are given counterclockwise."""
    m = len(corners)
    net = _empty(max(SPACE, 2 * m))
    net.half[:m] = [(i, (i + 1) % m, -1, 0) for i in range(m)]
    net.face[0] = 0
    net.place[:m, :2] = corners
    net.number[:] = m, m, 1, 0, 0, 0
    return net


def _empty(rows: int) -> Net:
    return Net(
        half=np.empty((6 * rows, 4), dtype=np.int32),  # a cut makes at most six, and one face
        face=np.empty((rows, 4), dtype=np.int32),
        place=np.empty((rows, 3)),
        ends=np.empty((rows, 2), dtype=np.int32),
        number=np.zeros(6, dtype=np.int64),
    )


def grown(net: Net) -> Net:
    """Return the mesh with more room, if it is about to be full."""
    vertices, halves, faces = net.number[:3]
    if halves + 6 <= len(net.half) and vertices + 2 <= len(net.place) and faces + 2 <= len(net.face):
        return net
    new = _empty(2 * len(net.face))
    new.half[:halves], new.face[: len(net.face)] = net.half[:halves], net.face
    new.place[:vertices], new.ends[:vertices] = net.place[:vertices], net.ends[:vertices]
    new.number[:] = net.number
    return new


def larger(rows: A, used: int, room: int) -> A:
    """Return an array with the same first `used` rows, and `room` in all."""
    new = np.empty((room, *rows.shape[1:]), dtype=rows.dtype)
    new[:used] = rows[:used]
    return new  # type: ignore[return-value]
