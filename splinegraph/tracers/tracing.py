"""`splinegraph.trace`: a model and an example input to a checked graph."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.func import functional_call
from torch.utils import _pytree as pytree

from splinegraph.core.graph import Input, SplineGraph
from splinegraph.core.layout import BatchLayout
from splinegraph.core.parameters import Context
from splinegraph.errors import SplineGraphError, TraceError
from splinegraph.operators.comparison import ToFloat
from splinegraph.tracers.binding import Choice, bind, finish, state_of
from splinegraph.tracers.call import Unbatchable
from splinegraph.tracers.catalogue import load_all
from splinegraph.tracers.checking import (
    CAST_TOLERANCE,
    TOLERANCE,
    cast_tolerance,
    check_equivalence,
    check_model,
    check_samples,
    check_tensors,
    flat_outputs,
    run_eagerly,
)
from splinegraph.tracers.exporting import decompose, export, quiet
from splinegraph.tracers.inputs import Example
from splinegraph.tracers.lowering import Lowering

__all__ = ["trace"]


@dataclass(frozen=True)
class _Traced:
    """A graph, and how its inputs and outputs are found in a call of the model."""

    graph: SplineGraph
    arguments: dict[str, int]
    outputs: tuple[tuple[int, BatchLayout], ...]

    def expected(self, found: list[Tensor]) -> list[Tensor]:
        """Return what the outputs of the graph should be, from the model's: batch first."""
        return [layout.samples_first(found[i]) for i, layout in self.outputs]


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
        In eval mode. Its parameters are shared with the graph, not copied.
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
        If torch.export fails, with the user's own line, the cause and a remedy.
    EquivalenceError
        If graph and model disagree.
    BatchError
        If the model mixes samples.

    Notes
    -----
    One `torch.export` (decompositions run only where the model asks for them), one pass over its nodes
    and, with `check`, ten forward passes. A model whose batch size cannot be symbolic is traced for
    one sample, and the graph loops over batches.

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
    expected = None
    if module is not None:
        check_model(module)
        run_args, run_kwargs = example.at(example.batch)
        expected = run_eagerly(module, run_args, run_kwargs)
        del expected
    traced = _trace(program, module, example, inputs, outputs, name)
    if check:
        runnable = program.module() if program is not None else module
        assert runnable is not None
        _check(traced, runnable, example)
    return traced.graph


def _prepare(model: nn.Module | ExportedProgram) -> tuple[ExportedProgram | None, nn.Module | None]:
    if isinstance(model, ExportedProgram):
        check_tensors(model.state_dict.items())
        return model, None
    if isinstance(model, nn.Module):
        return None, model
    raise TraceError(
        f"cannot trace a {type(model).__name__}",
        remedy="give a torch.nn.Module or a torch.export.ExportedProgram",
    )


def _trace(
    program: ExportedProgram | None, module: nn.Module | None, example: Example, inputs: Choice, outputs: Choice,
    name: str,
) -> _Traced:  # fmt: skip
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
        raise (problem or error) from error
    try:
        traced = _lower(exported, module, example, inputs, outputs, name, batched=False)
    except Unbatchable as error:
        raise TraceError(
            error.what, where=error.where, why=error.why, remedy="index by integers, or trace the part before it"
        ) from error
    why = f" ({problem.what}: {problem.why})" if problem is not None else ""
    notes = (*traced.graph.notes, f"traced for one sample: the batch size cannot be symbolic{why}")
    return replace(traced, graph=replace(traced.graph, notes=notes, _cache={}))


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
    program: ExportedProgram, module: nn.Module | None, example: Example, inputs: Choice, outputs: Choice,
    name: str, *, batched: bool,
) -> _Traced:  # fmt: skip
    state = state_of(program, module)
    dtype = next((t.dtype for t in state.values() if t.is_floating_point()), None)
    given = example.at(1)
    floats = [t for t in example.leaves(given) if isinstance(t, Tensor) and t.is_floating_point()]
    lowering = Lowering(batched=batched, dtype=dtype or (floats[0].dtype if floats else torch.get_default_dtype()))
    env, arguments = bind(program, lowering, state, example, inputs)
    with quiet():
        results = lowering.run(program.graph_module, env)
    axis = max(example.flat_axes)
    graph, kept = finish(program, lowering, results, outputs, name, axis)
    return _Traced(graph, arguments, kept)


# the check


def _check(traced: _Traced, module: nn.Module, example: Example) -> None:
    """Compare graph and model: batch sizes 2 and 3 in the model's dtype, then in float64."""
    graph = traced.graph
    casts = cast_tolerance(graph.notes)
    if any(isinstance(n.operator, ToFloat) for n in graph):
        casts = max(casts, CAST_TOLERANCE)
    moved = set(traced.arguments.values())
    for count in (2, 3):
        size = count
        with torch.no_grad(), quiet():
            try:
                args, kwargs = example.at(size, noise=count, moved=moved)
                expected = flat_outputs(module(*args, **kwargs))
            except Exception:  # noqa: BLE001  # the model takes one batch size only
                size = 1
                args, kwargs = example.at(size, noise=count, moved=moved)
                expected = flat_outputs(module(*args, **kwargs))
        args, kwargs = example.at(size, noise=count, moved=moved)  # anew: the model may have changed its input
        tolerance = TOLERANCE.get(graph.dtype, 1e-5)
        inputs = _graph_inputs(traced, example, args, kwargs, graph.dtype)
        check_equivalence(graph, inputs, traced.expected(expected), tolerance=tolerance, casts=casts)
    if graph.batched:
        check_samples(graph, inputs, tolerance=tolerance)
    double = _double(module, example, moved)
    if double is not None:
        args, kwargs, expected = double
        inputs = _graph_inputs(traced, example, args, kwargs, torch.float64)
        check_equivalence(graph, inputs, traced.expected(expected), tolerance=TOLERANCE[torch.float64], casts=casts)


def _double(module: nn.Module, example: Example, moved: Collection[int]) -> tuple[Any, Any, list[Tensor]] | None:
    """Run the model in float64 on copies of its parameters; None where it insists on another type."""

    def cast(x: Any) -> Any:
        return x.double() if isinstance(x, Tensor) and x.is_floating_point() else x

    # one name per place: where functional_call meets a module twice, it leaves the copies behind in it
    state, known = {}, dict[int, Tensor]()
    for path, part in module.named_modules():
        for name, tensor in [*part._parameters.items(), *part._buffers.items()]:
            if tensor is not None:
                state[f"{path}.{name}".lstrip(".")] = known.setdefault(id(tensor), cast(tensor))
    args, kwargs = pytree.tree_map(cast, example.at(2, noise=5, moved=moved))
    own, named = pytree.tree_map(cast, example.at(2, noise=5, moved=moved))  # which the model may change
    try:
        with torch.no_grad(), quiet():
            result = flat_outputs(functional_call(module, state, own, named, tie_weights=False))
    except Exception:  # noqa: BLE001  # a dtype written into the model; the check in its own dtype stands
        return None
    return (args, kwargs, result) if all(r.dtype == torch.float64 for r in result if r.is_floating_point()) else None


def _graph_inputs(traced: _Traced, example: Example, args: Any, kwargs: Any, dtype: torch.dtype) -> list[Tensor]:
    """Return what the graph takes for a call of the model: its live arguments, batch first."""
    roots = [traced.graph[name] for name in traced.graph.inputs]
    count = next(x.shape[a] for x, a in zip(example.leaves((args, kwargs)), example.flat_axes, strict=True) if a >= 0)
    context = Context(dtype, None, count)
    found = []
    for root in roots:
        assert isinstance(root.operator, Input)
        if root.operator.value is not None:
            found.append(context.value(root.operator.value))
            continue
        index = traced.arguments[root.name]
        x, axis = example.leaves((args, kwargs))[index], example.flat_axes[index]
        found.append(x.movedim(max(axis, 0), 0).to(dtype))
    return found
