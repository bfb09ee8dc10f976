"""Out of memory: which batch would have fitted."""

from __future__ import annotations

import gc
from collections.abc import Callable

import torch

from splinegraph.errors import SplineGraphError

__all__ = ["is_out_of_memory", "too_large"]


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory was short, on a GPU or on the CPU."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and "allocate memory" in str(error)
    )


def too_large(
    attempt: Callable[[int, int], object],
    labelled: int,
    unlabelled: int,
    *,
    step: int,
    device: torch.device,
    why: str,
) -> SplineGraphError:
    """Return the error that says which batches fit, after trying halves of them until one step works.

    Parameters
    ----------
    attempt : callable
        Takes a step with so many labelled and unlabelled rows, or runs out of memory.
    labelled, unlabelled : int
        What did not fit.
    why : str
        What the error said. Not the error itself: its frames hold on to the memory.
    """
    what, where = f"out of memory with {_rows(labelled, unlabelled)}", f"step {step} on {device}"
    while max(labelled, unlabelled) > 1:
        labelled, unlabelled = (max(n // 2, min(n, 1)) for n in (labelled, unlabelled))
        if device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()
        try:
            attempt(labelled, unlabelled)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            continue
        remedy = f"{_rows(labelled, unlabelled)} fit: set labelled_batch={labelled}"
        remedy += f", unlabelled_batch={unlabelled}" if unlabelled else ""
        return SplineGraphError(what, where=where, why=why, remedy=remedy)
    return SplineGraphError(what, where=where, why=f"{why}; not even one row fits", remedy="take a smaller network")


def _rows(labelled: int, unlabelled: int) -> str:
    return f"{labelled} labelled and {unlabelled} unlabelled rows"
