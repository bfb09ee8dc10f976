"""What the sections of a report have in common."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["LISTED", "Check", "Failed", "Section", "jsonable", "plural"]

LISTED = 1000
"""Longest list of indices that a section holds; its counts are always complete."""


def jsonable(value: Any) -> Any:
    """Return `value` as plain JSON types; a number that is not finite becomes None.

    Examples
    --------
    >>> jsonable({"shape": (2, 3), "bound": float("inf")})
    {'shape': [2, 3], 'bound': None}
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [jsonable(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    raise TypeError(f"a report holds plain values only, not a {type(value).__name__}")


def plural(count: int, noun: str) -> str:
    """Return '1 unit', '2 units', '2 branches'."""
    ending = "" if count == 1 else "es" if noun.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{count} {noun}{ending}"


class Section(abc.ABC):
    """One part of a report. Subclasses are frozen dataclasses of plain values."""

    @property
    @abc.abstractmethod
    def headline(self) -> str:
        """The finding in one line."""

    def to_dict(self) -> dict[str, Any]:
        """Return the headline and all fields, JSON-safe."""
        return {"headline": self.headline, **jsonable(self)}

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.headline}>"


@dataclass(frozen=True)
class Check:
    """One thing that was checked, or was to be.

    Parameters
    ----------
    name : str
        What is claimed, in a few words.
    part : str
        The section whose numbers rest on it, or 'trace'.
    passed : bool or None
        None if it was not run.
    detail : str
        What was looked at and found, or why it was not run.
    tolerance : float or None
        What was allowed; None where nothing is rounded.
    difference : float or None
        What was found, in the same measure.
    """

    name: str
    part: str
    passed: bool | None
    detail: str
    tolerance: float | None = None
    difference: float | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Failed(Section):
    """In place of a section that could not be made.

    Parameters
    ----------
    error : str
        Type of the exception.
    message : str
    """

    error: str
    message: str

    @property
    def headline(self) -> str:
        return f"failed: {self.message}"
