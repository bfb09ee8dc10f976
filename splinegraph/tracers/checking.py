"""Checks before and after a trace: the model's state, and that the graph computes what the model does."""

from __future__ import annotations

import contextlib
import traceback
import warnings
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils import _pytree as pytree

from splinegraph.core.agreement import Agreement
from splinegraph.core.graph import Input, SplineGraph
from splinegraph.core.layout import BatchLayout
from splinegraph.core.parameters import Context
from splinegraph.core.walk import evaluate
from splinegraph.errors import (
    BatchError,
    EquivalenceError,
    ParameterError,
    ShapeError,
    TraceError,
    TrainingModeError,
)
from splinegraph.operators.comparison import ToFloat
from splinegraph.tracers.exporting import quiet, user_line
from splinegraph.tracers.inputs import Example

__all__ = [
    "Traced",
    "cast_tolerance",
    "check_equivalence",
    "check_model",
    "check_samples",
    "check_tensors",
    "check_trace",
    "flat_outputs",
    "run_eagerly",
    "training_modules",
]

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Largest difference from the model, relative to its largest output, per floating type."""

CAST_TOLERANCE = 1e-6
"""The same in float64 where the model casts to float32 on its way, which the graph does not."""


@dataclass(frozen=True)
class Traced:
    """A graph, and how its inputs and outputs are found in a call of the model."""

    graph: SplineGraph
    arguments: dict[str, int]
    outputs: tuple[tuple[int, BatchLayout], ...]

    def expected(self, found: list[Tensor]) -> list[Tensor]:
        """Return what the outputs of the graph should be, from the model's: batch first."""
        return [layout.samples_first(found[i]) for i, layout in self.outputs]


def cast_tolerance(notes: Sequence[str]) -> float:
    """Return what the casts that a trace saw as the identity cost: that of the shortest type cast to."""
    casts = [note for note in notes if "cast" in note and "torch.export" not in note]
    short = [t for dtype, t in TOLERANCE.items() if t > 1e-5 and any(str(dtype) in note for note in casts)]
    return max([*short, CAST_TOLERANCE]) if casts else 0.0


def check_model(model: nn.Module) -> None:
    """Raise unless the model is in eval mode and its weights are finite."""
    training = training_modules(model)
    if training:
        raise TrainingModeError(
            "the model is in training mode", where=f"module {training[0]!r}",
            why="dropout and batch statistics make it no fixed function", remedy="call model.eval() first",
        )  # fmt: skip
    check_tensors([*model.named_parameters(), *model.named_buffers()])


def training_modules(model: nn.Module) -> list[str]:
    """Return the names of the modules that are in training mode."""
    # torch.fx puts plain modules, which do nothing, where a container was
    modules = [(name, m) for name, m in model.named_modules() if type(m) is not nn.Module]
    return [name or type(model).__name__ for name, m in modules if m.training]


def check_tensors(named: Iterable[tuple[str, Tensor]]) -> None:
    """Raise unless parameters and buffers hold finite numbers (a buffer may hold infinity, as a mask does)."""
    for name, tensor in named:
        if tensor.is_meta:
            raise ParameterError(f"parameter {name!r} holds no values (meta device)", remedy="load its weights first")
        held = tensor.detach() if tensor.layout == torch.strided else tensor.detach().to_dense()
        if tensor.is_floating_point() and not _finite(held):
            kind = "NaN" if bool(held.isnan().any()) else "infinite values"
            if kind == "NaN" or isinstance(tensor, nn.Parameter):
                raise ParameterError(
                    f"parameter {name!r} holds {kind}", why="no analysis of it means anything",
                    remedy="check how the model was trained or loaded",
                )  # fmt: skip


def _finite(tensor: Tensor) -> bool:
    # a finite sum has finite terms, and makes no second tensor of that size
    return bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())


def run_eagerly(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run the model, and turn its own failure into one line; warn of gradients that a trace loses."""

    def tracked(x: Any) -> Any:
        # a history shows custom functions; of a copy, so that the model may change its input in place
        return x.detach().requires_grad_().clone() if isinstance(x, Tensor) and x.is_floating_point() else x

    try:
        with torch.enable_grad():
            result = model(*pytree.tree_map(tracked, args), **pytree.tree_map(tracked, kwargs))
    except Exception as error:
        frames = [(f.filename, f.lineno or 0) for f in traceback.extract_tb(error.__traceback__)]
        shapes = ", ".join(
            f"{tuple(x.shape)} {x.dtype}" for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, Tensor)
        )
        text = next((line for line in str(error).splitlines() if line.strip()), "")
        raise ShapeError(
            f"the model fails on the example input of shape {shapes}", where=user_line(frames),
            why=f"{type(error).__name__}: {text[:300]}", remedy="give an input of the shape and dtype it was made for",
        ) from error  # fmt: skip
    names = custom_functions(result)
    if names:
        warnings.warn(
            f"custom autograd functions ({', '.join(names)}) lose their own backward in a trace: "
            "local maps follow the forward pass",
            stacklevel=4,
        )
    return result


def custom_functions(result: Any) -> list[str]:
    """Return the names of custom autograd functions in the history of a result."""
    todo = [x.grad_fn for x in pytree.tree_leaves(result) if isinstance(x, Tensor) and x.grad_fn is not None]
    seen, names = set(todo), set[str]()
    while todo:
        node = todo.pop()
        name = type(node).__name__.removesuffix("Backward")
        # torch.library operators look the same, but export keeps them whole
        if isinstance(node, torch.autograd.function.BackwardCFunction) and not name.startswith("GeneratedBackwardFor"):
            names.add(name)
        for parent, _ in node.next_functions:
            if parent is not None and parent not in seen:
                seen.add(parent)
                todo.append(parent)
    return sorted(names)


def flat_outputs(result: Any) -> list[Tensor]:
    """Return the tensors of a model's output, in order."""
    return [x for x in pytree.tree_leaves(result) if isinstance(x, Tensor)]


def difference(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference relative to the largest expected value; NaN where they disagree on NaN."""
    expected = expected.detach().to(found)
    if not found.is_floating_point():
        return float((found != expected).any())
    both = found.isfinite() & expected.isfinite()
    same = (found == expected) | (found.isnan() & expected.isnan())
    if not bool((both | same).all()):
        return float("nan")
    if not bool(both.any()):
        return 0.0
    scale = expected[both].abs().max().clamp(min=torch.finfo(found.dtype).tiny)
    return float((found[both] - expected[both]).abs().max() / scale)


def check_equivalence(
    graph: SplineGraph,
    inputs: Sequence[Tensor],
    expected: Sequence[Tensor],
    *,
    tolerance: float,
    casts: float = 0.0,
) -> float:
    """Raise unless graph and model agree on a batch; return the largest relative difference."""
    with torch.no_grad():
        found = graph(*inputs)
    found = found if isinstance(found, tuple) else (found,)
    worst = 0.0
    for name, mine, theirs in zip(graph.outputs, found, expected, strict=True):
        if mine.numel() != theirs.numel():
            raise _mixes(graph, name, f"shape {tuple(theirs.shape)} instead of {tuple(mine.shape)}")
        gap = difference(mine, theirs.reshape(mine.shape))
        limit = max(tolerance, casts)
        if not gap <= limit:
            if not graph.batched and len(inputs[0]) > 1:
                raise _mixes(graph, name, f"relative difference {gap:.1e} in a batch of {len(inputs[0])}")
            raise EquivalenceError(
                f"the graph and the model disagree on output {name!r}", where=graph[name].where,
                why=f"relative difference {gap:.1e} in {mine.dtype}, allowed {limit:.0e}",
                remedy="the model may be random, or change itself when it runs; otherwise please report this",
            )  # fmt: skip
        worst = max(worst, gap)
    return worst


def check_samples(graph: SplineGraph, inputs: Sequence[Tensor], *, tolerance: float) -> Agreement:
    """Raise unless the graph treats the last sample of a batch as it would treat it alone; return by how much it does.

    A deep network in a short type may differ by rounding alone, so float64 decides.
    """
    name, found = _worst_sample(graph, inputs, tolerance)
    if not found.difference <= tolerance and inputs[0].dtype != torch.float64:
        with contextlib.suppress(RuntimeError):  # an opaque call that knows its own type only
            name, found = _worst_sample(graph, [x.double() for x in inputs], TOLERANCE[torch.float64])
    if not found.difference <= found.tolerance:
        raise _mixes(graph, name, f"relative difference {found.difference:.1e} between a sample alone and in a batch")
    return found


def _worst_sample(graph: SplineGraph, inputs: Sequence[Tensor], tolerance: float) -> tuple[str, Agreement]:
    """Return the first output that differs too much for the last sample alone, else the worst, and by how much."""
    with torch.no_grad():
        whole, alone = (evaluate(graph, tuple(x[part] for x in inputs)) for part in (slice(None), slice(-1, None)))
    worst = (graph.outputs[0], -1.0)
    for name, expected, found in zip(graph.outputs, whole, alone, strict=True):
        gap = difference(found, expected[-1:])
        if not gap <= worst[1]:
            worst = (name, gap)
        if not gap <= tolerance:
            break
    return worst[0], _agreement("batch", inputs, worst[1], tolerance)


def _agreement(what: str, inputs: Sequence[Tensor], gap: float, tolerance: float) -> Agreement:
    return Agreement(what, len(inputs[0]), str(inputs[0].dtype).removeprefix("torch."), gap, tolerance)


def _mixes(graph: SplineGraph, name: str, why: str) -> TraceError:
    return BatchError(
        f"output {name!r} of one sample depends on the others of its batch", why=why,
        remedy="give a model that treats samples one by one (no statistics or products across the batch), "
        "or say with batch_dim= which axis is the batch",
    )  # fmt: skip


# the whole check


def check_trace(traced: Traced, module: nn.Module, example: Example) -> tuple[Agreement, ...]:
    """Raise unless graph and model agree: batch sizes 2 and 3 in the model's dtype, then in float64.

    Returns what was compared.
    """
    graph, made = traced.graph, list[Agreement]()
    casts = cast_tolerance(graph.notes)
    if any(isinstance(n.operator, ToFloat) for n in graph):
        casts = max(casts, CAST_TOLERANCE)
    moved = set(traced.arguments.values())
    for count in (2, 3):
        size = count
        try:
            expected = _run(module, *example.at(size, noise=count, moved=moved))
        except Exception:  # noqa: BLE001  # the model takes one batch size only
            size = 1
            try:
                expected = _run(module, *example.at(size, noise=count, moved=moved))
            except Exception as error:
                raise _fails(error) from error
        args, kwargs = example.at(size, noise=count, moved=moved)  # anew: the model may have changed its input
        tolerance = TOLERANCE.get(graph.dtype, 1e-5)
        inputs = _graph_inputs(traced, example, args, kwargs, graph.dtype)
        gap = check_equivalence(graph, inputs, traced.expected(expected), tolerance=tolerance, casts=casts)
        made.append(_agreement("model", inputs, gap, max(tolerance, casts)))
    if graph.batched:
        made.append(check_samples(graph, inputs, tolerance=tolerance))
    double = _double(module, example, moved)
    if double is not None:
        args, kwargs, expected = double
        inputs = _graph_inputs(traced, example, args, kwargs, torch.float64)
        tolerance = TOLERANCE[torch.float64]
        gap = check_equivalence(graph, inputs, traced.expected(expected), tolerance=tolerance, casts=casts)
        made.append(_agreement("model", inputs, gap, max(tolerance, casts)))
    return tuple(dict.fromkeys(made))


def _fails(error: Exception) -> TraceError:
    frames = [(f.filename, f.lineno or 0) for f in traceback.extract_tb(error.__traceback__)]
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    return TraceError(
        "the model fails when it runs again", where=user_line(frames), why=f"{type(error).__name__}: {text[:300]}",
        remedy="give a model that takes any input of the example's shape, or trace with check=False",
    )  # fmt: skip


def _run(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    with torch.no_grad(), quiet():
        return flat_outputs(module(*args, **kwargs))


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


def _graph_inputs(traced: Traced, example: Example, args: Any, kwargs: Any, dtype: torch.dtype) -> list[Tensor]:
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
