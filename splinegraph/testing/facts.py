"""Laws of declared facts: bounds, Lipschitz constants, curvature, monotonicity, sign parts."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from splinegraph.core.operator import Boxes
from splinegraph.core.parameters import Context
from splinegraph.core.values import Curvature, Monotonicity
from splinegraph.errors import DomainError
from splinegraph.operators.base import AffineOperator, PiecewiseElementwise
from splinegraph.testing.sample import DERIVED, EXACT, Sample, agree, matrix, piece_at, require, value_at

NORMS = (1, 2, math.inf)


def law_bounds(sample: Sample) -> None:
    """Check that bounds contain the images of points of the box, its corners among them."""
    operator = sample.resolved()
    for boxes in sample.domains():
        image, at = operator.bounds(*boxes), sample.inside(boxes)
        for seed in range(4):
            value = value_at(operator, at(seed))
            require(image.shape == value.shape, f"bounds have shape {tuple(image.shape)}")
            slack = DERIVED * (1 + value.abs())
            outside = (value < image.lower - slack) | (value > image.upper + slack)
            if bool(outside.any()):
                raise AssertionError(f"{float(value[outside][0])} is outside of its bounds")


def law_tight(sample: Sample) -> None:
    """Check that elementwise and affine bounds are attained."""
    operator = sample.resolved()
    for boxes in sample.domains():
        if not all(box.bounded for box in boxes):
            continue
        image = operator.bounds(*boxes)
        if isinstance(operator, PiecewiseElementwise) and operator.continuous:
            (box,) = boxes
            ends = [box.lower, box.upper, *(torch.full_like(box.lower, b) for b in operator.breakpoints)]
            values = torch.stack([operator.forward(e.clamp(box.lower, box.upper)) for e in ends])
            agree(image.lower, values.amin(0), "lower bound that is attained", 1e-7)
            agree(image.upper, values.amax(0), "upper bound that is attained", 1e-7)
        if isinstance(operator, AffineOperator):
            lower, upper = image.lower.reshape(-1), image.upper.reshape(-1)
            for unit in {0, len(lower) - 1}:
                u = torch.zeros_like(lower)
                u[unit] = 1
                rows = operator.adjoint(u.reshape(image.shape), sample.shapes)
                best = [torch.where(r > 0, b.upper, b.lower) for r, b in zip(rows, boxes, strict=True)]
                worst = [torch.where(r > 0, b.lower, b.upper) for r, b in zip(rows, boxes, strict=True)]
                agree(upper[unit], value_at(operator, best).reshape(-1)[unit], "upper bound that is attained")
                agree(lower[unit], value_at(operator, worst).reshape(-1)[unit], "lower bound that is attained")


def law_infinite(sample: Sample) -> None:
    """Check that infinite boxes give facts and no NaN."""
    operator = sample.resolved()
    for boxes in sample.infinite():
        try:
            image = operator.bounds(*boxes)
        except DomainError as error:  # a Box refuses NaN
            raise AssertionError(f"bounds of an infinite box: {error}") from error
        require(image.lower.dtype == torch.float64, "bounds change the dtype")
        for i in range(len(boxes)):
            for norm in NORMS:
                require(operator.lipschitz(norm, i, boxes, sample.shapes) >= 0, f"lipschitz({norm}) is NaN or < 0")
            operator.monotonicity(i, boxes)
        operator.curvature(boxes)


def law_lipschitz(sample: Sample) -> None:
    """Check that constants are above difference quotients and norms of pieces, in every norm and argument."""
    operator = sample.resolved()
    for boxes in (None, *sample.domains()):
        args, at = range(len(sample.shapes)), sample.inside(boxes)
        claims = {(n, i): operator.lipschitz(n, i, boxes, sample.shapes) for n in NORMS for i in args}
        for seed in range(3):
            xs, ys = at(seed), at(seed + 3)
            values = value_at(operator, xs)
            for i in args:
                zs = [y if j == i else x for j, (x, y) in enumerate(zip(xs, ys, strict=True))]
                moved, by = (value_at(operator, zs) - values).reshape(-1), (ys[i] - xs[i]).reshape(-1)
                slopes = by.new_zeros(1, 1)
                if operator.differentiable and seed % 2 == 0:
                    # not at corners, nor along fixed coordinates: there the piece may not be one of the box
                    slopes = matrix(piece_at(operator, xs), xs, i) * (by != 0)
                for norm in NORMS:
                    quotient = float(moved.norm(norm) / by.norm(norm)) if by.any() else 0.0
                    found = max(quotient, float(torch.linalg.matrix_norm(slopes, norm)))
                    if not found <= claims[norm, i] * (1 + DERIVED) + DERIVED:
                        what = f"l{norm} constant {claims[norm, i]} of argument {i}, found {found}"
                        raise AssertionError(what + _where(boxes))


def law_join(sample: Sample) -> None:
    """Check the rule by which constants of several arguments combine."""
    operator, xs = sample.resolved(), sample.point(0)
    constants = [1.0 / (i + 1) for i in range(len(xs))]
    for norm in NORMS:
        each = [operator.lipschitz(norm, i, None, sample.shapes) for i in range(len(xs))]
        claim = operator.join([c * e for c, e in zip(constants, each, strict=True)], norm)
        for seed in range(3):
            vs = sample.directions(seed)
            if seed and operator.differentiable:  # the direction of the largest entries, or of the most gain
                gains = [matrix(piece_at(operator, xs), xs, i) for i in range(len(xs))]
                tops = [torch.linalg.svd(g)[2][0] if norm == 2 else g.sum(0).sign() for g in gains]
                vs = [t.reshape(x.shape) for t, x in zip(tops, xs, strict=True)]
            sizes = [float(v.reshape(-1).norm(norm)) or 1.0 for v in vs]
            ys = [x + 1e-3 * c / n * v for x, c, n, v in zip(xs, constants, sizes, vs, strict=True)]
            found = float((value_at(operator, ys) - value_at(operator, xs)).reshape(-1).norm(norm)) / 1e-3
            require(found <= claim * (1 + DERIVED) + 1e-7, f"l{norm} join {claim}, found {found}")


def law_curvature(sample: Sample) -> None:
    """Check the chord inequality wherever a unit claims to be convex or concave."""
    operator = sample.resolved()
    for boxes in (None, *sample.domains()):
        flags, at = operator.curvature(boxes), sample.inside(boxes)
        for seed in range(4):
            xs, ys = at(seed), at(seed + 5)
            share = (0.5, 0.2)[seed % 2]
            zs = [_between(x, y, share) for x, y in zip(xs, ys, strict=True)]
            left, right, middle = (value_at(operator, args) for args in (xs, ys, zs))
            gap = share * left + (1 - share) * right - middle
            slack = DERIVED * (1 + left.abs() + right.abs())
            claims = flags.broadcast_to(gap.shape)
            bent = Curvature.CONVEX.held_by(claims) & (gap < -slack)
            if bool(bent.any()):
                raise AssertionError(f"'convex' is refuted by a chord{_where(boxes)}")
            bent = Curvature.CONCAVE.held_by(claims) & (gap > slack)
            if bool(bent.any()):
                raise AssertionError(f"'concave' is refuted by a chord{_where(boxes)}")


def law_monotonicity(sample: Sample) -> None:
    """Check that a unit moves as it claims when one argument grows."""
    operator = sample.resolved()
    for boxes in (None, *sample.domains()):
        at = sample.inside(boxes)
        for i in range(len(sample.shapes)):
            flags = operator.monotonicity(i, boxes)
            for seed in range(4):
                xs, ys = at(seed), at(seed + 5)
                low = [torch.minimum(x, y) if j == i else x for j, (x, y) in enumerate(zip(xs, ys, strict=True))]
                high = [torch.maximum(x, y) if j == i else x for j, (x, y) in enumerate(zip(xs, ys, strict=True))]
                before, after = value_at(operator, low), value_at(operator, high)
                slack = DERIVED * (1 + before.abs() + after.abs())
                claims = flags.broadcast_to(before.shape)
                wrong = Monotonicity.NONDECREASING.held_by(claims) & (after < before - slack)
                if bool(wrong.any()):
                    raise AssertionError(f"'nondecreasing' in argument {i} is refuted{_where(boxes)}")
                wrong = Monotonicity.NONINCREASING.held_by(claims) & (after > before + slack)
                if bool(wrong.any()):
                    raise AssertionError(f"'nonincreasing' in argument {i} is refuted{_where(boxes)}")


def law_split(sample: Sample) -> None:
    """Check that A+ and A- are entrywise >= 0 and without bias, and that A+ - A- = A."""
    operator, xs = sample.resolved(), sample.point(0)
    if not isinstance(operator, AffineOperator):
        return
    parts = [None if p is None else Context(torch.float64).resolve(p) for p in operator.split()]
    for i in range(len(xs)):
        whole = matrix(piece_at(operator, xs), xs, i)
        total = torch.zeros_like(whole)
        for sign, part in zip((1, -1), parts, strict=True):
            if part is not None:
                entries = matrix(piece_at(part, xs), xs, i)
                require((entries >= 0).all(), f"A{'+-'[sign < 0]} has an entry {float(entries.min())}")
                zeros = [torch.zeros_like(x) for x in xs]
                require(~part.forward(*zeros).any(), f"A{'+-'[sign < 0]} has a bias")
                u = part.linear(*xs)
                pulled = part.adjoint(u, sample.shapes)[i].reshape(-1)
                agree(pulled, entries.T @ u.reshape(-1), f"adjoint of A{'+-'[sign < 0]}")
                total = total + sign * entries
        agree(total, whole, "A+ - A-", EXACT)


def _between(x: Tensor, y: Tensor, share: float) -> Tensor:
    """Return share x + (1 - share) y, which rounding must not move out of the box."""
    return (share * x + (1 - share) * y).clamp(torch.minimum(x, y), torch.maximum(x, y))


def _where(boxes: Boxes | None) -> str:
    if boxes is None:
        return ""
    return f" on a box from {_brief([b.lower for b in boxes])} to {_brief([b.upper for b in boxes])}"


def _brief(sides: list[Tensor]) -> list[list[float]]:
    return [[round(float(v), 4) for v in side.reshape(-1)[:4]] for side in sides]
