"""Orthonormal bases of images: Haar wavelets and cosines."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["cosine_basis", "haar_basis"]


def haar_basis(shape: Sequence[int]) -> Tensor:
    """Return the orthonormal Haar wavelets of signals or images, shape (D, *shape): products of those of each axis.

    Parameters
    ----------
    shape : sequence of int
        Any lengths: an odd one is halved into parts that differ by one.

    Examples
    --------
    >>> haar_basis([2]).tolist()
    [[0.7071067811865476, 0.7071067811865476], [0.7071067811865476, -0.7071067811865476]]
    """
    return _product([_haar(n) for n in shape], shape)


def cosine_basis(shape: Sequence[int]) -> Tensor:
    """Return the orthonormal cosines (DCT-II) of signals or images, shape (D, *shape)."""
    from scipy.fft import dct

    return _product([torch.from_numpy(dct(np.eye(n), norm="ortho", axis=0)) for n in shape], shape)


def _product(axes: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
    found = torch.ones(1, 1, dtype=torch.float64)
    for axis in axes:
        found = torch.kron(found, axis)
    return found.reshape(math.prod(shape), *shape)


def _haar(n: int) -> Tensor:
    """Return one row per wavelet, shape (n, n); halves of unequal lengths are weighed to keep the mean zero."""
    rows, parts = [torch.full((n,), n**-0.5, dtype=torch.float64)], [(0, n)]
    while parts:
        start, stop = parts.pop(0)
        if stop - start < 2:
            continue
        middle = (start + stop + 1) // 2
        left, right = middle - start, stop - middle
        row = torch.zeros(n, dtype=torch.float64)
        row[start:middle] = math.sqrt(right / (left * (left + right)))
        row[middle:stop] = -math.sqrt(left / (right * (left + right)))
        rows.append(row)
        parts += [(start, middle), (middle, stop)]
    return torch.stack(rows)
