"""Margins for the rounding of sums in float64."""

from __future__ import annotations

__all__ = ["roundoff"]

UNIT = 2.0**-53
"""Half the distance from 1 to the next float64."""


def roundoff(terms: int) -> float:
    """Return a bound of the relative error of a sum of products, in any order: of the sum of the products' sizes.

    The textbook's k u / (1 - k u) for k roundings, with a factor 2 and some more terms for the sums around it.

    References
    ----------
    .. [1] N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., 2002, section 3.1.
    """
    return 2 * (terms + 16) * UNIT
