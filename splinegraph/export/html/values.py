"""Numbers as a page writes them."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["MISSING", "count", "number", "percent", "shape"]

MISSING = "–"
"""What stands for a number that is not known."""


def number(value: Any, digits: int = 4) -> str:
    """Return a number in some significant digits; the page's scripts write them alike.

    Examples
    --------
    >>> number(510.78998), number(1234567), number(3.55e-15), number(None)
    ('510.8', '1,234,567', '3.55e-15', '–')
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return MISSING
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if 1e-4 <= abs(value) < 1e6:
        return f"{float(f'{value:.{digits}g}'):,.{digits + 3}f}".rstrip("0").rstrip(".")
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}e{int(exponent)}"


def percent(value: Any, digits: int = 3) -> str:
    """Return a share in percent; 100 % and 0 % only if it is all or none.

    Examples
    --------
    >>> percent(0.9944), percent(0.99999), percent(1.0), percent(None)
    ('99.4 %', '> 99.9 %', '100 %', '–')
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return MISSING
    if 0.999 < value < 1:
        return "> 99.9 %"
    if 0 < value < 0.0001:
        return "< 0.01 %"
    return f"{100 * value:.{digits}g} %"


def count(value: Any, noun: str) -> str:
    """Return '1 unit', '2,000 units', '2 branches'; '–' if it is not known."""
    ending = "" if value == 1 else "es" if noun.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{number(value)} {noun}{ending}"


def shape(sizes: Any) -> str:
    """Return '1×8×8'; 'scalar' for no axes."""
    return "×".join(map(str, sizes)) or "scalar" if isinstance(sizes, (list, tuple)) else MISSING
