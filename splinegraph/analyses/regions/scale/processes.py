"""Workers that are processes on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import pickle
import threading
from multiprocessing import connection
from typing import Any

from splinegraph.analyses.regions.scale.pools import Died, Outcome, Pool
from splinegraph.analyses.regions.scale.starting import context, started
from splinegraph.analyses.regions.scale.work import Bundle, Run, Runner, perform
from splinegraph.analyses.regions.scale.worker import serve
from splinegraph.errors import SplineGraphError

__all__ = ["Processes"]

MEANWHILE = 4000
"""Cells at a time in this process, while no worker has started."""

STILLBORN = 3
"""So many processes in a row that die before they are ready say that none will come up."""

GONE = 1.0
"""Seconds that a process gets to end once its connection is closed."""


class Processes(Pool):
    """Processes on this machine, each with a connection of its own, so that it is known which bundle killed which.

    Parameters
    ----------
    runner : Runner
    workers : int

    Notes
    -----
    Where processes start slowly, which goes on in the background, the first bundles run in this one. They do not
    import the script that runs, so it needs no guard. A process has one bundle at a time: two ends that both send
    would wait for each other.
    """

    def __init__(self, runner: Runner, workers: int) -> None:
        self.workers = workers
        self._runner, self._pickled = runner, b""
        self._number = -1
        self._here: tuple[int, Bundle] | None = None
        self._begun, self._stillborn = False, 0  # whether a worker ever came up
        first = self._slot()
        if first.copied:
            first.start()
            self._slots = [first, *(self._started() for _ in range(workers - 1))]
        else:
            self._slots = [first, *(self._slot() for _ in range(workers - 1))]
            threading.Thread(target=_start, args=(list(self._slots),), daemon=True).start()

    def _slot(self) -> _Slot:
        how = context()
        if how.get_start_method() == "fork":
            return _Slot(self._runner, how)
        self._pickled = self._pickled or pickle.dumps(self._runner, protocol=pickle.HIGHEST_PROTOCOL)
        return _Slot(self._pickled, how)

    def _started(self) -> _Slot:
        """Return a slot whose process is started before another connection is made, of which it would get a copy."""
        slot = self._slot()
        slot.start()
        return slot

    @property
    def free(self) -> int:
        if not self._begun:
            return int(self._here is None)
        return sum(slot.idle for slot in self._slots)

    def submit(self, bundle: Bundle) -> int:
        self._number += 1
        if self._begun:
            next(slot for slot in self._slots if slot.idle).submit(self._number, bundle)
        else:
            self._here = self._number, bundle
        return self._number

    def wait(self, seconds: float) -> list[Outcome]:
        if self._here is None:
            return self._answers(seconds)
        (number, bundle), self._here = self._here, None
        found = perform(self._runner, dataclasses.replace(bundle, limit=min(bundle.limit, MEANWHILE)))
        return [(number, found), *self._answers(0.0)]

    def _answers(self, seconds: float) -> list[Outcome]:
        found: list[Outcome] = []
        slots = {slot.connection: slot for slot in self._slots}
        for ready in connection.wait(list(slots), seconds):
            slot = slots[ready]
            try:
                answer = slot.receive()
            except EOFError:
                found += self._bury(slot)
                continue
            if slot.job is not None:
                assert answer is not None
                found.append((slot.job, answer))
                slot.job = None
            elif answer is None:
                slot.ready = self._begun = True
                self._stillborn = 0
            else:
                slot.refused = answer if isinstance(answer, Exception) else None
        return found

    def _bury(self, slot: _Slot) -> list[Outcome]:
        """Put a new process in place of a dead one; return the bundle that is lost."""
        slot.close(kill=True)
        self._stillborn += not slot.ready
        if not slot.ready and (not self._begun or self._stillborn >= STILLBORN):
            self.close(kill=True)
            why = "they end at once" if slot.refused is None else str(slot.refused)
            raise SplineGraphError(
                "the worker processes do not start", why=why, remedy="use one worker"
            ) from slot.refused  # fmt: skip
        self._slots[self._slots.index(slot)] = self._started()
        return [] if slot.job is None else [(slot.job, Died("its connection ended"))]

    def close(self, *, kill: bool = False) -> None:
        for slot in self._slots:
            slot.close(kill=kill)
        for slot in self._slots:
            slot.join()


class _Slot:
    """One worker process, and what it does."""

    def __init__(self, held: Runner | bytes, how: Any) -> None:
        self._held, self._context = held, how
        self.copied = how.get_start_method() == "fork"
        self.connection, self._theirs = how.Pipe()
        self._process: Any = None
        self._closed = self.ready = False
        self.job: int | None = None
        self.refused: Exception | None = None

    @property
    def idle(self) -> bool:
        """Whether it waits for a bundle."""
        return self.ready and self.job is None

    def start(self) -> None:
        """Start the process; takes as long as the server of processes may need to start itself."""
        try:
            if not self._closed:
                process = self._context.Process(target=serve, args=(self._theirs, self._held), daemon=True)
                with started(copied=self.copied):
                    process.start()
                self._process = process
        except Exception as error:  # noqa: BLE001  # told where the end of the connection is met
            self.refused = error
        self._theirs.close()

    def submit(self, number: int, bundle: Bundle) -> None:
        self.job = number
        with contextlib.suppress(OSError):  # if it is dead, the end of the connection tells
            self._send(bundle)

    def receive(self) -> list[Run] | Exception | None:
        """Return what the process says, None if it is ready; raise EOFError if it is no more."""
        try:
            said: list[Run] | Exception | None = pickle.loads(self.connection.recv_bytes())
        except OSError as error:
            raise EOFError from error
        return said

    def close(self, *, kill: bool) -> None:
        """End the process, at once or when it is idle."""
        self._closed = True
        if self._process is not None and (kill or not self.idle):
            self._process.kill()
        elif self.idle:
            with contextlib.suppress(OSError):
                self._send(None)
        self.connection.close()

    def join(self) -> None:
        """Wait until a closed process is gone: nobody else would ask for its exit code."""
        if self._process is not None:
            self._process.join(GONE)

    def _send(self, message: Bundle | None) -> None:
        self.connection.send_bytes(pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL))


def _start(slots: list[_Slot]) -> None:
    for slot in slots:
        slot.start()
