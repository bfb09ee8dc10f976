"""The spline network: the nodes that take the place of smooth operators and of products."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch

from splinegraph.core.algebra import LinearCombination
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.operators.arithmetic import Scale, Shift
from splinegraph.operators.knotted import Knotted
from splinegraph.splines.piecewise import PiecewiseAffine
from splinegraph.transforms.spline.sweep import Chosen, Factors, Site
from splinegraph.transforms.spline.unfolding import Names

__all__ = ["built"]


def built(graph: SplineGraph, sites: Mapping[str, Site], chosen: Mapping[str, Chosen]) -> SplineGraph:
    """Return an unfolded graph with splines in place of its smooth operators and products."""
    names, nodes = Names(graph), list[Node]()
    for node in graph.nodes:
        if node.name not in sites:
            nodes.append(node)
            continue
        factors, found = sites[node.name].factors, chosen[node.name].spline
        if factors is None:
            nodes += _univariate(node, found, names)
        else:
            nodes += _product(node, [graph[arg] for arg in node.args], factors, found, names)
    label = f"spline of {graph.name}"
    return replace(graph, nodes=tuple(nodes), name=label, _cache={})


def _univariate(node: Node, p: PiecewiseAffine, names: Names) -> Iterator[Node]:
    """Yield x -> p(x): two affine nodes where p is a line."""
    if len(p.knots):
        knots, slopes = tuple(p.knots.tolist()), tuple(p.slopes.tolist())
        yield replace(node, operator=Knotted(knots, slopes, float(p.anchor), node.op.label))
        return
    line = replace(node, name=names(f"{node.name}_slope"), operator=Scale(float(p.slopes[0])))
    yield line
    yield replace(node, operator=Shift(float(p.anchor)), args=(line.name,))


class _Maker:
    """Makes the nodes that one node becomes."""

    def __init__(self, node: Node, names: Names) -> None:
        self.node, self._names = node, names

    def __call__(self, what: str, operator: Operator, *args: Node, like: Node | None = None) -> Node:
        """Return a new node, of the shape of `like` (the node that is replaced)."""
        like = self.node if like is None else like
        return replace(
            self.node, name=self._names(f"{self.node.name}_{what}"), operator=operator,
            args=tuple(arg.name for arg in args), shape=like.shape, layout=like.layout,
        )  # fmt: skip


def _product(node: Node, args: list[Node], factors: Factors, square: PiecewiseAffine, names: Names) -> Iterator[Node]:
    """Yield x y = rx ry ((u + v)^2 - (u - v)^2) / 4 + cx y + cy x - cx cy, u = (x - cx) / rx and v = (y - cy) / ry."""
    make = _Maker(node, names)
    cx, cy = factors.middles
    affine = [
        make("of_first", Scale(cy), args[0]), make("of_second", Scale(cx), args[1]),
    ]  # fmt: skip
    yield from affine
    parts = list(affine)
    if len(square.knots):
        curved = list(_curved(make, args, factors, square))
        parts.append(curved[-1])
        yield from curved
    whole = make("moved", LinearCombination((1.0,) * len(parts)), *parts)
    yield whole
    yield replace(node, operator=Shift(-cx * cy), args=(whole.name,))


def _curved(make: _Maker, args: list[Node], factors: Factors, square: PiecewiseAffine) -> Iterator[Node]:
    """Yield rx ry ((u + v)^2 - (u - v)^2) / 4."""
    scaled = []
    places = zip(("first", "second"), args, factors.middles, factors.inverses, strict=True)
    for which, arg, middle, inverse in places:
        centered = make(f"{which}_centered", Shift(-middle), arg, like=arg)
        scaled.append(make(f"{which}_scaled", Scale(inverse), centered, like=arg))
        yield from (centered, scaled[-1])
    knots, slopes = tuple(square.knots.tolist()), tuple(square.slopes.tolist())
    squares = []
    for which, sign in (("sum", 1.0), ("difference", -1.0)):
        side = make(which, LinearCombination((1.0, sign)), *scaled)
        yield side
        if not bool(factors.curved.all()):  # entries that are affine stay in the middle of a piece
            rest = torch.where(factors.curved, 0.0, (knots[0] + knots[1]) / 2 if len(knots) > 1 else knots[0] - 1)
            still = make(f"{which}_curved", Scale(factors.curved.double()), side)
            side = make(f"{which}_still", Shift(rest), still)
            yield from (still, side)
        squares.append(make(f"{which}_square", Knotted(knots, slopes, float(square.anchor), "Square"), side))
        yield squares[-1]
    gap = make("squares", LinearCombination((1.0, -1.0)), *squares)
    yield from (gap, make("curved", Scale(factors.weight / 2), gap))
