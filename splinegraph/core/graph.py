"""The graph of a network: nodes in topological order, each with one operator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from splinegraph.core.agreement import Agreement
from splinegraph.core.layout import BatchLayout
from splinegraph.core.operator import Operator
from splinegraph.core.parameters import Context, has_expressions, leaves
from splinegraph.errors import ShapeError, TraceError

if TYPE_CHECKING:
    import networkx

    from splinegraph.core.exact import ExactPoint, SymbolicGraph

__all__ = ["Input", "Node", "SplineGraph", "require_graph"]


def _fits(tensor: Tensor, dtype: torch.dtype | None, device: torch.device | None) -> bool:
    """Return whether a parameter can be used as it is."""
    right = dtype is None or tensor.dtype == dtype or not tensor.is_floating_point()
    return right and (device is None or tensor.device == device)


@dataclass(frozen=True, eq=False)
class Input:
    """What an input node holds in place of an operator.

    `value` is set where the graph's input is computed from frozen integers (the embedding of token ids):
    it gives the input that belongs to the traced example.
    """

    value: Any = None
    label: str = "Input"


@dataclass(frozen=True, eq=False)
class Node:
    """One operator of a graph, and where it came from.

    Parameters
    ----------
    name : str
        Unique in its graph.
    operator : Operator or Input
    args : tuple of str
        Names of the nodes that it reads.
    shape : tuple of int
        Shape of its value for a batch of one.
    layout : BatchLayout or None
        Where the batch axis is; None if it could not be followed, in which case the graph runs one
        sample at a time.
    module : str
        Module path in the user's model, '' at the top.
    source : str
        'file.py:line' in the user's own code, '' if unknown.
    step : int or None
        Time step, inside an unrolled recurrent module.
    target : str
        The torch call that it was lowered from.
    """

    name: str
    operator: Operator | Input
    args: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    layout: BatchLayout | None = BatchLayout()
    module: str = ""
    source: str = ""
    step: int | None = None
    target: str = ""

    @property
    def is_input(self) -> bool:
        """Whether this is an input of the graph."""
        return isinstance(self.operator, Input)

    @property
    def op(self) -> Operator:
        """The operator; raises on an input node."""
        if isinstance(self.operator, Input):
            raise TypeError(f"{self.name} is an input of the graph and has no operator")
        return self.operator

    def rows(self, value: Tensor) -> Tensor:
        """Return a batch of its value, or of codes of it, as one row per sample, in their order at batch size one."""
        first = self.layout.samples_first(value) if self.layout else value[None]
        return first.reshape(first.shape[0], -1)

    @property
    def where(self) -> str:
        """Name, module path, time step and source line, for messages."""
        parts = [f"node {self.name!r}"]
        if self.module:
            parts.append(f"module {self.module!r}" + (f" step {self.step}" if self.step is not None else ""))
        if self.source:
            parts.append(self.source)
        return ", ".join(parts)


@dataclass(frozen=True, eq=False)
class SplineGraph:
    """A network as a graph of operators; a value: every method returns a new graph.

    Inputs and outputs carry the batch on axis 0. Made by `splinegraph.trace`.

    Parameters
    ----------
    nodes : tuple of Node
        In topological order, every one needed by an output.
    inputs, outputs : tuple of str
        Names of the input nodes, and of the nodes whose values are the outputs.
    batched : bool
        False if the graph holds for one sample at a time; larger batches are then looped over.
    dtype : torch.dtype
        Floating type of the traced model.
    notes : tuple of str
        What a user should know of the trace (casts seen as the identity, what was frozen).
    checks : tuple of Agreement
        What the trace compared with the model, of this graph or the one that it was made of; empty without a check.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    batched: bool = True
    dtype: torch.dtype = torch.float32
    name: str = "model"
    notes: tuple[str, ...] = ()
    checks: tuple[Agreement, ...] = ()
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False)

    # looking things up

    def __getitem__(self, name: str) -> Node:
        index = self._cache.get("index")
        if index is None:
            index = self._cache["index"] = {node.name: node for node in self.nodes}
        try:
            node: Node = index[name]
            return node
        except KeyError:
            raise KeyError(f"no node {name!r} in {self.name}; print(graph) lists them") from None

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def operators(self) -> tuple[Node, ...]:
        """The nodes that hold an operator, in topological order."""
        known: tuple[Node, ...] | None = self._cache.get("operators")
        if known is None:
            known = self._cache["operators"] = tuple(node for node in self.nodes if not node.is_input)
        return known

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of one sample of each input."""
        known: tuple[tuple[int, ...], ...] | None = self._cache.get("input_shapes")
        if known is None:
            known = self._cache["input_shapes"] = tuple(self[name].shape[1:] for name in self.inputs)
        return known

    @property
    def output_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of one sample of each output."""
        return tuple(self[name].shape[1:] for name in self.outputs)

    @property
    def exact(self) -> bool:
        """Whether every operator is piecewise affine, so that the network is exactly so."""
        return not self.obstacles

    @property
    def obstacles(self) -> tuple[Node, ...]:
        """The nodes because of which the network is not exactly piecewise affine."""
        return tuple(node for node in self.operators if not node.op.piecewise_affine)

    @property
    def continuous(self) -> bool:
        """Whether every operator is continuous."""
        return all(node.op.continuous for node in self.operators)

    def parameters(self) -> Iterator[Tensor]:
        """Yield the user's own tensors that the graph reads, each once."""
        if "parameters" not in self._cache:
            found = {id(leaf): leaf for node in self.operators for leaf in leaves(node.operator)}
            self._cache["parameters"] = tuple(found.values())
        yield from self._cache["parameters"]

    # running it

    def __call__(self, *inputs: Tensor, dtype: torch.dtype | None = None) -> Any:
        """Return the output for a batch (a tuple if there are several outputs)."""
        from splinegraph.core.walk import evaluate

        outputs = evaluate(self, inputs, dtype=dtype)
        return outputs[0] if len(outputs) == 1 else outputs

    def evaluate_exact(self, *x: Any) -> Any:
        """Return the exact value at one rational point, in `Fraction`; see `core.exact.evaluate_exact`."""
        from splinegraph.core.exact import evaluate_exact

        return evaluate_exact(self, *x)

    def exact_point(self, *x: Any) -> ExactPoint:
        """Return value, codes, ties and affine map at one rational point, exactly."""
        from splinegraph.core.exact import ExactGraph

        return ExactGraph(self).at(*x)

    def to_sympy(self, *, limit: int | None = None) -> SymbolicGraph:
        """Return the outputs of a small network as sympy expressions; see `core.exact.symbolic.to_sympy`."""
        from splinegraph.core.exact.symbolic import MOST_TERMS, to_sympy

        return to_sympy(self, limit=MOST_TERMS if limit is None else limit)

    def resolved(self, dtype: torch.dtype | None, device: torch.device | None, batch: int) -> Mapping[str, Operator]:
        """Return the operators with parameters cast to `dtype` and `device`, for a batch of that size.

        Where nothing has to be cast these are the nodes' own operators. Casts are not kept from call to
        call: no version counter tells of writes through ``parameter.data`` or by fused optimizers.
        """
        if "static" not in self._cache:
            tensors = tuple(leaf for n in self.operators for leaf in leaves(n.operator))
            plain = not any(has_expressions(n.operator) for n in self.operators)
            self._cache["static"] = (tensors, plain, {n.name: n.op for n in self.operators})
        tensors, plain, own = self._cache["static"]
        if plain and all(_fits(t, dtype, device) for t in tensors):
            operators: Mapping[str, Operator] = own
            return operators
        context = Context(dtype, device, batch)
        return {n.name: context.resolve(n.op) for n in self.operators}

    def check_inputs(self, inputs: tuple[Any, ...]) -> int:
        """Return the batch size of `inputs`, or raise `ShapeError` saying what does not fit."""
        if len(inputs) != len(self.inputs):
            raise ShapeError(
                f"{self.name} takes {len(self.inputs)} input(s), got {len(inputs)}",
                remedy="give one tensor per input, in this order: " + ", ".join(self.inputs),
            )
        sizes = set()
        for name, shape, x in zip(self.inputs, self.input_shapes, inputs, strict=True):
            if not isinstance(x, Tensor):
                raise ShapeError(f"input {name!r} is a {type(x).__name__}", remedy="give a torch.Tensor")
            if x.shape[1:] != shape or x.dim() == 0:
                wanted = f"({', '.join(['B', *map(str, shape)])})"
                hint = "add a batch axis" if tuple(x.shape) == shape else f"give shape {wanted}"
                raise ShapeError(f"input {name!r} has shape {tuple(x.shape)}, expected {wanted}", remedy=hint)
            if not x.is_floating_point():
                raise ShapeError(f"input {name!r} has dtype {x.dtype}", remedy="give floating point: x.float()")
            sizes.add(x.shape[0])
        if len(sizes) > 1:
            raise ShapeError(f"the inputs have different batch sizes {sorted(sizes)}")
        batch = sizes.pop()
        if batch == 0:
            raise ShapeError("the batch is empty", remedy="give at least one sample")
        return int(batch)

    # values made of it; the algebra lives in `core.algebra`

    def output(self, *index: int) -> SplineGraph:
        """Return the graph of one output or of one entry of it.

        With several outputs the first index chooses among them; any further index is one into the
        output itself, as ``y[:, i, j]`` would be.
        """
        from splinegraph.core.algebra import output

        return output(self, index)

    def between(self, start: str, end: str) -> SplineGraph:
        """Return the part from the value of `start` to that of `end` (node names or module paths)."""
        from splinegraph.core.algebra import between

        return between(self, start, end)

    def compose(self, inner: SplineGraph) -> SplineGraph:
        """Return the graph of x -> self(inner(x))."""
        from splinegraph.core.algebra import compose

        return compose(self, inner)

    def _combine(self, other: object, sign: float) -> SplineGraph:
        from splinegraph.core.algebra import combine

        return combine(self, other, (1.0, sign)) if isinstance(other, SplineGraph) else NotImplemented

    def __add__(self, other: object) -> SplineGraph:
        return self._combine(other, 1.0)

    def __sub__(self, other: object) -> SplineGraph:
        return self._combine(other, -1.0)

    def __radd__(self, other: object) -> SplineGraph:
        return self if other == 0 else NotImplemented  # where sum() starts

    def __mul__(self, factor: object) -> SplineGraph:
        from splinegraph.core.algebra import scale

        return scale(self, float(factor)) if isinstance(factor, int | float) else NotImplemented

    __rmul__ = __mul__

    def __neg__(self) -> SplineGraph:
        return self * -1.0

    def module(self) -> torch.fx.GraphModule:
        """Return a runnable torch.fx GraphModule that shares the user's parameters."""
        from splinegraph.core.module import to_module

        return to_module(self)

    def to_networkx(self) -> networkx.DiGraph[str]:
        """Return the operator graph: one vertex per node, an edge per argument; scalar attributes only."""
        from splinegraph.core.describe import to_networkx

        return to_networkx(self)

    def __repr__(self) -> str:
        exact = "exactly piecewise affine" if self.exact else f"{len(self.obstacles)} nodes not piecewise affine"
        return f"<SplineGraph {self.name}: {len(self.operators)} operators, {exact}>"

    def __str__(self) -> str:
        from splinegraph.core.describe import describe

        return describe(self)

    def _repr_html_(self) -> str:
        from splinegraph.core.describe import as_html

        return as_html(self)

    def rename(self, name: str) -> SplineGraph:
        """Return the same graph under another name."""
        return replace(self, name=name, _cache={})


def require_graph(graph: object) -> None:
    """Refuse what is no graph: a model that is not traced yet, most often.

    Raises
    ------
    TraceError
    """
    if not isinstance(graph, SplineGraph):
        raise TraceError(
            f"a graph is needed, this is a {type(graph).__name__}", remedy="call sg.trace(model, example) first"
        )
