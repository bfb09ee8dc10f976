"""Checks before and after a trace: the model's state, and that the graph computes what the model does."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from splinegraph.core.graph import SplineGraph
from splinegraph.core.walk import evaluate
from splinegraph.errors import (
    BatchError,
    EquivalenceError,
    ParameterError,
    ShapeError,
    TraceError,
    TrainingModeError,
)
from splinegraph.tracers.exporting import user_line

__all__ = [
    "cast_tolerance",
    "check_equivalence",
    "check_model",
    "check_samples",
    "check_tensors",
    "flat_outputs",
    "run_eagerly",
]

TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Largest difference from the model, relative to its largest output, per floating type."""

CAST_TOLERANCE = 1e-6
"""The same in float64 where the model casts to float32 on its way, which the graph does not."""


def cast_tolerance(notes: Sequence[str]) -> float:
    """Return what the casts that a trace saw as the identity cost: that of the shortest type cast to."""
    casts = [note for note in notes if "cast" in note]
    short = [t for dtype, t in TOLERANCE.items() if t > 1e-5 and any(str(dtype) in note for note in casts)]
    return max([*short, CAST_TOLERANCE]) if casts else 0.0


def check_model(model: nn.Module) -> None:
    """Raise unless the model is in eval mode and its weights are finite."""
    training = [name or type(model).__name__ for name, m in model.named_modules() if m.training]
    if training:
        raise TrainingModeError(
            "the model is in training mode", where=f"module {training[0]!r}",
            why="dropout and batch statistics make it no fixed function", remedy="call model.eval() first",
        )  # fmt: skip
    check_tensors([*model.named_parameters(), *model.named_buffers()])


def check_tensors(named: Iterable[tuple[str, Tensor]]) -> None:
    """Raise unless parameters and buffers hold finite numbers (a buffer may hold infinity, as a mask does)."""
    for name, tensor in named:
        if tensor.is_meta:
            raise ParameterError(f"parameter {name!r} holds no values (meta device)", remedy="load its weights first")
        if tensor.is_floating_point() and not bool(tensor.detach().isfinite().all()):
            kind = "NaN" if bool(tensor.detach().isnan().any()) else "infinite values"
            if kind == "NaN" or isinstance(tensor, nn.Parameter):
                raise ParameterError(
                    f"parameter {name!r} holds {kind}", why="no analysis of it means anything",
                    remedy="check how the model was trained or loaded",
                )  # fmt: skip


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


def check_samples(graph: SplineGraph, inputs: Sequence[Tensor], *, tolerance: float) -> None:
    """Raise unless the graph treats the last sample of a batch as it would treat it alone."""
    with torch.no_grad():
        whole, alone = (evaluate(graph, tuple(x[part] for x in inputs)) for part in (slice(None), slice(-1, None)))
    for name, expected, found in zip(graph.outputs, whole, alone, strict=True):
        gap = difference(found, expected[-1:])
        if not gap <= tolerance:
            raise _mixes(graph, name, f"relative difference {gap:.1e} between a sample alone and in a batch")


def _mixes(graph: SplineGraph, name: str, why: str) -> TraceError:
    return BatchError(
        f"output {name!r} of one sample depends on the others of its batch", why=why,
        remedy="give a model that treats samples one by one (no statistics or products across the batch), "
        "or say with batch_dim= which axis is the batch",
    )  # fmt: skip
