"""Laws of codes and their cells."""

from __future__ import annotations

import torch

from splinegraph.core.operator import Conditions, SplineOperator
from splinegraph.core.switching import Breaks, Contest
from splinegraph.core.values import Box
from splinegraph.testing.sample import DERIVED, Arguments, Sample, agree, crossing, moved, require, switching

MARGIN = 1e-9
"""Conditions nearer to equality than this decide nothing."""


def law_code(sample: Sample) -> None:
    """Check that a code has one entry per output unit, below the alphabet; an affine operator has none."""
    operator = sample.resolved()
    if not isinstance(operator, SplineOperator):
        return
    alphabet = operator.alphabet(sample.shapes)
    for xs in sample.points():
        code = operator.code(*xs)
        if operator.family == "affine" or (alphabet == 1 and code.numel() == 0):
            require(code.numel() == 0, "an affine operator has an empty code")
        else:
            require(code.shape == operator.forward(*xs).shape, f"code has shape {tuple(code.shape)}")
            if alphabet:
                inside = (code >= 0) & (code < alphabet)
                require(inside.all(), f"code {code[~inside][:1].tolist()} of an alphabet of {alphabet}")


def law_pieces(sample: Sample) -> None:
    """Check that the codes of a unit are among its pieces, which are distinct and within the alphabet."""
    operator = switching(sample)
    if operator is None or operator.alphabet(sample.shapes) == 0:
        return
    alphabet = operator.alphabet(sample.shapes)
    codes = torch.stack([operator.code(*xs).reshape(-1) for xs in sample.points()])
    units = {0, codes.shape[1] // 3, codes.shape[1] // 2, codes.shape[1] - 1}
    for unit in sorted(units):
        pieces = operator.pieces(unit, sample.shapes)
        seen = codes[:, unit].long()
        require(torch.isin(seen, pieces.long()).all(), f"unit {unit} has codes {seen}, pieces {pieces}")
        require(len(set(pieces.tolist())) == len(pieces), f"unit {unit} has equal pieces {pieces}")
        inside = (pieces >= 0) & (pieces < alphabet)
        require(inside.all(), f"unit {unit} has pieces {pieces} of an alphabet of {alphabet}")


def law_cell(sample: Sample) -> None:
    """Check that the conditions of a code hold where, and only where, it is the code."""
    operator = switching(sample)
    if operator is None:
        return
    for xs in sample.points():
        code = operator.code(*xs)
        conditions = operator.conditions(code, sample.shapes)
        lowest = conditions.margins(*xs).min() if len(conditions) else torch.zeros(())
        require(lowest >= -MARGIN, f"x breaks a condition of its own code by {float(-lowest)}")
    xs = sample.point(0)
    code = operator.code(*xs)
    conditions = operator.conditions(code, sample.shapes)
    for seed in range(4):
        ys = sample.point(100 + seed)
        for share in (0.02, 0.2, 1.0):
            zs = [x + share * (y - x) for x, y in zip(xs, ys, strict=True)]
            _check_units(operator, conditions, code, zs)
        _check_exit(operator, conditions, code, xs, ys)


def _check_units(operator: SplineOperator, conditions: Conditions, code: torch.Tensor, zs: Arguments) -> None:
    """Check that exactly the units with a broken condition have another code at zs."""
    margins = conditions.margins(*zs)
    same = (operator.code(*zs) == code).reshape(-1)
    broken, unsure = torch.zeros_like(same), torch.zeros_like(same)
    broken[conditions.unit[margins < -MARGIN]] = True
    unsure[conditions.unit[margins.abs() <= MARGIN]] = True
    if getattr(operator, "coupled", False):  # units whose codes change together
        require(bool(unsure.any()) or bool(same.all()) != bool(broken.any()), "code against conditions")
        return
    wrong = ((same == broken) & ~unsure).nonzero().reshape(-1)
    require(len(wrong) == 0, f"units {wrong[:5].tolist()}: code and conditions disagree")


def _check_exit(
    operator: SplineOperator, conditions: Conditions, code: torch.Tensor, xs: Arguments, ys: Arguments
) -> None:
    """Check that, from xs to ys, the code stays until the first condition breaks, and then changes."""
    if not len(conditions):
        return
    here, there = conditions.margins(*xs), conditions.margins(*ys)
    closing = there < here
    exits = (here[closing] / (here - there)[closing]).tolist()
    first = min(exits, default=2.0)
    step = [y - x for x, y in zip(xs, ys, strict=True)]
    inside = operator.code(*moved(xs, step, min(0.99 * first, 1.0)))
    require(torch.equal(inside, code), "the code changes before a condition breaks")
    if first < 1:
        outside = operator.code(*moved(xs, step, first + 1e-6))
        require(not torch.equal(outside, code), "a condition breaks and the code stays")


def law_continuity(sample: Sample) -> None:
    """Check that neighboring pieces of a continuous operator agree where they meet."""
    operator = switching(sample)
    if operator is None or not operator.continuous:
        return
    for seed in range(4):
        ends = crossing(operator, sample.point(seed), sample.point(200 + seed))
        if ends is not None:
            left, right = (operator.piece(operator.code(*end), sample.shapes) for end in ends)
            agree(left.apply(*ends[1]), right.apply(*ends[1]), "two pieces on their common facet", DERIVED)


def law_ties(sample: Sample) -> None:
    """Check that no generic point ties, and that a point on a facet between different pieces does."""
    operator = switching(sample)
    if operator is None:
        return
    vs = sample.directions(0)
    for seed in range(4):
        xs = sample.point(seed)
        found = operator.ties(xs, vs, torch.tensor(1e-12, dtype=torch.float64))
        require(found.shape == operator.code(*xs).shape and found.dtype == torch.bool, "ties: bool like the code")
        require(not found.any(), "a tie at a generic point")
        ends = crossing(operator, xs, sample.point(200 + seed))
        if ends is not None:
            codes = [operator.code(*end) for end in ends]
            left, right = (operator.piece(code, sample.shapes) for code in codes)
            bend = (left.tangent(*vs) - right.tangent(*vs)).abs() > 1e-6
            values = [side.apply(*ends[1]).double() for side in (left, right)]
            jump = (values[0] - values[1]).abs() > 1e-6
            missed = (codes[0] != codes[1]) & (bend | jump)
            missed &= ~operator.ties(ends[0], vs, torch.tensor(1e-9, dtype=torch.float64))
            require(not missed.any(), "a tie on a facet is missed")


def law_switching(sample: Sample) -> None:
    """Check that the data on how units switch give the operator's own codes and values."""
    operator = switching(sample)
    if operator is None:
        return
    for xs in sample.points():
        boxes = [Box.around(x.double(), radius=1.0) for x in xs] if all(x.is_floating_point() for x in xs) else None
        found = operator.switching(sample.shapes, boxes)
        if found is None:
            return
        values = [x.double() for x in xs]
        code, value = _by_breaks(found, values) if isinstance(found, Breaks) else _by_contest(found, values)
        require(torch.equal(code, operator.code(*xs).reshape(-1).long()), "codes from switching data differ")
        agree(value, operator.forward(*xs).reshape(-1).double(), "values from switching data")


def _by_breaks(found: Breaks, xs: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    x, piece = xs[0].reshape(-1), torch.zeros(xs[0].numel(), dtype=torch.int64)
    for b, left in zip(found.breakpoints, found.closed_left, strict=True):
        piece += (x > b) if left else (x >= b)
    unit = torch.arange(len(x))
    return piece + found.first, found.slopes[piece, unit] * x + found.intercepts[piece, unit]


def _by_contest(found: Contest, xs: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    code: list[int] = []
    value: list[float | None] = []
    out: list[set[int]] = []
    for unit in range(found.units):
        ahead = int(found.after[unit])
        gone = set(out[ahead]) | {code[ahead]} if ahead >= 0 else set()
        out.append(gone)
        best, place = None, -1
        for p, (a, i) in enumerate(zip(found.argument[unit].tolist(), found.position[unit].tolist(), strict=True)):
            if i < 0 or p in gone:
                continue
            entry = float(xs[a].reshape(-1)[i])
            if best is None or (entry > best if found.largest else entry < best):
                best, place = entry, p
        code.append(place)
        value.append(best)
    return torch.tensor(code), torch.tensor(value, dtype=torch.float64)
