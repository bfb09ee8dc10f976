"""Workers of a Ray cluster, behind the same interface as processes."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from splinegraph.analyses.regions.scale.pools import Died, Outcome, Pool
from splinegraph.analyses.regions.scale.work import Bundle, Run, Runner, perform
from splinegraph.errors import MissingDependencyError, SplineGraphError

__all__ = ["RayPool"]

QUEUED = 2
"""Bundles given to a worker at a time: the next one waits there when one is done."""

START_WAIT = "RAY_raylet_start_wait_time_s"
"""How long Ray waits for its own processes: a loaded machine takes more than its default."""


def _work(runner: Runner, bundle: Bundle) -> list[Run]:
    return perform(runner, bundle)


class RayPool(Pool):
    """Tasks of Ray, one core each, on the cluster that the environment names, else on this machine.

    Parameters
    ----------
    runner : Runner
        Put in Ray's object store once.
    workers : int or None
        How many run at a time. Default: one per core of the cluster.

    Raises
    ------
    MissingDependencyError
        If Ray is not installed.
    SplineGraphError
        If it does not start.
    """

    def __init__(self, runner: Runner, workers: int | None = None) -> None:
        self._ray = _import()
        self._mine = not self._ray.is_initialized()
        if self._mine:
            _start(self._ray, workers)
        cores = int(self._ray.cluster_resources().get("CPU", 1))
        self.workers = cores if workers is None else workers
        self._runner = self._ray.put(runner)
        # a bundle that killed its worker is given again by whoever counts how often
        self._work = self._ray.remote(num_cpus=1, max_retries=0)(_work)
        self._number = -1
        self._running: dict[Any, int] = {}

    @property
    def free(self) -> int:
        return max(0, QUEUED * self.workers - len(self._running))

    def submit(self, bundle: Bundle) -> int:
        self._number += 1
        self._running[self._work.remote(self._runner, bundle)] = self._number
        return self._number

    def wait(self, seconds: float) -> list[Outcome]:
        if not self._running:
            return []
        waiting = list(self._running)
        self._ray.wait(waiting, num_returns=1, timeout=seconds)
        done, _ = self._ray.wait(waiting, num_returns=len(waiting), timeout=0)
        return [(self._running.pop(ref), self._result(ref)) for ref in done]

    def _result(self, ref: Any) -> list[Run] | Exception:
        errors = self._ray.exceptions
        try:
            found: list[Run] = self._ray.get(ref)
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.ObjectLostError, errors.OutOfMemoryError) as e:
            return Died(str(e).splitlines()[0])
        except errors.RayTaskError as error:
            cause = error.cause
            return cause if isinstance(cause, Exception) else error
        return found

    def close(self, *, kill: bool = False) -> None:
        for ref in self._running:
            with contextlib.suppress(Exception):  # it may be done by now
                self._ray.cancel(ref, force=kill)
        self._running = {}
        if self._mine:
            self._ray.shutdown()


def _import() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise MissingDependencyError(
            "the engine 'ray' needs Ray", why=str(error), remedy='pip install "splinegraph[ray]"'
        ) from error
    return ray


def _start(ray: Any, workers: int | None) -> None:
    os.environ.setdefault(START_WAIT, "120")
    there = bool(os.environ.get("RAY_ADDRESS"))
    local = {} if there else {"num_cpus": workers, "include_dashboard": False}
    try:
        ray.init(log_to_driver=False, logging_level="error", configure_logging=False, **local)
    except Exception as error:  # Ray's own errors have no common base
        raise SplineGraphError("Ray does not start", why=str(error).splitlines()[0] if str(error) else "") from error
