"""Codes as bits: one bit plane per binary digit of the code, eight units to a byte."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Bytes", "bits_for", "pack", "unpack"]

Bytes = NDArray[np.uint8]


def bits_for(alphabet: int, dtype: torch.dtype = torch.int32) -> int:
    """Return the bits that a code takes; all of `dtype` if the alphabet is unbounded (0)."""
    return max((alphabet - 1).bit_length(), 1) if alphabet else 8 * torch.empty(0, dtype=dtype).element_size()


def pack(code: Tensor, bits: int) -> Bytes:
    """Pack codes of shape (B, units) into uint8 of shape (B, bits * ceil(units / 8)), planes one after another."""
    if bits == 1:
        return _pack_plane(code)
    code = code.to(torch.int32)  # shifts of a negative value keep its sign, so all planes are there
    return np.concatenate([_pack_plane((code >> p) & 1) for p in range(bits)], axis=1)


def pack_greater(x: Tensor, threshold: float) -> Bytes:
    """Pack ``x > threshold`` for x of shape (B, ...) on CPU: the codes of most networks, without a detour."""
    return np.packbits(np.greater(x.numpy(), threshold).reshape(x.shape[0], -1), axis=1)


def _pack_plane(plane: Tensor) -> Bytes:
    """Pack zeros and ones of shape (B, units)."""
    if plane.device.type == "cpu":
        return np.packbits(plane.numpy(), axis=1)
    plane = plane.to(torch.uint8)
    rows, units = plane.shape  # on a GPU: pack there, and move an eighth of the data
    padded = torch.nn.functional.pad(plane, (0, -units % 8)).reshape(rows, -1, 8)
    weights = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=plane.device)
    packed: Bytes = (padded * weights).sum(-1, dtype=torch.uint8).cpu().numpy()
    return packed


def unpack(packed: Bytes, units: int, bits: int, dtype: torch.dtype) -> Tensor:
    """Return the codes, shape (B, units)."""
    width = -(-units // 8)
    code = np.zeros((len(packed), units), dtype=np.int32)
    for p in range(bits):
        plane = np.unpackbits(packed[:, p * width : (p + 1) * width], axis=1, count=units)
        code |= plane.astype(np.int32) << p
    return torch.from_numpy(code).to(dtype)


def differing(a: Bytes, b: Bytes, units: int, bits: int) -> NDArray[np.int64]:
    """Return how many units differ, shape of the broadcast rows of `a` and `b`."""
    width = -(-units // 8)
    xor = a ^ b
    if bits > 1:
        xor = np.bitwise_or.reduce(xor.reshape(*xor.shape[:-1], bits, width), axis=-2)
    result: NDArray[np.int64] = np.bitwise_count(xor).sum(-1, dtype=np.int64)
    return result
