"""`torch.compile` that fails, in one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from splinegraph.errors import SplineGraphError

__all__ = ["compiling"]


@contextlib.contextmanager
def compiling(active: bool, *, retained: bool) -> Iterator[None]:
    """Say in one line what hinders `torch.compile` in a block, which it may at every first call.

    Parameters
    ----------
    active : bool
        Whether anything is compiled.
    retained : bool
        Whether gradients are taken more than once through one forward pass.

    Raises
    ------
    SplineGraphError
    """
    if not active:
        yield
        return
    from torch._dynamo.exc import TorchDynamoException  # imports the compiler
    from torch._functorch import config

    try:
        with config.patch(donated_buffer=config.donated_buffer and not retained):
            yield
    except TorchDynamoException as error:
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        remedy = "train without compile; on a CPU it takes a C++ compiler, g++ say, or what CXX names"
        raise SplineGraphError("torch.compile fails", why=why, remedy=remedy) from error
