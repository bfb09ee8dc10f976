"""The section on regions: a small exact slice through samples, and the cells between samples."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.analyses.report.kept import Kept
from splinegraph.analyses.report.names import shown_names
from splinegraph.analyses.report.registry import section
from splinegraph.analyses.report.slice_picture import SlicePicture, slice_picture
from splinegraph.analyses.report.slices import Slice, find_slice
from splinegraph.analyses.report.study import Collector, Part, Study
from splinegraph.analyses.report.values import Section, plural
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DomainError, SplineGraphError, one_line

__all__ = ["Few", "RegionsSection", "SliceCheck", "regions_section"]

CELLS, LEAST, WORK = 2_000, 200, 2**25
"""Most cells of the slice, which is made smaller if it has more: fewer of large networks, for which it is cells times
entries of all nodes that count, but so many at least."""

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
        self.labels: dict[int, int] = {}
        self.classes: dict[int, int] = {}
        self.range: list[tuple[Tensor, Tensor]] = []

    def add(self, part: Part) -> None:
        first, classes, labels = dict(self.first), dict(self.classes), dict(self.labels)
        for place in range(len(part.inputs[0])):
            fresh = part.labels is not None and len(classes) < 3 and int(part.labels[place]) not in classes
            if len(first) < CHORDS or fresh:
                first[part.start + place] = tuple(x[place].clone() for x in part.inputs)
                if part.labels is not None:
                    labels[part.start + place] = int(part.labels[place])
            if fresh and part.labels is not None:
                classes[int(part.labels[place])] = part.start + place
            if len(first) >= CHORDS and (part.labels is None or len(classes) >= 3):
                break
        here = [(x.amin(0), x.amax(0)) for x in part.inputs]
        before = self.range or here
        self.range = [(torch.minimum(a, c), torch.maximum(b, d)) for (a, b), (c, d) in zip(before, here, strict=True)]
        self.first, self.classes, self.labels = first, classes, labels

    @property
    def corners(self) -> tuple[int, ...]:
        """Three samples, of different classes where labels are known and differ."""
        found = list(self.classes.values())
        others = (index for index in self.first if index not in found)
        return tuple(sorted([*found, *others][:3])) if len(found) < 3 else tuple(sorted(found))


@dataclass(frozen=True)
class SliceCheck:
    """A check of the slice.

    Parameters
    ----------
    name : str
    passed : bool or None
        None if it was not run.
    detail : str
        What was looked at and what was found, or why it was not run.
    """

    name: str
    passed: bool | None
    detail: str


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
        Side of the slice, 1 where it holds all of them.
    center : tuple of int
        What a smaller slice lies around: a change of the largest output on the way between two samples, or, if there
        is none, one sample.
    cells, linear_regions : int or None
        Activation cells and maximal linear regions of the slice.
    chords : int
        Segments between one of the first samples and the next.
    crossed_least, crossed_median, crossed_most : float or None
        Activation cells that a chord crosses.
    why : str
        What there is none of, and why; '' if all was found.
    checks : tuple of SliceCheck
        Of the slice, against the network itself.
    picture : SlicePicture or None
    """

    slice: str | None
    samples: tuple[int, ...]
    scale: float | None
    center: tuple[int, ...]
    cells: int | None
    linear_regions: int | None
    chords: int
    crossed_least: int | None
    crossed_median: float | None
    crossed_most: int | None
    why: str
    checks: tuple[SliceCheck, ...] = ()
    picture: SlicePicture | None = None

    @property
    def headline(self) -> str:
        parts = []
        if self.cells is not None and self.linear_regions is not None:
            where = _where(self)
            found = f"{plural(self.cells, 'activation cell')}, {plural(self.linear_regions, 'linear region')}"
            parts.append(f"{where}: {found}")
        if self.chords:
            least, most = self.crossed_least, self.crossed_most
            range_ = f"{least}" if least == most else f"{least} to {most}"
            parts.append(f"a chord between two samples crosses {range_} cell{'s' * (most != 1)}")
        return "; ".join([*parts, *[self.why] * bool(self.why)])


def _where(found: RegionsSection) -> str:
    names = ", ".join(map(str, found.samples))
    whole = "the box around the samples" if found.slice == "box" else f"the plane through samples {names}"
    if found.scale == 1.0 or found.scale is None:
        return whole
    part = f"{100 * found.scale:.3g} % of {whole}"
    if len(found.center) == 2:
        return f"{part}, where the largest output changes between {found.center[0]} and {found.center[1]}"
    return f"{part}, around sample {found.center[0]}" if found.center else part


@section("regions", needs=(Few, Kept), order=60)
def regions_section(study: Study) -> RegionsSection:
    """Count the regions of a small slice, exactly, and along chords between samples."""
    few, graph = study[Few], study.graph
    refused = _refused(graph)
    if refused:
        return _section(None, None, refused)
    why, found, counts = [], None, None
    try:
        found = _slice(graph, few)
    except SplineGraphError as error:
        why.append(f"no slice: {error}")
    try:
        counts = _crossed(graph, few)
    except SplineGraphError as error:
        why.append(f"no chords: {error}")
    if found is not None and found.partition is None:
        found = None
        why.append(f"no slice: even the smallest one tried has more than {_most(graph)} cells")
    section = _section(found, counts, "; ".join(why))
    if found is None or found.partition is None:
        return section
    points, labels = _points(study, found)
    return dataclasses.replace(
        section, checks=_checks(found.partition),
        picture=slice_picture(found, shown_names(graph), points, labels),
    )  # fmt: skip


def _section(found: Slice | None, counts: Any, why: str) -> RegionsSection:
    chords = {"chords": 0 if counts is None else len(counts), **_chords(counts)}
    if found is None or found.partition is None:
        return RegionsSection(None, (), None, (), None, None, **chords, why=why)
    cells, regions = found.partition.count, found.partition.maximal_count
    return RegionsSection(found.kind, found.samples, found.scale, found.center, cells, regions, **chords, why=why)


def _checks(partition: Partition) -> tuple[SliceCheck, ...]:
    from splinegraph.analyses.regions.verify.verify import verify

    passed = {"passed": True, "failed": False, "not run": None}
    return tuple(SliceCheck(c.name, passed[c.status], one_line(c.detail)) for c in verify(partition).checks)


def _points(study: Study, found: Slice) -> tuple[dict[int, tuple[float, float]], dict[int, int]]:
    """Return the samples that are shown, and their labels: those that a plane runs through, else the first ones."""
    few, kept = study[Few], study[Kept]
    if found.kind == "plane" or found.partition is None:
        return {i: found.places[i] for i in found.samples}, few.labels
    chart = found.partition.chart
    at = chart.coordinates(kept.inputs)
    inside = chart.contains(at).nonzero()[:, 0].tolist()
    labels = {} if kept.labels is None else dict(enumerate(kept.labels.tolist()))
    return {i: (float(at[i, 0]), float(at[i, 1])) for i in inside}, labels


def _refused(graph: SplineGraph) -> str:
    """Return why there is nothing to count; '' if there is."""
    from splinegraph.analyses.regions.cells import code_layers

    if graph.obstacles:
        return f"not worked out: {graph.obstacles[0].op.label} is not piecewise affine"
    units = sum(layer.units for layer in code_layers(graph))
    return f"not worked out: {units:,} units; see `splinegraph regions`" if units > UNITS else ""


def _slice(graph: SplineGraph, few: Few) -> Slice:
    if len(graph.inputs) != 1 or not graph.continuous:
        why = "the network has several inputs" if len(graph.inputs) != 1 else "the network is not continuous"
        raise DomainError("there is no mesh", why=why)
    points = {index: few.first[index][0] for index in sorted(few.first)}
    return find_slice(graph, points, few.corners, few.range[0], _most(graph))


def _most(graph: SplineGraph) -> int:
    """Return how many cells the slice may have."""
    return min(CELLS, max(LEAST, WORK // sum(math.prod(node.shape) for node in graph.nodes)))


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
