"""Multipliers of the matrix inequality that a method found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Solution"]


@dataclass(frozen=True, eq=False)
class Solution:
    """Multipliers, and what they reach.

    Parameters
    ----------
    T : array of shape (n,)
    rho : float
        As far as floats tell; see `Inequality.certified`.
    gap : float
        The smallest rho is at most this much below, relative to it; nan or infinite if not known.
    steps : int
    method : str
        What ran.
    note : str
        Why it stopped early; empty if it did not.
    """

    T: NDArray[np.float64]
    rho: float
    gap: float
    steps: int
    method: str = "start"
    note: str = ""
