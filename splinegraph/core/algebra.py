"""Graphs as values: pick an output, cut out a part, compose, add and subtract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from splinegraph.core.affine import AffineOperator
from splinegraph.core.graph import Input, Node, SplineGraph
from splinegraph.core.layout import BatchLayout
from splinegraph.core.operator import Shapes
from splinegraph.errors import ShapeError, SplineGraphError

__all__ = [
    "LinearCombination",
    "MoveAxis",
    "Select",
    "between",
    "combine",
    "compose",
    "output",
    "prune",
    "unbroadcast",
]


def unbroadcast(u: Tensor, shape: Sequence[int], ndim: int) -> Tensor:
    """Sum `u` of shape (*leading, *out) down to (*leading, *shape), where `shape` broadcasts to out."""
    leading = u.dim() - ndim
    padded = (1,) * (ndim - len(shape)) + tuple(shape)
    axes = [leading + i for i, n in enumerate(padded) if n == 1 and u.shape[leading + i] != 1]
    u = u.sum(axes, keepdim=True) if axes else u
    return u.reshape(*u.shape[:leading], *shape) if len(shape) != ndim else u


@dataclass(frozen=True, eq=False)
class LinearCombination(AffineOperator):
    """c_1 x_1 + ... + c_n x_n with scalar coefficients; arguments of equal rank broadcast."""

    coefficients: tuple[float, ...] = (1.0, 1.0)

    @property
    def label(self) -> str:
        """The sum with its signs."""
        if len(self.coefficients) > 1 and all(c == 1 for c in self.coefficients):
            return "Add"
        if len(self.coefficients) == 1:
            return f"Scale({self.coefficients[0]:g})"
        return "Subtract" if self.coefficients == (1.0, -1.0) else f"LinearCombination{self.coefficients}"

    def linear(self, *vs: Tensor) -> Tensor:
        """Return the combination."""
        total = vs[0] if self.coefficients[0] == 1 else vs[0] * self.coefficients[0]
        for c, v in zip(self.coefficients[1:], vs[1:], strict=True):
            total = torch.add(total, v, alpha=c)
        return total

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        """Return c_i u, summed over broadcast axes."""
        ndim = max(len(shape) for shape in shapes)
        return tuple(
            unbroadcast(u if c == 1 else u * c, shape, ndim) for c, shape in zip(self.coefficients, shapes, strict=True)
        )

    def split(self) -> tuple[AffineOperator | None, AffineOperator | None]:
        """Split the coefficients by sign."""
        if min(self.coefficients) >= 0:
            return self, None
        positive = tuple(max(c, 0.0) for c in self.coefficients)
        negative = tuple(max(-c, 0.0) for c in self.coefficients)
        return LinearCombination(positive), LinearCombination(negative)

    def places(self, shapes: Shapes) -> int:
        """Return all axes behind the batch, unless something broadcasts."""
        return len(shapes[0]) - 1 if len({tuple(shape) for shape in shapes}) == 1 else 0


@dataclass(frozen=True, eq=False)
class Select(AffineOperator):
    """One slice `index` of axis `dim` (negative), which disappears."""

    dim: int
    index: int

    def linear(self, *vs: Tensor) -> Tensor:
        """Return the slice."""
        return vs[0].select(self.dim, self.index)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        """Put u back into zeros."""
        (shape,) = shapes
        sizes = [*u.shape[: u.dim() - len(shape) + 1], *shape]
        index = self.index % shape[self.dim]
        return (torch.ops.aten.select_backward(u, sizes, len(sizes) + self.dim, index),)

    def split(self) -> tuple[AffineOperator | None, AffineOperator | None]:
        """Return the selection itself: its entries are 0 and 1."""
        return self, None


@dataclass(frozen=True, eq=False)
class MoveAxis(AffineOperator):
    """Move axis `source` to `destination` (both negative)."""

    source: int
    destination: int

    def linear(self, *vs: Tensor) -> Tensor:
        """Return the moved tensor."""
        return vs[0].movedim(self.source, self.destination)

    def adjoint(self, u: Tensor, shapes: Shapes) -> tuple[Tensor, ...]:
        """Move the axis back."""
        return (u.movedim(self.destination, self.source),)

    def split(self) -> tuple[AffineOperator | None, AffineOperator | None]:
        """Return the permutation itself."""
        return self, None


def prune(nodes: Iterable[Node], outputs: Sequence[str], inputs: Sequence[str]) -> tuple[Node, ...]:
    """Return the nodes that the outputs need, and all inputs, in the given order."""
    nodes = tuple(nodes)
    needed = set(outputs)
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.args)
    return tuple(node for node in nodes if node.name in needed or node.name in inputs)


def output(graph: SplineGraph, index: tuple[int, ...]) -> SplineGraph:
    """Return the graph of one output tensor, or of one entry of it; see `SplineGraph.output`."""
    chosen, rest = graph.outputs[0], index
    if len(graph.outputs) > 1:
        if not index or not -len(graph.outputs) <= index[0] < len(graph.outputs):
            raise ShapeError(f"{graph.name} has {len(graph.outputs)} outputs", remedy="choose one: output(i)")
        chosen, rest = graph.outputs[index[0]], index[1:]
    nodes, node = list(graph.nodes), graph[chosen]
    shape = node.shape
    for i in rest:
        if len(shape) < 2 or not -shape[1] <= i < shape[1]:
            sizes = ", ".join(["B", *map(str, graph[chosen].shape[1:])])
            raise ShapeError(f"output index {index} does not fit an output of shape ({sizes})")
        dim, shape = 1 - len(shape), (shape[0], *shape[2:])
        node = Node(
            fresh(f"{chosen}_{'_'.join(str(j) for j in rest)}", {n.name for n in nodes}),
            Select(dim, i % node.shape[1]), (node.name,), shape, module=node.module, source=node.source,
        )  # fmt: skip
        nodes.append(node)
    outputs = (node.name,)
    return replace(graph, nodes=prune(nodes, outputs, graph.inputs), outputs=outputs, _cache={})


def find(graph: SplineGraph, name: str) -> Node:
    """Return the node of that name, or the last node of the module of that path."""
    index = {node.name: node for node in graph.nodes}
    if name in index:
        return index[name]
    inside = [n for n in graph.nodes if n.module == name or n.module.startswith(name + ".")]
    if not inside:
        known = sorted({n.module for n in graph.nodes if n.module})
        raise SplineGraphError(
            f"no node or module {name!r} in {graph.name}",
            remedy="choose a node of print(graph) or one of the modules " + ", ".join(known[:20]),
        )
    return inside[-1]


def between(graph: SplineGraph, start: str, end: str) -> SplineGraph:
    """Return the sub-graph from the value of `start` to the value of `end`; see `SplineGraph.between`."""
    first, last = find(graph, start), find(graph, end)
    if not graph.batched:
        raise SplineGraphError(
            f"cannot cut {graph.name}", why="it was traced for one sample, so the batch axis inside is not known",
            remedy="see graph.notes for why, and make the batch size symbolic",
        )  # fmt: skip
    for node in (first, last):
        if node.layout is None or node.layout.factor != 1:
            raise SplineGraphError(
                "cannot cut the graph", where=node.where, why="its batch axis is folded into another axis",
                remedy="cut at a node before or after",
            )  # fmt: skip
    nodes = [node for node in graph.nodes if node.name != first.name]
    root = Node(first.name, Input(), (), _batch_first(first), BatchLayout(), first.module, first.source)
    entry = [root]
    if first.layout and first.layout.axis != 0:  # the part expects the batch where it was
        root = replace(root, name=fresh(first.name + "_in", {n.name for n in graph.nodes}))
        back = MoveAxis(-len(first.shape), first.layout.axis - len(first.shape))
        entry = [root, replace(first, operator=back, args=(root.name,))]
    exit_: list[Node] = []
    if last.layout and last.layout.axis != 0:
        move = MoveAxis(last.layout.axis - len(last.shape), -len(last.shape))
        name = fresh(last.name + "_out", {n.name for n in graph.nodes})
        exit_ = [
            replace(
                last,
                name=name,
                operator=move,
                args=(last.name,),
                shape=_batch_first(last),
                layout=BatchLayout(),
            )
        ]
    outputs = (exit_[0].name if exit_ else last.name,)
    kept = prune([*entry, *nodes, *exit_], outputs, (root.name,))
    bypass = [node for node in kept if node.is_input and node.name != root.name]
    unrelated = first.name != last.name and not any(first.name in n.args for n in kept)
    if bypass or unrelated:
        raise SplineGraphError(
            f"cannot cut {graph.name} between {start!r} and {end!r}", where=first.where,
            why=f"{end!r} does not depend on {start!r}" if unrelated
            else f"{end!r} also depends on input {bypass[0].name!r} by a path around {start!r}",
            remedy="start at a node that every path passes",
        )  # fmt: skip
    return replace(graph, nodes=kept, inputs=(root.name,), outputs=outputs, _cache={})


def compose(outer: SplineGraph, inner: SplineGraph) -> SplineGraph:
    """Return the graph of x -> outer(inner(x))."""
    if outer.input_shapes != inner.output_shapes:
        raise ShapeError(
            f"cannot compose: the outputs of {inner.name} have shapes {inner.output_shapes}, "
            f"the inputs of {outer.name} {outer.input_shapes}"
        )
    nodes, names = _relabel(
        outer, taken={n.name for n in inner.nodes}, known=dict(zip(outer.inputs, inner.outputs, strict=True))
    )
    return _join(
        inner,
        outer,
        [*inner.nodes, *nodes],
        tuple(names[o] for o in outer.outputs),
        f"{outer.name}∘{inner.name}",
    )


def combine(first: SplineGraph, second: SplineGraph, coefficients: tuple[float, float]) -> SplineGraph:
    """Return the graph of c_1 first(x) + c_2 second(x) over the same inputs."""
    if first.input_shapes != second.input_shapes or first.output_shapes != second.output_shapes:
        raise ShapeError(
            f"cannot combine {first.name} and {second.name}: shapes {first.input_shapes} -> {first.output_shapes} "
            f"and {second.input_shapes} -> {second.output_shapes}"
        )
    taken = {n.name for n in first.nodes}
    nodes, names = _relabel(second, taken=taken, known=dict(zip(second.inputs, first.inputs, strict=True)))
    taken |= {n.name for n in nodes}
    label = fresh("sum" if coefficients[1] > 0 else "difference", taken)
    sums = [
        Node(label if i == 0 else f"{label}_{i}", LinearCombination(coefficients), (a, names[b]), first[a].shape)
        for i, (a, b) in enumerate(zip(first.outputs, second.outputs, strict=True))
    ]
    sign = "+" if coefficients[1] > 0 else "-"
    name = f"({first.name} {sign} {second.name})"
    return _join(first, second, [*first.nodes, *nodes, *sums], tuple(n.name for n in sums), name)


def scale(graph: SplineGraph, factor: float) -> SplineGraph:
    """Return the graph of factor * graph(x)."""
    taken = {n.name for n in graph.nodes}
    scaled = [
        Node(fresh(f"{name}_scaled", taken), LinearCombination((factor,)), (name,), graph[name].shape)
        for name in graph.outputs
    ]
    outputs = tuple(n.name for n in scaled)
    return replace(graph, nodes=(*graph.nodes, *scaled), outputs=outputs, name=f"{factor:g}·{graph.name}", _cache={})


def _join(base: SplineGraph, other: SplineGraph, nodes: list[Node], outputs: tuple[str, ...], name: str) -> SplineGraph:
    return replace(
        base, nodes=prune(nodes, outputs, base.inputs), outputs=outputs, name=name,
        batched=base.batched and other.batched, dtype=torch.promote_types(base.dtype, other.dtype),
        notes=tuple(dict.fromkeys(base.notes + other.notes)), _cache={},
    )  # fmt: skip


def _relabel(graph: SplineGraph, *, taken: set[str], known: Mapping[str, str]) -> tuple[list[Node], dict[str, str]]:
    """Return the operator nodes under names that are not taken, and the new name of every node."""
    names, used = dict(known), set(taken)
    nodes = []
    for node in graph.operators:
        names[node.name] = fresh(node.name, used)
        used.add(names[node.name])
        nodes.append(replace(node, name=names[node.name], args=tuple(names[a] for a in node.args)))
    return nodes, names


def fresh(name: str, taken: set[str]) -> str:
    """Return the name, with a number where it is taken."""
    if name not in taken:
        return name
    return next(f"{name}_{i}" for i in range(1, len(taken) + 2) if f"{name}_{i}" not in taken)


def _batch_first(node: Node) -> tuple[int, ...]:
    axis = node.layout.axis if node.layout else 0
    return (node.shape[axis], *node.shape[:axis], *node.shape[axis + 1 :])
