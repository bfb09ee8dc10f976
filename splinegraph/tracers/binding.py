"""Between a model's call and a graph's: which placeholder is a parameter, an input, a constant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind, TensorArgument

from splinegraph.core.algebra import MoveAxis, prune
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.layout import BatchLayout
from splinegraph.core.parameters import BATCH, Expression
from splinegraph.errors import BatchError, ShapeError, TraceError
from splinegraph.operators.registry import Value
from splinegraph.tracers.capturing import CapturedProgram
from splinegraph.tracers.inputs import Example
from splinegraph.tracers.lowering import Lowering

__all__ = ["Choice", "bind", "choose", "finish", "state_of"]

Choice = Sequence[int | str] | None


def state_of(program: ExportedProgram | CapturedProgram, module: nn.Module | None) -> dict[str, Tensor]:
    """Return parameters and buffers by name: the user's own objects where there is a module."""
    state: dict[str, Tensor] = {k: v for k, v in program.constants.items() if isinstance(v, Tensor)}
    state.update(program.state_dict)
    if module is not None:
        state.update(module.named_parameters(remove_duplicate=False))
        state.update(module.named_buffers(remove_duplicate=False))
    return state


def bind(
    program: ExportedProgram | CapturedProgram,
    lowering: Lowering,
    state: dict[str, Tensor],
    example: Example,
    inputs: Choice,
) -> tuple[dict[fx.Node, Any], dict[str, int]]:
    """Give every placeholder its value: a parameter, a constant, a live input or a frozen one.

    Returns also, for every input node made, which flat argument of the model it takes.
    """
    placeholders = {n.name: n for n in program.graph.nodes if n.op == "placeholder"}
    env: dict[fx.Node, Any] = {}
    user = []
    for spec in program.graph_signature.input_specs:
        node = placeholders[spec.arg.name]
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER):
            env[node] = lowering.parameter(str(spec.target), state[str(spec.target)])
        elif spec.kind == InputKind.CONSTANT_TENSOR:
            env[node] = lowering.constant(state[str(spec.target)])
        elif spec.kind == InputKind.USER_INPUT:
            user.append(node)
    leaves = example.leaves(example.at(1))
    chosen = choose(inputs, [n.name for n in user], [isinstance(v, Tensor) and v.is_floating_point() for v in leaves])
    lowering.embed_inputs = not chosen
    arguments = {}
    for i, (node, value, axis) in enumerate(zip(user, leaves, example.flat_axes, strict=True)):
        meta = node.meta.get("val")
        if i in chosen:
            env[node], root = _live_input(lowering, node, meta, axis)
            arguments[root] = i
        elif isinstance(value, Tensor) and axis >= 0:
            env[node] = lowering.frozen(Expression(_repeat, (value, BATCH, axis)))
            lowering.keep(env[node])
        else:
            env[node] = lowering.frozen(value, is_input=isinstance(value, Tensor))
    return env, arguments


def _live_input(lowering: Lowering, node: fx.Node, meta: Tensor, axis: int) -> tuple[Value, str]:
    """Add an input node with the batch in front, and what moves it to where the model has it."""
    if axis <= 0:
        return lowering.input(node.name, meta.shape, meta.dtype), node.name
    moved = [meta.shape[axis], *meta.shape[:axis], *meta.shape[axis + 1 :]]
    root = lowering.input(f"{node.name}_batch_first", moved, meta.dtype)
    sizes = list(root.shape[1:])
    sizes.insert(axis, 1)
    layout = BatchLayout(axis) if lowering.batched else None
    operator = MoveAxis(-len(sizes), axis - len(sizes))
    moved_back = Node(node.name, operator, (root.name,), tuple(sizes), layout)
    return lowering.add(moved_back, meta.dtype), root.name


def _repeat(value: Tensor, count: int, axis: int) -> Tensor:
    """Return a frozen sample for a batch."""
    return value.expand(*(count if i == axis else n for i, n in enumerate(value.shape)))


def choose(choice: Choice, names: list[str], default: list[bool]) -> set[int]:
    """Return which flat arguments to differentiate."""
    if choice is None:
        return {i for i, yes in enumerate(default) if yes}
    found = set()
    for item in choice:
        if item not in names and item not in range(len(names)):
            raise ShapeError(f"the model has no input {item!r}", remedy="choose among " + ", ".join(names))
        index = names.index(item) if isinstance(item, str) else item
        if not default[index]:
            raise ShapeError(f"input {names[index]!r} is no floating point tensor and cannot be differentiated")
        found.add(index)
    return found


def finish(
    program: ExportedProgram | CapturedProgram, lowering: Lowering, results: Any, outputs: Choice, name: str, axis: int
) -> tuple[SplineGraph, tuple[tuple[int, BatchLayout], ...]]:
    """Return the graph, and for each of its outputs which of the model's tensors it is, and its batch axis there.

    Where the batch was not followed, it is taken to be on `axis`, or else on the first.
    """
    specs = program.graph_signature.output_specs
    user = [
        result for result, spec in zip(results, specs, strict=True)
        if spec.kind == OutputKind.USER_OUTPUT and isinstance(spec.arg, TensorArgument)
    ]  # fmt: skip
    live = [i for i, r in enumerate(user) if isinstance(r, Value) and r.dtype.is_floating_point]
    if not live:
        raise TraceError(
            "no output depends on a differentiated input", why="the model returns constants or integers",
            remedy="choose other inputs= or outputs=",
        )  # fmt: skip
    if outputs is not None:
        unknown = [o for o in outputs if o not in live]
        if unknown:
            raise ShapeError(f"output {unknown[0]!r} is no differentiable output", remedy=f"choose among {live}")
        live = [int(o) for o in outputs]
    scalar = next((user[i].name for i in live if user[i].ndim == 0), None)
    if scalar is not None:
        raise BatchError(
            f"output {scalar!r} is a single number, not one per sample",
            remedy="reduce over the axes of a sample only, not over the batch",
        )
    layouts = [user[i].layout or BatchLayout(axis if user[i].shape[axis : axis + 1] == (1,) else 0) for i in live]
    last = [lowering.batch_first(user[i], layout).name for i, layout in zip(live, layouts, strict=True)]
    roots = [n.name for n in lowering.nodes.values() if n.is_input]
    nodes = prune(lowering.nodes.values(), last, ())
    used = {n.name for n in nodes}
    inputs = tuple(r for r in roots if r in used or not lowering.embed_inputs)
    nodes = prune(lowering.nodes.values(), last, inputs)
    graph = SplineGraph(nodes, inputs, tuple(last), lowering.batched, lowering.dtype, name, tuple(lowering.notes))
    return graph, tuple(zip(live, layouts, strict=True))
