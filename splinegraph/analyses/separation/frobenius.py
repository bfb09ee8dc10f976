"""What the linear parts A of one operator have in common: inner products and distances of all pairs of samples."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.codes import ActivationPattern, Layer
from splinegraph.core.graph import Node
from splinegraph.operators.base import PiecewiseElementwise, choose, exactly

__all__ = ["Pairs", "differing", "frobenius"]

Floats = NDArray[np.float64]
Pairs = NDArray[np.int32]

SELECTING = ("maximum", "order")
"""Families whose A has one entry 1 in each row, at the place that the code names."""

ENTRIES = 2**24
"""Most numbers of one block of a product."""


def differing(found: ActivationPattern, layer: Layer) -> Pairs:
    """Return on how many units two samples differ, shape (N, N), exact.

    N^2 units / 64 instructions on words; numbers of units fit in 31 bits.
    """
    from splinegraph.analyses.separation.kernels.popcount import differing_pairs

    rows = found.packed[:, layer.start : layer.stop].reshape(len(found), layer.bits, -1)
    samples, planes, width = rows.shape
    padded = np.zeros((samples + -samples % 4, planes, width + -width % 8), dtype=np.uint8)
    padded[:samples, :, :width] = rows
    out = np.empty((len(padded), len(padded)), dtype=np.int32)
    differing_pairs(padded.view(np.uint64), out)
    return out[:samples, :samples].copy() if len(out) != samples else out


def frobenius(
    node: Node, found: ActivationPattern, layer: Layer, hamming: Pairs
) -> tuple[Floats | None, Floats | None, float]:
    """Return <A1, A2>_F and ||A1 - A2||_F^2 of all pairs, and the largest that the second can be.

    None where the code says nothing of A: a condition that selects values, or a floor, say.
    """
    if node.op.family in SELECTING:
        return (layer.units - hamming).astype(np.float64), 2.0 * hamming.astype(np.float64), 2.0 * layer.units
    if not isinstance(node.op, PiecewiseElementwise):
        return None, None, float(layer.units)
    slopes = [exactly(slope).double() for slope in node.op.slopes]
    if len(slopes) == 2 and all(slope.numel() == 1 for slope in slopes):
        return _two_pieces(found, layer, hamming, *map(float, slopes))
    return _any_slopes(node, found, layer, hamming)


def _two_pieces(
    found: ActivationPattern, layer: Layer, hamming: Pairs, low: float, high: float
) -> tuple[Floats, Floats, float]:
    """Count units on which both, one or none of the samples are on the upper piece."""
    active = np.bitwise_count(found.packed[:, layer.start : layer.stop]).sum(1, dtype=np.int64)
    both = (active[:, None] + active - hamming) // 2
    none = layer.units - both - hamming
    similarity = high * high * both + low * low * none + high * low * hamming
    step = (high - low) ** 2
    return similarity.astype(np.float64), step * hamming.astype(np.float64), step * layer.units


def _any_slopes(node: Node, found: ActivationPattern, layer: Layer, hamming: Pairs) -> tuple[Floats, Floats, float]:
    """Multiply the slopes themselves, unit by unit."""
    gram, largest = np.zeros(hamming.shape), 0.0
    code = found.unpack(layer.name)
    table = torch.stack([_rows(node, torch.full_like(code[:1], p))[0] for p in range(layer.alphabet)])
    largest = float(((table.amax(0) - table.amin(0)) ** 2).sum())
    flat, step = code.reshape(len(code), -1).long(), max(1, ENTRIES // len(code))
    for start in range(0, layer.units, step):
        part = slice(start, start + step)
        block = table[:, part].gather(0, flat[:, part]).numpy()
        gram += block @ block.T
    gram = (gram + gram.T) / 2
    squares = np.diag(gram)
    apart = np.maximum(squares[:, None] + squares - 2 * gram, 0.0)
    return gram, np.where(hamming == 0, 0.0, apart), largest  # no rounding where the pieces are the same


def _rows(node: Node, code: Tensor) -> Tensor:
    """Return the slopes that codes of samples, on axis 0, choose: one row per sample."""
    assert isinstance(node.op, PiecewiseElementwise)
    own = node.layout.samples_back(code) if node.layout else code[0]
    slopes = choose(node.op.slopes, own, torch.float64)
    return node.rows(slopes.detach()).cpu()
