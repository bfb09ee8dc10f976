"""How many cells arrangements of hyperplanes, and sequential networks of them, have at most: exact integers."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

__all__ = ["montufar", "parallel_families", "sequential", "serra", "zaslavsky"]


def zaslavsky(planes: int, dim: int) -> int:
    """Return the most cells that so many hyperplanes cut `dim`-dimensional space into.

    References
    ----------
    .. [1] T. Zaslavsky, "Facing up to arrangements", Memoirs of the AMS 154, 1975.

    Examples
    --------
    >>> zaslavsky(3, 2)
    7
    """
    return parallel_families({1: planes}, dim)


def parallel_families(families: Mapping[int, int], dim: int) -> int:
    """Return the most cells of an arrangement of ``families[k]`` families of k parallel hyperplanes each.

    Hyperplanes of one family do not meet: the sum over j <= dim of the j-th elementary symmetric polynomial of
    the families' sizes, by Whitney's theorem.
    """
    total = [1] + [0] * dim
    for size, count in families.items():
        factor = [math.comb(count, j) * size**j for j in range(min(dim, count) + 1)]
        total = [sum(total[i - j] * factor[j] for j in range(min(i, len(factor) - 1) + 1)) for i in range(len(total))]
    return sum(total)


def montufar(inputs: int, widths: Sequence[int]) -> int:
    """Return the bound of Montufar for sequential networks of units with two pieces.

    References
    ----------
    .. [1] G. Montufar, "Notes on the number of linear regions of deep neural networks", SampTA 2017.

    Examples
    --------
    >>> montufar(2, [4, 3])
    77
    """
    return math.prod(zaslavsky(n, min(inputs, *widths[: i + 1])) for i, n in enumerate(widths))


def serra(inputs: int, widths: Sequence[int]) -> int:
    """Return the bound of Serra et al. for sequential ReLU networks: a unit that is off transmits nothing.

    References
    ----------
    .. [1] T. Serra, C. Tjandraatmadja, S. Ramalingam, "Bounding and counting linear regions of deep neural
       networks", ICML 2018, Theorem 1.

    Examples
    --------
    >>> serra(2, [4, 3])
    77
    >>> serra(2, [1, 5]), montufar(2, [1, 5])
    (7, 12)
    """
    return sequential([(n, 0, n) for n in widths], inputs, [inputs] * len(widths), drops=True)


def sequential(layers: Sequence[tuple[int, int, int]], dim: int, cuts: Sequence[int], *, drops: bool) -> int:
    """Return the bound for layers of (units that may switch, units always on, width), one behind the other.

    `cuts` are further bounds of the rank that reaches each layer. With `drops` a unit that is off lowers the
    rank: at most C(n, j) cells have j units off, and those with few off come first, which is the worst case.
    """

    @functools.cache
    def cells(depth: int, rank: int) -> int:
        if depth == len(layers):
            return 1
        switching, on, width = layers[depth]
        rank = min(rank, cuts[depth])
        return sum(
            math.comb(switching, j) * cells(depth + 1, min(rank, on + switching - j if drops else width))
            for j in range(min(rank, switching) + 1)
        )

    return cells(0, dim)
