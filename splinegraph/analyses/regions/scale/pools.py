"""Workers behind one interface, submit and wait: this process, or processes of their own."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from splinegraph.analyses.regions.scale.work import Bundle, Run, Runner, perform
from splinegraph.errors import SplineGraphError

__all__ = ["Died", "Here", "Outcome", "Pool", "Processes", "prepare"]

QUEUED = 2
"""Bundles given to a worker at a time: the next one waits there when one is done."""

STARTING, YIELD = 1000, 0.005
"""While no worker has started: cells at a time in this process, and seconds left to other threads in between."""

IMPORTED = "splinegraph.analyses.regions.scale.pools"
"""What the server that workers are forked from imports, beside what the runner needs."""


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


# processes

_HELD: dict[str, Runner] = {}
"""In a worker: what it runs."""


def _begin(pickled: bytes) -> None:
    """Set up a worker: an interrupt is the parent's affair, and it does not outlive its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)  # one core per worker
    _HELD["runner"] = pickle.loads(pickled)


def _follow(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _hello() -> int:
    return os.getpid()


def _work(bundle: Bundle) -> list[Run]:
    return perform(_HELD["runner"], bundle)


def _context(modules: Sequence[str] = ()) -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([IMPORTED, *modules])
    return context


def prepare(modules: Sequence[str] = ()) -> None:
    """Start the server that workers are forked from, where there is one; it imports modules in the background.

    Takes no time itself: what is done until the workers are needed goes on beside it.
    """
    context = _context(modules)
    if context.get_start_method() == "forkserver":
        from multiprocessing import forkserver

        with contextlib.suppress(OSError):
            forkserver.ensure_running()


_HIDING = threading.Lock()


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide where the main module comes from: a process started meanwhile would import it, and so run a script again."""
    held = vars(sys.modules["__main__"])
    with _HIDING:
        hidden: dict[str, Any] = {name: held.pop(name) for name in ("__file__", "__spec__") if name in held}
        held["__spec__"] = None
        try:
            yield
        finally:
            held.pop("__spec__", None)
            held.update(hidden)


class _Slot:
    """One worker process, with its queue of bundles in the order given."""

    def __init__(self, pickled: bytes, context: Any) -> None:
        self._pickled, self._context = pickled, context
        self.queue: deque[tuple[int, Bundle, Future[list[Run]]]] = deque()
        self.start()

    def start(self) -> None:
        self.executor = ProcessPoolExecutor(1, self._context, _begin, (self._pickled,))
        with _without_main():
            self.hello: Future[int] = self.executor.submit(_hello)  # starts the process

    def submit(self, number: int, bundle: Bundle) -> None:
        try:
            future = self.executor.submit(_work, bundle)
        except BrokenProcessPool as error:
            future = Future()
            future.set_exception(error)
        self.queue.append((number, bundle, future))

    def restart(self) -> None:
        """Put a new process in place of a dead one, and give it what waited in the queue."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.start()
        waiting, self.queue = self.queue, deque()
        for number, bundle, _ in waiting:
            self.submit(number, bundle)

    def kill(self) -> None:
        if self.hello.done() and self.hello.exception() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.hello.result(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)


class Processes(Pool):
    """Processes on this machine, each with an executor of its own, so that it is known which bundle killed which.

    Parameters
    ----------
    runner : Runner
        Pickled once, and sent to each.
    workers : int
    modules : sequence of str
        What to import before workers are forked.

    Notes
    -----
    The first bundles run in this process, as long as no worker has started. Processes start by forkserver, where
    there is one, otherwise by spawn; they do not import the script that runs, so it needs no guard.
    """

    def __init__(self, runner: Runner, workers: int, modules: Sequence[str] = ()) -> None:
        self.workers = workers
        self._runner = runner
        self._number = -1
        self._here: list[tuple[int, Bundle]] = []
        context, pickled = _context(modules), pickle.dumps(runner, protocol=pickle.HIGHEST_PROTOCOL)
        self._slots = [_Slot(pickled, context) for _ in range(workers)]
        self._begun = False  # whether a worker ever came up

    def _ready(self) -> list[_Slot]:
        found = [slot for slot in self._slots if slot.hello.done() and slot.hello.exception() is None]
        self._begun = self._begun or bool(found)
        return found

    @property
    def free(self) -> int:
        ready = self._ready()
        if not ready:
            return 1 - len(self._here)
        return sum(max(0, QUEUED - len(slot.queue)) for slot in ready)

    def submit(self, bundle: Bundle) -> int:
        self._number += 1
        ready = self._ready()
        if ready:
            min(ready, key=lambda slot: len(slot.queue)).submit(self._number, bundle)
        else:
            self._here.append((self._number, bundle))
        return self._number

    def wait(self, seconds: float) -> list[Outcome]:
        if self._here:
            number, bundle = self._here.pop()
            found = perform(self._runner, dataclasses.replace(bundle, limit=min(bundle.limit, STARTING)))
            # compiled code holds the interpreter: the threads that start the workers get their turn here
            wait([slot.hello for slot in self._slots], YIELD, FIRST_COMPLETED)
            self._check_started()
            return [(number, found)]
        futures: list[Future[Any]] = [future for slot in self._slots for _, _, future in slot.queue]
        futures += [slot.hello for slot in self._slots if not slot.hello.done()]
        if futures:
            wait(futures, seconds, FIRST_COMPLETED)
        self._check_started()
        return [outcome for slot in self._slots for outcome in _collect(slot)]

    def _check_started(self) -> None:
        """Complain if workers die before they come up."""
        for slot in self._slots:
            error = slot.hello.exception() if slot.hello.done() else None
            if error is None:
                continue
            if not self._begun and not self._ready():
                self.close(kill=True)
                raise SplineGraphError(
                    "the worker processes do not start", why=str(error) or type(error).__name__,
                    remedy="use one worker",
                ) from error  # fmt: skip
            slot.restart()

    def close(self, *, kill: bool = False) -> None:
        for slot in self._slots:
            if kill:
                slot.kill()
            slot.executor.shutdown(wait=False, cancel_futures=True)


def _collect(slot: _Slot) -> list[Outcome]:
    """Return what a worker has done; if it died, its first bundle is lost and a new one takes over the others."""
    found: list[Outcome] = []
    while slot.queue and slot.queue[0][2].done():
        number, _, future = slot.queue.popleft()
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            found.append((number, Died(str(error))))
            slot.restart()
            break
        found.append((number, error if isinstance(error, Exception) else future.result()))
    return found
