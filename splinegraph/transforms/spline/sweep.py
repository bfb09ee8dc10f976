"""Forward through a network: what every value can be, in the smooth network and in the spline one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.analyses.lipschitz.intervals import ROUNDING, widened
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.core.values import Box
from splinegraph.core.walk import walk
from splinegraph.errors import DomainError, SplineGraphError, UnsupportedOperatorError
from splinegraph.operators.bilinear import Product
from splinegraph.splines.piecewise import PiecewiseAffine
from splinegraph.splines.univariate import Univariate
from splinegraph.transforms.spline.cells import hull
from splinegraph.transforms.spline.contests import Race
from splinegraph.transforms.spline.functions import function_on, is_univariate
from splinegraph.transforms.spline.local import local_errors
from splinegraph.transforms.spline.moves import Interval, moved

__all__ = ["SQUARED", "Chosen", "Factors", "Network", "Site", "Swept", "located", "sites"]

SQUARED = 2 * (1 + 1e-12)
"""The squares that a product becomes are of numbers up to this: sums of two from [-1, 1], with rounding."""

INF = torch.inf

EPS = torch.finfo(torch.float64).eps

SLACK = 64 * EPS
"""Rounding of the constants that a product becomes, relative to the product of the factors' sizes."""


STILL = 1e-9
"""A factor whose radius is smaller than this, relative to its size, is taken to stand still."""


@dataclass(frozen=True, eq=False)
class Factors:
    """Middles and radii of the two factors of a product, which broadcast to them for any batch size."""

    middles: tuple[Tensor, Tensor]
    radii: tuple[Tensor, Tensor]

    @property
    def inverses(self) -> tuple[Tensor, Tensor]:
        """One over the radii; 0 where a factor does not move, up to rounding."""
        first, second = (
            torch.where(moves, 1 / r.clamp(min=torch.finfo(torch.float64).tiny), 0.0)
            for moves, r in zip(self._moving, self.radii, strict=True)
        )
        return first, second

    @property
    def curved(self) -> Tensor:
        """Which entries of the product are curved: both factors move."""
        first, second = self._moving
        return first & second

    @property
    def _moving(self) -> tuple[Tensor, Tensor]:
        first, second = (r > STILL * (m.abs() + r) for m, r in zip(self.middles, self.radii, strict=True))
        return first, second

    @property
    def weight(self) -> Tensor:
        """What an error of the two squares counts in the product."""
        return self.radii[0] * self.radii[1] / 2 * self.curved

    @property
    def slack(self) -> Tensor:
        """The error of the product by rounded constants, and by a factor that is taken to stand still."""
        sizes = [m.abs() + r for m, r in zip(self.middles, self.radii, strict=True)]
        return SLACK * sizes[0] * sizes[1] + self.radii[0] * self.radii[1] * ~self.curved


@dataclass(frozen=True, eq=False)
class Site:
    """A node that has to be replaced, with the range of its argument (of the squares, for a product)."""

    node: Node
    interval: tuple[float, float]
    factors: Factors | None = None

    @property
    def operator(self) -> Operator:
        """The operator replaced."""
        return self.node.op

    @property
    def units(self) -> int:
        """The splines that take its place: one per entry, two for a product."""
        return int(torch.tensor(self.node.shape).prod()) * (1 if self.factors is None else 2)


@dataclass(frozen=True, eq=False)
class Chosen:
    """A spline, and the function that it approximates."""

    function: Univariate
    spline: PiecewiseAffine


@dataclass(frozen=True, eq=False)
class Swept:
    """What one pass found.

    Parameters
    ----------
    boxes : dict from name to Box
        Bounds of all values on all cells, in both networks.
    sites : dict from name to Site
    chosen : dict from name to Chosen
    noise : dict from name to pair of Tensor
        Of each site bounds of the error that the node itself makes, on each cell; without splines, what an error of
        one unit of the spline would be.
    moves : dict from name to pair of Tensor, or None
        Bounds of the difference of the two networks' values on each cell, where they are known.
    races : dict from name to Race
        Of the nodes whose units are the largest (or smallest) of some entries.
    """

    boxes: dict[str, Box]
    sites: dict[str, Site]
    chosen: dict[str, Chosen]
    noise: dict[str, Interval]
    moves: dict[str, Interval | None]
    races: dict[str, Race]


@contextlib.contextmanager
def located(node: Node, interval: tuple[float, float]) -> Iterator[None]:
    """Add to a refusal the node, and the interval that its function is looked at on."""
    try:
        yield
    except SplineGraphError as error:
        where = f"{node.where} ({node.op.label} on [{interval[0]:.6g}, {interval[1]:.6g}])"
        raise type(error)(error.what, where=where, why=error.why, remedy=error.remedy) from error


def sites(graph: SplineGraph) -> list[str]:
    """Return the nodes that have to be replaced.

    Raises
    ------
    UnsupportedOperatorError
        If one of them cannot be.
    """
    found = []
    for node in graph.obstacles:
        if not (is_univariate(node.op) or isinstance(node.op, Product)):
            raise UnsupportedOperatorError(
                f"{node.op.label} cannot be made piecewise affine", where=node.where,
                why=f"it is {node.op.family}: neither a known function of one variable nor a product",
                remedy="cut the graph before it (graph.between), or write it with operators that are known",
            )  # fmt: skip
        found.append(node.name)
    return found


@dataclass(frozen=True, eq=False)
class Network:
    """An unfolded network on the cells of a domain.

    Parameters
    ----------
    graph : SplineGraph
    operators : mapping
        Resolved in float64 for as many samples as there are cells.
    cells : tuple of Box
        One per input, in the shape of a batch.
    """

    graph: SplineGraph
    operators: Mapping[str, Operator]
    cells: tuple[Box, ...]

    def smooth(self, tighter: Callable[[str, Box, Mapping[str, Box]], Box]) -> Swept:
        """Return bounds of all values of the network itself.

        Parameters
        ----------
        tighter : callable (name, box, boxes of the values before) -> Box
            What else is known of a value.
        """
        swept = self._start()
        replaced = set(sites(self.graph))

        def visit(node: Node, operator: Operator, args: tuple[Box, ...]) -> Box:
            if node.name in replaced:
                site = swept.sites[node.name] = _site(self.graph, node, args)
                one = torch.ones(()) if site.factors is None else site.factors.weight
                swept.noise[node.name] = (-one, one)
            box = widened(operator.bounds(*args))
            if node.name in replaced and args[0].bounded and not box.bounded and site.factors is None:
                with located(node, site.interval):
                    function_on(node.op, site.interval)  # says what is not defined
            race = Race.of(self.graph, node, operator, args)
            if race is not None:
                swept.races[node.name] = race
            swept.boxes[node.name] = tighter(node.name, box, swept.boxes)
            return swept.boxes[node.name]

        with torch.no_grad():
            walk(self.graph, list(self.cells), visit, operators=self.operators)
        return swept

    def splined(self, choose: Callable[[Site], Chosen], smooth: Swept) -> Swept:
        """Return bounds of all values in both networks and, in one pass, the splines.

        Parameters
        ----------
        choose : callable
            What gives a site its spline.
        smooth : Swept
            Bounds of the values of the network itself.
        """
        swept = self._start()

        def visit(node: Node, operator: Operator, args: tuple[Box, ...]) -> Box:
            image = operator.bounds(*args)
            move = self._moved(node, operator, args, swept, image)
            if node.name in smooth.sites:
                site = swept.sites[node.name] = _site(self.graph, node, args)
                found = swept.chosen[node.name] = choose(site)
                least, most = swept.noise[node.name] = _noise(site, found, args)
                image = Box(image.lower + least.clamp(max=0.0), image.upper + most.clamp(min=0.0))
                move = None if move is None else (move[0] + least, move[1] + most)
            box = widened(image)
            if move is not None:
                box, move = _met(box, smooth.boxes[node.name], move)
            swept.moves[node.name], swept.boxes[node.name] = move, box
            return box

        with torch.no_grad():
            walk(self.graph, list(self.cells), visit, operators=self.operators)
        return swept

    def _moved(
        self, node: Node, operator: Operator, args: tuple[Box, ...], swept: Swept, image: Box
    ) -> Interval | None:
        """Return by how much a value moves by the errors before the node, if that is known."""
        moves = [swept.moves[arg] for arg in node.args]
        race = Race.of(self.graph, node, operator, args)
        if race is None:
            return moved(operator, args, moves)
        swept.races[node.name] = race
        known = [move for move in moves if move is not None]
        return race.moved(known, image) if len(known) == len(moves) else None

    def _start(self) -> Swept:
        none = {
            name: (torch.zeros_like(box.lower),) * 2 for name, box in zip(self.graph.inputs, self.cells, strict=True)
        }
        return Swept(dict(zip(self.graph.inputs, self.cells, strict=True)), {}, {}, {}, dict(none), {})


def _met(box: Box, smooth: Box, move: Interval) -> tuple[Box, Interval]:
    """Return a box cut down to where the smooth value and what it moves by allow, and that move with its rounding."""
    size = torch.maximum(move[0].abs(), move[1].abs())
    margin = ROUNDING * (size[size.isfinite()].max() if bool(size.isfinite().any()) else 0.0)
    low, high = (move[0] - margin).clamp(max=0.0), (move[1] + margin).clamp(min=0.0)
    lower, upper = torch.maximum(box.lower, smooth.lower + low), torch.minimum(box.upper, smooth.upper + high)
    lower, upper = torch.minimum(lower, upper), torch.maximum(lower, upper)
    return Box(lower.nan_to_num(-INF, INF, -INF), upper.nan_to_num(INF, INF, -INF)), (
        move[0] - margin,
        move[1] + margin,
    )


def _site(graph: SplineGraph, node: Node, args: tuple[Box, ...]) -> Site:
    if not isinstance(node.op, Product):
        (box,) = args
        if bool((box.lower.isposinf() | box.upper.isneginf()).any()):
            raise DomainError(
                f"{node.op.label} cannot be made piecewise affine", where=node.where,
                why="an entry of its argument is infinite", remedy="give masks a number such as -30 in place of -inf",
            )  # fmt: skip
        return Site(node, (float(box.lower.min()), float(box.upper.max())))
    ranges = [hull(graph[name], *box) for name, box in zip(node.args, args, strict=True)]
    if not all(bool((low.isfinite() & high.isfinite()).all()) for low, high in ranges):
        raise DomainError(
            "a product cannot be made piecewise affine", where=node.where, why="one of its factors has no bounds",
            remedy="give a bounded domain (on=sg.Box(...)), and masks a number such as -30 in place of -inf",
        )  # fmt: skip
    middles, radii = zip(*(((low + high) / 2, (high - low) / 2 * (1 + 4 * EPS)) for low, high in ranges), strict=True)
    return Site(node, (-SQUARED, SQUARED), Factors(middles, radii))


def _noise(site: Site, found: Chosen, args: tuple[Box, ...]) -> tuple[Tensor, Tensor]:
    """Return bounds of the error that a node itself makes, on each cell."""
    if site.factors is None:
        return local_errors(found.function, found.spline, *args[0])
    scaled = []
    for box, middle, inverse in zip(args, site.factors.middles, site.factors.inverses, strict=True):
        scaled.append(((box.lower - middle) * inverse, (box.upper - middle) * inverse))
    (x0, x1), (y0, y1) = scaled
    slack, quarter = site.factors.slack, site.factors.weight / 2
    if not len(found.spline.knots):  # what is left out is x y itself
        corners = torch.stack(torch.broadcast_tensors(*(4 * x * y for x in (x0, x1) for y in (y0, y1))))
        return -quarter * corners.amax(0) - slack, -quarter * corners.amin(0) + slack
    limit = found.spline.interval[1]
    sums = local_errors(found.function, found.spline, (x0 + y0).clamp(-limit, limit), (x1 + y1).clamp(-limit, limit))
    gaps = local_errors(found.function, found.spline, (x0 - y1).clamp(-limit, limit), (x1 - y0).clamp(-limit, limit))
    return quarter * (sums[0] - gaps[1]) - slack, quarter * (sums[1] - gaps[0]) + slack
