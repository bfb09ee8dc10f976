"""Finding cells by their codes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.packing import Bytes

__all__ = ["CodeIndex"]


class CodeIndex:
    """Rows of packed codes by their content; the first of equal ones is found.

    Notes
    -----
    One dictionary of byte strings: exact, about 150 bytes a cell.
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


def _bytes(packed: Bytes) -> list[bytes]:
    width = packed.shape[1]
    raw = np.ascontiguousarray(packed).tobytes()
    return [raw[i * width : (i + 1) * width] for i in range(len(packed))]
