"""The section on paths: what families of them, by residual branches or time steps, give to the largest output."""

from __future__ import annotations

import math
from dataclasses import dataclass

from splinegraph.analyses.paths.branches import find_branches
from splinegraph.analyses.paths.cells import find_cells
from splinegraph.analyses.paths.decomposition import PathDecomposition
from splinegraph.analyses.paths.paths import By, paths
from splinegraph.analyses.report.kept import Kept
from splinegraph.analyses.report.registry import section
from splinegraph.analyses.report.study import Study
from splinegraph.analyses.report.values import LISTED, Section, plural
from splinegraph.errors import SplineGraphError, one_line

__all__ = ["PathFamily", "PathsSection", "paths_section"]

SAMPLES = 16
"""Most samples that are looked at."""

WORK, MOST = 2**26, 2**28
"""Numbers in the values of all nodes, times families, that are worked out: of all samples, and of one: seconds."""


@dataclass(frozen=True)
class PathFamily:
    """One family of paths.

    Parameters
    ----------
    name : str
    paths : int or None
        How many; None if not counted.
    inputs, biases : float
        What they carry from inputs and from biases to the largest output: mean over the samples.
    share : float
        Mean size of what they carry, relative to the sum of the families' sizes.
    norm : float
        Mean Euclidean norm of their part of that output's row of A[x].
    """

    name: str
    paths: int | None
    inputs: float
    biases: float
    share: float
    norm: float


@dataclass(frozen=True, eq=False, repr=False)
class PathsSection(Section):
    """Families of paths at the first samples.

    Parameters
    ----------
    samples : int
    by : {'length', 'time'} or None
        Number of residual branches passed, or step of the first recurrent cell; None if there are neither.
    kind : {'exact', 'tangent'} or None
    families : tuple of PathFamily
        They add up to the output.
    blocks : tuple of PathFamily
        The paths through each residual branch; they overlap.
    why : str
        Why nothing was worked out; '' if it was.
    """

    samples: int
    by: str | None
    kind: str | None
    families: tuple[PathFamily, ...]
    blocks: tuple[PathFamily, ...]
    why: str

    @property
    def headline(self) -> str:
        if not self.families:
            return self.why
        most = max(self.families, key=lambda family: family.share)
        over = plural(len(self.blocks), "residual branch") if self.by == "length" else f"{len(self.families) - 1} steps"
        paths = "" if most.paths is None else f" ({plural(most.paths, 'path')})"
        tangent = ", of the tangent" if self.kind == "tangent" else ""
        if not most.share:
            return f"over {over}: no path gives anything to the largest output{tangent}"
        size = f"{100 * most.share:.0f} % of the sum of the families' sizes"
        return f"over {over}: {most.name}{paths} gives most to the largest output, {size}{tangent}"


@section("paths", needs=(Kept,), order=170)
def paths_section(study: Study) -> PathsSection:
    """Decompose the largest output at the first samples."""
    graph = study.graph
    if len(graph.outputs) > 1:
        return _nothing("not applicable: several outputs")
    branches, cells = find_branches(graph), find_cells(graph)
    by: By = "length" if branches else "time"
    if not branches and not cells:
        return _nothing("not applicable: no residual branches and no time steps")
    families = 1 + (len(branches) if branches else len({cell.step for cell in cells.values()}))
    each = families * (len(graph.inputs) + 1) * sum(math.prod(node.shape) for node in graph.nodes)
    if each > MOST:
        return _nothing(f"not worked out: {families} families of paths, {each:,} numbers per sample; see sg.paths")
    count = min(SAMPLES, len(study[Kept]), max(1, WORK // each))
    x = [part[:count] for part in study[Kept].inputs]
    try:
        found = paths(graph, x, by=by, dtype=study.dtype)
        blocks = _told(paths(graph, x, by="block", dtype=study.dtype)) if branches else ()
        return PathsSection(count, by, found.kind, _told(found), blocks, "")
    except SplineGraphError as error:
        return _nothing(f"not worked out: {one_line(error.what)}")


def _nothing(why: str) -> PathsSection:
    return PathsSection(0, None, None, (), (), why)


def _told(found: PathDecomposition) -> tuple[PathFamily, ...]:
    given, biased = found.scores.mean((2, 3)).tolist()
    norms = found.norms.mean((1, 2)).tolist()
    rows = zip(found.names, found.counts, given, biased, found.shares.tolist(), norms, strict=True)
    return tuple(PathFamily(one_line(name), *row) for name, *row in list(rows)[:LISTED])
