"""Finding cells by their codes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.packing import Bytes

__all__ = ["CodeIndex"]

BYTES = 2**26
"""Of codes that are copied at a time."""


class CodeIndex:
    """Rows of packed codes by their content; the first of equal ones is found.

    Notes
    -----
    One dictionary of byte strings: exact, about 150 bytes a cell and its code once more.
    """

    def __init__(self, packed: Bytes) -> None:
        self._rows: dict[bytes, int] = {}
        self.duplicates: list[int] = []
        for i, key in enumerate(_bytes(packed)):
            if self._rows.setdefault(key, i) != i:
                self.duplicates.append(i)

    def find(self, packed: Bytes) -> NDArray[np.int64]:
        """Return the row of each code, -1 where there is none, shape (N,)."""
        get = self._rows.get
        return np.fromiter((get(key, -1) for key in _bytes(packed)), np.int64, len(packed))


def _bytes(packed: Bytes) -> Iterator[bytes]:
    width = packed.shape[1]
    step = max(1, BYTES // max(width, 1))
    for start in range(0, len(packed), step):
        raw = np.ascontiguousarray(packed[start : start + step]).tobytes()
        for i in range(min(step, len(packed) - start)):
            yield raw[i * width : (i + 1) * width]
