"""A search from cell to cell for a large norm of the local map, on a network taken apart."""

from __future__ import annotations

import math
import time

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.units import Units

__all__ = ["cross", "functionals", "norms", "pulled_back"]

Floats = NDArray[np.float64]

ALL = slice(None)

ROUNDS = 3000
"""Random moves per point."""

HEAT = 0.05
"""By what share a norm may fall in one move at first; less and less later."""

LENGTHS = (-2.5, 0.3)
"""Powers of ten of the lengths of random moves, relative to the size of the domain or of the point."""

TRIED = 6
"""Facets that are tried per point and round."""

BEYOND = (1.02, 1.5)
"""How far a step goes, in distances to the facet."""

CROSSINGS = 60
"""Rounds of crossing facets after the random moves."""

LARGE = 2**23
"""Entries of all units' functionals at all points: as many points are moved as there is room for."""


def pulled_back(units: Units, slope: Floats, rows: Floats) -> Floats:
    """Return how linear functions of inputs and units, (B, K, N), depend on them: shape (B, K, N).

    Of a unit it is the dependence on its value, with the slopes of shape (B, n) behind it.
    """
    back = np.array(rows)
    for block in reversed(units.blocks):
        part, known = slice(block.start, block.stop), units.inputs + block.start
        mine = slope[:, None, part] * back[:, :, known : units.inputs + block.stop]
        back[:, :, :known] += mine @ units.forms[:known, part].T
    return back


def functionals(units: Units, slope: Floats) -> Floats:
    """Return each unit's linear functional of the inputs, with given slopes before it: shape (B, n, n0)."""
    B, n0 = len(slope), units.inputs
    rows = np.zeros((B, units.size, n0))
    rows[:, np.arange(n0), np.arange(n0)] = 1.0
    seen = np.empty((B, units.count, n0))
    for block in units.blocks:
        part, known = slice(block.start, block.stop), n0 + block.start
        seen[:, part] = np.matmul(units.forms[:known, part].T, rows[:, :known])
        rows[:, known : n0 + block.stop] = slope[:, part, None] * seen[:, part]
    return seen


def norms(
    units: Units, slope: Floats, norm: float = 2, columns: slice | NDArray[np.bool_] = ALL
) -> tuple[Floats, Floats, Floats]:
    """Return the norms of local maps A with given slopes, and vectors p, q of dual norm and norm 1 with p' A q that.

    Of the inputs only `columns` count.
    """
    rows = np.broadcast_to(units.outputs.T, (len(slope), *units.outputs.T.shape))
    A = pulled_back(units, slope, rows)[:, :, : units.inputs][:, :, columns]
    if norm == 2:
        value, p, some = _singular(A)
    elif norm == 1:
        value, some, p = _absolute(A.transpose(0, 2, 1))
    else:
        value, p, some = _absolute(A)
    q = np.zeros((len(A), units.inputs))
    q[:, columns] = some
    return value, p, q


def _absolute(A: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the largest absolute sum of a row, which row it is, and the row's signs."""
    sums = np.abs(A).sum(axis=2)
    row, each = sums.argmax(axis=1), np.arange(len(A))
    return sums[each, row], np.eye(A.shape[1])[row], np.sign(A[each, row])


def _singular(A: Floats) -> tuple[Floats, Floats, Floats]:
    wide = A if A.shape[1] <= A.shape[2] else A.transpose(0, 2, 1)
    values, vectors = np.linalg.eigh(wide @ wide.transpose(0, 2, 1))
    first = vectors[:, :, -1]
    second = np.einsum("bij,bi->bj", wide, first)
    second /= np.maximum(np.linalg.norm(second, axis=1), 1e-300)[:, None]
    value = np.sqrt(np.maximum(values[:, -1], 0.0))
    return (value, first, second) if A.shape[1] <= A.shape[2] else (value, second, first)


def cross(
    units: Units,
    X: Floats,
    *,
    norm: float = 2,
    domain: Domain | None = None,
    rounds: int = ROUNDS,
    deadline: float | None = None,
    seed: int = 0,
) -> tuple[float, Floats]:
    """Return the largest norm of a local map that points reach, and where.

    Parameters
    ----------
    units : Units
        All of one kink.
    X : array of shape (B, n0)
        Where to start.
    norm : {1, 2, inf}
    domain : Domain, optional
        Where points stay; without it all of space.
    rounds : int
        Random moves per point; about 1 ms each for 128 points of a network of 50 units.
    deadline : float, optional
        Of `time.monotonic`.
    seed : int

    Notes
    -----
    Simulated annealing: moves of random length, in random directions or across the facet of a random unit, are
    kept if the norm falls little, and less of that is allowed with time. Then the best points cross facets that
    promise a gain: p' A q changes to first order by (ds) (p' df/de_i) (u_i' q) when unit i changes its slope by ds.
    """
    search = _Search(units, X, norm, Domain() if domain is None else domain, np.random.default_rng(seed))
    started = time.monotonic()
    for r in range(rounds):
        now = time.monotonic()
        gone = r / rounds
        if deadline is not None:
            gone = max(gone, (now - started) / max(0.8 * (deadline - started), 1e-9))
        if gone >= 1:
            break
        search.move(HEAT * (1 - gone))
    search.gather()
    for _ in range(min(rounds, CROSSINGS)):
        if deadline is not None and time.monotonic() > deadline:
            break
        search.climb()
    return search.best, search.where


class _Search:
    """Points that move, and the best of all so far."""

    def __init__(self, units: Units, X: Floats, norm: float, domain: Domain, draw: np.random.Generator) -> None:
        room = max(LARGE // max(units.count * units.inputs, 1), 4)
        self.units, self.norm, self.domain, self.draw = units, norm, domain, draw
        free = domain.free
        self.columns = slice(None) if free is None else free.numpy()
        self.best, self.where = -math.inf, X[0].copy()
        self.X = X[:room].copy()
        self.state = self._state(self.X)
        self._note()

    def move(self, heat: float) -> None:
        """Move every point once, in a random direction or across a facet, and keep what falls by `heat` or so."""
        Y = self._inside(self.X + (self._across() if self.draw.random() < 0.5 else self._aside()))
        new = self._state(Y)
        fall = np.log(np.maximum(self.state[2], 1e-300)) - np.log(np.maximum(new[2], 1e-300))
        self._take(fall < heat * self.draw.exponential(size=len(Y)), Y, new)

    def gather(self) -> None:
        """Replace the worse half of the points by the best one."""
        worse = self.state[2] < np.median(self.state[2])
        self.X[worse] = self.where
        self.state = self._state(self.X)

    def climb(self) -> None:
        """Move every point to the best of some that lie behind facets, where that is better."""
        tried = self._inside(self._behind_facets())
        flat = tried.reshape(-1, self.X.shape[1])
        new = self._state(flat)
        take = np.arange(len(self.X)) * tried.shape[1] + new[2].reshape(len(self.X), -1).argmax(axis=1)
        found = tuple(part[take] for part in new)
        self._take(found[2] > self.state[2] * (1 + 1e-9), flat[take], found)

    def _state(self, X: Floats) -> tuple[Floats, ...]:
        """Return levels, slopes, norms, and the vectors p, q of the norm, at points."""
        level, slope = self.units.levels(X)
        return (level, slope, *norms(self.units, slope, self.norm, self.columns))

    def _take(self, better: NDArray[np.bool_], X: Floats, new: tuple[Floats, ...]) -> None:
        for old, found in zip((self.X, *self.state), (X, *new), strict=True):
            old[better] = found[better]
        self._note()

    def _note(self) -> None:
        top = int(self.state[2].argmax())
        if self.state[2][top] > self.best:
            self.best, self.where = float(self.state[2][top]), self.X[top].copy()

    def _inside(self, X: Floats) -> Floats:
        return self.domain.nearest(X.reshape(-1, X.shape[-1])).reshape(X.shape)

    def _aside(self) -> Floats:
        """Return random moves."""
        sides = self.domain.sides
        if sides is None:
            size = np.linalg.norm(self.X, axis=1)[:, None] / math.sqrt(self.X.shape[1]) + 0.1
        else:
            size = (sides[1] - sides[0]) / 2
        length = 10 ** self.draw.uniform(*LENGTHS, size=(len(self.X), 1))
        return np.asarray(self.draw.standard_normal(self.X.shape) * size * length)

    def _across(self) -> Floats:
        """Return moves across where a random unit's kink would be if all units before it stayed as they are."""
        level, slope = self.state[:2]
        each, unit = np.arange(len(level)), self.draw.integers(self.units.count, size=len(level))
        normal = pulled_back(self.units, slope, self.units.forms.T[unit][:, None])[:, 0, : self.units.inputs]
        square = (normal**2).sum(axis=1)
        far = self.draw.uniform(*BEYOND, size=len(level))
        moves = square > 1e-18
        step = np.where(moves, -level[each, unit] / np.where(moves, square, 1.0) * far, 0.0)
        return np.asarray(step[:, None] * normal)

    def _behind_facets(self) -> Floats:
        """Return points behind facets that promise a gain, near ones first, shape (B, TRIED, n0)."""
        units, (level, slope, _, p, q) = self.units, self.state
        seen = functionals(units, slope)
        effect = pulled_back(units, slope, (p @ units.outputs.T)[:, None])[:, 0, units.inputs :]
        gain = (units.slopes.sum(axis=0) - 2 * slope) * effect * np.einsum("bui,bi->bu", seen, q)
        length = np.linalg.norm(seen, axis=2)
        length = np.maximum(length, 1e-9 * length.max() + 1e-100)  # units that do not move are far away
        away = np.abs(level) / length
        weight = np.maximum(gain, 0.0) / (away + 1e-3 * np.median(away, axis=1, keepdims=True) + 1e-300)
        chance = np.log(np.maximum(weight, 1e-300)) + self.draw.gumbel(size=weight.shape)
        picked = np.argsort(-chance, axis=1)[:, :TRIED]
        rows = np.arange(len(slope))[:, None]
        far = self.draw.uniform(*BEYOND, size=picked.shape)
        step = -(level[rows, picked] / length[rows, picked] ** 2 * far)
        return np.asarray(self.X[:, None] + step[:, :, None] * seen[rows, picked])
