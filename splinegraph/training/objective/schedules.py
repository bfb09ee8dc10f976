"""Weights that change while training (Eq 85 of the paper): functions of the step."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from splinegraph.errors import SplineGraphError

__all__ = ["Constant", "Cosine", "Linear", "Step", "Weight", "from_json", "to_json", "value_at"]

Weight: TypeAlias = float | Callable[[int], float]
"""A number, or a function of the step that gives one."""


@dataclass(frozen=True)
class Constant:
    """The same value at every step.

    Parameters
    ----------
    value : float
    """

    value: float

    def __post_init__(self) -> None:
        _check_numbers(self)

    def __call__(self, step: int) -> float:
        """Return the value."""
        return self.value


@dataclass(frozen=True)
class _Ramp:
    start: float
    end: float
    steps: int
    after: int = 0

    def __post_init__(self) -> None:
        _check_numbers(self)
        if self.steps < 1 or self.after < 0:
            raise SplineGraphError(
                f"{type(self).__name__} over steps={self.steps} after={self.after}",
                remedy="steps counts at least 1 and after at least 0",
            )

    def _fraction(self, step: int) -> float:
        return min(1.0, max(0.0, (step - self.after) / self.steps))


@dataclass(frozen=True)
class Linear(_Ramp):
    """A straight line from one value to another.

    Parameters
    ----------
    start, end : float
        Before the ramp, and from its end on.
    steps : int
        Its length.
    after : int
        The step at which it begins.

    Examples
    --------
    >>> ramp = Linear(0.0, 1.0, steps=10, after=5)
    >>> ramp(0), ramp(10), ramp(100)
    (0.0, 0.5, 1.0)
    """

    def __call__(self, step: int) -> float:
        """Return the value at a step."""
        t = self._fraction(step)
        return (1 - t) * self.start + t * self.end  # not start + t (end - start), which can round past the end


@dataclass(frozen=True)
class Cosine(_Ramp):
    """Half a wave of the cosine from one value to another, flat at both ends.

    Parameters
    ----------
    start, end : float
        Before the ramp, and from its end on.
    steps : int
        Its length.
    after : int
        The step at which it begins.
    """

    def __call__(self, step: int) -> float:
        """Return the value at a step."""
        t = 0.5 - 0.5 * math.cos(math.pi * self._fraction(step))
        return (1 - t) * self.start + t * self.end


@dataclass(frozen=True)
class Step:
    """Values that change at given steps.

    Parameters
    ----------
    values : tuple of float
        One more than `at`.
    at : tuple of int
        The first step of each value after the first, in increasing order.

    Examples
    --------
    >>> Step((1.0, 0.1), at=(100,))(99), Step((1.0, 0.1), at=(100,))(100)
    (1.0, 0.1)
    """

    values: tuple[float, ...]
    at: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))  # JSON gives lists
        object.__setattr__(self, "at", tuple(self.at))
        _check_numbers(self)
        if len(self.values) != len(self.at) + 1 or any(a >= b for a, b in zip(self.at, self.at[1:], strict=False)):
            raise SplineGraphError(
                f"Step of values {self.values} at {self.at}",
                remedy="give one value more than steps, and the steps in increasing order",
            )

    def __call__(self, step: int) -> float:
        """Return the value at a step."""
        return self.values[bisect.bisect_right(self.at, step)]


_KINDS: dict[str, type[Constant | Linear | Cosine | Step]] = {
    "constant": Constant, "linear": Linear, "cosine": Cosine, "step": Step
}  # fmt: skip


def value_at(weight: Weight, step: int) -> float:
    """Return a weight at a step.

    Parameters
    ----------
    weight : float, or callable (step) -> float
    step : int
    """
    return weight(step) if callable(weight) else weight


def to_json(weight: Weight) -> float | dict[str, Any]:
    """Return a weight as JSON can hold it.

    Parameters
    ----------
    weight : float, Constant, Linear, Cosine or Step

    Raises
    ------
    SplineGraphError
        For any other function, which no file can hold.
    """
    for kind, schedule in _KINDS.items():
        if isinstance(weight, schedule):
            return {"kind": kind, **asdict(weight)}
    if callable(weight):
        raise SplineGraphError(
            f"the schedule {getattr(weight, '__name__', type(weight).__name__)!r} cannot be written to a file",
            why="it is a function of the user's", remedy=f"write it as one of {', '.join(_KINDS)}",
        )  # fmt: skip
    return weight


def from_json(value: Weight | Mapping[str, Any]) -> Weight:
    """Return the weight that `to_json` wrote; weights pass as they are.

    Parameters
    ----------
    value : float, callable, or dict
        ``{"kind": "linear", "start": 0, "end": 1, "steps": 100}``, say.
    """
    if not isinstance(value, Mapping):
        return value
    fields = dict(value)
    kind = fields.pop("kind", None)
    try:
        return _KINDS[kind](**fields)
    except (KeyError, TypeError) as error:
        raise SplineGraphError(
            f"no schedule is written {dict(value)}",
            why=f"unknown kind {kind!r}" if isinstance(error, KeyError) else str(error),
            remedy=f"give a number or one of {', '.join(_KINDS)} with its fields",
        ) from None


def _check_numbers(schedule: Constant | _Ramp | Step) -> None:
    for name, value in asdict(schedule).items():
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
                raise SplineGraphError(f"{type(schedule).__name__}({name}={value!r})", remedy="give finite numbers")
