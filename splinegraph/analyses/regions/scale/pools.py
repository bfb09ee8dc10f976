"""Workers behind one interface, submit and wait."""

from __future__ import annotations

import abc

from splinegraph.analyses.regions.scale.work import Bundle, Run, Runner, perform

__all__ = ["Died", "Here", "Outcome", "Pool"]


class Died(Exception):
    """A worker died while it ran a bundle."""


Outcome = tuple[int, "list[Run] | Exception"]
"""The number that `submit` gave, and the result, or what went wrong: `Died` if the worker is no more."""


class Pool(abc.ABC):
    """Workers that bundles are given to."""

    workers: int

    @property
    @abc.abstractmethod
    def free(self) -> int:
        """How many bundles can be submitted now."""

    @abc.abstractmethod
    def submit(self, bundle: Bundle) -> int:
        """Give a bundle to a worker; returns a number that is not given again."""

    @abc.abstractmethod
    def wait(self, seconds: float) -> list[Outcome]:
        """Return what is done since, waiting for something at most so long."""

    @abc.abstractmethod
    def close(self, *, kill: bool = False) -> None:
        """End the workers, at once or when their work is done."""


class Here(Pool):
    """No process of its own: bundles run in `wait`."""

    workers = 1

    def __init__(self, runner: Runner) -> None:
        self._runner, self._number = runner, -1
        self._bundle: Bundle | None = None

    @property
    def free(self) -> int:
        return int(self._bundle is None)

    def submit(self, bundle: Bundle) -> int:
        self._bundle, self._number = bundle, self._number + 1
        return self._number

    def wait(self, seconds: float) -> list[Outcome]:
        if self._bundle is None:
            return []
        bundle, self._bundle = self._bundle, None
        return [(self._number, perform(self._runner, bundle))]

    def close(self, *, kill: bool = False) -> None:
        self._bundle = None
