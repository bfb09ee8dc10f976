"""One ONNX node as a module: it holds the node's own parameters and computes its results."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from splinegraph.errors import TraceError
from splinegraph.tracers.onnx.registry import STATIC, Node, Operator
from splinegraph.tracers.onnx.values import Array, Value, is_static, tensor_of

__all__ = ["MODULES", "OnnxNode", "clean_name"]


def clean_name(name: str, taken: Iterable[str], fallback: str = "node") -> str:
    """Return a name as an attribute of a module may have it, none of those taken."""
    clean = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or fallback
    used, found, count = set(taken), clean, 1
    while found in used or hasattr(nn.Module, found) or found in _RESERVED:
        found, count = f"{clean}_{count}", count + 1
    return found


_RESERVED = frozenset({"training", "spec", "then_branch", "else_branch", "captured", "input_names", "output_names",
                       "input_shapes", "input_dtypes", "has_batch", "batching", "opset", "notes"})  # fmt: skip


class OnnxNode(nn.Module):
    """A node of an ONNX graph.

    Parameters
    ----------
    spec : Node
    operator : Operator
    constants : sequence
        For every input what the file stores for it: a parameter or an array; or None.
    live : sequence of bool
        Which inputs come from other nodes.
    names : sequence of str
        The names of the inputs in the file.
    """

    def __init__(
        self, spec: Node, operator: Operator, constants: Sequence[nn.Parameter | Array | None],
        live: Sequence[bool], names: Sequence[str],
    ) -> None:  # fmt: skip
        super().__init__()
        self.spec, self._operator, self._live = spec, operator, tuple(live)
        self._arrays = [c if isinstance(c, np.ndarray) else None for c in constants]
        self._own: list[str] = [""] * len(constants)
        for slot, (constant, name) in enumerate(zip(constants, names, strict=True)):
            short = clean_name(name.rsplit(".", 1)[-1], vars(self).keys() | self._names(), "value")
            if isinstance(constant, nn.Parameter):
                self.register_parameter(short, constant)
                self._own[slot] = short
            elif isinstance(constant, np.ndarray) and self._wants_buffer(slot, constant):
                self.register_buffer(short, tensor_of(constant), persistent=True)
                self._own[slot] = short
        self.training = False

    def _names(self) -> set[str]:
        return self._parameters.keys() | self._buffers.keys()

    def _wants_buffer(self, slot: int, array: Array) -> bool:
        number = self._operator.scalars and array.size == 1
        text = array.dtype.kind in "OSU"
        return not (number or text or self._operator.keeps_static(slot))

    def _get_name(self) -> str:
        return self.spec.op_type

    def extra_repr(self) -> str:
        return ", ".join(f"{k}={v}" for k, v in self.spec.attributes.items() if not isinstance(v, np.ndarray))

    @property
    def where(self) -> str:
        """The node as messages name it."""
        return f"node {self.spec.name!r} ({self.spec.op_type})"

    def forward(self, *args: Value) -> list[Value]:
        """Return the node's results from its live inputs, in order."""
        given = iter(args)
        values: list[Value] = [next(given) if live else self._constant(i) for i, live in enumerate(self._live)]
        try:
            found = self._compute(values)
        except TraceError as error:
            if error.where:
                raise
            raise type(error)(error.what, where=self.where, why=error.why, remedy=error.remedy) from error
        results = found if isinstance(found, tuple) else (found,)  # a list is one value, a sequence
        return [np.asarray(r) if isinstance(r, np.generic) else r for r in results]

    def _constant(self, slot: int) -> Value:
        array = self._arrays[slot]
        if array is not None:
            return array
        return getattr(self, self._own[slot]) if self._own[slot] else None

    def _compute(self, values: list[Value]) -> Any:
        if values and not self.spec.domain and all(v is None or is_static(v) for v in values):
            function = STATIC.get(self.spec.op_type)
            found = NotImplemented if function is None else function(self.spec, *values)
            if found is not NotImplemented:
                return found
        tensors = [v for v in values if isinstance(v, Tensor)]
        device = tensors[0].device if tensors else None
        rank = max((t.dim() for t in tensors), default=-1)
        return self._operator.function(
            self.spec, *[self._argument(i, value, rank, device) for i, value in enumerate(values)]
        )

    def _argument(self, slot: int, value: Value, rank: int, device: torch.device | None) -> Any:
        """Return an input as the operator's function takes it."""
        if not isinstance(value, np.ndarray) or self._operator.keeps_static(slot):
            return value
        if self._operator.scalars and value.size == 1 and value.ndim <= rank and value.dtype.kind in "fiuO":
            return value.reshape(-1).tolist()[0]
        if self._own[slot] and self._arrays[slot] is value:
            return getattr(self, self._own[slot])
        return tensor_of(value, device)


MODULES: dict[tuple[str, str], type[OnnxNode]] = {}
"""Operators with a module class of their own."""
