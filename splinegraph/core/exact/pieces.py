"""The affine pieces of operators with exact entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from splinegraph.core.exact.dyadic import Dyadic, Integers, Sparse, dyadic
from splinegraph.core.operator import Piece, Shapes
from splinegraph.core.switching import Breaks, Switching

__all__ = ["ExactPiece", "chosen", "intercepts", "read"]

ENTRIES = 2**22
"""Entries of the images of unit vectors that are held at once."""


@dataclass(frozen=True, eq=False)
class ExactPiece:
    """x -> sum of A_k x_k + b, the arguments and the value flattened.

    Parameters
    ----------
    parts : tuple of Sparse
        A_k, one per argument.
    constant : Dyadic
        b, one column.
    """

    parts: tuple[Sparse, ...]
    constant: Dyadic

    def apply(self, args: Sequence[Dyadic], unit: Integers) -> Dyadic:
        """Return A x + b for tables with one column per point or direction.

        `unit` holds by what b is multiplied in each column: 0 in a direction, the denominator that the numbers of
        a point have in common.
        """
        total = Dyadic(self.constant.numbers * unit[None], self.constant.shift)
        for part, arg in zip(self.parts, args, strict=True):
            total = total + part @ arg
        return total

    def adjoint(self, u: Dyadic) -> tuple[Dyadic, ...]:
        """Return A_k^T u, one per argument; u has one column per functional."""
        return tuple(part.transpose @ u for part in self.parts)


def read(piece: Piece, shapes: Shapes) -> ExactPiece:
    """Return a piece as its matrices: the images of unit vectors, and of zero."""
    zeros = [torch.zeros(tuple(shape), dtype=torch.float64) for shape in shapes]
    constant = dyadic(piece.apply(*zeros).reshape(-1, 1))
    size = len(constant.numbers)

    def images(k: int) -> Iterator[tuple[int, Tensor]]:
        count = zeros[k].numel()
        step = max(1, ENTRIES // max(count, size, 1))
        for start in range(0, count, step):
            some = torch.zeros(min(step, count - start), count, dtype=torch.float64)
            some[torch.arange(len(some)), start + torch.arange(len(some))] = 1.0
            units = some.reshape(len(some), *zeros[k].shape)
            probes = [units if j == k else z.expand(len(some), *z.shape) for j, z in enumerate(zeros)]
            yield start, piece.tangent(*probes).reshape(len(some), -1)

    parts = (Sparse.read(images(k), (size, zero.numel())) for k, zero in enumerate(zeros))
    return ExactPiece(tuple(parts), constant)


def chosen(switching: Switching, code: Sequence[int], shapes: Shapes) -> ExactPiece:
    """Return the piece that the codes of all units name."""
    sizes = [int(np.prod(tuple(shape), dtype=np.int64)) for shape in shapes]
    units, place = np.arange(len(code)), np.asarray(code, dtype=np.int64)
    if isinstance(switching, Breaks):
        place = place - switching.first
        slopes = dyadic(switching.slopes[torch.from_numpy(place), torch.from_numpy(units)])
        levels = intercepts(switching)
        at = np.zeros_like(units) if levels.numbers.shape[1] == 1 else units
        constant = Dyadic(levels.numbers[place, at][:, None], levels.shift)
        return ExactPiece((Sparse(units, units, slopes.numbers, slopes.shift, (len(units), sizes[0])),), constant)
    argument, position = (table.numpy()[units, place] for table in (switching.argument, switching.position))
    parts = []
    for k, size in enumerate(sizes):
        mine = np.flatnonzero(argument == k)
        parts.append(Sparse(mine, position[mine], np.ones(len(mine), dtype=object), 0, (len(units), size)))
    return ExactPiece(tuple(parts), Dyadic(np.zeros((len(units), 1), dtype=object), 0))


def intercepts(breaks: Breaks) -> Dyadic:
    """Return the values at 0 of all pieces, shape (k + 1, units), or (k + 1, 1) if the units do not differ.

    Those of a continuous function follow from the first: given as floats, they would jump by rounding.
    """
    alike = bool((breaks.slopes == breaks.slopes[:, :1]).all() & (breaks.intercepts == breaks.intercepts[:, :1]).all())
    width = 1 if alike and breaks.units else breaks.units
    if not breaks.continuous:
        return dyadic(breaks.intercepts[:, :width])
    first, slopes = dyadic(breaks.intercepts[:1, :width]), dyadic(breaks.slopes[:, :width])
    ends = dyadic(breaks.breakpoints)
    steps = (slopes.numbers[:-1] - slopes.numbers[1:]) * ends.numbers[:, None]
    rise = np.concatenate([np.zeros((1, width), dtype=object), np.cumsum(steps, axis=0)])
    return Dyadic(rise, slopes.shift + ends.shift) + first
