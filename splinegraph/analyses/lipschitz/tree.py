"""The branches of a branch and bound as a proof, and its check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.branches import Branches
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.units import FREE, LEFT, RIGHT, Units

__all__ = ["EMPTY", "OPEN", "Tree", "check_tree"]

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]

MOST_NUMBERS = 2**23
"""Multipliers (64 MiB) beyond which a tree is not kept."""

OPEN, EMPTY = 0, 1
"""What a leaf is: one with a bound, one without inputs."""


class Tree:
    """Splits, and for every leaf the multipliers of its bound, or of the proof that it has no inputs."""

    def __init__(self) -> None:
        self.kept = True
        self._units: list[int] = []
        self._children: list[tuple[int, int]] = []
        self._kinds: list[int] = []
        self._data: list[Floats] = []
        self._numbers = 0

    def leaf(self, data: Floats, kind: int = OPEN) -> int:
        """Add a leaf; return its number."""
        self._numbers += len(data)
        self._units.append(-1)
        self._children.append((-1, -1))
        self._kinds.append(kind)
        self._data.append(data)
        self._drop_if_large()
        return len(self._units) - 1

    def split(self, node: int, unit: int, sides: tuple[int, int]) -> None:
        """Make a leaf a split on a unit, with the nodes of its left and right side."""
        if not self.kept:
            return
        self._numbers -= len(self._data[node])
        self._units[node], self._children[node], self._data[node] = unit, sides, np.zeros(0)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return it as arrays: unit, children (K, 2), kind, start (K + 1,) and data."""
        return {
            "unit": np.array(self._units, dtype=np.int32),
            "children": np.array(self._children, dtype=np.int32).reshape(-1, 2),
            "kind": np.array(self._kinds, dtype=np.int8),
            "start": np.cumsum([0, *(len(part) for part in self._data)]),
            "data": np.concatenate([np.zeros(0), *self._data]),
        }

    def _drop_if_large(self) -> None:
        if self.kept and self._numbers + 4 * len(self._units) > MOST_NUMBERS:
            self.kept = False
        if not self.kept:
            self._data[-1] = np.zeros(0)


def check_tree(units: Units, domain: Domain, norm: float, arrays: Arrays, upper: float) -> bool:
    """Return whether a tree proves that `upper` is an upper bound of the constant, everything worked out anew.

    Parameters
    ----------
    units : Units
    domain : Domain
    norm : {1, 2, inf}
    arrays : mapping from str to array
        By `Tree.arrays`.
    upper : float
    """
    try:
        unit, children, kind = (np.asarray(arrays[key]) for key in ("unit", "children", "kind"))
        start, data = np.asarray(arrays["start"]), np.asarray(arrays["data"], dtype=np.float64)
        fits = children.shape == (len(unit), 2) and len(kind) == len(unit) and len(start) == len(unit) + 1 > 1
        if not fits or start[0] != 0 or start[-1] != len(data) or bool((np.diff(start) < 0).any()):
            return False
    except (KeyError, TypeError, ValueError):
        return False
    branches = Branches(units, norm, domain)
    todo = [(0, np.full(units.count, FREE, dtype=np.int8))]
    while todo:
        node, states = todo.pop()
        own = data[start[node] : start[node + 1]]
        i = int(unit[node])
        if i < 0:
            if not branches.proved(states, own, upper, empty=bool(kind[node] == EMPTY)):
                return False
            continue
        states = branches.settled(states)
        if i >= units.count or states[i] != FREE or np.isnan(units.slopes[0, i]):
            return False
        for child, side in zip(children[node], (LEFT, RIGHT), strict=True):
            if not node < child < len(unit):  # towards the leaves, so that it ends
                return False
            below = states.copy()
            below[i] = side
            todo.append((int(child), below))
    return True
