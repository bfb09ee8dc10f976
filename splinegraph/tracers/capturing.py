"""The calls of one run as a program, where torch.export fails."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export.graph_signature import (
    ExportGraphSignature,
    InputKind,
    InputSpec,
    OutputKind,
    OutputSpec,
    TensorArgument,
)
from torch.fx import traceback as fx_traceback
from torch.fx.experimental import proxy_tensor
from torch.utils import _pytree as pytree

from splinegraph.errors import TraceError
from splinegraph.tracers.exporting import (
    decompositions,
    explain,
    node_line,
    quiet,
    target_name,
    writes_into_view,
)
from splinegraph.tracers.inputs import Example
from splinegraph.tracers.symbolic import Guard, interpret, is_whole

__all__ = ["CapturedProgram", "capture", "losses"]


@dataclass(frozen=True, eq=False)
class CapturedProgram:
    """The calls of a model on one sample, in the parts of an `ExportedProgram` that a lowering reads."""

    graph_module: fx.GraphModule
    graph_signature: ExportGraphSignature
    state_dict: dict[str, Tensor] = field(default_factory=dict)
    constants: dict[str, Any] = field(default_factory=dict)

    @property
    def graph(self) -> fx.Graph:
        """The calls."""
        return self.graph_module.graph


# the calls of one run


def capture(model: nn.Module, example: Example) -> CapturedProgram:
    """Return the calls that a model makes on one sample.

    The model runs on a second sample too, and has to make the same calls with the same constants: what
    depends on the data is refused, not fixed at the example. Of a `torch.fx.GraphModule`, calls that
    torch cannot see through are kept whole.

    Raises
    ------
    TraceError
        With the user's line, the cause and the remedy.

    Notes
    -----
    Two to six forward passes.
    """
    problem: TraceError | None = None
    for run in (_record, _record_below_autograd):
        try:
            with quiet(), torch.no_grad():
                first, second = (run(model, *arguments) for arguments in (example.at(1), example.other()))
                _compare(first, second)
                _check_sizes(first.graph)
                return _bound(first, model, example)
        except Exception as error:  # noqa: BLE001  # whatever a model raises when it runs
            problem = explain(error, "torch.fx cannot trace the model")
    assert problem is not None
    raise problem


def _record(model: nn.Module, args: Any, kwargs: Any) -> fx.GraphModule:
    """Record calls as they are written, such as linear and batch_norm."""
    made = _make(model, args, kwargs, pre_dispatch=True)
    if any(writes_into_view(n) for n in made.graph.nodes):
        raise TraceError("torch.fx cannot trace the model", why="it writes into a view")
    table = decompositions(made.graph)
    return _make(model, args, kwargs, pre_dispatch=True, table=table) if table else made


def _record_below_autograd(model: nn.Module, args: Any, kwargs: Any) -> fx.GraphModule:
    """Record the calls that remain after autograd, torch.func and, if need be, views and writes into them."""
    made = _make(model, args, kwargs)
    writes = any(writes_into_view(n) for n in made.graph.nodes)
    table = decompositions(made.graph)
    return _make(model, args, kwargs, table=table, functional=writes) if table or writes else made


def _make(
    model: nn.Module, args: Any, kwargs: Any, *, pre_dispatch: bool = False, functional: bool = False,
    table: dict[Any, Callable[..., Any]] | None = None,
) -> fx.GraphModule:  # fmt: skip
    leaves, spec = pytree.tree_flatten((args, kwargs))
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]

    def run(*tensors: Tensor) -> list[Tensor]:
        filled = list(leaves)
        for i, x in zip(places, tensors, strict=True):
            filled[i] = x
        own, named = pytree.tree_unflatten(filled, spec)
        with Guard() as guard, _module_paths(model):
            result = interpret(model, own, named, guard) if isinstance(model, fx.GraphModule) else model(*own, **named)
        if guard.refused is not None:
            raise guard.refused
        return [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, Tensor)]

    function = torch.func.functionalize(run, remove="mutations") if functional else run
    trace = proxy_tensor.make_fx(
        function, decomposition_table=table, pre_dispatch=pre_dispatch, record_stack_traces=True
    )
    with torch.backends.mkldnn.flags(enabled=False):  # whose kernels hide recurrent steps
        made: fx.GraphModule = trace(*(leaves[i].clone() for i in places))
    return made


@contextlib.contextmanager
def _module_paths(model: nn.Module) -> Iterator[None]:
    """Put the path of the module that runs on every call that is recorded."""
    paths = {id(m): path for path, m in model.named_modules()}
    outer: list[Any] = []

    def enter(module: nn.Module, args: Any) -> None:
        meta = fx_traceback.current_meta
        outer.append(meta.get("nn_module_stack"))
        path = paths.get(id(module))
        if path is not None:
            meta["nn_module_stack"] = {**(outer[-1] or {}), path: (path, type(module))}

    def leave(module: nn.Module, args: Any, result: Any) -> None:
        fx_traceback.current_meta["nn_module_stack"] = outer.pop() or {}

    hooks = [
        nn.modules.module.register_module_forward_pre_hook(enter),
        nn.modules.module.register_module_forward_hook(leave, always_call=True),
    ]
    try:
        with fx_traceback.preserve_node_meta():
            yield
    finally:
        for hook in hooks:
            hook.remove()


# what was lost


def losses(program: CapturedProgram) -> list[str]:
    """Return what the program does not say of the model, one phrase each."""
    found = []
    targets = [n.target for n in program.graph.nodes if n.op == "call_function"]
    whole = sorted({target_name(t) for t in targets if is_whole(t)})
    if whole:
        found.append(f"kept whole, as torch cannot see through: {', '.join(whole)}")
    held = [getattr(program.graph_module, n.target) for n in program.graph.nodes if n.op == "get_attr"]
    if any(isinstance(t, nn.Parameter) for t in held):
        found.append("parameters that the model makes as it runs are kept at their value")
    return found


# what must not depend on the data


def _compare(first: fx.GraphModule, second: fx.GraphModule) -> None:
    """Raise unless two runs made the same calls, of the same sizes, with the same constants."""
    for one, other in zip(first.graph.nodes, second.graph.nodes, strict=False):
        same = (one.op, str(one.target), repr(one.args), repr(one.kwargs), _sizes(one)) == (
            other.op, str(other.target), repr(other.args), repr(other.kwargs), _sizes(other)
        )  # fmt: skip
        if same and one.op == "get_attr":
            same = _equal(getattr(first, one.target), getattr(second, other.target))
        if not same:
            raise _depends(one, "the calls it makes depend on the data")
    if len(first.graph.nodes) != len(second.graph.nodes):
        raise _depends(list(first.graph.nodes)[-1], "the calls it makes depend on the data")


def _depends(node: fx.Node, why: str) -> TraceError:
    return TraceError(
        "torch.fx cannot trace the model", where=node_line(node), why=why,
        remedy="compute with the tensor itself, or with torch.where",
    )  # fmt: skip


def _sizes(node: fx.Node) -> list[Any]:
    return [tuple(x.shape) for x in pytree.tree_leaves(node.meta.get("val")) if isinstance(x, Tensor)]


def _equal(one: Any, other: Any) -> bool:
    if one is other or not isinstance(one, Tensor):
        return one is other
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor
    if wrapped(one) or wrapped(other) or one.layout != torch.strided:
        return False  # torch.func's own tensors mean nothing outside of it
    return one.dtype == other.dtype and bool(torch.equal(one.nan_to_num(), other.nan_to_num()))


def _check_sizes(graph: fx.Graph) -> None:
    """Raise if the size of a result depends on a tensor that depends on an input."""
    live = {n for n in graph.nodes if n.op == "placeholder"}
    for node in graph.nodes:
        before = [n for n in node.all_input_nodes if n in live]
        if not before:
            continue
        live.add(node)
        tags = getattr(node.target, "tags", ())
        masks = [n for n in before if getattr(n.meta.get("val"), "dtype", None) in (torch.bool, torch.uint8)]
        indexing = target_name(node.target).startswith("aten.index.")
        if torch.Tag.dynamic_output_shape in tags and (masks or not indexing):
            raise _depends(node, "the size of a tensor depends on the data")


# the common form


def _bound(made: fx.GraphModule, model: nn.Module, example: Example) -> CapturedProgram:
    """Make inputs of the model's arguments, parameters and buffers."""
    state = {id(t): (InputKind.PARAMETER, k) for k, t in model.named_parameters()}
    state.update({id(t): (InputKind.BUFFER, k) for k, t in model.named_buffers()})
    nodes = list(made.graph.nodes)
    holes = iter([n for n in nodes if n.op == "placeholder"])
    inputs = []
    with made.graph.inserting_before(nodes[0]):
        for name, leaf in zip(example.names(model), example.leaves(example.at(1)), strict=True):
            hole = next(holes) if isinstance(leaf, Tensor) else made.graph.placeholder(name)
            hole._rename(name)
            inputs.append(InputSpec(InputKind.USER_INPUT, TensorArgument(hole.name), None))
        for node in nodes:
            tensor = getattr(made, node.target) if node.op == "get_attr" else None
            if id(tensor) in state:
                kind, target = state[id(tensor)]
                hole = made.graph.placeholder(node.name)
                hole.meta.update(node.meta)
                node.replace_all_uses_with(hole)
                made.graph.erase_node(node)
                persistent = True if kind == InputKind.BUFFER else None
                inputs.append(InputSpec(kind, TensorArgument(hole.name), target, persistent))
    outputs = [OutputSpec(OutputKind.USER_OUTPUT, TensorArgument(str(n)), None) for n in nodes[-1].args[0]]
    return CapturedProgram(made, ExportGraphSignature(inputs, outputs))
