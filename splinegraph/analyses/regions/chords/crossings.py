"""Where lines on a piece of a segment cross: each other, or a level. All pieces and units at once.

Values at the two ends of P pieces say all, as everything is affine in between.
"""

from __future__ import annotations

import torch
from torch import Tensor

from splinegraph.analyses.regions.tolerances import ON_BOUNDARY

__all__ = ["contest_codes", "contest_crossings", "per_owner_max", "raise_to", "slack"]

ROUNDING = 2.0**-50
"""Values below this, relative to the largest of their layer, are rounding errors of sums that cancel."""

STEP = 2**23
"""Entries of one block of candidates (64 MiB in float64)."""


def per_owner_max(values: Tensor, owner: Tensor, count: int) -> Tensor:
    """Return the entrywise maximum over the rows of each owner, shape (count, *), zero where it has none."""
    return raise_to(values.new_zeros(count, *values.shape[1:]), owner, values)


def raise_to(found: Tensor, owner: Tensor, values: Tensor) -> Tensor:
    """Raise each owner's row, in place, to the entrywise maximum of its values."""
    index = owner.reshape(-1, *(1,) * (values.dim() - 1)).expand_as(values)
    return found.scatter_reduce_(0, index, values, "amax")


def slack(difference: Tensor, largest: Tensor) -> Tensor:
    """Return below which value a condition counts as met with equality.

    Parameters
    ----------
    difference : Tensor of shape (S, units)
        The largest value that each unit's condition takes on each segment.
    largest : Tensor of shape (S,) or (S, units)
        The largest value among the terms that are compared.
    """
    largest = largest[:, None] if largest.dim() == 1 else largest
    return torch.maximum(ON_BOUNDARY * difference, ROUNDING * largest)


def _first(mask: Tensor) -> Tensor:
    """Return the first place along the last axis where a mask holds."""
    return mask.view(torch.int8).argmax(-1)


def _winner_beside(here: Tensor, there: Tensor, tolerance: Tensor) -> Tensor:
    """Return the largest candidate just inside a piece from the end `here`: of those that tie, the steepest."""
    tied = here >= here.amax(-1, keepdim=True) - tolerance
    ahead = there.masked_fill(~tied, -torch.inf)
    return _first(tied & (ahead >= ahead.amax(-1, keepdim=True) - tolerance))


def contest_crossings(left: Tensor, right: Tensor, tolerance: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the largest of several lines changes.

    Parameters
    ----------
    left, right : Tensor of shape (P, units, width)
        Candidates at the ends of pieces; -inf for none.
    tolerance : Tensor of shape (P, units)

    Returns
    -------
    piece, position : Tensor of shape (crossings,)
        Position in (0, 1) along the piece.
    """
    first = _winner_beside(left, right, tolerance[..., None])
    last = _winner_beside(right, left, tolerance[..., None])
    piece, unit = (first != last).nonzero(as_tuple=True)
    a, b = first[piece, unit], last[piece, unit]
    pieces, positions = [piece[:0]], [left.new_empty(0)]
    while len(piece):  # each round puts one more line between two that the envelope holds
        low, high = left[piece, unit], right[piece, unit]
        lead = _at(low, a) - _at(low, b)
        lag = _at(high, b) - _at(high, a)
        position = (lead / (lead + lag)).clamp(0.0, 1.0).nan_to_num(0.0)
        values = torch.lerp(low, high, position[:, None]).nan_to_num(-torch.inf, posinf=-torch.inf)
        best, c = values.max(-1)
        done = best - _at(values, a) <= tolerance[piece, unit]
        done |= (c == a) | (c == b)
        pieces.append(piece[done])
        positions.append(position[done])
        more = ~done
        piece, unit, a, b, c = (torch.cat([v[more], v[more]]) for v in (piece, unit, a, b, c))
        half = len(c) // 2
        a, b = torch.cat([a[:half], c[half:]]), torch.cat([c[:half], b[half:]])
    found, where = torch.cat(pieces), torch.cat(positions)
    inside = (where > 0) & (where < 1)
    return found[inside], where[inside]


def contest_codes(left: Tensor, right: Tensor, tolerance: Tensor) -> Tensor:
    """Return which line is the largest on each piece, the first of those that tie all along it, (P, units)."""
    tied = (left >= left.amax(-1, keepdim=True) - tolerance[..., None]) & (
        right >= right.amax(-1, keepdim=True) - tolerance[..., None]
    )
    return torch.where(tied.any(-1), _first(tied), (left + right).argmax(-1))


def _at(values: Tensor, place: Tensor) -> Tensor:
    return values.gather(-1, place[:, None])[:, 0]
