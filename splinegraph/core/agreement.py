"""What was compared when a graph was traced: kept with it, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Agreement"]


@dataclass(frozen=True)
class Agreement:
    """One comparison that a trace made and that held.

    Parameters
    ----------
    what : {'model', 'batch'}
        'model': the graph against the model, on one batch. 'batch': the last sample of a batch alone against the
        same sample in the batch.
    batch : int
        Samples in the batch.
    dtype : str
        Arithmetic of both sides, such as 'float64'.
    difference : float
        Largest difference, relative to the largest value of the output.
    tolerance : float
        What was allowed.
    """

    what: str
    batch: int
    dtype: str
    difference: float
    tolerance: float
