"""Reading the parts of ONNX messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from splinegraph.errors import TargetError
from splinegraph.tracers.onnx.values import Array

__all__ = ["array_of", "attributes_of", "branches_of", "constant_of", "declared_shape", "reads"]


def array_of(tensor: Any) -> Array:
    """Return a TensorProto's values.

    Raises
    ------
    TargetError
        If its data does not fit its shape.
    """
    from onnx import numpy_helper

    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except Exception as error:
        raise TargetError(
            f"tensor {tensor.name!r} of the file is damaged", why=str(error)[:200], remedy="export it again"
        ) from error


def attributes_of(node: Any) -> dict[str, Any]:
    """Return a node's attributes as numbers, texts, tuples and arrays; graphs are left out."""
    from onnx import AttributeProto, helper

    found: dict[str, Any] = {}
    for attribute in node.attribute:
        kind = attribute.type
        if kind in (AttributeProto.GRAPH, AttributeProto.GRAPHS):
            continue
        value = helper.get_attribute_value(attribute)
        if kind == AttributeProto.STRING:
            value = value.decode("utf-8", "replace")
        elif kind == AttributeProto.STRINGS:
            value = tuple(text.decode("utf-8", "replace") for text in value)
        elif kind == AttributeProto.TENSOR:
            value = array_of(value)
        elif kind in (AttributeProto.FLOATS, AttributeProto.INTS):
            value = tuple(value)
        found[attribute.name] = value
    return found


def constant_of(node: Any) -> Array:
    """Return the value of a Constant node.

    Raises
    ------
    TargetError
        If it is sparse, or has none.
    """
    known = attributes_of(node)
    for name, dtype in {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64,
                        "value_ints": np.int64, "value_string": object, "value_strings": object}.items():  # fmt: skip
        if name in known:
            return np.array(known[name], dtype=dtype)
    if "value" not in known:
        raise TargetError(
            "a constant of the file is sparse or has no value", where=f"node {node.name!r}", remedy="export it densely"
        )
    return np.asarray(known["value"])


def branches_of(node: Any) -> dict[str, Any]:
    """Return the subgraphs of a node."""
    return {a.name: a.g for a in node.attribute if a.HasField("g")}


def reads(node: Any) -> Iterator[str]:
    """Yield the values that a node reads, those that its subgraphs take from around it too."""
    yield from (name for name in node.input if name)
    for graph in branches_of(node).values():
        own = {i.name for i in graph.input} | {t.name for t in graph.initializer}
        own |= {name for inner in graph.node for name in inner.output}
        for inner in graph.node:
            yield from (name for name in reads(inner) if name not in own)
        yield from (o.name for o in graph.output if o.name not in own)


def declared_shape(value: Any) -> tuple[int | str | None, ...] | None:
    """Return the sizes that a file declares for a value: numbers, names, None; None if it declares none."""
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        return None
    sizes: list[int | str | None] = []
    for dim in value.type.tensor_type.shape.dim:
        if dim.HasField("dim_value") and dim.dim_value > 0:
            sizes.append(int(dim.dim_value))
        else:
            sizes.append(dim.dim_param or None)
    return tuple(sizes)
