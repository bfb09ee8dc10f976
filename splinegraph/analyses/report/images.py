"""Small pictures of inputs and templates in a report: one byte per entry, between the lowest and the highest."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["ROOM", "Image", "image", "image_shape", "image_size"]

ROOM = 700_000
"""Characters that the images of one section may take together: half of what those of a report may."""


@dataclass(frozen=True)
class Image:
    """A tensor in one byte per entry.

    Parameters
    ----------
    shape : tuple of int
        (C, H, W) or (n,).
    low, high : float
        Lowest and highest entry; an entry is low + byte / 255 * (high - low), to half a step.
    data : str
        The bytes, row by row, in base64.
    """

    shape: tuple[int, ...]
    low: float
    high: float
    data: str


def image_shape(shape: Sequence[int]) -> tuple[int, ...] | None:
    """Return the shape that a sample is shown in: (n,), or (C, H, W); None if it has more axes, or no entries.

    Examples
    --------
    >>> image_shape((8, 8)), image_shape((3, 4, 4)), image_shape((2, 3, 4, 4))
    ((1, 8, 8), (3, 4, 4), None)
    """
    if not 1 <= len(shape) <= 3 or not math.prod(shape):
        return None
    return (1, *shape) if len(shape) == 2 else tuple(shape)


def image_size(shape: Sequence[int]) -> int:
    """Return about how many characters an image of a shape takes in a report."""
    return 4 * -(-math.prod(shape) // 3) + 100


def image(values: Tensor) -> Image | None:
    """Return values of up to three axes as an image; None if they are not finite, or of another shape.

    Examples
    --------
    >>> image(torch.tensor([0.0, 0.5, 1.0]))
    Image(shape=(3,), low=0.0, high=1.0, data='AID/')
    """
    shape = image_shape(values.shape)
    values = values.detach().double().cpu()
    if shape is None or not bool(values.isfinite().all()):
        return None
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(high - low):
        return None
    step = (high - low) / 255
    steps = ((values - low) / step).round() if step > 0 else torch.zeros_like(values)
    data = steps.clamp(0, 255).to(torch.uint8).contiguous().numpy().tobytes()
    return Image(shape, low, high, base64.b64encode(data).decode("ascii"))
