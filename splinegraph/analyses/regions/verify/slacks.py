"""How far values at a node are inside the pieces that codes name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.regions.cells import Floats
from splinegraph.core.switching import Breaks, Contest, Switching

__all__ = ["rivals", "slacks"]


def slacks(switching: Switching, values: Sequence[Floats], code: NDArray[np.int64]) -> Floats:
    """Return how far each unit may move before it leaves its piece, shape (N, units); negative outside.

    Parameters
    ----------
    values : arrays of shape (N, entries), one per argument
    code : array of int64, shape (N, units)
    """
    if isinstance(switching, Breaks):
        return _between(switching, values[0], code)
    return _ahead(switching, values, code)


def _between(breaks: Breaks, z: Floats, code: NDArray[np.int64]) -> Floats:
    ends = np.concatenate([[-np.inf], breaks.breakpoints.numpy(), [np.inf]])
    place = np.clip(code - breaks.first, 0, len(ends) - 2)
    return np.asarray(np.minimum(z - ends[place], ends[place + 1] - z))


def _ahead(contest: Contest, values: Sequence[Floats], code: NDArray[np.int64]) -> Floats:
    """Return by how much the winner is ahead of the best of those that take part."""
    won, others = rivals(contest, values, code)
    return np.asarray(won - others.max(axis=2, initial=-np.inf))


def rivals(contest: Contest, values: Sequence[Floats], code: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the winner's value, shape (N, units), and those of the others that take part, (N, units, width).

    -inf stands for those that do not; where the smallest wins, signs are turned.
    """
    place = contest.columns([v.shape[1] for v in values]).numpy()
    absent = place < 0
    z = np.concatenate(values, axis=1) * (1.0 if contest.largest else -1.0)
    code = np.clip(code, 0, place.shape[1] - 1)
    winner = place[np.arange(contest.units), code]  # (N, units)
    others = np.where(absent, -np.inf, z[:, np.where(absent, 0, place)])
    np.put_along_axis(others, code[..., None], -np.inf, axis=2)
    after = contest.after.numpy()
    ahead = after.copy()
    while (ahead >= 0).any():
        mine = np.flatnonzero(ahead >= 0)
        gone = place[mine][None] == winner[:, ahead[mine]][..., None]
        others[:, mine] = np.where(gone, -np.inf, others[:, mine])
        ahead[mine] = after[ahead[mine]]
    return np.take_along_axis(z, winner, axis=1), others
