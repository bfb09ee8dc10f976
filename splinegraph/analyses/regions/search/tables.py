"""A compiled network as plain arrays: what each column of its tables means."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tables"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BREAKS, CONTEST = 0, 1
"""Kinds of switching nodes."""

(
    KIND,
    PRE,  # first pre-activation
    PRES,  # how many
    UNIT,  # first unit
    UNITS,
    BREAK,  # where the breakpoints start in `data`
    BREAKPOINTS,  # how many
    CLOSED,  # where their flags start in `links`
    SLOPE,  # where slopes and intercepts start in `data`, rows of `UNITS`
    INTERCEPT,
    FIRST,  # code of the leftmost piece
    WIDTH,  # candidates per unit
    MEMBER,  # where they start in `links`
    AFTER,  # where the units ahead start in `links`
    SIGN,  # 1: the largest wins, -1: the smallest
    BYTE,  # first byte of the packed code
    BITS,
    BLOCK,  # first row of `block`
    BLOCKS,  # how many
) = range(19)
"""Columns of `Tables.node`."""

FROM, DENSE, DATA, START = range(4)
"""Columns of `Tables.block`: the node read, whether dense, where weights start in `data`, and, for a sparse block,
where its column pointers (one per unit read, and one more) and then its row indices start in `links`."""


class Tables(NamedTuple):
    """A network on a domain of D coordinates t, node by switching node.

    Pre-activation i is ``base[:D, i] @ t + base[D, i]`` plus what the blocks add of the outputs of earlier nodes.

    Parameters
    ----------
    node : array of int64, shape (L, 19)
    block : array of int64, shape (blocks, 4)
    data : array of float64
    links : array of int64
    base : array of float64, shape (D + 2, pre-activations)
        The last row bounds the size of the terms that the constant part is a sum of.
    """

    node: Integers
    block: Integers
    data: Floats
    links: Integers
    base: Floats
