"""Sums of products over named axes: einsum and bilinear layers, as matrix products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.operators.arithmetic import Reduce, add
from splinegraph.operators.bilinear import MatrixProduct
from splinegraph.operators.linear import Linear, RightMatmul
from splinegraph.operators.picking import diagonal
from splinegraph.operators.registry import Call, Value, constant, lowers
from splinegraph.operators.reshaping import permute, unsqueeze

__all__: list[str] = []


@dataclass(frozen=True, eq=False)
class _Named:
    """An operand, live or constant, with one label per axis."""

    value: Any
    labels: str

    @property
    def live(self) -> bool:
        return isinstance(self.value, Value)

    @property
    def batch(self) -> str:
        """The label of the batch axis, '' if there is none."""
        return self.labels[self.value.layout.axis] if self.live and self.value.layout is not None else ""


@lowers("aten.einsum.default")
def _einsum(call: Call, equation: str, operands: Sequence[Any], *, path: Any = None) -> Any:
    """Contract the operands from left to right."""
    inputs, output = _labels(equation, [call.rank(x) for x in operands])
    parts = [_Named(x, labels) for x, labels in zip(operands, inputs, strict=True)]
    sizes = {c: n for p in parts for c, n in zip(p.labels, call.shape_of(p.value), strict=True) if n != 1}
    if any(sizes.get(c, 1) != n for p in parts for c, n in zip(p.labels, call.shape_of(p.value), strict=True)):
        return call.opaque()  # a size that broadcasts
    parts = [_diagonals(call, p) for p in parts]
    sizes = {c: n for p in parts for c, n in zip(p.labels, call.shape_of(p.value), strict=True)}
    while len(parts) > 1:
        first, second, *rest = parts
        kept = set(output).union(*(p.labels for p in rest))
        product = _contract(call, first, second, kept, sizes)
        if product is None:
            return call.opaque()
        parts = [product, *rest]
    final = _reduced(call, parts[0], set(output))
    return None if not final.live else permute(call, final.value, [final.labels.index(c) for c in output])


def _labels(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """Return the labels of every operand and of the result, '...' spelled out."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    names = left.split(",")
    hidden = max((rank - len(n.replace("...", "")) for n, rank in zip(names, ranks, strict=True) if "..." in n),
                 default=0)  # fmt: skip
    dots = "".join(chr(0x3B1 + i) for i in range(hidden))
    inputs = []
    for name, rank in zip(names, ranks, strict=True):
        own = rank - len(name.replace("...", ""))
        inputs.append(name.replace("...", dots[len(dots) - own :] if own else ""))
    if not arrow:
        counted = "".join(names).replace(".", "")
        right = ("..." if dots else "") + "".join(sorted(c for c in set(counted) if counted.count(c) == 1))
    return inputs, right.replace("...", dots)


def _diagonals(call: Call, part: _Named) -> _Named:
    """Return an operand in which no axis is named twice."""
    double = next((c for c in part.labels if part.labels.count(c) > 1), None)
    if double is None:
        return part
    first, second = (i for i, c in enumerate(part.labels) if c == double)
    labels = "".join(c for c in part.labels if c != double) + double
    if part.live:
        return _diagonals(call, _Named(diagonal(call, part.value, 0, first, second), labels))
    return _diagonals(call, _Named(constant(torch.diagonal, part.value, 0, first, second), labels))


def _reduced(call: Call, part: _Named, kept: set[str]) -> _Named:
    """Return an operand summed over the axes that nothing else names."""
    lost = [i for i, c in enumerate(part.labels) if c not in kept]
    if not lost:
        return part
    labels = "".join(c for c in part.labels if c in kept)
    if not part.live:
        return _Named(constant(torch.sum, part.value, lost), labels)
    x = part.value
    shape = [n for i, n in enumerate(x.shape) if i not in lost]
    return _Named(call.emit(Reduce(tuple(i - x.ndim for i in lost)), x, shape=shape), labels)


def _contract(call: Call, a: _Named, b: _Named, kept: set[str], sizes: dict[str, int]) -> _Named | None:
    """Return the product of two operands, summed over the axes that only they name."""
    if not (a.live or b.live):
        shared = "".join(c for c in dict.fromkeys(a.labels + b.labels) if c in kept)
        return _Named(constant(_plain_einsum, a.labels, b.labels, shared, a.value, b.value), shared)
    if not a.live:
        a, b = b, a
    a, b = _reduced(call, a, kept | set(b.labels)), _reduced(call, b, kept | set(a.labels))
    summed = [c for c in a.labels if c in b.labels and c not in kept]
    both = [c for c in a.labels if c in b.labels and c in kept]
    alone, other = [c for c in a.labels if c not in b.labels], [c for c in b.labels if c not in a.labels]
    if a.batch and (a.batch in summed or (b.live and a.batch not in both)):
        return None  # would mix samples
    rows = [c for c in alone if c != a.batch]
    front = [c for c in alone if c == a.batch]
    if not b.live:  # a constant meets all but one of these by broadcasting
        front, rows = [c for c in alone if c not in rows[-1:]], rows[-1:]
    shape = [sizes[c] for c in (*front, *both)]
    left = _grouped(call, a, [*front, *both, *rows, *summed], (*shape, _size(rows, sizes), _size(summed, sizes)))
    after = (*shape, _size(rows, sizes), _size(other, sizes))
    if b.live:
        groups = (*(sizes[c] for c in both), _size(summed, sizes), _size(other, sizes))
        right: Any = _grouped(call, b, [*both, *summed, *other], groups)
        product = call.emit(MatrixProduct(), left, right, shape=after)
    else:
        order = [b.labels.index(c) for c in (*both, *summed, *other)]
        matrix: Any = constant(_matrix, b.value, order, len(both), len(summed))
        product = call.emit(RightMatmul(matrix), left, shape=after)
    labels = "".join((*front, *both, *rows, *other))
    apart = _shaped(call, product, tuple(sizes[c] for c in labels), labels.find(a.batch) if a.batch else None)
    return _Named(apart, labels)


def _size(labels: Sequence[str], sizes: dict[str, int]) -> int:
    return math.prod(sizes[c] for c in labels)


def _grouped(call: Call, part: _Named, order: Sequence[str], shape: tuple[int, ...]) -> Value:
    """Return a live operand with its axes in an order, and merged to a shape."""
    x = permute(call, part.value, [part.labels.index(c) for c in order])
    return _shaped(call, x, shape, order.index(part.batch) if part.batch else None)


def _shaped(call: Call, x: Value, shape: tuple[int, ...], batch_axis: int | None) -> Value:
    return x if x.shape == shape else call.reshape(x, shape=shape, batch_axis=batch_axis)


def _matrix(tensor: Tensor, order: list[int], shared: int, summed: int) -> Tensor:
    """Return a constant operand as matrices: shape (*shared, summed, the rest)."""
    moved = tensor.permute(tuple(order))
    sizes = moved.shape
    return moved.reshape(*sizes[:shared], math.prod(sizes[shared : shared + summed]), -1)


def _plain_einsum(first: str, second: str, result: str, a: Tensor, b: Tensor) -> Tensor:
    names = {c: i for i, c in enumerate(dict.fromkeys(first + second))}
    one, two, three = ([names[c] for c in labels] for labels in (first, second, result))
    found: Tensor = torch.einsum(a, one, b, two, three)
    return found


@lowers("aten.bilinear.default")
def _bilinear(call: Call, x: Any, y: Any, weight: Any, bias: Any = None) -> Any:
    """Lower x^T W_o y + b_o: one linear map of y, then a product with x."""
    if isinstance(weight, Value) or isinstance(bias, Value):
        return call.opaque()
    if not isinstance(y, Value):
        x, y, weight = y, x, constant(torch.transpose, weight, 1, 2)
    out, left, _ = call.shape_of(weight)
    flat = constant(torch.flatten, weight, 0, 1)
    mapped = call.emit(Linear(flat), y, shape=(*y.shape[:-1], out * left))
    table = call.reshape(mapped, shape=(*y.shape[:-1], out, left))
    column = unsqueeze(call, x, call.rank(x))
    shape = (*y.shape[:-1], out, 1)
    if isinstance(x, Value):
        product = call.emit(MatrixProduct(), table, column, shape=shape)
    else:
        product = call.emit(RightMatmul(column), table, shape=shape)
    result = call.reshape(product)
    return result if bias is None else add(call, result, bias)
