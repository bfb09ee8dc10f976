"""Cutting the faces of a mesh, one switching node after the other."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.codes import Layer
from splinegraph.analyses.packing import Bytes
from splinegraph.analyses.regions.mesh.net import (
    ANOMALIES,
    DONE,
    DOUBT,
    FACES,
    FULL,
    ROOT,
    TURN,
    VERTICES,
    grown,
    larger,
    start,
)
from splinegraph.analyses.regions.mesh.packing import pack_places, pack_words
from splinegraph.analyses.regions.mesh.ranking import Ranking
from splinegraph.analyses.regions.mesh.stages import Stage
from splinegraph.analyses.regions.mesh.values import Values, room
from splinegraph.analyses.regions.tolerances import ON_BOUNDARY, blur
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import SplineGraph
from splinegraph.core.switching import Breaks, Contest

__all__ = ["Cutting", "Exceeded"]

Floats = NDArray[np.float64]

STEPS = 20_000
"""Cuts between two looks at the clock and the limit: some milliseconds."""

SMALLEST = 1e-290
"""Tolerance of a unit that is zero everywhere."""


NONE = np.zeros(0, dtype=np.int64)


class Exceeded(Exception):
    """More faces than the limit, or the deadline has passed.

    Parameters
    ----------
    why : {'limit', 'deadline'}
    faces : int
        How many faces there were.
    layer : str
        The switching node that was being worked on.
    """

    def __init__(self, why: str, faces: int, layer: str) -> None:
        self.why, self.faces, self.layer = why, faces, layer
        super().__init__(f"{why} passed with {faces} faces, at {layer}")


class Pass(NamedTuple):
    """What is remembered of a pass over the faces."""

    layer: Layer
    root: NDArray[np.int32]  # for each face after it, the face before it
    packed: Bytes | None  # the codes of each face after it; None between two ranks of one node
    odd: NDArray[np.int64]  # faces before it that were odd


class Cutting:
    """A mesh on the way from one face to the cells of all switching nodes."""

    def __init__(
        self,
        graph: SplineGraph,
        chart: Chart,
        layers: Sequence[Layer],
        corners: Floats,
        limit: int | None,
        deadline: float | None,
    ) -> None:
        self.layers = {layer.name: layer for layer in layers}
        self.values, self.tolerance = Values(graph, chart), ON_BOUNDARY * blur(chart)
        self.limit, self.deadline = limit, deadline
        self.net = start(corners)
        self.passes: list[Pass] = []
        self.stats: dict[str, Any] = {"faces": {}, "bytes": 0}

    def run(self, stage: Stage) -> None:
        """Cut all faces where the units of one node switch."""
        values, before = self.values, int(self.net.number[VERTICES])
        self.look(stage.node.name)
        values.run(stage, self.net.place[:before, :2])
        cut = self._breaks if isinstance(stage.switching, Breaks) else self._contest
        done = cut(stage, before)
        self.stats["bytes"] = max(self.stats["bytes"], values.bytes(int(self.net.number[VERTICES])))
        self.stats["faces"][stage.node.name] = int(self.net.number[FACES])
        for name in stage.after:
            del values.kept[name]
        values.extend(self.net, before, done)

    def look(self, where: str) -> None:
        """Raise if there are too many faces, or no time is left."""
        faces = int(self.net.number[FACES])
        if self.limit is not None and faces > self.limit:
            raise Exceeded("limit", faces, where)
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise Exceeded("deadline", faces, where)

    def _breaks(self, stage: Stage, vertices: int) -> tuple[str, ...]:
        """Cut where units meet breakpoints; return the values that have rows for the new vertices already."""
        from splinegraph.analyses.regions.mesh.kernels.cut import cut_faces
        from splinegraph.analyses.regions.mesh.kernels.signs import sign_rows

        name, (value,) = stage.node.args[0], self.values.take(stage.node.args[:1])
        assert isinstance(stage.switching, Breaks)
        breaks = stage.switching.breakpoints.numpy()
        words = len(breaks) * -(-value.shape[1] // 64)
        tol, signs = np.empty(value.shape[1]), np.empty((len(value), 2 * words), dtype=np.uint64)
        self.values.finite(stage.node, sign_rows(value, vertices, breaks, self.tolerance, SMALLEST, tol, signs))
        codes = np.empty((len(self.net.face), words), dtype=np.uint64)
        space = np.empty(2 * words, dtype=np.uint64), np.empty(4, dtype=np.int64)
        roots = self._begin()
        while (status := cut_faces(*self.net, value, signs, breaks, tol, codes, *space, roots, STEPS)) != DONE:
            self.look(stage.node.name)
            if status == FULL:
                used, rows, faces = self._grow(len(value))
                if rows > len(value):
                    value, signs = larger(value, used, rows), larger(signs, used, rows)
                if faces > len(codes):
                    codes = larger(codes, len(codes), faces)
        self.values.kept[name] = value
        faces = int(self.net.number[FACES])
        self._remember(stage, pack_words(codes[:faces], self.layers[stage.node.name], stage.switching.first), roots)
        return (name,)

    def _contest(self, stage: Stage, vertices: int) -> tuple[str, ...]:
        """Cut where winners change, one rank after the other; return the values that have new rows already."""
        from splinegraph.analyses.regions.mesh.kernels.contest import decide_faces
        from splinegraph.analyses.regions.mesh.kernels.merging import merge_faces
        from splinegraph.analyses.regions.mesh.kernels.signs import largest

        assert isinstance(stage.switching, Contest)
        contest = Ranking.of(stage.switching, [math.prod(self.values.graph[a].shape) for a in stage.node.args])
        value = self.values.joined(stage.node.args, vertices, contest.sign)
        size = np.zeros(value.shape[1])
        self.values.finite(stage.node, largest(value, vertices, size))
        tol = np.maximum(self.tolerance * contest.most(size), SMALLEST)
        places = np.empty((len(self.net.face), contest.units), dtype=np.int16)
        settled = np.empty(len(self.net.face), dtype=np.int32)
        for rank, units in enumerate(contest.ranks):
            roots = self._begin()
            table = (contest.member, contest.after, units, tol)
            space = np.empty((len(units), contest.member.shape[1]), dtype=np.int64), np.empty(4, dtype=np.int64)
            while (status := decide_faces(*self.net, value, *table, places, settled, *space, roots, STEPS)) != DONE:
                self.look(stage.node.name)
                if status == FULL:
                    used, rows, faces = self._grow(len(value))
                    value = larger(value, used, rows) if rows > len(value) else value
                    if faces > len(places):
                        places, settled = larger(places, len(places), faces), larger(settled, len(settled), faces)
            if self.net.number[FACES] > roots:
                merge_faces(self.net.half, self.net.face, self.net.number, places, units)
            last = rank + 1 == len(contest.ranks)
            faces = int(self.net.number[FACES])
            self._remember(stage, pack_places(places[:faces], self.layers[stage.node.name]) if last else None, roots)
        return ()

    def _grow(self, rows: int) -> tuple[int, int, int]:
        """Make room; return how many vertices there are, and for how many of them and of faces there should be room.

        `rows` is the room for values at vertices.
        """
        self.net = grown(self.net)
        used = int(self.net.number[VERTICES])
        return used, rows if used + 2 <= rows else room(used), len(self.net.face)

    def _begin(self) -> int:
        """Get ready for a pass over the faces there are now; return how many."""
        count = self.net.number
        count[TURN] = 0
        return int(count[FACES])

    def _remember(self, stage: Stage, packed: Bytes | None, roots: int) -> None:
        faces, face = int(self.net.number[FACES]), self.net.face
        odd = np.flatnonzero(face[:roots, DOUBT]) if self.net.number[ANOMALIES] else NONE
        face[odd, DOUBT] = 0
        root = face[: faces if faces > roots else 0, ROOT].copy()
        self.passes.append(Pass(self.layers[stage.node.name], root, packed, odd))

    def codes(self) -> tuple[Bytes, list[tuple[str, NDArray[np.int64]]]]:
        """Return the packed codes of the faces, and for each face that was odd the layer and what became of it."""
        faces = int(self.net.number[FACES])
        packed = np.empty((faces, max((layer.stop for layer in self.layers.values()), default=0)), dtype=np.uint8)
        now: NDArray[Any] | None = None  # for each face, which one it was after the pass
        doubts = []
        for layer, root, codes, odd in reversed(self.passes):
            if codes is not None:
                packed[:, layer.start : layer.stop] = codes if now is None else codes[now]
            if len(root):
                now = root if now is None else root[now]
            for face in odd:
                mine = np.flatnonzero(now == face) if now is not None else np.array([face])
                doubts.append((layer.name, mine))
        return packed, doubts
