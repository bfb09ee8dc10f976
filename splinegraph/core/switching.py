"""How the units of a switching operator switch, as plain data: what algorithms on regions run on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Breaks", "Contest", "Switching"]


@dataclass(frozen=True, eq=False)
class Breaks:
    """Unit u compares entry u of the one argument (flattened) with breakpoints.

    Its code is `first` plus the number of breakpoints to the left of the entry, and its value is
    ``slopes[code - first, u] * entry + intercepts[code - first, u]``.

    Parameters
    ----------
    breakpoints : Tensor of shape (k,), float64
        Increasing.
    closed_left : Tensor of shape (k,), bool
        Whether a breakpoint belongs to the piece on its left.
    slopes, intercepts : Tensor of shape (k + 1, units), float64
    first : int
        Code of the leftmost piece.
    continuous : bool
    """

    breakpoints: Tensor
    closed_left: Tensor
    slopes: Tensor
    intercepts: Tensor
    first: int = 0
    continuous: bool = True

    @property
    def units(self) -> int:
        """Number of units."""
        return self.slopes.shape[1]


@dataclass(frozen=True, eq=False)
class Contest:
    """Unit u is the largest (or smallest) of some entries of the arguments; ties go to the lowest place.

    Its code is the winner's place, its value the winner itself.

    Parameters
    ----------
    argument, position : Tensor of shape (units, width), int64
        Place p of unit u holds entry `position[u, p]` of the flattened argument `argument[u, p]`;
        position -1 marks a place that holds none.
    largest : bool
    after : Tensor of shape (units,), int64
        The unit ahead of u in a ranking, or -1. The winner of that unit, and of those ahead of it in turn,
        does not take part. Always smaller than u.
    """

    argument: Tensor
    position: Tensor
    largest: bool
    after: Tensor

    @property
    def units(self) -> int:
        """Number of units."""
        return len(self.position)

    def columns(self, sizes: Sequence[int]) -> Tensor:
        """Return the entry at each place, of the arguments flattened and put one behind the other; -1 for none.

        Parameters
        ----------
        sizes : sequence of int
            Entries of the arguments.

        Returns
        -------
        Tensor of shape (units, width), int64
        """
        starts = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        return torch.where(self.position >= 0, self.position + starts[self.argument], -1)

    @property
    def ranks(self) -> Tensor:
        """How many units are ahead of each in its ranking, shape (units,), int64."""
        found, ahead = torch.zeros_like(self.after), self.after
        while bool((ahead >= 0).any()):
            found += ahead >= 0
            ahead = torch.where(ahead >= 0, self.after[ahead.clamp(min=0)], ahead)
        return found


Switching = Breaks | Contest
