"""Which units two cells differ on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.codes import Layer
from splinegraph.analyses.packing import Bytes

__all__ = ["flip_texts", "flips"]

ROWS = 2**16
"""Pairs of codes compared at a time."""


def flips(layers: Sequence[Layer], a: Bytes, b: Bytes) -> Iterator[tuple[Layer, NDArray[np.int64], NDArray[np.int64]]]:
    """Yield for every layer the (row, unit) where the codes `a` and `b`, both (N, bytes), differ."""
    for layer in layers:
        width = -(-layer.units // 8)
        xor = a[:, layer.start : layer.stop] ^ b[:, layer.start : layer.stop]
        if layer.bits > 1:
            xor = np.bitwise_or.reduce(xor.reshape(len(xor), layer.bits, width), axis=1)
        row, byte = np.nonzero(xor)
        bits = np.unpackbits(xor[row, byte][:, None], axis=1)
        entry, bit = np.nonzero(bits)
        yield layer, row[entry].astype(np.int64), (8 * byte[entry] + bit).astype(np.int64)


def flip_texts(layers: Sequence[Layer], a: Bytes, b: Bytes) -> tuple[list[str], list[str], NDArray[np.int64]]:
    """Return per pair of codes the nodes that differ, the units as 'relu[3] relu_1[0]', and how many there are."""
    nodes, units = [""] * len(a), [""] * len(a)
    count = np.zeros(len(a), dtype=np.int64)
    for start in range(0, len(a), ROWS):
        part = slice(start, start + ROWS)
        for layer, rows, flipped in flips(layers, a[part], b[part]):
            np.add.at(count, rows + start, 1)
            for row, unit in zip((rows + start).tolist(), flipped.tolist(), strict=True):
                units[row] += f" {layer.name}[{unit}]"
            for row in np.unique(rows + start).tolist():
                nodes[row] += f" {layer.name}"
    return [text[1:] for text in nodes], [text[1:] for text in units], count
