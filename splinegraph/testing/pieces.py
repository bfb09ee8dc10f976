"""Laws of the affine pieces: value, tangent, adjoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from splinegraph.core.operator import SplineOperator
from splinegraph.core.parameters import Context, leaves
from splinegraph.testing.sample import (
    DERIVED,
    EXACT,
    NUMERIC,
    STEP,
    Sample,
    agree,
    dot,
    moved,
    piece_at,
    pull_back,
    require,
)


def law_value(sample: Sample) -> None:
    """Check that the piece at x has the operator's value at x, ties included."""
    operator = sample.resolved()
    if operator.differentiable:
        for xs in sample.points():
            agree(piece_at(operator, xs).apply(*xs), operator.forward(*xs), "piece(code(x)).apply(x)", DERIVED)


def law_shortcuts(sample: Sample) -> None:
    """Check `linearize`, `switch` and `value_and_piece` against `piece`, `code` and `forward`."""
    operator = sample.resolved()
    for xs in sample.points():
        value, vs = operator.forward(*xs), sample.directions(0)
        if isinstance(operator, SplineOperator):
            switched, code = operator.switch(*xs)
            agree(switched, value, "value of switch", EXACT)
            agree(code, operator.code(*xs), "code of switch", 0.0)
        if operator.differentiable:
            shared, piece = operator.value_and_piece(*xs)
            agree(shared, value, "value of value_and_piece", EXACT)
            require(piece.exact == operator.piecewise_affine, "only pieces of spline operators are exact")
            want = piece_at(operator, xs)
            for other, name in ((piece, "value_and_piece"), (operator.linearize(*xs), "linearize")):
                agree(other.tangent(*vs), want.tangent(*vs), f"tangent of {name}")
                agree(other.apply(*vs), want.apply(*vs), f"apply of {name}")


def law_tangent(sample: Sample) -> None:
    """Check the tangent against forward-mode differentiation of the reference, at generic points."""
    operator = sample.resolved()
    if operator.differentiable:
        for seed in range(2):
            xs, vs = sample.point(seed), sample.directions(seed)
            image = piece_at(operator, xs).tangent(*vs)
            if operator.forward(*xs).is_floating_point():
                want = torch.func.jvp(sample.reference or operator.forward, tuple(xs), tuple(vs))[1]
                agree(image, want, "tangent against jvp")
            else:
                require(not image.any(), "an integer cannot move")


def law_linear(sample: Sample) -> None:
    """Check that the tangent is linear and is what `apply` moves by."""
    operator = sample.resolved()
    if operator.differentiable:
        xs, vs, ws = sample.point(0), sample.directions(0), sample.directions(1)
        piece = piece_at(operator, xs)
        tangent = piece.tangent(*vs)
        mixed = piece.tangent(*(2 * v - 3 * w for v, w in zip(vs, ws, strict=True)))
        agree(mixed, 2 * tangent - 3 * piece.tangent(*ws), "tangent(2 v - 3 w)")
        ends = [piece.apply(*zs).to(tangent.dtype) for zs in (xs, moved(xs, vs, 1.0))]
        agree(ends[1] - ends[0], tangent, "apply(x + v) - apply(x)")


def law_adjoint(sample: Sample) -> None:
    """Check <u, A v> = <A^T u, v>, and the shapes."""
    operator = sample.resolved()
    if operator.differentiable:
        for xs in sample.points():
            vs, piece = sample.directions(0), piece_at(operator, xs)
            image = piece.tangent(*vs)
            u = torch.sin(torch.arange(image.numel(), dtype=image.dtype)).reshape(image.shape)
            pulled = pull_back(piece, u, xs)
            require([p.shape for p in pulled] == [x.shape for x in xs], "adjoint has not the arguments' shapes")
            for i in range(len(xs)):
                alone = [v if j == i else torch.zeros_like(v) for j, v in enumerate(vs)]
                agree(dot([u], [piece.tangent(*alone)]), dot([pulled[i]], [vs[i]]), f"adjoint in argument {i}")


def law_leading(sample: Sample) -> None:
    """Check that leading axes of tangent and adjoint mean a loop."""
    operator, xs = sample.resolved(), sample.point(0)
    if not operator.differentiable:
        return
    piece, value = piece_at(operator, xs), operator.forward(*xs)
    for leading in ((3,), (2, 2)):
        vs = sample.directions(0, *leading)
        image = piece.tangent(*vs)
        require(image.shape == (*leading, *value.shape), f"tangent with leading axes {leading}: {image.shape}")
        pulled = pull_back(piece, image, xs)
        rows = [v.reshape(-1, *x.shape) for v, x in zip(vs, xs, strict=True)]
        images = image.reshape(-1, *value.shape)
        for k, u in enumerate(images):
            agree(piece.tangent(*(row[k] for row in rows)), u, f"tangent with leading axes {leading}")
            for p, q in zip(pulled, pull_back(piece, u, xs), strict=True):
                agree(p.reshape(-1, *q.shape)[k], q, f"adjoint with leading axes {leading}")


class _OwnLeaves(Context):
    """Copies every tensor to a leaf of its own, so that it can be moved and differentiated by."""

    def _cast(self, value: Any) -> Any:
        return value.detach().clone().requires_grad_(value.requires_grad) if isinstance(value, Tensor) else value


def law_differentiable(sample: Sample) -> None:
    """Check that adjoint and tangent can be differentiated: by u, v, parameters and, at smooth nodes, x."""
    operator, xs = _OwnLeaves().resolve(sample.resolved()), sample.point(0)
    if not operator.differentiable:
        return
    ws, piece = sample.directions(0), piece_at(operator, xs)
    u = piece.tangent(*sample.directions(1)).detach().requires_grad_()
    (gradient,) = _gradients(dot(pull_back(piece, u, xs), ws), [u])
    agree(gradient, piece.tangent(*ws), "gradient of <A^T u, w> by u")
    vs = [w.clone().requires_grad_() for w in ws]
    gradients = _gradients(dot([piece.tangent(*vs)], [u.detach()]), vs)
    for got, want in zip(gradients, pull_back(piece, u.detach(), xs), strict=True):
        agree(got, want, "gradient of <u, A v> by v")
    code = operator.code(*xs) if isinstance(operator, SplineOperator) else None

    def pairing() -> Tensor:
        if isinstance(operator, SplineOperator) and code is not None:  # the piece is fixed, its slopes move
            return dot(pull_back(operator.piece(code, sample.shapes), u.detach(), xs), ws)
        return dot(pull_back(operator.linearize(*xs), u.detach(), xs), ws)

    _check_gradient(pairing, [t for t in leaves(operator) if t.requires_grad], "parameters")
    if not isinstance(operator, SplineOperator):
        _check_gradient(pairing, xs, "x")


def _gradients(value: Tensor, tensors: list[Tensor]) -> list[Tensor]:
    """Return the gradients, zero where nothing depends."""
    if not value.requires_grad:
        return [torch.zeros_like(t) for t in tensors]
    return list(torch.autograd.grad(value, tensors, allow_unused=True, materialize_grads=True))


def _check_gradient(function: Callable[[], Tensor], tensors: list[Tensor], what: str) -> None:
    """Compare the gradient along one direction with a central difference."""
    if not tensors:
        return
    for t in tensors:
        t.requires_grad_()
    value = function()
    generator = torch.Generator().manual_seed(0)
    steps = [torch.rand(t.shape, generator=generator, dtype=t.dtype) - 0.5 for t in tensors]
    slope = float(dot(_gradients(value, tensors), steps))
    ends = []
    with torch.no_grad():
        for sign in (1, -2):  # to +STEP, then from there to -STEP
            for t, s in zip(tensors, steps, strict=True):
                t.add_(s, alpha=sign * STEP)
            ends.append(float(function()))
        for t, s in zip(tensors, steps, strict=True):
            t.add_(s, alpha=STEP)
    numeric = (ends[0] - ends[1]) / (2 * STEP)
    close = abs(slope - numeric) <= NUMERIC * (1 + abs(numeric))
    require(close, f"gradient of <A^T u, w> by {what}: {slope}, central difference {numeric}")
