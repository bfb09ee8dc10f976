"""Codes of faces in the layout of packed patterns."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.analyses.codes import Layer
from splinegraph.analyses.packing import Bytes, pack

__all__ = ["pack_places", "pack_words"]


def pack_words(words: NDArray[np.uint64], layer: Layer, first: int) -> Bytes:
    """Return the packed codes of faces; `words` say which breakpoints each unit is above, see `kernels.signs`.

    `first` is the code of a unit that is above none.
    """
    width = -(-layer.units // 64)
    size = -(-layer.units // 8)
    octets = words.view(np.uint8).reshape(len(words), -1, 8 * width)[:, :, :size]
    if octets.shape[1] == layer.bits == 1 and first == 0:
        return np.ascontiguousarray(octets[:, 0])
    above = np.unpackbits(octets, axis=2, count=layer.units).sum(axis=1, dtype=np.int32)
    return pack(torch.from_numpy(above + first), layer.bits)


def pack_places(places: NDArray[np.int16], layer: Layer) -> Bytes:
    """Return the packed codes of faces from those of their units, shape (F, units)."""
    return pack(torch.from_numpy(places), layer.bits)
