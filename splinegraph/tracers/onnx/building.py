"""From an ONNX graph to a body of modules: parameters, folded constants, names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from splinegraph.errors import SplineGraphError, TargetError, TraceError
from splinegraph.tracers.onnx.body import Body, Conditional, Step
from splinegraph.tracers.onnx.node import MODULES, OnnxNode, clean_name
from splinegraph.tracers.onnx.protobuf import array_of, attributes_of, branches_of, constant_of, reads
from splinegraph.tracers.onnx.registry import OPERATORS, Node, Operator
from splinegraph.tracers.onnx.values import Array, Value, tensor_of

__all__ = ["Builder", "Scope"]

_WEIGHTS = {
    "Conv": (1, 2), "ConvTranspose": (1, 2), "Gemm": (0, 1, 2), "MatMul": (0, 1), "Einsum": (0, 1, 2, 3),
    "LSTM": (1, 2, 3, 5, 6, 7), "GRU": (1, 2, 3, 5), "RNN": (1, 2, 3, 5), "BatchNormalization": (1, 2),
    "InstanceNormalization": (1, 2), "LayerNormalization": (1, 2), "GroupNormalization": (1, 2),
    "RMSNormalization": (1,), "PRelu": (1,), "Gather": (0,), "FusedGemm": (0, 1, 2), "FusedConv": (1, 2),
    "FusedMatMul": (0, 1), "BiasGelu": (1,), "SkipLayerNormalization": (2, 3, 4),
    "SimplifiedLayerNormalization": (1,),
}  # fmt: skip
"""Inputs that a network learns."""

_JOINS = {"Add", "Sub", "Mul", "Div", "Sum", "Transpose", "Reshape", "Unsqueeze", "Squeeze", "Concat", "Slice",
          "Split", "Identity", "Expand", "Tile", "Where", "Flatten"}  # fmt: skip
"""Operators that combine or rearrange what a network learns: weights of at least one axis are parameters."""

_FIXED = {"BatchNormalization": (3, 4)}
"""Inputs that are statistics, which no gradient changes."""

_RANDOM = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"}
_FOLD_LIMIT = 1 << 24
"""Entries up to which constants are computed when the file is read."""


@dataclass
class Scope:
    """What is known of the values of a graph, and what surrounds it.

    Parameters
    ----------
    versions : mapping
        Operator set per domain.
    fixed_batch : int or None
        The batch size the file names.
    constants, parameters : dict
    unsupported : list of str
        Nodes that nothing computes.
    """

    versions: Mapping[str, int]
    fixed_batch: int | None = None
    constants: dict[str, Array] = field(default_factory=dict)
    parameters: dict[str, nn.Parameter] = field(default_factory=dict)
    unsupported: list[str] = field(default_factory=list)

    def inner(self) -> Scope:
        """Return the scope of a subgraph."""
        return Scope(
            self.versions, self.fixed_batch, dict(self.constants), dict(self.parameters),
            self.unsupported,
        )  # fmt: skip

    def known(self, name: str) -> bool:
        """Return whether a value is stored in the file, or absent."""
        return not name or name in self.constants or name in self.parameters


class Builder:
    """Builds the modules of one graph.

    Parameters
    ----------
    graph : onnx.GraphProto
    scope : Scope
    outer : iterable of str
        Values that the graph takes from outside: its inputs, or those around a subgraph.
    """

    def __init__(self, graph: Any, scope: Scope, outer: Iterable[str]) -> None:
        self.graph, self.scope = graph, scope
        self.defined = set(outer)
        self.nodes: dict[str, nn.Module] = {}
        self.steps: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []
        self.needed = self._needed()

    def _needed(self) -> set[str]:
        """Return the values that the outputs of the graph depend on."""
        needed = {o.name for o in self.graph.output}
        for node in reversed(self.graph.node):
            if needed.intersection(node.output):
                needed.update(reads(node))
        return needed

    def build(self) -> Body:
        """Return the graph as a module; operators that nothing computes are listed in the scope."""
        self._classify()
        for index, proto in enumerate(self.graph.node):
            if self.needed.intersection(proto.output):
                self._add(proto, index)
        results = [o.name for o in self.graph.output]
        missing = [name for name in results if name not in self.defined and not self.scope.known(name)]
        if missing:
            raise TargetError(f"output {missing[0]!r} of the file is computed by no node", remedy="export it again")
        stored: dict[str, Value] = {}
        for name in results:
            if name in self.scope.parameters:
                stored[name] = self.scope.parameters[name]
            elif name in self.scope.constants:
                stored[name] = self.scope.constants[name]
        return Body(self.nodes, self._with_releases(results), results, stored)

    def _with_releases(self, results: Sequence[str]) -> list[Step]:
        last = {name: i for i, (_, inputs, _) in enumerate(self.steps) for name in inputs}
        steps = []
        for i, (module, inputs, outputs) in enumerate(self.steps):
            release = {name for name in inputs if last[name] == i and name not in results}
            steps.append(Step(module, inputs, outputs, tuple(sorted(release))))
        return steps

    # constants

    def _classify(self) -> None:
        """Sort what the file stores into parameters and constants."""
        stored = {t.name: array_of(t) for t in self.graph.initializer if t.name in self.needed}
        literal = set[str]()
        for node in self.graph.node:
            if node.op_type == "Constant" and not node.domain and self.needed.intersection(node.output):
                stored[node.output[0]] = constant_of(node)
                literal.add(node.output[0])
        uses: dict[str, list[tuple[str, int]]] = {name: [] for name in stored}
        for node in self.graph.node:
            for slot, name in enumerate(node.input):
                if name in uses:
                    uses[name].append((node.op_type, slot))
        for name, array in stored.items():
            if _learned(array, uses[name], literal=name in literal):
                self.scope.parameters[name] = nn.Parameter(tensor_of(array))
            else:
                self.scope.constants[name] = array

    # nodes

    def _add(self, proto: Any, index: int) -> None:
        if proto.op_type == "Constant" and not proto.domain:
            return
        scope = self.scope
        for name in reads(proto):
            if name not in self.defined and not scope.known(name):
                raise TargetError(
                    f"value {name!r} is used before any node makes it", where=f"node {proto.name or proto.op_type!r}",
                    remedy="the file is damaged; export it again",
                )  # fmt: skip
        if proto.op_type == "Identity" and proto.input[0] in scope.parameters:
            scope.parameters[proto.output[0]] = scope.parameters[proto.input[0]]
            return
        if proto.op_type == "If" and proto.input[0] in scope.constants:
            self._inline(proto)
            return
        spec = self._spec(proto, index)
        operator = OPERATORS.get((spec.domain, spec.op_type))
        if operator is None:
            label = f"{spec.domain}::{spec.op_type}" if spec.domain else spec.op_type
            scope.unsupported.append(f"{label} (node {spec.name!r})")
            self.defined.update(proto.output)  # so that all of them are found
            return
        if proto.op_type == "If":
            self._conditional(proto, spec, operator)
            return
        node = self._module(proto, spec, operator)
        if not self._fold(proto, node):
            self._append(proto, spec, node, [n for n in proto.input if n and not scope.known(n)])

    def _spec(self, proto: Any, index: int) -> Node:
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        scope = self.scope
        return Node(
            proto.op_type, domain, proto.name or f"{proto.op_type}_{index}", scope.versions.get(domain, 1),
            attributes_of(proto), len(proto.output),
            frozenset(i for i, name in enumerate(proto.output) if name in self.needed),
            frozenset(i for i, name in enumerate(proto.input) if name and scope.known(name)),
            scope.fixed_batch,
        )  # fmt: skip

    def _module(self, proto: Any, spec: Node, operator: Operator) -> OnnxNode:
        names = list(proto.input)
        kind = MODULES.get((spec.domain, spec.op_type), OnnxNode)
        return kind(spec, operator, self._stored(names, spec, operator), [self._live(name) for name in names], names)

    def _stored(self, names: Sequence[str], spec: Node, operator: Operator) -> list[nn.Parameter | Array | None]:
        found: list[nn.Parameter | Array | None] = []
        for slot, name in enumerate(names):
            value: nn.Parameter | Array | None = self.scope.parameters.get(name) if name else None
            if value is None and name:
                value = self.scope.constants.get(name)
            # exporters store equal tensors once: a bias of zeros and a running mean of zeros, say
            fixed = slot in _FIXED.get(spec.op_type, ()) or operator.keeps_static(slot)
            if fixed and isinstance(value, nn.Parameter):
                value = array_from(value.detach().clone())
            found.append(value)
        return found

    def _live(self, name: str) -> bool:
        return not self.scope.known(name)

    def _append(self, proto: Any, spec: Node, node: nn.Module, inputs: Sequence[str]) -> None:
        name = clean_name(spec.name, self.nodes, spec.op_type)
        self.nodes[name] = node
        outputs = tuple(o if o in self.needed else "" for o in proto.output)
        self.steps.append((name, tuple(inputs), outputs))
        self.defined.update(o for o in outputs if o)

    def _fold(self, proto: Any, node: OnnxNode) -> bool:
        """Compute a node of constants now; False if it depends on anything else."""
        scope = self.scope
        shape_of = proto.op_type in ("Shape", "Size") and proto.input[0] in scope.parameters
        if proto.op_type in _RANDOM or not (shape_of or all(not n or n in scope.constants for n in proto.input)):
            return False
        try:
            with torch.no_grad():
                results = node()
        except TraceError:
            raise
        except Exception as error:
            raise TargetError(f"{node.where} fails on the constants of the file", why=str(error)) from error
        arrays = [array_from(r) for r in results]
        if any(a is None or a.size > _FOLD_LIMIT for a in arrays):
            return False
        scope.constants.update({n: a for n, a in zip(proto.output, arrays, strict=False) if n and a is not None})
        return True

    # branches

    def _inline(self, proto: Any) -> None:
        """Put the branch that a constant condition chooses in the place of an If."""
        chosen = bool(self.scope.constants[proto.input[0]].reshape(-1)[0])
        graph = branches_of(proto)["then_branch" if chosen else "else_branch"]
        inner = Builder(graph, self.scope, self.defined)
        inner.nodes, inner.steps = self.nodes, self.steps
        inner.build()
        self.defined |= inner.defined
        for outer, result in zip(proto.output, graph.output, strict=True):
            self._alias(outer, result.name)

    def _alias(self, outer: str, inner: str) -> None:
        scope = self.scope
        if inner in scope.constants:
            scope.constants[outer] = scope.constants[inner]
        elif inner in scope.parameters:
            scope.parameters[outer] = scope.parameters[inner]
        elif inner in self.defined:
            spec = Node("Identity", "", f"{outer}_branch", 1)
            node = OnnxNode(spec, OPERATORS["", "Identity"], [None], [True], [inner])
            self.nodes[name := clean_name(spec.name, self.nodes)] = node
            self.steps.append((name, (inner,), (outer,)))
            self.defined.add(outer)

    def _conditional(self, proto: Any, spec: Node, operator: Operator) -> None:
        graphs = branches_of(proto)
        captured = [name for name in dict.fromkeys(reads(proto)) if self._live(name)]
        branches = ("then_branch", "else_branch")
        bodies = [Builder(graphs[branch], self.scope.inner(), captured).build() for branch in branches]
        names = [proto.input[0], *captured]
        node = Conditional(
            spec, operator, [None] * len(names), [True] * len(names), names, bodies, captured,
        )  # fmt: skip
        self._append(proto, spec, node, names)


def array_from(value: Value) -> Array | None:
    """Return a computed constant as an array, None if it is a sequence."""
    if isinstance(value, np.ndarray):
        return value
    if not isinstance(value, Tensor):
        return None
    return None if value.dtype == torch.bfloat16 else value.detach().cpu().numpy()


def _learned(array: Array, uses: Sequence[tuple[str, int]], *, literal: bool) -> bool:
    """Return whether a stored array is a parameter: floating, and used where networks learn."""
    if array.dtype.name not in ("float16", "float32", "float64", "bfloat16") or array.ndim == 0:
        return False
    if any(slot in _WEIGHTS.get(op, ()) for op, slot in uses):
        return True
    joins = any(op in _JOINS for op, _ in uses) and array.size > 1
    return joins and not (literal and array.ndim < 2)


def describe_unsupported(unsupported: Sequence[str]) -> SplineGraphError:
    """Return the error that lists all operators that nothing computes."""
    from splinegraph.errors import UnsupportedOperatorError

    kinds = Counter(entry.split(" ")[0] for entry in unsupported)
    firsts = {entry.split(" ")[0]: entry for entry in reversed(unsupported)}
    listed = [firsts[k] + (f" and {count - 1} more" if count > 1 else "") for k, count in kinds.items()]
    return UnsupportedOperatorError(
        f"the file uses {len(kinds)} ONNX operator{'s' * (len(kinds) > 1)} that cannot be read",
        why=", ".join(listed), remedy="export the model without them, or cut them off",
    )  # fmt: skip
