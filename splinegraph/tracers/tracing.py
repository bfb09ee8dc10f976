"""`splinegraph.trace`: a model and an example input to a checked graph."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.utils import _pytree as pytree

from splinegraph.core.graph import SplineGraph
from splinegraph.errors import SplineGraphError, TraceError
from splinegraph.tracers.binding import Choice, bind, finish, state_of
from splinegraph.tracers.capturing import CapturedProgram, capture, losses
from splinegraph.tracers.catalogue import load_all
from splinegraph.tracers.checking import (
    Traced,
    check_model,
    check_tensors,
    check_trace,
    run_eagerly,
    training_modules,
)
from splinegraph.tracers.containers import with_plain_outputs
from splinegraph.tracers.exporting import decompose, export, quiet
from splinegraph.tracers.inputs import Example
from splinegraph.tracers.lowering import Lowering
from splinegraph.tracers.sizes import Unbatchable
from splinegraph.tracers.symbolic import symbolic_trace
from splinegraph.tracers.training import check_training, exportable, untouched, with_owners

__all__ = ["trace", "trace_training"]


class _ExportError(Exception):
    """The model could not be exported, for whatever batch size."""

    def __init__(self, cause: SplineGraphError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def trace(
    model: nn.Module | ExportedProgram,
    args: Tensor | tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    *,
    inputs: Choice = None,
    outputs: Choice = None,
    batch_dim: int = 0,
    check: bool = True,
) -> SplineGraph:
    """Turn a model into a graph of operators, and check that both compute the same.

    Parameters
    ----------
    model : torch.nn.Module or torch.export.ExportedProgram
        In eval mode; a `torch.fx.GraphModule` too. Its parameters are shared with the graph, not copied.
    args : Tensor or tuple
        An example input with a batch axis, such as zeros of shape (1, 1, 28, 28); or all positional
        arguments.
    kwargs : mapping, optional
        Keyword arguments of the example call.
    inputs : sequence of int or str, optional
        Which arguments to differentiate, by position or name. Default: all floating point ones. The
        others stay at their example value. Where there is none (token ids), the outputs of the
        embeddings become the inputs of the graph.
    outputs : sequence of int, optional
        Which output tensors to keep. Default: all floating point ones that depend on an input.
    batch_dim : int, default 0
        Axis of the batch in the model's arguments. In the graph it is always axis 0.
    check : bool, default True
        Compare graph and model at batch sizes 2 and 3 in the model's dtype, and in float64.

    Returns
    -------
    SplineGraph

    Raises
    ------
    TrainingModeError
        If a module is in training mode.
    ParameterError
        If a weight is NaN or infinite.
    ShapeError
        If the model does not run on the example.
    TraceError
        If neither torch.export nor torch.fx can trace it, with the user's own line, the cause and a remedy.
    EquivalenceError
        If graph and model disagree.
    BatchError
        If the model mixes samples.

    Notes
    -----
    One `torch.export` (decompositions run only where the model asks for them), one pass over its nodes
    and, with `check`, ten forward passes. A model whose batch size cannot be symbolic is traced for
    one sample, and the graph loops over batches.

    Where torch.export fails, torch.fx follows the calls of one run (two to six more forward passes), or
    `torch.fx.symbolic_trace` the Python code. The notes of the graph say so, and what was lost: the
    symbolic batch size, checks of the data that raise an exception, functions that torch cannot see
    through. Control flow that depends on the data is refused, never fixed at the example.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1)).eval()
    >>> graph = trace(net, torch.zeros(1, 2))
    >>> [node.operator.label for node in graph.operators]
    ['Linear', 'ReLU', 'Linear']
    """
    load_all()
    example = Example.of(args, kwargs, batch_dim)
    program, module = _prepare(model)
    name = type(model).__name__ if isinstance(model, nn.Module) else "program"
    if module is not None:
        check_model(module)
        module = with_plain_outputs(module, run_eagerly(module, *example.at(example.batch)))
    traced = _trace(program, module, example, inputs, outputs, name)
    if check:
        runnable = program.module() if program is not None else module
        assert runnable is not None
        return replace(traced.graph, checks=check_trace(traced, runnable, example), _cache={})
    return traced.graph


def trace_training(model: nn.Module, args: Tensor) -> SplineGraph:
    """Turn a model in training mode into a graph whose `TrainedOperator`s draw masks and use batch statistics.

    Modules that are in evaluation mode stay so. Buffers and random state are left as they were. The same
    seed gives the model and the graph (its operators drawn in order) the same value, which is checked where the graph
    takes batches.

    Raises
    ------
    TraceError and its subclasses
        As `trace` does, but for samples that batch statistics mix.
    """
    load_all()
    check_tensors([*model.named_parameters(), *model.named_buffers()])
    example = Example.of(args, None, 0)
    with untouched(model):
        module = with_plain_outputs(model, run_eagerly(model, *example.at(2)))
        with exportable(model):
            traced = _trace(None, module, example, None, None, type(model).__name__)
        graph = with_owners(traced.graph, model)
        if graph.batched:  # one of a single sample takes no batch to compare
            check_training(replace(traced, graph=graph), module, example)
    return graph


def _prepare(model: nn.Module | ExportedProgram) -> tuple[ExportedProgram | None, nn.Module | None]:
    if isinstance(model, ExportedProgram):
        check_tensors(model.state_dict.items())
        return model, None
    if isinstance(model, torch.jit.ScriptModule):
        raise TraceError(
            "cannot trace a TorchScript module", why="torch.export and torch.fx need its Python code",
            remedy="give the torch.nn.Module that it was made from",
        )  # fmt: skip
    if isinstance(model, nn.Module):
        return None, model
    raise TraceError(
        f"cannot trace a {type(model).__name__}",
        remedy="give a torch.nn.Module or a torch.export.ExportedProgram",
    )


def _trace(
    program: ExportedProgram | None, module: nn.Module | None, example: Example, inputs: Choice, outputs: Choice,
    name: str,
) -> Traced:  # fmt: skip
    """Trace with a symbolic batch size if that works, else for one sample."""
    if program is not None:
        symbolic = _symbolic(program, example)
        sizes = () if symbolic else _batch_sizes(program, example)
        if any(n != 1 for n in sizes):
            raise TraceError(
                f"the program was exported for batches of {max(sizes)} only",
                remedy="export it with a dynamic batch axis, or for a batch of one",
            )
        return _lower(decompose(program), None, example, inputs, outputs, name, batched=symbolic)
    assert module is not None
    try:
        return _export(module, example, inputs, outputs, name)
    except _ExportError as error:
        return _fall_back(error.cause, module, example, inputs, outputs, name)


def _export(module: nn.Module, example: Example, inputs: Choice, outputs: Choice, name: str) -> Traced:
    """Trace with torch.export: for a symbolic batch size if that works, else for one sample."""
    problem: SplineGraphError | None = None
    try:
        exported = export(module, *example.at(2), example.axes)
        if _symbolic(exported, example):
            return _lower(exported, module, example, inputs, outputs, name, batched=True)
    except (Unbatchable, TraceError) as error:
        problem = error
    unbatched = pytree.tree_map(lambda axis: -1, example.axes)
    try:
        exported = export(module, *example.at(1), unbatched)
    except TraceError as error:
        raise _ExportError(problem or error) from error
    traced = _lower_one(exported, module, example, inputs, outputs, name)
    why = f" ({problem.what}: {problem.why})" if problem is not None else ""
    return _noted(traced, f"traced for one sample: the batch size cannot be symbolic{why}")


def _lower_one(
    program: ExportedProgram | CapturedProgram, module: nn.Module, example: Example, inputs: Choice, outputs: Choice,
    name: str,
) -> Traced:  # fmt: skip
    """Lower a program for one sample."""
    try:
        return _lower(program, module, example, inputs, outputs, name, batched=False)
    except Unbatchable as error:
        raise TraceError(
            error.what, where=error.where, why=error.why, remedy="index by integers, or trace the part before it"
        ) from error


def _noted(traced: Traced, *notes: str) -> Traced:
    return replace(traced, graph=replace(traced.graph, notes=(*traced.graph.notes, *notes), _cache={}))


# where torch.export fails


def _fall_back(
    cause: SplineGraphError, module: nn.Module, example: Example, inputs: Choice, outputs: Choice, name: str
) -> Traced:
    """Trace with torch.fx: the calls of one run, else the calls of a symbolic trace."""
    said = f"torch.export failed ({textwrap.shorten(cause.why.split('. ')[0], 160)})"
    with contextlib.suppress(TraceError):
        program = capture(module, example)
        traced = _lower_one(program, module, example, inputs, outputs, name)
        how = "traced by torch.fx for one sample, batches run one by one"
        return _noted(traced, "; ".join((f"{said}: {how}", *losses(program))))
    try:
        seen, flat = symbolic_trace(module, example)
        lost = ["the model's checks of its data are not in the graph"] if seen.meta.get("checks") else []
        try:
            traced = _export(seen, flat, inputs, outputs, name)
            return _noted(traced, "; ".join((f"{said}: traced by torch.fx.symbolic_trace", *lost)))
        except _ExportError:
            program = capture(seen, flat)
        traced = _lower_one(program, seen, flat, inputs, outputs, name)
    except TraceError as error:
        raise _neither(cause, error) from cause
    how = "traced by torch.fx.symbolic_trace for one sample, batches run one by one"
    return _noted(traced, "; ".join((f"{said}: {how}", *lost, *losses(program))))


def _neither(cause: SplineGraphError, other: TraceError) -> TraceError:
    """Return one error for both ways that failed."""
    same = other.why == cause.why and other.where == cause.where
    also = "and torch.fx cannot either" if same else f"and torch.fx fails too{_at(other)}: {other.why}"
    return TraceError(cause.what, where=cause.where, why=f"{cause.why} ({also})", remedy=cause.remedy)


def _at(error: TraceError) -> str:
    return f" at {error.where}" if error.where else ""


def _input_shapes(program: ExportedProgram) -> list[Sequence[Any]]:
    """Return the shapes of the user's inputs as the program has them, () for what is no tensor."""
    shapes = {n.name: getattr(n.meta.get("val"), "shape", ()) for n in program.graph.nodes if n.op == "placeholder"}
    specs = program.graph_signature.input_specs
    return [shapes[spec.arg.name] for spec in specs if spec.kind == InputKind.USER_INPUT]


def _symbolic(program: ExportedProgram, example: Example) -> bool:
    """Return whether the user's inputs kept a symbolic batch size, and have no other symbolic size.

    Inputs that never meet keep a symbol each; all stand for the batch size.
    """
    pairs = zip(_input_shapes(program), example.flat_axes, strict=True)
    symbolic = [i == axis for shape, axis in pairs for i, n in enumerate(shape) if isinstance(n, torch.SymInt)]
    return bool(symbolic) and all(symbolic)


def _batch_sizes(program: ExportedProgram, example: Example) -> tuple[int, ...]:
    """Return the fixed sizes of the batch axes of a program's inputs."""
    pairs = zip(_input_shapes(program), example.flat_axes, strict=True)
    return tuple(shape[axis] for shape, axis in pairs if axis >= 0)


def _lower(
    program: ExportedProgram | CapturedProgram, module: nn.Module | None, example: Example, inputs: Choice,
    outputs: Choice, name: str, *, batched: bool,
) -> Traced:  # fmt: skip
    state = state_of(program, module)
    dtype = next((t.dtype for t in state.values() if t.is_floating_point()), None)
    given = example.at(1)
    floats = [t for t in example.leaves(given) if isinstance(t, Tensor) and t.is_floating_point()]
    dtype = dtype or (floats[0].dtype if floats else torch.get_default_dtype())
    training = module is not None and bool(training_modules(module))
    lowering = Lowering(batched=batched, dtype=dtype, training=training)
    env, arguments = bind(program, lowering, state, example, inputs)
    with quiet():
        results = lowering.run(program.graph_module, env)
    axis = max(example.flat_axes)
    graph, kept = finish(program, lowering, results, outputs, name, axis)
    return Traced(graph, arguments, kept)
