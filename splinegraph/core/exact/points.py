"""Points given as rational numbers, and rational results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from torch import Tensor

from splinegraph.core.exact.dyadic import Dyadic, Integers, fractions
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import DomainError, ShapeError

__all__ = ["as_fractions", "common", "rational"]


def as_fractions(graph: SplineGraph, xs: Sequence[Any]) -> list[Integers]:
    """Return the inputs of one sample as flat arrays of `Fraction`, floats by their exact value.

    Raises
    ------
    ShapeError
        If there are more or fewer inputs, or one does not have the shape of one sample.
    DomainError
        If an entry is infinite, NaN or no number.
    """
    if len(xs) != len(graph.inputs):
        raise ShapeError(
            f"{graph.name} takes {len(graph.inputs)} input(s), got {len(xs)}",
            remedy="give one point per input, in this order: " + ", ".join(graph.inputs),
        )
    found = []
    for name, shape, x in zip(graph.inputs, graph.input_shapes, xs, strict=True):
        values = x.detach().double().cpu().numpy() if isinstance(x, Tensor) else np.array(x, dtype=object)
        if values.shape != shape:
            hint = "give one sample, without the batch axis" if values.shape[1:] == shape else f"give shape {shape}"
            raise ShapeError(f"input {name!r} has shape {values.shape}, expected {shape}", remedy=hint)
        flat = np.empty(values.size, dtype=object)
        for place, value in enumerate(values.reshape(-1).tolist()):
            flat[place] = _fraction(value, name)
        found.append(flat)
    return found


def _fraction(value: Any, name: str) -> Fraction:
    try:
        exact = Fraction(value)
    except (ValueError, OverflowError, TypeError):
        raise DomainError(f"input {name!r} holds {value!r}", remedy="give finite numbers") from None
    return Fraction(int(exact.numerator), int(exact.denominator))  # numpy's and sympy's integers are not Python's


def common(points: Sequence[Integers]) -> tuple[list[Dyadic], int]:
    """Return rational numbers as one column each, and the odd integer by which all are still to be divided."""
    odd, shift = 1, 0
    for value in (v for point in points for v in point.tolist()):
        power = (value.denominator & -value.denominator).bit_length() - 1
        odd, shift = math.lcm(odd, value.denominator >> power), max(shift, power)
    one = odd << shift
    columns = []
    for point in points:
        numbers = np.empty((len(point), 1), dtype=object)
        for place, value in enumerate(point.tolist()):
            numbers[place, 0] = value.numerator * (one // value.denominator)
        columns.append(Dyadic(numbers, shift))
    return columns, odd


def rational(table: Dyadic, one: int, shape: Sequence[int]) -> Integers:
    """Return numbers divided by `one`, as an array of `Fraction` of the given shape."""
    return fractions(table.numbers, one << table.shift).reshape(tuple(shape))
