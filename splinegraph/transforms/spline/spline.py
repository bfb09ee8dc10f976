"""Replace the smooth operators of a network by splines, with a certified bound of the difference."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.lipschitz.intervals import intervals
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.values import Box
from splinegraph.errors import DomainError, SplineGraphError, require_whole
from splinegraph.transforms.spline.allotting import Splines, allot
from splinegraph.transforms.spline.building import built
from splinegraph.transforms.spline.cells import around, cells_of
from splinegraph.transforms.spline.gains import Gains, behind_races, gains, weights
from splinegraph.transforms.spline.smooth import Tighter
from splinegraph.transforms.spline.substitution import SplineNode, SplineSubstitution
from splinegraph.transforms.spline.sweep import Chosen, Network, Site, Swept, sites
from splinegraph.transforms.spline.unfolding import unfolded

__all__ = ["spline"]

MOST_CELLS = 256
"""Cells that a domain is cut into, unless it is said how many."""

MOST_ENTRIES = 2**20
"""Of the values on all cells together, beyond which there are fewer cells (8 MiB)."""

ATTEMPTS = 8
"""Passes in search of a tolerance's allotment."""

MARGIN = 1e-12
"""Of sums of errors, for their rounding."""

LARGEST = 1e300
"""The largest multiplier that is told from infinity."""

NEAR = 0.9
"""The part of the tolerance from which on no better allotment is looked for."""


def spline(
    graph: SplineGraph,
    on: Any = None,
    *,
    tol: float | None = None,
    pieces: int | Mapping[str, int] | None = None,
    max_pieces: int = 10_000,
    cells: int | None = None,
) -> SplineSubstitution:
    """Return a network as a piecewise affine one, with a certified bound of the difference of the outputs.

    Parameters
    ----------
    graph : SplineGraph
    on : Box, Ball, Plane, Segment, Polytope, or a tuple of them, one per input
        Where the bound holds. All of space by default, which products and functions without asymptotes do not allow.
    tol : float, optional
        The largest difference of any output entry. One of `tol` and `pieces` is given.
    pieces : int or mapping from node name to int, optional
        Pieces of each node's spline.
    max_pieces : int
        Of one node.
    cells : int, optional
        The domain is cut into at most so many cells, on which slopes and ranges are bounded one by one: more cells
        give a bound that is nearer to the largest difference. By default up to 256.

    Returns
    -------
    SplineSubstitution
        With ``.graph``, ``.error_bound`` and ``.nodes``.

    Raises
    ------
    UnsupportedOperatorError
        If a node is opaque, or jumps behind a smooth one.
    DomainError
        If a function has no bound on what its argument can be (a pole, a logarithm at 0, an unbounded domain).
    SplineGraphError
        If the tolerance needs more than `max_pieces` at a node.

    Notes
    -----
    Each smooth operator becomes its best continuous piecewise affine approximant on the range that it can meet, in
    either network. Softmax, norms and their kin are written out; a product becomes
    ``rx ry ((u + v)^2 - (u - v)^2) / 4`` plus an affine rest, with u and v the factors scaled to [-1, 1] about the
    middles of their ranges, and n pieces for each square: its error is at most rx ry / n^2.

    Errors go to the outputs by the slopes between both networks' values, which interval bounds hold for: adjoint,
    with signs, cell by cell. The tolerance is shared out so that the number of pieces of all units is small:
    a node of u units, whose error falls as c / pieces^2 and counts g times, gets E ~ (u sqrt(c) / g)^(2/3).

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> _ = torch.manual_seed(0)
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    >>> graph = sg.trace(net.eval(), torch.zeros(1, 2))
    >>> found = spline(graph, sg.Box(-torch.ones(2), torch.ones(2)), tol=0.01)
    >>> found.graph.exact, found.largest_error <= 0.01
    (True, True)
    """
    require_graph(graph)
    _check(tol, pieces, cells)
    require_whole("max_pieces", max_pieces)
    if graph.exact:
        none = tuple(Box(*(torch.zeros(shape, dtype=torch.float64),) * 2) for shape in graph.output_shapes)
        return SplineSubstitution(graph, graph, on, none, ())
    work = _Work.of(graph, on, max_pieces, cells)
    if isinstance(pieces, Mapping):
        _check_names(pieces, work.smooth.sites)
    found = work.by_tolerance(tol) if tol is not None else work.by_pieces(pieces if pieces is not None else {})
    return work.result(graph, on, found)


def _check(tol: float | None, pieces: int | Mapping[str, int] | None, cells: int | None) -> None:
    """Refuse settings that mean nothing."""
    if (tol is None) == (pieces is None):
        raise SplineGraphError("how fine the splines shall be is not clear", remedy="give either tol or pieces")
    if tol is not None and not (isinstance(tol, (int, float)) and tol > 0):
        raise SplineGraphError(f"a tolerance of {tol}", remedy="give a positive number")
    counts = dict(pieces) if isinstance(pieces, Mapping) else {"": pieces}
    for name, count in (*counts.items(), ("", cells)):
        if count is not None and not (isinstance(count, int) and count > 0):
            what = f"{count!r} {'cells' if count is cells else 'pieces'}"
            raise SplineGraphError(what, where=f"node '{name}'" if name else "", remedy="give a whole number above 0")


def _check_names(pieces: Mapping[str, int], known: Mapping[str, Site]) -> None:
    """Refuse numbers of pieces that are not one per smooth node."""
    for name, site in known.items():
        if name not in pieces:
            raise SplineGraphError(
                "no number of pieces is given", where=site.node.where, remedy="name every smooth node, or give an int"
            )
    for name in pieces:
        if name not in known:
            raise SplineGraphError(
                f"no spline takes the place of node '{name}'", remedy=f"name only {', '.join(known)}"
            )


def _total(gains: Gains) -> tuple[Tensor, Tensor]:
    """Return bounds of the sum of all."""
    low, high = (torch.stack(side).sum(0) for side in zip(*gains.values(), strict=True))
    margin = MARGIN * torch.maximum(-low, high)
    return low - margin, high + margin


@dataclass(frozen=True, eq=False)
class _Found:
    """A choice of splines and what their errors are at the outputs."""

    network: Network
    swept: Swept
    gains: Gains

    @functools.cached_property
    def sides(self) -> tuple[Tensor, Tensor]:
        """Bounds of the difference of the outputs, shape (entries of the outputs, cells)."""
        low, high = _total(self.gains)
        if self.swept.races:
            other = _total(behind_races(self.network, self.swept))
            low, high = torch.maximum(low, other[0]), torch.minimum(high, other[1])
        return low, high

    @property
    def worst(self) -> float:
        """The bound in the infinity norm."""
        return float(torch.maximum(-self.sides[0], self.sides[1]).max())

    @property
    def cost(self) -> int:
        """Pieces of all units."""
        return sum(self.swept.sites[name].units * c.spline.pieces for name, c in self.swept.chosen.items())

    def rows(self) -> tuple[SplineNode, ...]:
        """Return what was replaced, node by node."""
        adds = {name: float(torch.maximum(-low, high).max()) for name, (low, high) in self.gains.items()}
        whole = sum(adds.values()) or 1.0
        found = []
        for name, site in self.swept.sites.items():
            least, most = self.swept.noise[name]
            found.append(SplineNode(
                name, site.node.module, site.operator.label, site.units, site.interval,
                self.swept.chosen[name].spline.pieces, float(torch.maximum(-least, most).max()), adds[name],
                adds[name] / whole,
            ))  # fmt: skip
        return tuple(found)


@dataclass(frozen=True, eq=False)
class _Work:
    """The unfolded network and its domain."""

    network: Network
    smooth: Swept
    splines: Splines

    @classmethod
    def of(cls, graph: SplineGraph, on: Any, max_pieces: int, cells: int | None) -> _Work:
        boxes = around(graph, on)
        flat = unfolded(graph, boxes)
        sites(flat)  # refuses what cannot be replaced
        entries = sum(math.prod(node.shape) for node in flat.nodes)
        count = max(min(MOST_CELLS, MOST_ENTRIES // max(entries, 1)), 1) if cells is None else cells
        parts = cells_of(flat, on, count if flat.batched else 1)
        number = len(parts[0].lower)
        network = Network(flat, flat.resolved(torch.float64, torch.device("cpu"), number), parts)
        hull = intervals(flat, boxes) if all(box.bounded for box in boxes) else {}
        tighter = Tighter(graph, flat, number, hull, boxes)
        return cls(network, network.smooth(tighter), Splines(max_pieces))

    def run(self, choose: Callable[[Site], Chosen]) -> _Found:
        """Return what splines chosen so give."""
        swept = self.network.splined(choose, self.smooth)
        return _Found(self.network, swept, gains(self.network, swept))

    def by_pieces(self, pieces: int | Mapping[str, int]) -> _Found:
        """Return splines of so many pieces each."""

        def count(site: Site) -> int:
            if isinstance(pieces, int):
                return pieces
            return pieces[site.node.name]

        return self.run(lambda site: self.splines(site, count(site)))

    def by_tolerance(self, tol: float) -> _Found:
        """Return splines that meet a tolerance, of about as few pieces as possible."""
        counts = {name: high for name, (_, high) in weights(self.network, self.smooth).items()}
        allotment = allot(self.smooth.sites, counts, self.splines)
        multiplier, best = allotment.multiplier(counts, tol), None
        meets, fails = 0.0, math.inf  # multipliers
        nearest, undefined = None, None
        for _ in range(ATTEMPTS):
            try:
                found = self.run(lambda site, m=multiplier: self.splines(site, allotment.pieces(site, m)))  # type: ignore[misc]
                factor = NEAR**0.5 * tol / found.worst if found.worst > 0 else math.inf
            except DomainError as error:  # errors push a value where a function has no bound
                undefined, factor, found = error, 1 / 8, None
            if found is not None and found.worst <= tol:
                best = found if best is None or found.cost < best.cost else best
                meets = multiplier
                if found.worst >= NEAR * tol or multiplier == math.inf:
                    break
            else:
                fails = multiplier
                nearest = found if nearest is None or (found and found.worst < nearest.worst) else nearest
            guess = min(multiplier, allotment.straight, LARGEST) * factor
            multiplier = guess if meets < guess < fails else math.sqrt(meets * min(fails, allotment.straight, LARGEST))
            if meets and fails < 1.05 * meets:
                break
        if best is None:
            raise undefined or self._refusal(tol, nearest)
        return best

    def _refusal(self, tol: float, nearest: _Found | None) -> SplineGraphError:
        """Return why no splines meet a tolerance, with the node that the error comes from above all."""
        where, why = self.network.graph.name, f"{ATTEMPTS} allotments of the error were tried"
        if nearest is not None:
            row = max(nearest.rows(), key=lambda row: row.contribution)
            where = nearest.swept.sites[row.node].node.where
            why += f"; of {nearest.worst:.3g}, the least of them, {row.share:.0%} are by {row.function} there"
        return SplineGraphError(
            f"no splines found that certify a difference of {tol:g}", where=where, why=why,
            remedy="give a larger tol, more cells or a smaller domain",
        )  # fmt: skip

    def result(self, graph: SplineGraph, on: Any, found: _Found) -> SplineSubstitution:
        """Return what a user sees."""
        sizes = [math.prod(shape) for shape in graph.output_shapes]
        low, high = found.sides
        intervals = tuple(
            Box(a.reshape(shape), b.reshape(shape))
            for a, b, shape in zip(
                low.amin(1).split(sizes), high.amax(1).split(sizes), graph.output_shapes, strict=True
            )
        )
        stand_in = built(self.network.graph, found.swept.sites, found.swept.chosen)
        return SplineSubstitution(graph, stand_in, on, intervals, found.rows(), len(self.network.cells[0].lower))
