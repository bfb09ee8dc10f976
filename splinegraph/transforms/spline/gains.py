"""Backward through a network: how much an error at one value can be at the outputs.

Let d be the difference of a value in the spline network and in the smooth one, at the same input. At each
node d = S d_args + eta, where eta is the node's own error and S a slope between the two points. All S lie
in known intervals, so d at an output is the sum over nodes of a eta, with a from the intervals that the
adjoint recursion gives. Signs survive on the way, other than in a sum of |A| e layer by layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from splinegraph.core.affine import AffineOperator
from splinegraph.core.algebra import unbroadcast
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.core.values import Box
from splinegraph.core.walk import walk_back
from splinegraph.errors import DomainError, UnsupportedOperatorError
from splinegraph.operators.bilinear import Product
from splinegraph.transforms.spline.functions import slopes_on
from splinegraph.transforms.spline.moves import Interval, times
from splinegraph.transforms.spline.sweep import Network, Swept

__all__ = ["Gains", "behind_races", "gains", "weights"]

ROUNDING = 1e-13
"""Relative margin of the sums that make a sensitivity."""

MOST_ENTRIES = 2**24
"""Of the sensitivities of one value that are held at once (128 MiB)."""

Gains = dict[str, Interval]
"""Of each site bounds of what its error is at the outputs, of shape (entries of the outputs, cells)."""


def weights(network: Network, smooth: Swept) -> Gains:
    """Return what errors of sites are about at the outputs, in the network itself: for a choice, no bounds.

    Parameters
    ----------
    network : Network
    smooth : Swept
        Bounds of the network's own values.
    """
    return _collected(_Back(network.graph, network.operators, smooth, typical=True), smooth.sites)


def gains(network: Network, swept: Swept) -> Gains:
    """Return bounds of what each site's own error is at the outputs; the difference is the sum of all.

    Parameters
    ----------
    network : Network
    swept : Swept
        Bounds of all values that hold in both networks.
    """
    return _collected(_Back(network.graph, network.operators, swept), swept.sites)


def behind_races(network: Network, swept: Swept) -> Gains:
    """Return the same for the sites behind all maxima and their kin, and for these what their values move by.

    Of entries that compete only one counts, but `gains` adds them all up.
    """
    back = _Back(network.graph, network.operators, swept, cut=True)
    return _collected(back, [*swept.sites, *back.cuts])


def _collected(back: _Back, names: Iterable[str]) -> Gains:
    parts = [back.run(seeds) for seeds in back.seeds()]
    found = {}
    for name in names:
        low, high = zip(*(part[name] for part in parts), strict=True)
        found[name] = torch.cat(low), torch.cat(high)
    return found


class _Back:
    """The rules of the recursion: intervals of sensitivities, of shape (entries of the outputs, *value)."""

    def __init__(
        self,
        graph: SplineGraph,
        operators: Mapping[str, Operator],
        swept: Swept,
        *,
        typical: bool = False,
        cut: bool = False,
    ) -> None:
        self.graph, self.operators, self.swept, self.typical = graph, operators, swept, typical
        self.cells = len(swept.boxes[graph.inputs[0]].lower)
        self.touched: set[str] = set()
        for node in graph.operators:
            if node.name in swept.sites or self.touched.intersection(node.args):
                self.touched.add(node.name)
        moved = (name for name in swept.races if name in self.touched and swept.moves[name] is not None)
        self.cuts = tuple(moved) if cut else ()
        self.found: Gains = {}

    def seeds(self) -> Iterator[list[Interval | None]]:
        """Yield unit vectors for some entries of the outputs at a time."""
        most = max(node_box.lower.numel() for node_box in self.swept.boxes.values())
        step = max(MOST_ENTRIES // most, 1)
        for k, name in enumerate(self.graph.outputs):
            value = self.swept.boxes[name].lower
            sample = value[0].numel()
            for start in range(0, sample, step):
                rows = torch.eye(sample, dtype=torch.float64)[start : start + step]
                seed = rows.reshape(-1, 1, *value.shape[1:]).expand(-1, *value.shape)
                yield [(seed, seed) if i == k else None for i in range(len(self.graph.outputs))]

    def run(self, seeds: list[Interval | None]) -> Gains:
        """Return the gains of some entries of the outputs."""
        rows = next(len(seed[0]) for seed in seeds if seed is not None)
        none = torch.zeros(rows, self.cells, dtype=torch.float64)
        self.found = {name: (none, none) for name in (*self.swept.sites, *self.cuts)}
        with torch.no_grad():
            walk_back(self.graph, seeds, self.visit, add=lambda a, b: (a[0] + b[0], a[1] + b[1]))
        return self.found

    def visit(self, node: Node, value: Interval) -> tuple[Interval | None, ...]:
        if node.name not in self.touched:
            return (None,) * len(node.args)
        own = self.swept.moves[node.name] if node.name in self.cuts else self.swept.noise.get(node.name)
        if own is not None:
            low, high = times(value, own)
            self.found[node.name] = self._per_cell(node, low), self._per_cell(node, high)
        if node.name in self.cuts or not self.touched.intersection(node.args):
            return (None,) * len(node.args)
        back = self._rule(node)(node, value)
        return tuple(v if arg in self.touched else None for v, arg in zip(back, node.args, strict=True))

    def _per_cell(self, node: Node, size: Tensor) -> Tensor:
        """Return sums over the entries of each cell, shape (rows, cells)."""
        return torch.stack([node.rows(row).sum(1) for row in size])

    def _rule(self, node: Node):  # type: ignore[no-untyped-def]
        operator = self.operators[node.name]
        if isinstance(operator, AffineOperator):
            return self._affine
        if isinstance(operator, Product):
            return self._product
        if hasattr(operator, "slope_range") or node.name in self.swept.sites:
            return self._elementwise
        if node.name in self.swept.races:
            return self._race
        raise UnsupportedOperatorError(
            f"no bound of the error behind {operator.label}", where=node.where,
            why="it jumps, and the errors before it may push a value over the edge"
            if not operator.continuous else "it has no rule for errors",
            remedy="cut the graph before it (graph.between)",
        )  # fmt: skip

    def _boxes(self, node: Node) -> list[Box]:
        return [self.swept.boxes[name] for name in node.args]

    def _affine(self, node: Node, value: Interval) -> tuple[Interval, ...]:
        operator = self.operators[node.name]
        assert isinstance(operator, AffineOperator)
        shapes = [tuple(box.shape) for box in self._boxes(node)]
        center, radius = (value[0] + value[1]) / 2, (value[1] - value[0]) / 2
        radius = radius + ROUNDING * torch.maximum(-value[0], value[1])
        middles = operator.adjoint(center, shapes)
        spreads = [part.adjoint(radius, shapes) for part in operator.split() if part is not None]
        found = []
        for i, middle in enumerate(middles):
            spread = torch.stack([part[i] for part in spreads]).sum(0) if spreads else torch.zeros_like(middle)
            found.append((middle - spread, middle + spread))
        return tuple(found)

    def _elementwise(self, node: Node, value: Interval) -> tuple[Interval, ...]:
        operator = self.operators[node.name]
        (box,) = self._boxes(node)
        least, most = slopes_on(operator, box)
        if not bool((least.isfinite() & most.isfinite()).all()):
            raise DomainError(
                f"no bound of the error behind {operator.label}", where=node.where,
                why="its slope has no bound where errors before it can bring its argument",
                remedy="give a smaller domain, more cells or a smaller tol",
            )  # fmt: skip
        margin = ROUNDING * (1 + torch.maximum(least.abs(), most.abs()))
        return (times(value, (least - margin, most + margin)),)

    def _product(self, node: Node, value: Interval) -> tuple[Interval, ...]:
        boxes = self._boxes(node)
        found = []
        for own, other in ((0, 1), (1, 0)):
            low, high = times(value, (boxes[other].lower, boxes[other].upper))
            shape, ndim = boxes[own].shape, len(node.shape)
            found.append((unbroadcast(low, shape, ndim), unbroadcast(high, shape, ndim)))
        return tuple(found)

    def _race(self, node: Node, value: Interval) -> tuple[Interval, ...]:
        """Return, of each entry that can win, between none and all of the sensitivity."""
        race = self.swept.races[node.name]
        return race.back(value, race.even if self.typical else race.shares)
