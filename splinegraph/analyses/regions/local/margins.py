"""Distances from a point to the conditions of its cell: all of them, or the nearest first while a budget lasts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from splinegraph.analyses.batches import widest
from splinegraph.analyses.regions.local.norms import row_bounds
from splinegraph.analyses.regions.local.rows import CellRows
from splinegraph.core.domains.chart import Chart

__all__ = ["Margins", "entries_of", "pullback", "unit_directions"]

PROBES = 16
"""Random directions that estimate the norms of all rows, to take the nearest conditions first."""

ENTRIES = 2**24
"""Entries of the widest value of one pass (128 MiB in float64)."""

FLAT = 1e-12
"""A row whose norm is below this, relative to the largest of its node, is zero but for rounding."""


def entries_of(rows: CellRows, chart: Chart | None) -> int:
    """Return the number of free coordinates."""
    return sum(x[0].numel() for x in rows.inputs) if chart is None else chart.dim


def unit_directions(rows: CellRows, chart: Chart | None, step: int) -> Iterator[tuple[slice, tuple[Tensor, ...]]]:
    """Yield the directions of the free coordinates, `step` at a time, as inputs of shape (K, *in)."""
    count, device = entries_of(rows, chart), rows.inputs[0].device
    basis = None if chart is None else chart.basis()
    for start in range(0, count, step):
        block = slice(start, min(start + step, count))
        if basis is not None:
            yield block, tuple(b[block].to(device) for b in basis)
            continue
        flat = torch.zeros(block.stop - start, count, dtype=torch.float64, device=device)
        flat[torch.arange(len(flat)), torch.arange(start, block.stop)] = 1.0
        yield block, _split(rows, flat)


def _split(rows: CellRows, flat: Tensor) -> tuple[Tensor, ...]:
    """Return flattened directions (K, n) as one tensor per input."""
    parts = flat.split([x[0].numel() for x in rows.inputs], 1)
    return tuple(p.reshape(len(flat), *x.shape[1:]) for p, x in zip(parts, rows.inputs, strict=True))


def pullback(forms: Sequence[Tensor], chart: Chart | None) -> Tensor:
    """Return rows as linear forms on the free coordinates, shape (K, D)."""
    if chart is not None:
        return chart.pullback(forms)
    return torch.cat([g.reshape(len(g), -1) for g in forms], 1)


class Margins:
    """Norms of the rows of a cell, as far as they are known.

    Parameters
    ----------
    rows : CellRows
    chart : Chart or None
        Where the point may move; None for the whole space.
    budget : int
        Passes over the graph.
    batch : int or None
        Rows or columns per pass; default: what fits in memory.

    Attributes
    ----------
    norms : dict from 2 and inf to Tensor of shape (rows,)
        Dual norm of each row, nan where it is not known.
    bounds : dict from 2 and inf to Tensor of shape (rows,)
        Upper bounds of these.
    scale : Tensor of shape (rows,)
        The largest l2 norm of a row of the same node; estimated, unless all are known.
    passes : int
        Rows and columns computed.
    """

    def __init__(self, rows: CellRows, chart: Chart | None, budget: int, batch: int | None) -> None:
        self.rows, self.chart, self.passes = rows, chart, 0
        unknown = torch.full((len(rows),), math.nan, dtype=torch.float64)
        self.norms: dict[float, Tensor] = {2: unknown.clone(), math.inf: unknown.clone()}
        l2, l1 = row_bounds(rows)
        if chart is not None:  # a row times the coordinates' directions
            l2, l1 = _through(chart, l2, l1)
        self.bounds: dict[float, Tensor] = {2: l2, math.inf: l1}
        self.scale = torch.zeros_like(unknown)
        size = max(widest(rows.graph), len(rows), 1)
        self._batch = max(1, ENTRIES // size) if batch is None else batch
        if not len(rows):
            return
        columns = entries_of(rows, chart)
        if columns <= min(budget, len(rows)):
            self._all_by_columns()
        else:
            self._nearest_by_rows(budget)

    def distance(self, norm: float) -> tuple[float, float, int]:
        """Return bounds of the distance to the boundary of the cell, and the row that the upper one belongs to."""
        if not len(self.rows):
            return math.inf, math.inf, -1
        known = self.distances(norm)
        done = ~known.isnan()
        best, row = known.nan_to_num(math.inf, math.inf).min(0)
        rest = (self.rows.slack / self.bounds[norm])[~done].nan_to_num(0.0, math.inf)
        upper = float(best)
        lower = min(upper, float(rest.min())) if len(rest) else upper
        return lower, upper, int(row) if math.isfinite(upper) else -1

    def distances(self, norm: float) -> Tensor:
        """Return the distance to each condition's hyperplane; nan where not known, inf if it is nowhere."""
        norms = self.norms[norm]
        flat = norms <= FLAT * self.scale
        return torch.where(flat, math.inf, self.rows.slack / norms)

    def _all_by_columns(self) -> None:
        """Compute all norms exactly, one tangent pass per free coordinate."""
        squares = torch.zeros(len(self.rows), dtype=torch.float64)
        absolute = torch.zeros_like(squares)
        for block, vs in unit_directions(self.rows, self.chart, self._batch):
            found = self.rows.products(vs)
            squares += found.square().sum(0)
            absolute += found.abs().sum(0)
            self.passes += block.stop - block.start
        self.norms = {2: squares.sqrt(), math.inf: absolute}
        self._rescale(self.norms[2])

    def _rescale(self, norms: Tensor) -> None:
        for origin in self.rows.origins:
            part = slice(origin.start, origin.stop)
            if len(origin.conditions):
                self.scale[part] = norms[part].max()

    def _nearest_by_rows(self, budget: int) -> None:
        """Compute rows by adjoint passes, the nearest first, until no other can be nearer or the budget ends."""
        probes = min(PROBES, budget // 2)
        guess = self._guess(probes) if probes else self.bounds[2]
        self._rescale(guess.nan_to_num(0.0, 0.0))
        none = self.bounds[math.inf] == 0  # dead units that tie, say
        for norms in self.norms.values():
            norms[none] = 0.0
        done, turn = none, 0
        while self.passes < budget and not bool(done.all()) and not self._settled():
            # by turns the nearest, and those that stand most in the way of a proof
            norms = guess if turn % 2 == 0 else self.bounds[2]
            turn += 1
            left = (~done).nonzero()[:, 0]
            distance = (self.rows.slack[left] / norms[left]).nan_to_num(math.inf, math.inf)
            count = min(self._batch, budget - self.passes, len(left))
            chosen = left[distance.topk(count, largest=False).indices]
            forms = pullback(self.rows.forms(chosen), self.chart)
            self.norms[2][chosen] = forms.norm(dim=1)
            self.norms[math.inf][chosen] = forms.abs().sum(1)
            done[chosen] = True
            self.passes += len(chosen)

    def _settled(self) -> bool:
        """Return whether the distances are exact."""
        ends = [self.distance(norm) for norm in self.norms]
        return all(lower == upper for lower, upper, _ in ends)

    def _guess(self, count: int) -> Tensor:
        """Return estimates of the l2 norms, from products with random directions."""
        generator = torch.Generator().manual_seed(0)
        total = torch.zeros(len(self.rows), dtype=torch.float64)
        step = min(count, self._batch)
        for start in range(0, count, step):
            rows = min(step, count - start)
            v = torch.randn(rows, entries_of(self.rows, self.chart), dtype=torch.float64, generator=generator)
            total += self.rows.products(self._directions(v)).square().sum(0)
            self.passes += rows
        return (total / count).sqrt()

    def _directions(self, t: Tensor) -> tuple[Tensor, ...]:
        """Return directions of the inputs for directions of the coordinates."""
        device = self.rows.inputs[0].device
        if self.chart is None:
            return _split(self.rows, t.to(device))
        ahead, back = self.chart.lift(t), self.chart.lift(torch.zeros_like(t))
        return tuple((a - b).to(device) for a, b in zip(ahead, back, strict=True))


def _through(chart: Chart, l2: Tensor, l1: Tensor) -> tuple[Tensor, Tensor]:
    """Return bounds of the rows' norms in the coordinates of a chart."""
    if chart.index is not None:
        return l2, l1
    assert chart.directions is not None
    stretch = float(torch.linalg.matrix_norm(chart.directions, 2))
    most = float(chart.directions.abs().amax(1).sum()) if chart.dim else 0.0
    # |B g|_2 <= |B|_2 |g|_2, and |B g|_1 <= (sum over coordinates of the largest entry) |g|_1
    return l2 * stretch, l1 * most
