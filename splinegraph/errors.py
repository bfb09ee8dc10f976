"""Every error that splinegraph raises on purpose.

::

    SplineGraphError
    ├── TraceError                  a model could not be turned into a graph
    │   ├── TrainingModeError       it is in training mode
    │   ├── EquivalenceError        the graph and the model disagree
    │   └── BatchError              it mixes the samples of a batch
    ├── UnsupportedOperatorError    a node cannot answer what an analysis asks of it
    ├── NotConvexError              a network is not convex where that is needed; it holds the witnesses
    ├── ParameterError              NaN or infinite weights
    ├── ShapeError                  a tensor has the wrong shape, dtype or batch size
    ├── DomainError                 an empty, reversed or NaN domain
    ├── TargetError                 a file or attribute that holds no model
    ├── DataError                   a data file that cannot be read or does not fit
    └── MissingDependencyError      an optional package is not installed

A message is one line: what failed, where, why, and what to do about it.
"""

from __future__ import annotations

import re
from numbers import Integral

__all__ = [
    "BatchError",
    "DataError",
    "DomainError",
    "EquivalenceError",
    "MissingDependencyError",
    "NotConvexError",
    "ParameterError",
    "ShapeError",
    "SplineGraphError",
    "TargetError",
    "TraceError",
    "TrainingModeError",
    "UnsupportedOperatorError",
    "one_line",
    "require_seed",
    "require_whole",
]


TARGET = "splinegraph_target_"
"""How the modules begin that user files are executed as: this, the file's name, a number."""

_TARGET = re.compile(rf"{TARGET}(\w+)_\d+\b")


def one_line(text: str) -> str:
    """Return a text on one line, with control characters (of a file's name, say) written as escapes.

    Modules of user files go by the file's name.
    """
    flat = _TARGET.sub(r"\1", " ".join(text.split()))
    return flat if flat.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in flat)


class SplineGraphError(Exception):
    """Base of all errors of this package.

    Parameters
    ----------
    what : str
        What failed.
    where : str, optional
        Node, module path and source line.
    why : str, optional
        The cause.
    remedy : str, optional
        What to do about it.
    """

    def __init__(self, what: str, *, where: str = "", why: str = "", remedy: str = "") -> None:
        self.what, self.where, self.why, self.remedy = what, where, why, remedy
        message = what
        if where:
            message += f" at {where}"
        if why:
            message += f": {why}"
        if remedy:
            message += f"; {remedy}"
        super().__init__(one_line(message))


class TraceError(SplineGraphError):
    """A model could not be turned into a graph."""


class TrainingModeError(TraceError):
    """A model is in training mode, where dropout and batch statistics make it no fixed function."""


class EquivalenceError(TraceError):
    """The traced graph and the model give different outputs."""


class BatchError(TraceError):
    """A model mixes the samples of a batch, so it is no function of one sample."""


class UnsupportedOperatorError(SplineGraphError):
    """A node cannot answer what an analysis asks of it."""


class NotConvexError(SplineGraphError):
    """A network is neither convex nor concave where that is needed.

    Parameters
    ----------
    what, where, why, remedy : str
        As in `SplineGraphError`.
    witnesses : tuple
        Pairs of points whose chords prove it; empty if it is only not proved to be convex.
    """

    def __init__(
        self, what: str, *, where: str = "", why: str = "", remedy: str = "", witnesses: tuple[object, ...] = ()
    ) -> None:
        super().__init__(what, where=where, why=why, remedy=remedy)
        self.witnesses = witnesses


class ParameterError(SplineGraphError):
    """A model holds NaN or infinite weights."""


class ShapeError(SplineGraphError, ValueError):
    """A tensor has the wrong shape, dtype or batch size."""


class DomainError(SplineGraphError, ValueError):
    """A domain is empty, reversed or holds NaN."""


class TargetError(SplineGraphError):
    """A file or attribute holds no model."""


class DataError(SplineGraphError):
    """A data file cannot be read or does not fit the model."""


class MissingDependencyError(SplineGraphError, ImportError):
    """An optional package is not installed."""


def require_whole(name: str, number: object, least: int = 1) -> None:
    """Refuse what is no whole number, or one that is too small.

    Raises
    ------
    SplineGraphError
    """
    if not isinstance(number, Integral) or isinstance(number, bool) or int(number) < least:
        raise SplineGraphError(f"{name} is {number!r}", remedy=f"give a whole number, at least {least}")


MOST_SEED = 2**63 - 1
"""What generators of torch and of numpy both take."""


def require_seed(seed: int) -> int:
    """Refuse what starts no generator of random numbers; return the seed as a plain integer.

    Raises
    ------
    SplineGraphError
    """
    require_whole("seed", seed, 0)
    if seed > MOST_SEED:
        raise SplineGraphError(f"seed is {seed!r}", remedy=f"give a whole number, at most {MOST_SEED}")
    return int(seed)
