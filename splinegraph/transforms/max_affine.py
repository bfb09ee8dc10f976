"""A convex network as the maximum of the affine functions that it consists of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.convexity.convexity import convexity
from splinegraph.analyses.convexity.facets import by_facets
from splinegraph.analyses.convexity.jumps import jumps_of
from splinegraph.analyses.convexity.settling import Settling
from splinegraph.analyses.convexity.verdict import Certificate, Proof, Status, Witness, entries
from splinegraph.analyses.regions.enumerate import enumerate_regions
from splinegraph.analyses.regions.partition.adjacency import components
from splinegraph.analyses.regions.partition.exact import ExactCell, exact_cells
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.core.bound import Bound
from splinegraph.core.domains.chart import Chart
from splinegraph.core.graph import SplineGraph
from splinegraph.core.notebook import card
from splinegraph.errors import NotConvexError, SplineGraphError

if TYPE_CHECKING:
    from splinegraph.nn.max_affine import MaxAffine

__all__ = ["MaxAffineForm", "max_affine"]

Floats = NDArray[np.float64]

EXACT = 5000
"""Cells whose maps may be worked out in exact rationals."""


@dataclass(frozen=True, eq=False, repr=False)
class MaxAffineForm:
    """A network that is f_i(x) = max_k <a_ik, x> + b_ik on a domain; made by `max_affine`.

    Parameters
    ----------
    graph : SplineGraph
    domain : object
    A : tuple of array of shape (K_i, n), float64
        Slopes, one array per entry of the output. All inputs are flattened and put one behind the other.
    b : tuple of array of shape (K_i,)
    concave : bool
        Whether it is the minimum instead.
    agreement : Bound
        Of the largest difference between network and maximum on the domain, over all outputs. Its upper end is
        proved: it is what rounding the exact hyperplanes to float64 costs.
    cells : int
        Activation cells that the domain has.
    """

    graph: SplineGraph
    domain: Any
    A: tuple[Floats, ...]
    b: tuple[Floats, ...]
    concave: bool
    agreement: Bound
    cells: int

    @property
    def pieces(self) -> tuple[int, ...]:
        """K_i, the affine functions of each entry of the output; each is the largest one somewhere."""
        return tuple(len(b) for b in self.b)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Return the maxima at inputs of shape (B, *in), float64, flattened: shape (B, m)."""
        x = torch.cat([x.detach().double().flatten(1) for x in inputs], dim=1)
        values = [x @ torch.from_numpy(A).T + torch.from_numpy(b) for A, b in zip(self.A, self.b, strict=True)]
        return torch.stack([v.amin(1) if self.concave else v.amax(1) for v in values], dim=1)

    def module(self) -> MaxAffine:
        """Return it as a `splinegraph.nn.MaxAffine` in float64, from flattened inputs (B, n) to (B, m).

        Outputs with fewer hyperplanes than others repeat their first one.
        """
        from splinegraph.nn.max_affine import MaxAffine

        most = max(self.pieces)
        rows = [np.r_[: len(b), np.zeros(most - len(b), dtype=np.int64)] for b in self.b]
        A = np.stack([A[r] for A, r in zip(self.A, rows, strict=True)])
        b = np.stack([b[r] for b, r in zip(self.b, rows, strict=True)])
        return MaxAffine.from_planes(torch.from_numpy(A), torch.from_numpy(b), concave=self.concave).eval()

    def __repr__(self) -> str:
        kind = "minimum" if self.concave else "maximum"
        counts = ", ".join(map(str, self.pieces[:8])) + (", ..." if len(self.pieces) > 8 else "")
        error = f"{self.agreement.upper:.2g}"
        return f"<{self.graph.name} as a {kind} of {counts} affine functions, from {self.cells} cells, within {error}>"

    def _repr_html_(self) -> str:
        return card(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        from splinegraph.analyses.lipschitz.bound import domain_text

        return {
            "domain": domain_text(self.domain), "concave": self.concave, "pieces": list(self.pieces),
            "A": [A.tolist() for A in self.A], "b": [b.tolist() for b in self.b],
            "agreement": self.agreement.to_dict(), "cells": self.cells,
        }  # fmt: skip


def max_affine(
    graph: SplineGraph, on: Any, *, limit: int = 100_000, budget: float | None = None, seed: int = 0
) -> MaxAffineForm:
    """Return the hyperplanes whose maximum a convex network is on a domain, or whose minimum a concave one is.

    Parameters
    ----------
    graph : SplineGraph
        Exactly piecewise affine and continuous.
    on : Box, Plane, Segment, Polytope, or tuple of them, one per input
        Bounded.
    limit : int
        Most cells to enumerate.
    budget : float, optional
        Seconds for the enumeration.
    seed : int
        Of the random chords that look for a witness first.

    Returns
    -------
    MaxAffineForm
        Of all entries of the output.

    Raises
    ------
    NotConvexError
        If an output is neither convex nor concave, with the witnesses; if that is not decided; or if some outputs
        are convex and others concave.
    SplineGraphError
        If there are more cells than `limit`, or more than time allows.

    Notes
    -----
    Convexity is decided by the facets of the region partition, in exact rationals where rounding hides a sign. A
    convex function is the maximum of the affine functions that it is on cells with interior (the paper's Theorem 2,
    which needs the interior), and none of them is redundant. Cells on both sides of a facet without a jump have one
    function. Hyperplanes are exact rationals rounded to float64. On a plane or segment they are functions of its
    coordinates, extended by constants across it.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", ICML 2018, Thm 2.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.LeakyReLU(0.5).eval(), torch.zeros(1, 1))
    >>> form = max_affine(graph, sg.Segment([-1.0], [1.0]))
    >>> sorted(form.A[0].flatten().tolist()), form.agreement.upper
    ([0.5, 1.0], 0.0)
    """
    for verdict in convexity(graph, on, methods=("curvature", "chords"), limit=limit, seed=seed):
        if verdict.status is Status.NEITHER:
            raise _refusal(verdict.index, (verdict.convex, verdict.concave))
    partition = enumerate_regions(graph, on, limit=limit, budget=budget, seed=seed)
    if not partition.complete:
        raise SplineGraphError(
            f"the hyperplanes of {graph.name} are not all known",
            why=f"the domain has more than the {partition.count} cells found within limit={limit} and budget={budget}",
            remedy="raise them, or give a smaller domain",
        )
    concave = _direction(partition)
    planes = _Planes(partition)
    found = [planes.of(number) for number in range(len(entries(graph)))]
    error = max(error for *_, error in found)
    agreement = Bound(0.0, error, "upper") if error else Bound(0.0, 0.0, "exact")
    A, b = tuple(A for A, _, _ in found), tuple(b for _, b, _ in found)
    return MaxAffineForm(graph, on, A, b, concave, agreement, partition.count)


def _direction(partition: Partition) -> bool:
    """Return whether all outputs are concave; raise unless all are convex or all are concave."""
    found, names = by_facets(partition, exact=EXACT), entries(partition.graph)
    convex: list[bool] = []
    concave: list[bool] = []
    for number, index in enumerate(names):
        finding = found[number]
        up, down = (isinstance(proof, Certificate) for proof in (finding.convex, finding.concave))
        if not up and not down:
            raise _refusal(index, (finding.convex, finding.concave), finding.note)
        convex.append(up)
        concave.append(down)
    if not all(convex) and not all(concave):
        one, other = names[convex.index(False)], names[concave.index(False)]
        raise NotConvexError(
            f"output {list(one)} is concave and output {list(other)} is convex",
            remedy="choose one with graph.output(...)",
        )
    return not all(convex)


def _refusal(index: tuple[int, ...], proofs: Sequence[Proof], note: str = "") -> NotConvexError:
    witnesses = tuple(proof for proof in proofs if isinstance(proof, Witness))
    which = f"output {list(index)}"
    if len(witnesses) == 2:
        gap = max(witnesses, key=lambda w: abs(w.gap))
        return NotConvexError(
            f"{which} is no maximum or minimum of affine functions",
            why=f"it is neither convex nor concave: a chord is off by {abs(gap.gap):.3g}",
            remedy="error.witnesses holds the chords; splinegraph.difference_of_convex works for any network",
            witnesses=witnesses,
        )
    return NotConvexError(
        f"it is not decided whether {which} is convex", why=note, witnesses=witnesses, remedy="try a smaller domain"
    )


class _Planes:
    """The distinct affine functions of a partition's cells."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.jumps = jumps_of(partition)
        self.settling = Settling(partition, self.jumps, EXACT)
        self._cells: dict[int, ExactCell] = {}

    def of(self, output: int) -> tuple[Floats, Floats, float]:
        """Return A, b of one output and by how much rounding changes a value on the domain at most."""
        same = self.jumps.pairs[self.settling.signs(output) == 0]
        labels = components(len(self.partition), same)
        _, first = np.unique(labels, return_index=True)
        missing = [int(i) for i in first if int(i) not in self._cells]
        self._cells.update(zip(missing, exact_cells(self.partition, missing), strict=True))
        rows = [(self._cells[int(i)].A[output], self._cells[int(i)].b[output]) for i in first]
        known: dict[tuple[Fraction, ...], None] = {(*a, b): None for a, b in rows}
        lifted = [_lifted(self.partition.chart, key[:-1], key[-1]) for key in known]
        errors = [_error(self.partition.chart, key, a, b) for key, (a, b) in zip(known, lifted, strict=True)]
        A = np.array([a for a, _ in lifted], dtype=np.float64)
        return A, np.array([b for _, b in lifted], dtype=np.float64), max(errors)


def _lifted(chart: Chart, a: Sequence[Fraction], b: Fraction) -> tuple[list[float], float]:
    """Return <a, t> + b as a function of all inputs."""
    if chart.index is not None:
        row = [0.0] * chart.entries
        for place, slope in zip(chart.index.tolist(), a, strict=True):
            row[place] = float(slope)
        return row, float(b)
    assert chart.directions is not None
    slopes = torch.linalg.pinv(chart.directions) @ torch.tensor([float(v) for v in a], dtype=torch.float64)
    row = slopes.tolist()
    origin = sum((Fraction(s) * Fraction(x) for s, x in zip(row, chart.origin.tolist(), strict=True)), Fraction(0))
    return row, float(b - origin)


def _error(chart: Chart, exact: Sequence[Fraction], row: Sequence[float], offset: float) -> float:
    """Return the largest difference on the domain between <a, t> + b and a rounded function of all inputs."""
    *a, b = exact
    if chart.index is not None:
        a_found, b_found = [Fraction(row[i]) for i in chart.index.tolist()], Fraction(offset)
    else:
        assert chart.directions is not None
        slopes = [Fraction(s) for s in row]
        a_found = [_dot(slopes, way) for way in chart.directions.tolist()]
        b_found = _dot(slopes, chart.origin.tolist()) + Fraction(offset)
    reach = torch.maximum(chart.lower.abs(), chart.upper.abs()).tolist()
    off = sum((abs(p - q) * Fraction(r) for p, q, r in zip(a, a_found, reach, strict=True)), abs(b - b_found))
    return float(off) * (1 + 2**-52) if off else 0.0


def _dot(slopes: Sequence[Fraction], values: Sequence[float]) -> Fraction:
    return sum((s * Fraction(v) for s, v in zip(slopes, values, strict=True)), Fraction(0))
