"""Laws of what an operator is: frozen, portable, true to its reference."""

from __future__ import annotations

import dataclasses
import pickle

import torch

from splinegraph.core.operator import SplineOperator
from splinegraph.core.parameters import leaves
from splinegraph.operators.base import AffineOperator
from splinegraph.testing.sample import (
    DERIVED,
    EXACT,
    SINGLE,
    Sample,
    agree,
    piece_at,
    pull_back,
    require,
    switching,
)

FAMILIES = (
    "affine",
    "spline",
    "maximum",
    "order",
    "smooth",
    "bilinear",
    "normalizing",
    "discontinuous",
    "opaque",
)


def law_declaration(sample: Sample) -> None:
    """Check that the family is known and agrees with the class."""
    operator = sample.operator
    require(operator.family in FAMILIES, f"unknown family {operator.family!r}")
    spline = isinstance(operator, SplineOperator)
    require(operator.piecewise_affine == spline, "piecewise_affine must be set by SplineOperators alone")
    require((operator.family == "affine") == isinstance(operator, AffineOperator), "affine is AffineOperator")


def law_frozen(sample: Sample) -> None:
    """Check that fields cannot be assigned and that nothing is written in use."""
    operator, xs = sample.resolved(), sample.point(0)
    for item in dataclasses.fields(operator):  # type: ignore[arg-type]
        try:
            setattr(operator, item.name, None)
        except dataclasses.FrozenInstanceError:
            continue
        raise AssertionError(f"field {item.name!r} can be assigned")
    tensors = [*xs, *leaves(operator)]
    before = [t._version for t in tensors]
    require(operator.__dataclass_params__.frozen, "not a frozen dataclass")  # type: ignore[attr-defined]
    operator.forward(*xs)
    if operator.differentiable:
        piece_at(operator, xs).tangent(*xs)
    require([t._version for t in tensors] == before, "an argument or a parameter was written")


def law_pickle(sample: Sample) -> None:
    """Check that it pickles, and has a one-line label and a repr."""
    operator, xs = sample.resolved(), sample.point(0)
    try:
        again = pickle.loads(pickle.dumps(operator))
    except Exception as error:  # whatever a field's own reduction raises
        raise AssertionError(f"cannot be pickled: {error}") from error
    agree(again.forward(*xs), operator.forward(*xs), "forward after pickling", 0.0)
    require(0 < len(operator.label) < 100 and "\n" not in operator.label, f"label {operator.label!r}")
    require(type(operator).__name__ in repr(operator), "repr does not name the class")


def law_dtype(sample: Sample) -> None:
    """Check that floats keep their dtype, tangents and adjoints always, and that codes are integers."""
    for dtype in (torch.float32, torch.float64):
        operator, xs = sample.resolved(dtype), [x.to(dtype) for x in sample.point(0)]
        value = operator.forward(*xs)
        found = [value]
        if operator.differentiable:
            piece = piece_at(operator, xs)
            found += [piece.apply(*xs), piece.tangent(*xs), *pull_back(piece, value.to(dtype), xs)]
        kept = [f.dtype == dtype for f in found[2:]] + [
            f.dtype == dtype or not f.is_floating_point() for f in found[:2]
        ]
        require(all(kept), f"{dtype} gives {[f.dtype for f in found]}")
        if isinstance(operator, SplineOperator):
            require(not operator.code(*xs).is_floating_point(), "codes must be integers")


def law_batch(sample: Sample) -> None:
    """Check that a batch gives what its samples give one by one."""
    if sample.batch is None:
        return
    axis = sample.batch if sample.batch_out is None else sample.batch_out
    whole, alone = sample.resolved(), sample.resolved(batch=1)
    for xs in sample.points():
        rows = [[x.narrow(sample.batch, i, 1) for x in xs] for i in range(sample.shapes[0][sample.batch])]
        agree(torch.cat([alone.forward(*row) for row in rows], axis), whole.forward(*xs), "batch of forward")
        if isinstance(whole, SplineOperator) and isinstance(alone, SplineOperator) and switching(sample):
            agree(torch.cat([alone.code(*row) for row in rows], axis), whole.code(*xs), "batch of code")


def law_forward(sample: Sample) -> None:
    """Check the value against the torch reference, in float64 and float32."""
    if sample.reference is None:
        return
    for xs in sample.points():
        want = sample.reference(*xs)
        agree(sample.resolved().forward(*xs), want, "forward against the reference", EXACT)
    xs = [x.float() for x in sample.point(0)]
    want = sample.reference(*(x.double() for x in xs))
    agree(sample.resolved(torch.float32).forward(*xs), want, "float32 forward", SINGLE)


def law_expand(sample: Sample) -> None:
    """Check that `expand()`, where there is one, gives the same value by simpler operators."""
    operator = sample.resolved()
    if hasattr(operator, "expand"):
        expansion = operator.expand()
        for xs in sample.points():
            agree(expansion.run(*xs), operator.forward(*xs), "value of the expansion", DERIVED)
        simpler = [step for step, _ in expansion.steps]
        require(all(not hasattr(step, "expand") for step in simpler), "a step must not expand itself")
