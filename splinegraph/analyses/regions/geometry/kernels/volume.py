"""Volumes by facets: D vol(P) is the sum over facets of their distance from a point times their volume."""

from __future__ import annotations

import numpy as np

from splinegraph.analyses.regions.kernels.jit import inner, outer, part

NEAR = 1e-11
"""Rows that differ by less, within a polytope scaled to inscribed radius one, are one row."""

PARALLEL = 1e-12
"""Sine of the angle below which a row does not cut the plane of a facet."""


@part
def interval(G: np.ndarray, s: np.ndarray, rows: int) -> float:
    """Return the length of {y : G y <= s} for one coordinate, 0 if empty, infinite if unbounded."""
    low, high = -np.inf, np.inf
    for i in range(rows):
        if G[i, 0] > 0.0:
            high = min(high, s[i] / G[i, 0])
        else:
            low = max(low, s[i] / G[i, 0])
    return max(high - low, 0.0)


@part
def seen_before(G: np.ndarray, s: np.ndarray, dim: int, i: int) -> bool:
    """Return whether an earlier row equals row i."""
    for j in range(i):
        apart = abs(s[i] - s[j])
        for d in range(dim):
            apart += abs(G[i, d] - G[j, d])
        if apart <= NEAR * (1.0 + abs(s[i])):
            return True
    return False


@part
def plane_rows(G: np.ndarray, s: np.ndarray, rows: int, dim: int, f: int, into: np.ndarray, gaps: np.ndarray) -> int:
    """Write all rows but f as seen in its plane, from the point nearest to the origin; return how many, or -1."""
    found, sign = 0, 1.0 if G[f, 0] >= 0.0 else -1.0
    for j in range(rows):
        if j == f:
            continue
        along, norm = 0.0, 0.0
        for d in range(dim):
            along += G[j, d] * G[f, d]
        fold = (along + sign * G[j, 0]) / (1.0 + abs(G[f, 0]))
        for q in range(1, dim):
            into[found, q - 1] = G[j, q] - fold * G[f, q]
            norm += into[found, q - 1] ** 2
        norm, gap = np.sqrt(norm), s[j] - along * s[f]
        if norm > PARALLEL:
            for q in range(dim - 1):
                into[found, q] /= norm
            gaps[found] = gap / norm
            found += 1
        elif gap < -NEAR:
            return -1
    return found


@inner
def volume(G: np.ndarray, s: np.ndarray, rows: int, dim: int, deep: np.ndarray, gaps: np.ndarray) -> float:
    """Return the volume of {y : G y <= s}; `deep` and `gaps` hold the rows within faces, one level per dimension."""
    if dim == 1:
        return interval(G, s, rows)
    total = 0.0
    for f in range(rows):
        if s[f] == 0.0 or seen_before(G, s, dim, f):
            continue
        found = plane_rows(G, s, rows, dim, f, deep[dim - 1], gaps[dim - 1])
        if found > 0:
            total += s[f] * volume(deep[dim - 1], gaps[dim - 1], found, dim - 1, deep, gaps)
    return max(total / dim, 0.0)


def volumes(G: np.ndarray, h: np.ndarray, offsets: np.ndarray, centers: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the volumes of polytopes of irredundant rows, of which centers and inscribed radii are known."""
    count, dim = centers.shape
    most = max(int(np.diff(offsets).max(initial=0)), 1)
    deep, gaps = np.empty((dim, most, dim)), np.empty((dim, most))
    result = np.zeros(count)
    _volumes(G, h, offsets, centers, sizes, deep, gaps, result)
    return result


@outer
def _volumes(
    G: np.ndarray,
    h: np.ndarray,
    offsets: np.ndarray,
    centers: np.ndarray,
    sizes: np.ndarray,
    deep: np.ndarray,
    gaps: np.ndarray,
    result: np.ndarray,
) -> None:
    """Write the volumes; level 0 of `deep` and `gaps` is room for the rows themselves."""
    dim = centers.shape[1]
    for c in range(len(result)):
        low, rows = offsets[c], offsets[c + 1] - offsets[c]
        if rows == 0 or sizes[c] <= 0.0:
            continue
        for i in range(rows):
            gap = h[low + i]
            for d in range(dim):
                deep[0, i, d] = G[low + i, d]
                gap -= G[low + i, d] * centers[c, d]
            gaps[0, i] = gap / sizes[c]
        result[c] = volume(deep[0], gaps[0], rows, dim, deep, gaps) * sizes[c] ** dim
