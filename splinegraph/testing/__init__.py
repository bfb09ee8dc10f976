"""The conformance laws of operators, for our own and for third-party ones.

Describe an operator by a `Sample` and call `check_operator`: every law that applies to it is checked on
random points, on points with many ties, and on boxes that touch breakpoints or are infinite.

>>> import torch
>>> from splinegraph.operators.elementwise import ReLU
>>> check_operator(Sample(ReLU(), ((2, 5),), torch.relu))
"""

from __future__ import annotations

from collections.abc import Callable

from splinegraph.testing import cells, facts, identity, pieces
from splinegraph.testing.sample import Sample

__all__ = ["LAWS", "Sample", "check_operator"]

LAWS: tuple[Callable[[Sample], None], ...] = tuple(
    law for module in (identity, pieces, cells, facts) for name, law in vars(module).items() if name[:4] == "law_"
)


def check_operator(sample: Sample) -> None:
    """Check all laws but those that the sample skips.

    Raises
    ------
    AssertionError
        From the first law that is broken, with a note that names it.
    """
    for law in LAWS:
        if law.__name__ not in sample.skips:
            try:
                law(sample)
            except Exception as error:
                error.add_note(f"{law.__name__} of {sample.label}")
                raise
