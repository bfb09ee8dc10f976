"""The exact decision by regions: an output is convex if and only if its slope falls across no facet between cells."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.analyses.convexity.jumps import Jumps, jumps_of
from splinegraph.analyses.convexity.settling import UNKNOWN, Settling
from splinegraph.analyses.convexity.verdict import Certificate, Finding, Proof, Witness, entries
from splinegraph.analyses.regions.cells import Floats
from splinegraph.analyses.regions.partition.facets import polytopes_of
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.errors import ShapeError

__all__ = ["by_facets", "missing_for_proof", "numbers_of"]

EXACT = 2000
"""Cells whose maps are worked out in exact rationals, where rounding hides the sign of a jump."""

WITHIN = 0.999
"""Share of a cell's reach that a witness uses, so that rounding leaves its ends inside."""

TRIED = 3
"""Facets at which a witness is tried, the largest jumps first."""


def by_facets(
    partition: Partition,
    outputs: Iterable[int] | None = None,
    *,
    exact: int = EXACT,
    deadline: float | None = None,
) -> dict[int, Finding]:
    r"""Decide for each output whether it is convex, and whether it is concave, from the facets of a partition.

    A continuous function that is affine on finitely many cells that cover a convex domain, :math:`a_i x + b_i` on
    cell i, is convex if and only if :math:`(a_j - a_i) n \ge 0` for any two cells i, j that share a facet with unit
    normal n from i to j.

    Parameters
    ----------
    partition : Partition
        Of a bounded domain of any kind. Where it is incomplete, or its checks failed or did not run, it can still
        refute, but certifies nothing.
    outputs : iterable of int, optional
        Entries, counted through all outputs one behind the other; default: all.
    exact : int
        Most cells whose maps may be worked out in exact rationals, to find signs that rounding hides.
    deadline : float, optional
        Of `time.monotonic`: no more exact rationals from then on.

    Returns
    -------
    dict from entry to Finding
        Each question is answered by a certificate, by a witness across the facet with the largest jump of the
        wrong sign, checked in exact rationals, or by None, with a note that says why.

    Raises
    ------
    ShapeError
        If there is no such output.

    Notes
    -----
    All outputs share the cells, their facets and their maps: O(E out D) for E facets. Proof: the slope along almost
    every segment jumps only where it crosses facets, there by (a_j - a_i) n times the positive speed along n; the
    segments left out follow by continuity. Jumps that are small beside `jumps.ROUNDING` times the paths that they
    sum up are shown to be zero as nothing depends on what switches, or are worked out in exact rationals. A
    certificate holds up to what the partition's own checks allow: cells thinner than `tolerances.THIN` are not seen.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Thm 2 (which needs cells with
       interior: 0 is not the maximum of 5 x on {0} and 0 elsewhere).
    .. [2] A. Gagneux, M. Massias, E. Soubies, R. Gribonval, "Convexity in ReLU Neural Networks: beyond ICNNs?",
       2025, arXiv:2501.03017.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.ReLU().eval(), torch.zeros(1, 1))
    >>> found = by_facets(sg.enumerate_regions(graph, on=sg.Segment([-1.0], [1.0])))[0]
    >>> found.convex.text, found.concave
    ('no slope falls across 1 facets of 2 cells', <Witness: not concave, gap -0.4995 at weight 0.5>)
    """
    asked = numbers_of(partition, outputs)
    if not partition.graph.continuous:
        node = next(node for node in partition.graph.operators if not node.op.continuous)
        note = f"facets decide continuous networks only, and {node.op.label} at {node.where} may jump"
        return dict.fromkeys(asked, Finding(note=note))
    jumps = jumps_of(partition)
    settling = Settling(partition, jumps, exact, deadline)
    names, missing = entries(partition.graph), missing_for_proof(partition)
    return {
        number: _Deciding(partition, jumps, settling.signs(number), names[number], number, missing).finding
        for number in asked
    }


def numbers_of(partition: Partition, outputs: Iterable[int] | None) -> list[int]:
    """Return the entries that are asked for; raise if there is one that does not exist."""
    count = len(entries(partition.graph))
    asked = list(range(count)) if outputs is None else [int(i) for i in outputs]
    for i in asked:
        if not 0 <= i < count:
            raise ShapeError(f"no output entry {i}", remedy=f"give numbers from 0 to {count - 1}")
    return asked


def missing_for_proof(partition: Partition) -> str:
    """Return why the facets that are known certify nothing, '' if they do."""
    if partition.stale:
        return "the network's weights have changed since the enumeration"
    if not partition.complete:
        return f"the partition is incomplete: {len(partition)} cells are known, more are left"
    if partition.verified is None:
        return "the partition is not verified: enumerate with verify='cheap' or 'full'"
    if not partition.verified.ok:
        return f"the partition failed its checks: {partition.verified.failure or partition.verified.summary}"
    if partition.adjacency.open or partition.adjacency.one_way:
        return f"behind {partition.adjacency.open + partition.adjacency.one_way} facets lies no known cell"
    return ""


@dataclasses.dataclass(frozen=True)
class _Deciding:
    """The decision on one output."""

    partition: Partition
    jumps: Jumps
    signs: NDArray[np.int8]
    index: tuple[int, ...]
    number: int
    missing: str

    @property
    def finding(self) -> Finding:
        proofs = {against: self._proof(against) for against in (-1, 1)}
        if None not in proofs.values():
            return Finding(proofs[-1], proofs[1])
        return Finding(
            proofs[-1], proofs[1], self._doubt or "slopes jump the wrong way where cells are too thin to show"
        )

    def _proof(self, against: int) -> Proof:
        """Return what follows for convexity (-1: falling slopes are against it) or concavity (1)."""
        wrong = np.flatnonzero(self.signs == against)
        if len(wrong):
            largest = wrong[np.argsort(-np.abs(self.jumps.values[wrong, self.number]), kind="stable")]
            tried = (self._witness(int(e), against) for e in largest[:TRIED])
            return next((w for w in tried if w is not None and w.verify()), None)
        if self._doubt:
            return None
        verb = "falls" if against < 0 else "rises"
        text = f"no slope {verb} across {len(self.jumps)} facets of {len(self.partition)} cells"
        return Certificate("facets", text)

    @property
    def _doubt(self) -> str:
        """What stands in the way of a certificate."""
        if self.missing:
            return self.missing
        astray = int(self.jumps.astray[:, self.number].sum())
        if astray:
            return f"maps of neighbors do not agree on {astray} facets"
        unknown = int((self.signs == UNKNOWN).sum())
        return f"rounding hides the sign of the jump at {unknown} of {len(self.signs)} facets" if unknown else ""

    def _witness(self, facet: int, against: int) -> Witness | None:
        """Return two points on both sides of a facet, as far apart as their cells allow; None if they are too thin."""
        i, j = self.jumps.pairs[facet]
        at, inner = self.jumps.points[facet], self.partition.points
        maps = self.partition.affine_maps([i, j])
        d = maps.A[1, self.number] - maps.A[0, self.number]
        cells = polytopes_of(self.partition, np.array([i, j]))
        split = int(cells.offsets[1])
        tried: list[tuple[float, Floats, Floats, float]] = []
        for way in (against * d, inner[j] - inner[i]):
            v = way / max(float(np.linalg.norm(way)), np.finfo(np.float64).tiny)
            back = WITHIN * _reach(cells.G[:split], cells.h[:split], at, -v)
            ahead = WITHIN * _reach(cells.G[split:], cells.h[split:], at, v)
            if min(back, ahead) > 0:
                gap = -back * ahead / (back + ahead) * float(d @ v)
                tried.append((gap, at - back * v, at + ahead * v, ahead / (back + ahead)))
        if not tried:
            return None
        gap, start, end, weight = max(tried, key=lambda option: -against * option[0])
        inputs = self.partition.chart.lift(torch.from_numpy(np.stack([start, end])))
        x, y = (tuple(p[k] for p in inputs) for k in (0, 1))
        hidden = gap * against >= 0  # the sign is known exactly, but lost in the rounding of the two maps
        gap = -against * np.finfo(np.float64).tiny if hidden else gap
        witness = Witness(self.partition.graph, self.index, x, y, weight, gap, "facets")
        return dataclasses.replace(witness, gap=float(witness.exact_gap)) if hidden and witness.verify() else witness


def _reach(G: Floats, h: Floats, at: Floats, way: Floats) -> float:
    """Return how far a ray from a point of a cell's facet stays in the cell; 0 if it never leaves."""
    rate, room = G @ way, np.maximum(h - G @ at, 0.0)
    leaving = rate > 0
    return float((room[leaving] / rate[leaving]).min()) if leaving.any() else 0.0
