"""Making nodes: sums, scaled values and rearrangements of what is there already."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import torch
from torch import Tensor

from splinegraph.analyses.convexity.curvature import Course
from splinegraph.core.algebra import LinearCombination
from splinegraph.core.functionals import Functionals
from splinegraph.core.graph import Node
from splinegraph.core.layout import BatchLayout
from splinegraph.core.operator import Operator
from splinegraph.core.parameters import depends_on_batch, leaves
from splinegraph.operators.arithmetic import Scale, Shift
from splinegraph.operators.shape import Concat, Reshape

__all__ = ["Builder", "Coefficient", "Sums", "Terms", "Triple", "once"]

Coefficient = float | Tensor
"""One number, or one per entry of a node's value, flattened at batch size one."""

Terms = list[tuple[Coefficient, str]]
"""Values of one shape, and by what they are multiplied in a sum."""

SMALL = 2**22
"""Entries of a matrix of zeros."""


@dataclass(frozen=True)
class Triple:
    """A value as g - h + line: names of nodes, None for zero; g and h are convex, the line is affine."""

    g: str | None = None
    h: str | None = None
    line: str | None = None


@dataclass(frozen=True)
class Sums:
    """A value as g - h + line, each a sum.

    Parameters
    ----------
    g, h, line : list of (factor, name)
    exact : bool
        Whether no factor was rounded.
    """

    g: Terms = field(default_factory=list)
    h: Terms = field(default_factory=list)
    line: Terms = field(default_factory=list)
    exact: bool = True

    def __sub__(self, other: Sums) -> Sums:
        line = self.line + [(-c, name) for c, name in other.line]
        return Sums(self.g + other.h, self.h + other.g, line, self.exact and other.exact)

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.g + other.g, self.h + other.h, self.line + other.line, self.exact and other.exact)


class Builder:
    """The nodes made so far: those of a network, with its present parameters, and others made of them.

    Parameters
    ----------
    found : Course
        Of the network on the domain.
    """

    def __init__(self, found: Course) -> None:
        self.found, graph = found, found.graph
        self.nodes = [node for node in graph.nodes if node.is_input]
        self.names = {node.name for node in graph.nodes}
        self.at = {node.name: node for node in self.nodes}
        self.batched = graph.batched
        self._known: dict[tuple[object, ...], str] = {}

    def keep(self, node: Node) -> None:
        """Add a node of the network, with a copy of its parameters."""
        own = node.op if depends_on_batch(node.op) else self.found.operators[node.name]
        self._add(replace(node, operator=snapshot(own)))

    def straighten(self, node: Node, slope: Tensor, *offsets: Tensor) -> None:
        """Add slope * x + offsets, one number per entry, in place of a node of the network that is so on the domain."""
        operator: Operator = Scale(self.number(node, slope))
        for offset in offsets:
            if uniform(offset) != 0:
                node = replace(node, args=(self.emit(node, "scaled", operator, *node.args),))
                operator = Shift(self.number(node, offset))
        self._add(replace(node, operator=operator))

    def emit(
        self,
        like: Node,
        role: str,
        operator: Operator,
        *args: str,
        shape: Sequence[int] | None = None,
        layout: BatchLayout | None = None,
    ) -> str:
        """Add a node that belongs to a node of the network, by default with its shape and layout; return its name."""
        name = f"{like.name}_{role}"
        if name in self.names:
            name = next(f"{name}_{i}" for i in range(1, len(self.names) + 2) if f"{name}_{i}" not in self.names)
        self.names.add(name)
        shape, layout = (like.shape, like.layout) if shape is None else (tuple(shape), layout)
        self._add(replace(like, name=name, operator=operator, args=args, shape=shape, layout=layout))
        return name

    def _add(self, node: Node) -> None:
        self.nodes.append(node)
        self.at[node.name] = node

    # sums

    def sum(self, like: Node, role: str, terms: Terms) -> str | None:
        """Return a sum of values of a node's shape, each times a number or one per entry; None if nothing is left."""
        scaled = [item for c, name in terms if (item := self._scaled(like, c, name)) is not None]
        merged: dict[str, Fraction] = {}
        apart: list[tuple[float, str]] = []
        for number, name in scaled:
            total = merged.get(name, Fraction(0)) + Fraction(number)
            if Fraction(float(total)) == total:
                merged[name] = total
            else:  # two terms, so that nothing is rounded
                apart.append((number, name))
        items = [(float(total), name) for name, total in merged.items() if total] + apart
        if not items:
            return None
        if items == [(1.0, items[0][1])]:
            return items[0][1]
        coefficients, args = (tuple(column) for column in zip(*items, strict=True))
        key = (coefficients, args)
        if key not in self._known:
            self._known[key] = self.emit(like, role, LinearCombination(coefficients), *args)
        return self._known[key]

    def _scaled(self, like: Node, factor: Coefficient, name: str) -> tuple[float, str] | None:
        """Return a value times a factor as (number, name); None if that is zero."""
        number = uniform(factor)
        if number is None:
            assert isinstance(factor, Tensor)
            key = ("scale", tuple(factor.tolist()), name)
            if key not in self._known:
                self._known[key] = self.emit(like, "scaled", Scale(self._entries(like, factor)), name)
            return 1.0, self._known[key]
        return (number, name) if number else None

    def shifted(self, like: Node, role: str, name: str, offset: Tensor) -> str:
        """Return a value plus constants, one per entry."""
        if uniform(offset) == 0:
            return name
        return self.emit(like, role, Shift(self.number(like, offset)), name)

    def zero(self, name: str) -> str:
        """Return zeros of the shape of a node's value."""
        key = ("zero", name)
        if key not in self._known:
            node, first = self.at[name], self.at[self.found.graph.inputs[0]]
            size = math.prod(node.shape)
            if node.layout == BatchLayout() and size * math.prod(first.shape) <= SMALL:
                # of the input, so that nothing is worked out for them
                weight = torch.zeros((), dtype=torch.float64).expand(size, *first.shape[1:])
                row = self.emit(node, "zero", Functionals(weight), first.name, shape=(1, size), layout=BatchLayout())
                self._known[key] = self.unflat(node, "zero", row)
            else:
                self._known[key] = self.emit(node, "zero", Scale(0.0), name)
        return self._known[key]

    def number(self, like: Node, values: Tensor) -> Tensor | float:
        """Return one number per entry in a form that broadcasts over the batch, or as one number if they agree."""
        one = uniform(values)
        return self._entries(like, values) if one is None else one

    def _entries(self, like: Node, values: Tensor) -> Tensor:
        full = values.reshape(like.shape)
        if like.layout is None:
            return full
        one = full.narrow(like.layout.axis, 0, 1)
        if bool((full == one).all()):
            return one.clone()
        self.batched = False  # several entries share the batch's axis
        return full

    # rearrangements

    def flat(self, like: Node, names: Sequence[str]) -> str:
        """Return values flattened and put one behind the other, shape (B, n)."""
        key = ("flat", *names)
        if key not in self._known:
            parts = [self._row(like, name) for name in names]
            total = sum(self.at[part].shape[1] for part in parts)
            joined = parts[0]
            if len(parts) > 1:
                joined = self.emit(like, "row", Concat(-1), *parts, shape=(1, total), layout=BatchLayout())
            self._known[key] = joined
        return self._known[key]

    def _row(self, like: Node, name: str) -> str:
        node = self.at[name]
        size = math.prod(node.shape)
        if node.layout != BatchLayout():
            self.batched = False
        if node.layout == BatchLayout() and len(node.shape) == 2:
            return name
        return self.emit(like, "row", Reshape((-1, size), len(node.shape)), name, shape=(1, size), layout=BatchLayout())

    def unflat(self, like: Node, role: str, row: str) -> str:
        """Return a row of shape (B, n) in a node's shape."""
        if like.layout == BatchLayout():
            if len(like.shape) == 2:
                return row
            return self.emit(like, role, Reshape((-1, *like.shape[1:]), 2), row)
        self.batched = False
        return self.emit(like, role, Reshape(like.shape, 2), row)


def once(name: str | None) -> Terms:
    """Return a value, or None for zero, as a sum."""
    return [] if name is None else [(1.0, name)]


def uniform(values: Coefficient) -> float | None:
    """Return the number that all entries are; None if they differ."""
    if not isinstance(values, Tensor):
        return values
    first = float(values.reshape(-1)[0]) if values.numel() else 0.0
    return first if bool((values == first).all()) else None


def snapshot(operator: Operator) -> Operator:
    """Return an operator with tensors of its own, which do not follow the network's training."""
    own = copy.deepcopy(operator)
    for leaf in leaves(own):
        leaf.requires_grad_(False)
    return own
