"""The smallest box around each of many polytopes."""

from __future__ import annotations

import numpy as np
from numba import njit

from splinegraph.analyses.regions.geometry.kernels.facets import LOWER, ROW, UPPER, Work, bound, dictionary, slacks_at


@njit(cache=True, error_model="numpy")
def boxes(
    G: np.ndarray,
    h: np.ndarray,
    offsets: np.ndarray,
    centers: np.ndarray,
    sizes: np.ndarray,
    w: Work,
    lower: np.ndarray,
    upper: np.ndarray,
) -> None:
    """Write lower and upper bounds of polytopes of which center and size are known."""
    dim = G.shape[1]
    for c in range(len(sizes)):
        low, high, size = offsets[c], offsets[c + 1], sizes[c]
        if not 0.0 < size < np.inf:
            continue
        mine = G[low:high]
        slacks_at(mine, h, low, centers, sizes, c, w)
        for i in range(high - low):
            w.K[ROW, i] = i
        bound(w, dim, dictionary(mine, w, high - low))
        for d in range(dim):
            lower[c, d] = centers[c, d] + size * w.V[LOWER, d]
            upper[c, d] = centers[c, d] + size * w.V[UPPER, d]
