"""A climb from cell to cell across facets that raise the norm of the local map, on a network taken apart."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.units import Units

__all__ = ["cross", "functionals", "norms", "pulled_back"]

Floats = NDArray[np.float64]

TRIED = 6
"""Facets that are tried per point and round."""

BEYOND = (1.05, 2.0)
"""How far a step goes, in distances to the facet."""

STALE = 12
"""Rounds without a larger norm after which a point is moved at random."""


def pulled_back(units: Units, slope: Floats, rows: Floats) -> Floats:
    """Return how linear functions of the outputs, (B, K, m), depend on inputs and units: shape (B, K, N).

    Of a unit it is the dependence on its value, with the slopes of shape (B, n) behind it.
    """
    back = np.asarray(rows @ units.outputs.T)
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


def norms(units: Units, slope: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the l2 norms of local maps with given slopes, and left and right singular vectors."""
    m = units.outputs.shape[1]
    A = pulled_back(units, slope, np.broadcast_to(np.eye(m), (len(slope), m, m)))[:, :, : units.inputs]
    wide = A if m <= units.inputs else A.transpose(0, 2, 1)
    values, vectors = np.linalg.eigh(wide @ wide.transpose(0, 2, 1))
    first = vectors[:, :, -1]
    second = np.einsum("bij,bi->bj", wide, first)
    second /= np.maximum(np.linalg.norm(second, axis=1), 1e-300)[:, None]
    norm = np.sqrt(np.maximum(values[:, -1], 0.0))
    return (norm, first, second) if m <= units.inputs else (norm, second, first)


def cross(
    units: Units,
    X: Floats,
    *,
    box: tuple[Floats, Floats] | None = None,
    rounds: int = 200,
    deadline: float | None = None,
    seed: int = 0,
) -> tuple[float, Floats]:
    """Return the largest l2 norm that points reach, and where.

    Parameters
    ----------
    units : Units
        All of one kink.
    X : array of shape (B, n0)
        Where to start.
    box : pair of arrays of shape (n0,), optional
    rounds : int
    deadline : float, optional
        Of `time.monotonic`.
    seed : int

    Notes
    -----
    For the singular vectors p, q of the local map, p' A q changes to first order by (ds) (p' df/de_i) (u_i' q) when
    unit i changes its slope by ds. Of the units with a gain, near facets are crossed first, at random.
    """
    climb = _Climb(units, X, box, np.random.default_rng(seed))
    for _ in range(rounds):
        if deadline is not None and time.monotonic() > deadline:
            break
        climb.step()
    return climb.best, climb.where


class _Climb:
    """Points, and the best of all so far."""

    def __init__(self, units: Units, X: Floats, box: tuple[Floats, Floats] | None, draw: np.random.Generator) -> None:
        self.units, self.X, self.box, self.draw = units, X, box, draw
        self.level, self.slope = units.levels(X)
        self.norm, self.p, self.q = norms(units, self.slope)
        self.stale = np.zeros(len(X), dtype=int)
        top = int(self.norm.argmax())
        self.best, self.where = float(self.norm[top]), X[top].copy()

    def step(self) -> None:
        """Move every point to the best of some that lie behind facets, where that is better."""
        tried = self._behind_facets()
        shaken = self.stale > STALE
        if shaken.any():
            tried[shaken] = self._shaken(self.X[shaken])
            self.stale[shaken] = 0
        if self.box is not None:
            tried = np.clip(tried, *self.box)
        count, flat = tried.shape[1], tried.reshape(-1, self.X.shape[1])
        level, slope = self.units.levels(flat)
        norm, p, q = norms(self.units, slope)
        take = np.arange(len(self.X)) * count + norm.reshape(-1, count).argmax(axis=1)
        better = (norm[take] > self.norm * (1 + 1e-9)) | shaken
        self.stale = np.where(better, 0, self.stale + 1)
        new = (flat, level, slope, norm, p, q)
        for old, found in zip((self.X, self.level, self.slope, self.norm, self.p, self.q), new, strict=True):
            old[better] = found[take][better]
        top = int(self.norm.argmax())
        if self.norm[top] > self.best:
            self.best, self.where = float(self.norm[top]), self.X[top].copy()

    def _behind_facets(self) -> Floats:
        """Return points behind facets that promise a gain, near ones first, shape (B, TRIED, n0)."""
        units, slope = self.units, self.slope
        seen = functionals(units, slope)
        effect = pulled_back(units, slope, self.p[:, None])[:, 0, units.inputs :]
        other = units.slopes.sum(axis=0) - slope
        gain = (other - slope) * effect * np.einsum("bui,bi->bu", seen, self.q)
        length = np.linalg.norm(seen, axis=2)
        length = np.maximum(length, 1e-9 * length.max() + 1e-100)  # units that do not move are far away
        away = np.abs(self.level) / length
        weight = np.maximum(gain, 0.0) / (away + 1e-3 * np.median(away, axis=1, keepdims=True) + 1e-300)
        chance = np.log(np.maximum(weight, 1e-300)) + self.draw.gumbel(size=weight.shape)
        picked = np.argsort(-chance, axis=1)[:, :TRIED]
        rows = np.arange(len(slope))[:, None]
        far = self.draw.uniform(*BEYOND, size=picked.shape)
        step = -(self.level[rows, picked] / length[rows, picked] ** 2 * far)
        return np.asarray(self.X[:, None] + step[:, :, None] * seen[rows, picked])

    def _shaken(self, X: Floats) -> Floats:
        """Return points around points that no longer move."""
        count = min(TRIED, self.units.count)
        if self.box is None:
            size = np.linalg.norm(X, axis=1)[:, None, None] / np.sqrt(X.shape[1])
        else:
            size = (self.box[1] - self.box[0]) / 2
        scale = self.draw.choice([0.03, 0.1, 0.3], (len(X), count, 1))
        return np.asarray(X[:, None] + self.draw.standard_normal((len(X), count, X.shape[1])) * size * scale)
