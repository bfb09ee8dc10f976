"""What a worker process does: it runs the bundles that come through a connection, one at a time."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from typing import Any

from splinegraph.analyses.regions.scale.work import Runner, perform
from splinegraph.errors import SplineGraphError

__all__ = ["serve"]


def serve(connection: Connection, held: Runner | bytes) -> None:
    """Answer None when ready, then each bundle with its runs or the error that came of it; does not return.

    Parameters
    ----------
    connection : Connection
    held : Runner or bytes
        The runner; pickled, unless the process is a copy of the one that has it.
    """
    _settle()
    with contextlib.suppress(EOFError, OSError):  # the other end is closed
        _work(connection, held)
    os._exit(0)


def _work(connection: Connection, held: Runner | bytes) -> None:
    try:
        runner: Runner = pickle.loads(held) if isinstance(held, bytes) else held
    except Exception as error:  # noqa: BLE001  # the other end tells, whatever it is
        _answer(connection, error)
        os._exit(1)
    _answer(connection, None)
    while (bundle := pickle.loads(connection.recv_bytes())) is not None:
        try:
            result: Any = perform(runner, bundle)
        except Exception as error:  # noqa: BLE001  # as above
            result = error
        _answer(connection, result)


def _settle() -> None:
    """Make the process a worker: it leaves alone what it may have inherited, and ends with its parent."""
    gc.freeze()  # a copy must not finalize the objects of the original
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's affair
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)  # one core per worker
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _answer(connection: Connection, result: Any) -> None:
    if isinstance(result, Exception):
        result.add_note(f"In a worker process:\n{''.join(traceback.format_exception(result))}")
        try:
            pickle.loads(pickle.dumps(result))
        except Exception:  # noqa: BLE001  # errors of other packages need not survive pickling
            result = SplineGraphError("a worker failed", why=f"{type(result).__name__}: {result}")
    connection.send_bytes(pickle.dumps(result, protocol=pickle.HIGHEST_PROTOCOL))
