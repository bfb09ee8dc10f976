"""Some transforms of images, for orbits."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Transform", "rotations", "translations"]

Transform = Callable[[Tensor], Tensor]
"""Takes samples of shape (B, *in) and returns as many of the same shape."""


def rotations(degrees: Iterable[float]) -> dict[str, Transform]:
    """Return rotations of images (B, C, H, W) about their center, counterclockwise, by name.

    Bilinear, with zeros from outside: no group but for multiples of 90 degrees of square images.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> [turn(image).round().tolist() for turn in sg.rotations([90]).values()]
    [[[[[2.0, 4.0], [1.0, 3.0]]]]]
    """
    return {f"rotation by {angle:g}°": functools.partial(_rotated, angle=float(angle)) for angle in degrees}


def _rotated(x: Tensor, angle: float) -> Tensor:
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    height, width = x.shape[-2:]
    # coordinates run from -1 to 1 on both axes, whatever their lengths
    theta = torch.tensor([[c, -s * height / width, 0.0], [s * width / height, c, 0.0]], dtype=x.dtype, device=x.device)
    grid = F.affine_grid(theta.expand(len(x), 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


def translations(steps: Iterable[tuple[int, int]]) -> dict[str, Transform]:
    """Return shifts of images (B, C, H, W) by whole pixels, (down, right), by name; zeros move in.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> [move(image).tolist() for move in sg.translations([(0, 1), (-1, 0)]).values()]
    [[[[[0.0, 1.0], [0.0, 3.0]]]], [[[[3.0, 4.0], [0.0, 0.0]]]]]
    """
    return {
        f"shift by {down}, {right}": functools.partial(_shifted, down=int(down), right=int(right))
        for down, right in steps
    }


def _shifted(x: Tensor, down: int, right: int) -> Tensor:
    # a negative pad cuts off what moves out
    return F.pad(x, (right, -right, down, -down))
