"""How worker processes start: as copies of this process where that is safe, otherwise from a server that is clean."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from multiprocessing import spawn
from typing import Any

__all__ = ["context", "prepare", "started"]

PRELOADED = ["splinegraph.analyses.regions.scale.preloaded"]
"""What the server that workers are forked from imports."""

_prepared = False


def context() -> Any:
    """Return the start method: fork, if safe, which takes milliseconds; else forkserver, else spawn.

    Notes
    -----
    A copy of a process is safe if no lock can be held in it that nobody will release. So this thread has to be the
    only one of Python; those of OpenMP wait for work and hold none that a worker takes: it computes by compiled code
    that has none. torch's DataLoader forks under the same conditions, and then even calls torch. Where CUDA is in
    use, other systems than Linux, and users who chose another start method of `multiprocessing` get no copies.
    """
    methods = multiprocessing.get_all_start_methods()
    if _copies():
        return multiprocessing.get_context("fork")
    if "forkserver" not in methods:
        return multiprocessing.get_context("spawn")
    served = multiprocessing.get_context("forkserver")
    served.set_forkserver_preload(PRELOADED)
    return served


def _copies() -> bool:
    torch = sys.modules.get("torch")
    return (
        sys.platform == "linux"
        and not _prepared
        and threading.active_count() == 1
        and multiprocessing.get_start_method(allow_none=True) in (None, "fork")
        and not (torch is not None and torch.cuda.is_initialized())
    )


def prepare() -> None:
    """Start the server that workers are forked from, where there is one; it imports what they need meanwhile.

    For a process that begins: later a copy of it starts sooner.
    """
    global _prepared
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return
    from multiprocessing import forkserver

    _prepared = True
    context()
    with contextlib.suppress(OSError):
        forkserver.ensure_running()


@contextlib.contextmanager
def started(*, copied: bool) -> Iterator[None]:
    """Hide from a process that is started in this block what it should not see of this one."""
    with _deaf() if copied else _without_main():
        yield


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Keep interrupts from a copy until it can ignore them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of threads; see `context`
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_HIDING = threading.Lock()


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Hide where the main module is from a process that this thread starts: it would import it, so run a script again.

    A start may take seconds; meanwhile the main module itself stays as it is, for the script goes on.
    """
    mine = threading.get_ident()
    with _HIDING:
        told = spawn.get_preparation_data

        def tell(name: str) -> dict[str, Any]:
            data = told(name)
            if threading.get_ident() != mine:  # processes of others are their affair
                return data
            return {key: value for key, value in data.items() if not key.startswith("init_main_")}

        spawn.get_preparation_data = tell
        try:
            yield
        finally:
            spawn.get_preparation_data = told
