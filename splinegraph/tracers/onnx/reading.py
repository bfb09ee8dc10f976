"""`read_onnx`: an .onnx file to a torch module."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from splinegraph.errors import TargetError
from splinegraph.tracers.onnx.batching import settle_batching
from splinegraph.tracers.onnx.building import Builder, Scope, describe_unsupported
from splinegraph.tracers.onnx.files import OLDEST, open_model, opset_versions, require_onnx
from splinegraph.tracers.onnx.module import Declared, OnnxModule
from splinegraph.tracers.onnx.ops import load_all
from splinegraph.tracers.onnx.protobuf import branches_of, declared_shape
from splinegraph.tracers.onnx.registry import OPERATORS
from splinegraph.tracers.onnx.values import TORCH

__all__ = ["from_model_proto", "read_onnx"]


def read_onnx(path: str | os.PathLike[str]) -> OnnxModule:
    """Read an ONNX file as a torch module, which `splinegraph.trace` takes like any other.

    Nothing in the file is executed but its operators. Weights outside of the file are read from its own
    folder only.

    Parameters
    ----------
    path : str or path
        An .onnx file.

    Returns
    -------
    OnnxModule
        In eval mode. Floating weights are parameters, in the type that the file stores them in; the
        statistics of batch norms and other constants are buffers.

    Raises
    ------
    MissingDependencyError
        If the package onnx is not installed.
    TargetError
        If the file is missing, damaged, of a later version than the installed onnx, refers to data
        outside of its folder, or has an input of unknown shape.
    UnsupportedOperatorError
        If it uses operators that have no counterpart here; all are named.

    Notes
    -----
    One pass over the nodes; nodes of constants are computed at once. Two to five forward passes find out
    whether the file treats the samples of a batch one by one.

    Examples
    --------
    >>> module = read_onnx("model.onnx")  # doctest: +SKIP
    >>> module.input_names, module.input_shapes  # doctest: +SKIP
    (('image',), ((1, 28, 28),))
    """
    path = Path(path)
    model = open_model(path)
    return from_model_proto(model, str(path))


def from_model_proto(model: Any, name: str = "the model") -> OnnxModule:
    """Return the module of an `onnx.ModelProto` whose weights are all inside; see `read_onnx`."""
    load_all()
    model = _expand(model)
    stored = {t.name for t in model.graph.initializer}
    inputs = [_declared(value, name) for value in model.graph.input if value.name not in stored]
    inputs = _with_batch(inputs)
    first = next((i for i in inputs if i.has_batch), None)
    fixed = first.shape[0] if first is not None and isinstance(first.shape[0], int) else None
    versions = opset_versions(model)
    scope = Scope(versions, fixed)
    body = Builder(model.graph, scope, [i.name for i in inputs]).build()
    if scope.unsupported:
        raise describe_unsupported(scope.unsupported)
    outputs = [o.name for o in model.graph.output]
    module = OnnxModule(body, inputs, outputs, versions.get("", OLDEST))
    batching, note = settle_batching(module, fixed=fixed)
    if batching == "none":
        inputs = [replace(i, has_batch=False) for i in inputs]
    elif not any(i.has_batch for i in inputs):  # the leading axis that the file does not declare
        inputs = [replace(i, shape=(None, *i.shape), has_batch=True) for i in inputs]
    module.settle(inputs, batching, [note] if note else [])
    return module


def _expand(model: Any) -> Any:
    """Replace operators that are not in the table, but that ONNX defines by others, by their definition."""
    onnx = require_onnx()
    versions = opset_versions(model)
    missing = [op for op in _operators(model.graph) if op not in OPERATORS and op[1] not in ("Constant", "If")]
    known = []
    for domain, kind in missing:
        try:
            schema = onnx.defs.get_schema(kind, versions.get(domain, 1), domain)
        except Exception:  # noqa: BLE001  # not an operator of ONNX
            continue
        if schema.has_function or schema.has_context_dependent_function:
            known.append((domain, kind))
    if not known:
        return model
    try:
        return onnx.inliner.inline_selected_functions(model, known, inline_schema_functions=True)
    except Exception:  # noqa: BLE001  # it is named as unsupported below
        return model


def _operators(graph: Any) -> set[tuple[str, str]]:
    found = set()
    for node in graph.node:
        found.add(("" if node.domain == "ai.onnx" else node.domain, node.op_type))
        for inner in branches_of(node).values():
            found |= _operators(inner)
    return found


def _declared(value: Any, name: str) -> Declared:
    shape = declared_shape(value)
    if not value.type.HasField("tensor_type"):
        raise TargetError(f"input {value.name!r} of {name} is no tensor", remedy="export the model with tensors only")
    if shape is None:
        raise TargetError(
            f"input {value.name!r} of {name} has no shape", remedy="export the model again with its input shapes"
        )
    dtype = TORCH.get(value.type.tensor_type.elem_type)
    if dtype is None:
        raise TargetError(
            f"input {value.name!r} of {name} holds text or another type that torch does not have",
            remedy="cut the part that reads it off",
        )
    return Declared(value.name, shape, dtype, False)


def _with_batch(inputs: Sequence[Declared]) -> list[Declared]:
    """Say which inputs carry the batch: the first with several axes, and those whose first axis agrees with it."""
    batch = next((i.shape[0] for i in inputs if len(i.shape) > 1 or (i.shape and not isinstance(i.shape[0], int))), 0)

    def has_batch(i: Declared) -> bool:
        if not i.shape or (len(i.shape) == 1 and isinstance(i.shape[0], int)):
            return False
        size = i.shape[0]
        named = isinstance(size, str) and isinstance(batch, str)
        return (
            size == batch
            if named or (isinstance(batch, int) and isinstance(size, int))
            else not (isinstance(size, int) and size != 1)
        )

    return [Declared(i.name, i.shape, i.dtype, has_batch(i)) for i in inputs]
