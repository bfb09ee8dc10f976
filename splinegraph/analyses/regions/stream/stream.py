"""Cells of a two-dimensional domain for networks of any size, depth-first, within a budget."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.analyses.codes import Layer
from splinegraph.analyses.packing import pack
from splinegraph.analyses.regions.cells import Cells, code_layers
from splinegraph.analyses.regions.stream.level import Leaf, Level
from splinegraph.analyses.regions.stream.plan import Plan
from splinegraph.analyses.regions.stream.result import Polygons, StreamResult, Task, peak_memory
from splinegraph.analyses.regions.stream.state import Frame, advance, replay
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DomainError

__all__ = ["MEMORY", "stream", "within"]

Floats = NDArray[np.float64]

MEMORY = 2**30
"""Bytes that the values of all faces on the way may take together."""

MOST_FACES = 256
"""Faces that go through an operator together."""

KEPT_CODES = 2**14
"""Bytes per cell up to which packed codes are kept unless one asks for them."""


def stream(
    graph: SplineGraph,
    chart: Chart,
    *,
    layers: tuple[Layer, ...] | None = None,
    limit: int | None = None,
    deadline: float | None = None,
    tasks: Sequence[Task] | None = None,
    memory: int = MEMORY,
    keep_codes: bool | None = None,
    watch: Callable[[int, Callable[[], StreamResult]], bool] | None = None,
) -> StreamResult:
    """Return cells of a two-dimensional domain, in depth-first order.

    Parameters
    ----------
    graph : SplineGraph
        Of piecewise affine operators; they need not be continuous.
    chart : Chart
        Of two free coordinates, bounded.
    layers : tuple of Layer, optional
        As `code_layers` returns them.
    limit : int, optional
        Most cells.
    deadline : float, optional
        Of `time.monotonic`. The step under way is finished first.
    tasks : sequence of Task, optional
        What another call had left, in place of the whole domain.
    memory : int
        Bytes for the values on the way: more faces go through an operator together. At least one does.
    keep_codes : bool, optional
        Whether to keep packed codes besides hashes (default: if a cell's code takes at most 16 KiB).
    watch : callable, optional
        Called after every step with the number of cells, and with what returns the result so far; True ends it.

    Returns
    -------
    StreamResult

    Raises
    ------
    DomainError
        If the domain has not two coordinates, is unbounded or empty.
    UnsupportedOperatorError
        If a node is not piecewise affine or does not say how it switches.

    Notes
    -----
    On a face all values are affine functions of two coordinates: three numbers per unit, pushed through the
    network's own operators. In front of a switching operator a face is cut by the units that switch inside of
    it, one at a time, the one nearest to the middle first, and its parts go on in batches while the rest waits.
    Memory: faces on the way times three times the widest values; not the number of cells. Time: one pass of
    three columns per face and operator. The order of cells does not depend on limit and deadline.
    """
    run = _Run.start(graph, chart, layers, keep_codes, memory)
    begun = time.monotonic()
    queue = list(reversed(tasks)) if tasks is not None else [_whole(chart, run.frame)]
    given = sum(float(task.polygons.areas().sum()) for task in queue)

    def so_far() -> StreamResult:
        return run.result(queue, given, time.monotonic() - begun)

    while (run.stack or queue) and (limit is None or run.count < limit):
        if deadline is not None and time.monotonic() >= deadline:
            break
        if not run.stack:
            run.enter(queue.pop())
        run.step(None if limit is None else limit - run.count)
        if watch is not None and watch(run.count, so_far):
            break
    return so_far()


def within(chart: Chart, loops: Sequence[Floats]) -> Task:
    """Return the task to find all cells that meet some convex polygons, given in the chart's coordinates.

    Parameters
    ----------
    chart : Chart
        Of two free coordinates, bounded; what lies outside of it is left out.
    loops : sequence of arrays of shape (corners, 2)
        Counterclockwise. A cell that meets several of them is found in each.
    """
    frame = Frame.of(chart)
    inside = [_clipped(chart, frame, (loop - frame.center) / frame.half) for loop in loops]
    return Task(1, np.zeros(0, dtype=np.uint8), Polygons.of([loop for loop in inside if len(loop)]))


def _whole(chart: Chart, frame: Frame) -> Task:
    """Return the whole domain as a task."""
    loop = _clipped(chart, frame, np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]))
    if not len(loop) or not bool((frame.half > 0).all()):
        raise DomainError("the domain is empty or flat", remedy="give one with an area")
    return Task(1, np.zeros(0, dtype=np.uint8), Polygons.of([loop]))


def _clipped(chart: Chart, frame: Frame, loop: Floats) -> Floats:
    """Return the part of a polygon of the frame that lies in the domain."""
    from splinegraph.analyses.regions.stream.kernels.polygons import clip

    G, h = chart.G.double().numpy(), chart.h.double().numpy()
    rows = np.concatenate([np.eye(2), -np.eye(2), G * frame.half])
    ends = np.concatenate([np.ones(4), h - G @ frame.center])
    for row, end in zip(rows, ends, strict=True):
        room = np.empty((len(loop) + 2, 2))
        loop = room[: clip(loop, end - loop @ row, 1e-15 * float(np.abs(row).sum() + abs(end)), room)].copy()
    return loop


@dataclass(eq=False)
class _Run:
    """An enumeration under way: levels of faces, the deepest last."""

    plan: Plan
    frame: Frame
    keep: bool
    memory: int
    stack: list[Level] = field(default_factory=list)
    count: int = 0
    loops: list[Floats] = field(default_factory=list)
    packed: list[NDArray[np.uint8]] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)
    faces: dict[int, int] = field(default_factory=dict)
    lost: int = 0
    seconds: dict[str, float] = field(default_factory=lambda: {"values": 0.0, "cuts": 0.0})

    @classmethod
    def start(
        cls, graph: SplineGraph, chart: Chart, layers: tuple[Layer, ...] | None, keep: bool | None, memory: int
    ) -> _Run:
        if chart.dim != 2:
            raise DomainError(f"the domain has {chart.dim} free coordinates, not 2", remedy="give a Plane")
        if not chart.bounded:
            raise DomainError("the domain is unbounded", remedy="give finite bounds")
        layers = code_layers(graph) if layers is None else layers
        width = layers[-1].stop if layers else 0
        return cls(Plan.of(graph, layers), Frame.of(chart), width <= KEPT_CODES if keep is None else keep, memory)

    @property
    def last(self) -> int:
        return len(self.plan.stages) - 1

    def enter(self, task: Task) -> None:
        """Put a task on the stack."""
        if not self.last:  # nothing switches
            for i in range(len(task.polygons)):
                self._emit(np.zeros((1, 0), dtype=np.uint8), [task.polygons.face(i)])
            return
        state = replay(self.plan, self.frame, task.stage, task.prefix)
        row_of = np.zeros(len(task.polygons), dtype=np.int64)
        self.stack.append(Level.open(self.plan, task.stage, state, row_of, task.polygons))

    def step(self, most: int | None) -> None:
        """Advance some parts of the deepest level by one switching operator."""
        if not self.stack:
            return
        began = time.perf_counter()
        level = self.stack[-1]
        stage = level.stage
        leaves = level.take(self._together(stage, most))
        if level.done:
            self.stack.pop()
            self.lost += level.lost
        self.faces[stage] = self.faces.get(stage, 0) + len(leaves)
        if stage == self.last:
            layer = self.plan.layers[-1]
            for row, codes, loop in leaves:
                packed = pack(torch.from_numpy(codes)[None].to(layer.dtype), layer.bits)
                self._emit(np.concatenate([level.state.packed[row][None], packed], axis=1), [loop])
            self.seconds["cuts"] += time.perf_counter() - began
        elif leaves:
            self._deeper(level, leaves, began)

    def _deeper(self, level: Level, leaves: list[Leaf], began: float) -> None:
        between = time.perf_counter()
        state = level.state.take(self.plan, [row for row, _, _ in leaves])
        state = advance(self.plan, level.stage, state, np.stack([codes for _, codes, _ in leaves]))
        after = time.perf_counter()
        polygons = Polygons.of([loop for _, _, loop in leaves])
        self.stack.append(Level.open(self.plan, level.stage + 1, state, np.arange(len(leaves)), polygons))
        self.seconds["values"] += after - between
        self.seconds["cuts"] += between - began + time.perf_counter() - after

    def _together(self, stage: int, most: int | None) -> int:
        """Return how many parts to take at a time."""
        if stage == self.last:
            fit = max(1, min(4096, 2**24 // max(self.plan.layers[-1].units, 1)))
            return fit if most is None else min(fit, most)
        if not self.plan.graph.batched:
            return 1
        return max(1, min(MOST_FACES, self.memory // self.last // self.plan.bytes_per_face(stage)))

    def _emit(self, packed: NDArray[np.uint8], loops: list[Floats]) -> None:
        self.count += len(packed)
        self.loops.extend(loops)
        self.hashes.extend(hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in packed)
        if self.keep:
            self.packed.extend(packed)

    def result(self, queue: Iterable[Task], given: float, seconds: float) -> StreamResult:
        """Return what was found."""
        from splinegraph.analyses.regions.stream.kernels.polygons import summarize

        left = [task for level in reversed(self.stack) for task in level.left()]
        left += reversed(list(queue))
        frame = Polygons.of(self.loops)
        polygons = Polygons(self.frame.outside(frame.vertices), frame.offsets)
        points, radii, areas = summarize(polygons.vertices, polygons.offsets)
        scale = float(np.prod(self.frame.half))
        covered = float(areas.sum())
        waiting = sum(float(task.polygons.areas().sum()) for task in left) * scale
        width = self.plan.layers[-1].stop if self.plan.layers and self.keep else 0
        packed = np.stack(self.packed) if self.packed else np.zeros((len(points), width), dtype=np.uint8)
        unplaced = self.lost + sum(level.lost for level in self.stack)  # a level under way may not be gone on with
        names = {layer.name: self.faces.get(i, 0) for i, layer in enumerate(self.plan.layers, start=1)}
        return StreamResult(
            Cells(packed, points, radii),
            np.frombuffer(b"".join(self.hashes), dtype=np.uint64).reshape(-1, 2),
            polygons,
            tuple(left),
            not left,
            covered,
            given * scale,
            given * scale - covered - waiting,
            peak_memory(),
            {"faces": names, "seconds": seconds, "unplaced": unplaced, **self.seconds},
        )
