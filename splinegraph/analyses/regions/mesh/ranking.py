"""Contests as tables of columns, rank by rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splinegraph.core.switching import Contest
from splinegraph.errors import UnsupportedOperatorError

__all__ = ["Ranking"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ranking:
    """What the units of a node compare, with its arguments put one behind the other.

    Parameters
    ----------
    member : array of int64, shape (units, width)
        Columns; -1 where a place holds none.
    after : array of int64, shape (units,)
    ranks : list of arrays of int64
        Units that can be decided together, once those before them are.
    sign : float
        By what to multiply the values, so that the largest wins.
    """

    member: Ints
    after: Ints
    ranks: list[Ints]
    sign: float

    @classmethod
    def of(cls, contest: Contest, sizes: Sequence[int]) -> Ranking:
        """Return the table of a contest between arguments of the given sizes."""
        member, rank = contest.columns(sizes).numpy(), contest.ranks.numpy()
        if member.shape[1] > np.iinfo(np.int16).max:
            raise UnsupportedOperatorError(f"a maximum over {member.shape[1]} entries is too wide for a mesh")
        ranks = [np.flatnonzero(rank == r) for r in range(int(rank.max(initial=-1)) + 1)]
        return cls(np.ascontiguousarray(member), contest.after.numpy(), ranks, 1.0 if contest.largest else -1.0)

    @property
    def units(self) -> int:
        """Number of units."""
        return len(self.member)

    def most(self, size: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the largest of the members' sizes, per unit; `size` holds one number per column."""
        most: NDArray[np.float64] = np.where(self.member >= 0, size[self.member], 0.0).max(axis=1, initial=0.0)
        return most
