"""One exported call on its way to becoming nodes."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx

from splinegraph.core.graph import Input
from splinegraph.core.layout import BatchLayout
from splinegraph.core.operator import Operator
from splinegraph.core.parameters import Context, Expression, depends_on_batch
from splinegraph.operators.opaque import opaque_call
from splinegraph.operators.registry import Value
from splinegraph.operators.shape import Reshape
from splinegraph.tracers.exporting import functional_name, target_name
from splinegraph.tracers.sizes import Unbatchable, is_open

if TYPE_CHECKING:
    from splinegraph.tracers.lowering import Lowering

__all__ = ["LoweringCall", "functional_call", "infer_shape"]


class LoweringCall:
    """One call being lowered; implements `splinegraph.operators.registry.Call`."""

    def __init__(self, lowering: Lowering, node: fx.Node, args: Any, kwargs: Any) -> None:
        self._lowering, self._node, self._args, self._kwargs = lowering, node, args, kwargs
        self._emitted: list[str] = []
        self.training = lowering.training
        self.target = functional_name(target_name(node.target))
        # relu_ and relu__1, the in-place calls, become relu and relu_1
        changed = self.target != target_name(node.target)
        self.name = self._free(re.sub(r"_(_\d+)?$", r"\1", node.name) if changed else node.name)
        results = node.meta.get("val")
        self._results = [
            r for r in (results if isinstance(results, (tuple, list)) else [results]) if isinstance(r, Tensor)
        ]
        self.dtype: torch.dtype = self._results[0].dtype if self._results else lowering.dtype

    def _free(self, name: str) -> str:
        """Return the name, numbered on if a node has it already."""
        base = re.sub(r"_\d+$", "", name)
        names = itertools.chain([name], (f"{base}_{i}" for i in itertools.count(1)))
        return next(n for n in names if n not in self._lowering.nodes)

    @property
    def dtypes(self) -> tuple[torch.dtype, ...]:
        return tuple(r.dtype for r in self._results)

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(self._lowering.sizes(r.shape) for r in self._results)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._lowering.sizes(self._results[0].shape)

    def emit(self, operator: Operator, *args: Value, shape: Sequence[int] | None = None) -> Value:
        lowering, dtype = self._lowering, self.dtype
        layout: BatchLayout | None
        if shape is None and not self._is_open:
            sizes, layout = lowering.layout(self._results[0].shape, args, operator)
        else:
            sizes, axis, dtype = infer_shape(operator, args, shape, batched=lowering.batched)
            layout = lowering.layout_at(sizes, axis, args, operator) if lowering.batched else None
        name = self._free(f"{self.name}__{len(self._emitted)}" if self._emitted else self.name)
        self._emitted.append(name)
        return lowering.emit(operator, args, sizes, layout, node=self._node, name=name, dtype=dtype)

    def finish(self, result: Any) -> Any:
        """Give the call's own name to the node that holds its result, if it became several nodes."""
        mine = self.name
        if isinstance(result, Value) and result.name != mine and result.name in self._emitted:
            lowering = self._lowering
            swap = {result.name: mine, mine: result.name}
            lowering.clock.rename(swap)
            tail = {name: (lowering.nodes.pop(name), lowering.values[name].dtype) for name in self._emitted}
            for name, (node, dtype) in tail.items():
                args = tuple(swap.get(a, a) if a in tail else a for a in node.args)
                value = lowering.add(replace(node, name=swap.get(name, name), args=args), dtype)
                if name == result.name:
                    result = value
        return result

    def opaque(self) -> Any:
        return opaque_call(self, functional_call(self._node.target), self._args, self._kwargs)

    def again(self, args: Any, kwargs: Any) -> LoweringCall:
        """Return the same call with other arguments."""
        self._args, self._kwargs = args, kwargs
        return self

    def reshape(self, x: Value, shape: Sequence[int] | None = None, batch_axis: int | None = None) -> Value:
        """Reshape; the batch axis of the result is the one axis whose size may not be fixed."""
        if not self._lowering.batched:
            sizes = self.shape if shape is None else tuple(shape)
            return self.emit(Reshape(sizes, x.ndim), x, shape=sizes)
        if shape is None:
            axis = [bool(self._lowering.factor(n)) for n in self._results[0].shape].index(True)
            sizes = self.shape
            return self.emit(Reshape(tuple(-1 if i == axis else n for i, n in enumerate(sizes)), x.ndim), x)
        assert x.layout is not None
        # a reshape keeps the batch's stride; axes of size one leave a choice: take the nearest
        fits = [i for i in range(len(shape)) if self._keeps_batch(x, tuple(shape), i)]
        if batch_axis is None and not fits:
            raise Unbatchable("a reshape cuts through the batch")
        origin = x.layout.axis
        axis = min(fits, key=lambda i: abs(i - origin)) if batch_axis is None else batch_axis
        free = tuple(-1 if i == axis else n for i, n in enumerate(shape))
        return self.emit(Reshape(free, x.ndim), x, shape=shape)

    @staticmethod
    def _keeps_batch(x: Value, shape: tuple[int, ...], axis: int) -> bool:
        after = x.layout.after_view(x.shape, shape, axis) if x.layout else None
        return after is not None and x.layout is not None and after.factor == x.layout.factor

    @property
    def sizes(self) -> tuple[Any, ...]:
        return tuple(n if isinstance(n, int) else self._lowering.size(n) for n in self._results[0].shape)

    def full(self, number: float) -> Any:
        kwargs = {"dtype": self.dtype, "device": self._results[0].device}
        return self._lowering.plain(Expression(torch.full, (self.sizes, number), kwargs))

    @property
    def _is_open(self) -> bool:
        """Whether export did not find the size of the result."""
        return any(is_open(n) and self._lowering.factor(n) is None for n in self._results[0].shape)

    def keeps(self, x: Value) -> bool:
        if self._is_open:
            return False
        axes = [i for i, n in enumerate(self._results[0].shape) if self._lowering.factor(n)]
        return x.shape == self.shape and (x.layout is None or axes == [x.layout.axis])

    def note(self, text: str) -> None:
        self._lowering.notes[text] = None

    def shape_of(self, value: Any) -> tuple[int, ...]:
        if isinstance(value, Value):
            return value.shape
        known = self._lowering.evaluate(value)
        return tuple(known.shape) if isinstance(known, Tensor) else ()

    def rank(self, value: Any) -> int:
        return len(self.shape_of(value))

    def broadcast(self, shape: Sequence[int], value: Any) -> tuple[int, ...]:
        return tuple(torch.broadcast_shapes(tuple(shape), self.shape_of(value)))

    def fixed(self, value: Any) -> Tensor | None:
        if isinstance(value, Value) or depends_on_batch(value):
            return None
        known = self._lowering.evaluate(value)
        return known if isinstance(known, Tensor) else None

    def at(self, value: Any, batch: int) -> Any:
        with torch.no_grad():
            return Context(batch=batch).value(value)

    def operator_of(self, value: Value) -> Operator | None:
        operator = self._lowering.nodes[value.name].operator
        return None if isinstance(operator, Input) else operator

    def args_of(self, value: Value) -> tuple[Value, ...]:
        return tuple(self._lowering.values[a] for a in self._lowering.nodes[value.name].args)


def infer_shape(
    operator: Operator, args: Sequence[Value], shape: Sequence[int] | None, *, batched: bool
) -> tuple[tuple[int, ...], int, torch.dtype]:
    """Return shape, batch axis and dtype of an intermediate node, by running it on shapes alone.

    Two batch sizes tell which axis holds the batch; -1 if the graph is for one sample.
    """
    found = []
    for batch in (2, 3) if batched else (1,):
        sizes = [[n * batch if a.layout and i == a.layout.axis else n for i, n in enumerate(a.shape)] for a in args]
        try:
            found.append(_on_zeros(operator, args, sizes, batch, "meta"))
        except Exception:  # noqa: BLE001  # a call in it has no implementation for shapes alone
            found.append(_on_zeros(operator, args, sizes, batch, "cpu"))
    shapes = [tuple(y.shape) for y in found]
    axes = [i for i, sizes_ in enumerate(zip(*shapes, strict=True)) if len(set(sizes_)) > 1]
    if len(axes) != batched:
        raise Unbatchable("a value does not carry the batch on one axis", why=f"it has shapes {shapes}")
    at_one = tuple(n // 2 if i in axes else n for i, n in enumerate(shapes[0]))
    if shape is not None and at_one != tuple(shape):
        raise AssertionError(f"{operator.label} was declared with shape {shape} and has {at_one}")
    return at_one, axes[0] if axes else -1, found[0].dtype


def _on_zeros(operator: Operator, args: Sequence[Value], sizes: Sequence[list[int]], batch: int, where: str) -> Tensor:
    device = torch.device(where)
    xs = [torch.zeros(s, dtype=a.dtype, device=device) for s, a in zip(sizes, args, strict=True)]
    floating = next((a.dtype for a in args if a.dtype.is_floating_point), None)
    result: Tensor = Context(floating, device, batch).resolve(operator).forward(*xs)
    return result


def functional_call(target: Any) -> Any:
    """Return the call without side effects."""
    name = target_name(target)
    if functional_name(name) == name:
        return target
    space, packet, overload = functional_name(name).split(".")
    functional = getattr(getattr(getattr(torch.ops, space), packet, None), overload, None)
    return functools.partial(_on_copy, target) if functional is None else functional


def _on_copy(target: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    """Return what an in-place call that has no functional form makes of a copy."""
    return target(x.clone(), *args, **kwargs)
