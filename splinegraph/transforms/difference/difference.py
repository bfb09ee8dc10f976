"""A network as a difference of convex functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from splinegraph.analyses.convexity.curvature import course, propagate, rivals
from splinegraph.analyses.convexity.place import Place
from splinegraph.core.affine import AffineOperator
from splinegraph.core.algebra import prune
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.notebook import card
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.switching import Breaks, Contest, Switching
from splinegraph.core.values import Curvature
from splinegraph.core.walk import walk
from splinegraph.errors import UnsupportedOperatorError, require_seed, require_whole
from splinegraph.transforms.difference.bending import bent, straight
from splinegraph.transforms.difference.building import Builder, Sums, Triple, once
from splinegraph.transforms.difference.contests import contested
from splinegraph.transforms.difference.summing import summed

if TYPE_CHECKING:
    from splinegraph.transforms.difference.relaxing import Relaxation

__all__ = ["Difference", "difference_of_convex"]


@dataclass(frozen=True, eq=False)
class Difference:
    """f = g - h, with g and h convex on the domain; made by `difference_of_convex`.

    Parameters
    ----------
    graph : SplineGraph
        The network f.
    parts : SplineGraph
        Both functions as one graph, whose outputs are those of g and then those of h; they share nodes.
    domain : object or None
        Where it holds; None for all of space.
    exact : bool
        Whether g - h is f in exact arithmetic. Otherwise some factors are rounded to float64.
    """

    graph: SplineGraph
    parts: SplineGraph
    domain: Any
    exact: bool

    @property
    def g(self) -> SplineGraph:
        """The convex function that is added."""
        return self._side(self.parts.outputs[: len(self.graph.outputs)], "g")

    @property
    def h(self) -> SplineGraph:
        """The convex function that is taken off."""
        return self._side(self.parts.outputs[len(self.graph.outputs) :], "h")

    def _side(self, outputs: tuple[str, ...], name: str) -> SplineGraph:
        nodes = prune(self.parts.nodes, outputs, self.parts.inputs)
        return replace(self.parts, nodes=nodes, outputs=outputs, name=f"{name} of {self.graph.name}", _cache={})

    @property
    def sizes(self) -> dict[str, dict[str, int]]:
        """Operators of f, g, h and of g and h together, and how many of their units switch."""
        graphs = {"f": self.graph, "g": self.g, "h": self.h, "parts": self.parts}
        return {name: {"operators": len(g.operators), "units": _units(g)} for name, g in graphs.items()}

    def verify(self, *, points: int = 3, seed: int = 0) -> bool:
        """Return whether the rules find g and h convex, and g - h is f at random points of the domain.

        Parameters
        ----------
        points : int
            Where f and g - h are compared: in exact rationals if `exact` and f is piecewise affine, otherwise in
            float64, up to 1e-9 of the size of g, h and f.
        seed : int
        """
        require_whole("points", points, 0)
        seed = require_seed(seed)
        flags = propagate(self.parts, self.domain)
        if not all(bool(Curvature.CONVEX.held_by(flags[name]).all()) for name in self.parts.outputs):
            return False
        place = Place.of(self.graph, self.domain)
        xs = place.sample(points, torch.Generator().manual_seed(seed))
        return all(self._agrees(tuple(x[i] for x in xs)) for i in range(points))

    def _agrees(self, xs: tuple[Tensor, ...]) -> bool:
        if self.exact and self.graph.exact:
            from splinegraph.core.exact import evaluate_exact

            whole, parts = evaluate_exact(self.graph, *xs), evaluate_exact(self.parts, *xs)
            whole = whole if isinstance(whole, tuple) else (whole,)
            return all(
                bool((f == g - h).all())
                for f, g, h in zip(whole, parts[: len(whole)], parts[len(whole) :], strict=True)
            )
        batch = [x[None] for x in xs]
        with torch.no_grad():
            values = self.graph(*batch), self.g(*batch), self.h(*batch)
        columns = zip(*(v if isinstance(v, tuple) else (v,) for v in values), strict=True)
        return all(
            bool(((f - (g - h)).abs() <= 1e-9 * (f.abs() + g.abs() + h.abs()).amax()).all()) for f, g, h in columns
        )

    def relaxed(self, on: Any = None) -> Relaxation:
        """Return a convex function below f and a concave one above it, on a box.

        Parameters
        ----------
        on : Box or tuple of Box, optional
            Bounded; default: the domain of the difference. It must lie inside of that.
        """
        from splinegraph.transforms.difference.relaxing import relaxation

        return relaxation(self, on)

    def __repr__(self) -> str:
        sizes = self.sizes
        counts = ", ".join(f"{name} {sizes[name]['units']}" for name in ("f", "g", "h"))
        return f"<Difference of convex functions for {self.graph.name}: units {counts}>"

    def _repr_html_(self) -> str:
        return card(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        from splinegraph.analyses.lipschitz.bound import domain_text

        return {"domain": domain_text(self.domain), "exact": self.exact, "sizes": self.sizes}


def difference_of_convex(graph: SplineGraph, on: Any = None) -> Difference:
    """Write a network as a difference of two convex functions.

    Parameters
    ----------
    graph : SplineGraph
        Continuous and piecewise affine. Smooth operators may stand where composition rules find their values
        convex, concave or affine.
    on : Box, Plane, Segment, Polytope, Ball, tuple of them, or None
        Where it has to hold; default: all of space. On a smaller domain more units are affine, and both functions
        are smaller.

    Returns
    -------
    Difference
        With the functions as graphs, which hold copies of the parameters' present values in float64.

    Raises
    ------
    UnsupportedOperatorError
        If a node that is neither convex nor concave is not piecewise affine, jumps, or is an order statistic of too
        many entries; it is named.

    Notes
    -----
    One pass. A value is carried as g - h + line: an affine operator A+ - A- gives A+ g + A- h and A+ h + A- g; the
    largest of p t + c at t = g - h is the largest of convex functions less a convex one; so is a maximum, see
    `contests`. Entries that composition rules find affine, convex or concave stay as they are. Both graphs are
    certified by these rules: only nonnegative weights and maxima come after the first units that bend.

    Without rounding where the factors are floats, as for ReLU, leaky ReLU, absolute value, clamp, pooling.

    References
    ----------
    .. [1] P. Hartman, "On functions representable as a difference of convex functions", Pacific J. Math. 9, 1959.
    .. [2] D. Melzer, "On the expressibility of piecewise-linear continuous functions as the difference of two
       piecewise-linear convex functions", Math. Programming Study 29, 1986.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1)).eval()
    >>> found = difference_of_convex(sg.trace(net, torch.zeros(1, 2)))
    >>> found.verify()
    True
    """
    place = Place.of(graph, on)
    with torch.no_grad():
        found = course(graph, place)
        builder = Builder(found)
        rules = _Rules(builder)
        outputs, _ = walk(graph, [Triple(line=name) for name in graph.inputs], rules.visit, operators=found.operators)
        names = [rules.finished(name, value) for name, value in zip(graph.outputs, outputs, strict=True)]
    ends = tuple(g for g, _ in names) + tuple(h for _, h in names)
    nodes = prune(builder.nodes, ends, graph.inputs)
    parts = replace(
        graph, nodes=nodes, outputs=ends, batched=builder.batched, dtype=torch.float64,
        name=f"g and h of {graph.name}", _cache={},
    )  # fmt: skip
    return Difference(graph, parts, on, rules.exact)


class _Rules:
    """What each node makes of triples."""

    def __init__(self, builder: Builder) -> None:
        self.builder, self.found, self.exact = builder, builder.found, True

    def visit(self, node: Node, operator: Operator, args: tuple[Triple, ...]) -> Triple:
        """Return the value of a node."""
        bend = self.found.bends[node.name]
        moving = bend.convex & bend.concave & ~bend.fixed
        known = bend.convex | bend.concave
        if bool((bend.convex & bend.concave).all()):
            breaks = self._switching(node, operator)
            line = straight(breaks, self.found.arguments(node)[0]) if isinstance(breaks, Breaks) else None
            if line is None:
                self.builder.keep(node)
            else:
                self.builder.straighten(node, *line)
            return Triple(line=node.name)
        self.builder.keep(node)
        if isinstance(operator, AffineOperator) and (not bool(known.all()) or any(x.line for x in args)):
            return summed(self.builder, node, operator, args)
        # what rules know stays as it is; entries that are constant may be on any side
        sums = Sums(
            [(_marks(bend.convex & ~moving), node.name)],
            [(-_marks(bend.concave & ~bend.convex), node.name)],
            [(_marks(moving), node.name)],
        )
        if not bool(known.all()):
            sums += self._switched(node, operator, args, ~known)
        self.exact &= sums.exact
        total = self.builder.sum
        return Triple(total(node, "g", sums.g), total(node, "h", sums.h), total(node, "line", sums.line))

    def _switched(self, node: Node, operator: Operator, args: Sequence[Triple], rest: Tensor) -> Sums:
        """Return the entries `rest` of an operator whose units switch."""
        switching = self._switching(node, operator)
        if isinstance(switching, Breaks):
            return bent(self.builder, node, switching, self.found.arguments(node)[0], args[0], rest)
        race = rivals(self.found, node)
        if isinstance(switching, Contest) and race is not None:
            return contested(self.builder, node, switching, race.alive, args, rest)
        raise UnsupportedOperatorError(
            f"no difference of convex functions for {operator.label}", where=node.where,
            why="it is not continuous" if not operator.continuous
            else "it does not say how it switches" if operator.piecewise_affine
            else "it is not piecewise affine, and rules find it neither convex nor concave here",
            remedy="cut the graph before it with graph.between, or approximate smooth operators by splinegraph.spline",
        )  # fmt: skip

    def _switching(self, node: Node, operator: Operator) -> Switching | None:
        """Return how a continuous operator switches; None if it does not, or in no way that is known here."""
        if not isinstance(operator, SplineOperator) or isinstance(operator, AffineOperator) or not operator.continuous:
            return None
        boxes = self.found.arguments(node)
        found = operator.switching([box.shape for box in boxes], boxes)
        if found is None or found.units != math.prod(node.shape):
            return None
        return found if isinstance(found, Contest) or found.continuous else None

    def finished(self, name: str, value: Triple) -> tuple[str, str]:
        """Return the nodes of g and h of an output."""
        bend, builder = self.found.bends[name], self.builder
        if bool(bend.convex.all()):
            return name, builder.zero(name)
        g = builder.sum(builder.at[name], "g", once(value.g) + once(value.line))
        return g or builder.zero(name), value.h or builder.zero(name)


def _marks(mask: Tensor) -> Tensor:
    """Return 1 where the mask holds, else 0, one number per entry."""
    return mask.reshape(-1).double()


def _units(graph: SplineGraph) -> int:
    """Return how many units of a graph switch."""
    return sum(
        math.prod(node.shape)
        for node in graph.operators
        if isinstance(node.op, SplineOperator) and not isinstance(node.op, AffineOperator)
    )
