"""The section on regions: a small exact slice through samples, and the cells between samples."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.report.registry import section
from splinegraph.analyses.report.study import Collector, Part, Study
from splinegraph.analyses.report.values import Section, plural
from splinegraph.core.domains.chart import chart_of
from splinegraph.core.domains.plane import Plane
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from splinegraph.errors import DomainError, SplineGraphError

__all__ = ["Few", "RegionsSection", "regions_section"]

CELLS = 2_000
"""Most cells of the slice: one with more is made smaller."""

SHRINK, TRIES = 0.25, 4
"""How much smaller, and how often."""

UNITS = 20_000
"""Units up to which there is a slice: one of a larger network takes longer than a report should."""

CHORDS = 8
"""Samples that are joined by chords, one after the other."""

CROSSED = 20_000
"""Most cells that are followed along all chords together."""


class Few(Collector):
    """The first samples, the first of each of three classes, and the range of the inputs."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self.first: dict[int, tuple[Tensor, ...]] = {}
        self.classes: dict[int, int] = {}
        self.range: list[tuple[Tensor, Tensor]] = []

    def add(self, part: Part) -> None:
        first, classes = dict(self.first), dict(self.classes)
        for place in range(len(part.inputs[0])):
            fresh = part.labels is not None and len(classes) < 3 and int(part.labels[place]) not in classes
            if len(first) < CHORDS or fresh:
                first[part.start + place] = tuple(x[place].clone() for x in part.inputs)
            if fresh and part.labels is not None:
                classes[int(part.labels[place])] = part.start + place
            if len(first) >= CHORDS and (part.labels is None or len(classes) >= 3):
                break
        here = [(x.amin(0), x.amax(0)) for x in part.inputs]
        before = self.range or here
        self.range = [(torch.minimum(a, c), torch.maximum(b, d)) for (a, b), (c, d) in zip(before, here, strict=True)]
        self.first, self.classes = first, classes

    @property
    def corners(self) -> tuple[int, ...]:
        """Three samples, of different classes where labels are known and differ."""
        found = list(self.classes.values())
        others = (index for index in self.first if index not in found)
        return tuple(sorted([*found, *others][:3])) if len(found) < 3 else tuple(sorted(found))


@dataclass(frozen=True, eq=False, repr=False)
class RegionsSection(Section):
    """Regions of a small slice, and along chords between samples.

    Parameters
    ----------
    slice : {'plane', 'box'} or None
        Through three samples, or in two dimensions the box around all of them; None if there is none.
    samples : tuple of int
        Those that the plane runs through.
    scale : float or None
        Side of the slice, 1 where it holds all of them; smaller ones lie around the first.
    cells, linear_regions : int or None
        Activation cells and maximal linear regions of the slice.
    chords : int
        Segments between one of the first samples and the next.
    crossed_least, crossed_median, crossed_most : float or None
        Activation cells that a chord crosses.
    why : str
        What there is none of, and why; '' if all was found.
    """

    slice: str | None
    samples: tuple[int, ...]
    scale: float | None
    cells: int | None
    linear_regions: int | None
    chords: int
    crossed_least: int | None
    crossed_median: float | None
    crossed_most: int | None
    why: str

    @property
    def headline(self) -> str:
        parts = []
        if self.cells is not None and self.linear_regions is not None:
            where = "the box around the samples" if self.slice == "box" else _plane(self.samples, self.scale)
            found = f"{plural(self.cells, 'activation cell')}, {plural(self.linear_regions, 'linear region')}"
            parts.append(f"{where}: {found}")
        if self.chords:
            least, most = self.crossed_least, self.crossed_most
            range_ = f"{least}" if least == most else f"{least} to {most}"
            parts.append(f"a chord between two samples crosses {range_} cells")
        return "; ".join([*parts, *[self.why] * bool(self.why)])


def _plane(samples: tuple[int, ...], scale: float | None) -> str:
    names = ", ".join(map(str, samples))
    if scale == 1.0 or scale is None:
        return f"the plane through samples {names}"
    return f"{100 * scale:.3g} % of the plane through samples {names}"


@section("regions", needs=(Few,), order=60)
def regions_section(study: Study) -> RegionsSection:
    """Count the regions of a small slice, exactly, and along chords between samples."""
    few, graph = study[Few], study.graph
    nothing = {"cells": None, "linear_regions": None, "scale": None}
    why = _refused(graph)
    if why:
        return RegionsSection(None, (), chords=0, **_chords(None), why=why, **nothing)
    try:
        kind, samples, found = _slice(graph, few)
    except SplineGraphError as error:
        kind, samples, found, why = None, (), nothing, f"no slice: {error}"
    try:
        counts = _crossed(graph, few)
    except SplineGraphError as error:
        counts, why = None, "; ".join([*[why] * bool(why), f"no chords: {error}"])
    if kind is not None and found["cells"] is None:
        kind, why = None, f"no slice: even the smallest one tried has more than {CELLS} cells"
    return RegionsSection(
        kind, samples, chords=0 if counts is None else len(counts), **_chords(counts), why=why, **found
    )


def _refused(graph: SplineGraph) -> str:
    """Return why there is nothing to count; '' if there is."""
    from splinegraph.analyses.regions.cells import code_layers

    if graph.obstacles:
        return f"not worked out: {graph.obstacles[0].op.label} is not piecewise affine"
    units = sum(layer.units for layer in code_layers(graph))
    return f"not worked out: {units:,} units; see `splinegraph regions`" if units > UNITS else ""


def _slice(graph: SplineGraph, few: Few) -> tuple[str, tuple[int, ...], dict[str, Any]]:
    """Return what kind of slice there is, through which samples, and what it holds."""
    if len(graph.inputs) != 1 or not graph.continuous:
        why = "the network has several inputs" if len(graph.inputs) != 1 else "the network is not continuous"
        raise DomainError("there is no mesh", why=why)
    if math.prod(graph.input_shapes[0]) == 2:
        low, high = (side.double() for side in few.range[0])
        if not bool((low < high).all()):
            raise DomainError("all samples lie on a line")
        return "box", (), {**_count(graph, Box(low, high)), "scale": 1.0}
    samples = few.corners
    if len(samples) < 3:
        raise DomainError("a plane needs three samples")
    plane = Plane.through(*(few.first[index][0].double() for index in samples))
    for attempt in range(TRIES):
        scale = SHRINK**attempt
        found = _count(graph, _smaller(plane, scale))
        if found["cells"] is not None:
            break
    return "plane", samples, {**found, "scale": scale if found["cells"] is not None else None}


def _smaller(plane: Plane, scale: float) -> Plane:
    sides = torch.stack([plane.chart.lower, plane.chart.upper], dim=1) * scale
    (a, b), (c, d) = sides.tolist()
    return Plane(plane.origin, plane.u, plane.v, ((a, b), (c, d)))


def _count(graph: SplineGraph, on: Any) -> dict[str, Any]:
    """Return the two counts of a slice; None if it has too many cells."""
    from splinegraph.analyses.regions.cells import code_layers
    from splinegraph.analyses.regions.mesh.cutting import Exceeded
    from splinegraph.analyses.regions.mesh.mesh import mesh
    from splinegraph.analyses.regions.partition.partition import Partition

    chart, layers = chart_of(graph, on), code_layers(graph)
    try:
        found = mesh(graph, chart, layers=layers, limit=CELLS)
    except Exceeded:
        return {"cells": None, "linear_regions": None}
    partition = Partition.of(graph, chart, on, layers, found.cells, mesh=found.mesh)
    return {"cells": partition.count, "linear_regions": partition.maximal_count}


def _crossed(graph: SplineGraph, few: Few) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """Return how many cells each chord crosses; None if there is none."""
    from splinegraph.analyses.regions.chords.chords import chords

    points = [few.first[index] for index in sorted(few.first)[:CHORDS]]
    pairs = [
        (a, b) for a, b in itertools.pairwise(points) if any(not torch.equal(x, y) for x, y in zip(a, b, strict=True))
    ]
    if not pairs:
        return None
    ends = [tuple(torch.stack(side).double() for side in zip(*end, strict=True)) for end in zip(*pairs, strict=True)]
    found = chords(graph, *(side if len(side) > 1 else side[0] for side in ends), limit=CROSSED)
    if not found.complete:
        raise DomainError(f"the chords cross more than {CROSSED} cells")
    return found.counts


def _chords(counts: Any) -> dict[str, Any]:
    if counts is None:
        return {"crossed_least": None, "crossed_median": None, "crossed_most": None}
    middle = float(np.median(counts))
    return {"crossed_least": int(counts.min()), "crossed_median": middle, "crossed_most": int(counts.max())}
