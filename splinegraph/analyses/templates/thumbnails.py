"""Some templates as one small image, for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.canvas import inline

if TYPE_CHECKING:
    from splinegraph.analyses.templates.templates import Templates

__all__ = ["thumbnail"]

SAMPLES, CLASSES = 3, 10
"""Most rows and templates."""

LEAST, MOST = 3, 128
"""Shortest and longest side of an input that is shown."""

SIDE = 56
"""About how many pixels wide a picture is."""


def thumbnail(found: Templates) -> str:
    """Return inputs beside the templates of the classes as a data URI; '' if the inputs are no small images."""
    shape = tuple(found.rows.shape[2:])
    shape = (1, *shape) if len(shape) == 2 else shape
    small = len(shape) == 3 and shape[0] in (1, 3) and LEAST <= min(shape[1:]) and max(shape[1:]) <= MOST
    return inline(lambda: _mosaic(found, shape)) if small and len(found) else ""


def _mosaic(found: Templates, shape: tuple[int, ...]) -> Any:
    import matplotlib as mpl
    from PIL import Image

    signed, gray = mpl.colormaps["RdBu_r"], mpl.colormaps["gray_r"]
    lines = []
    for x, templates in zip(found.map.inputs[0][:SAMPLES], found.rows[:SAMPLES, :CLASSES], strict=True):
        limit = float(templates.abs().max()) or 1.0
        low, high = float(x.min()), float(x.max())
        tiles = [_tile((x - low) / ((high - low) or 1.0), shape, gray)]
        tiles += [_tile(0.5 + template / (2 * limit), shape, signed) for template in templates]
        lines.append(np.concatenate([_framed(tile) for tile in tiles], axis=1))
    times = max(1, SIDE // max(shape[1:]))
    mosaic = np.concatenate(lines).repeat(times, 0).repeat(times, 1)
    return Image.fromarray((255 * mosaic).round().astype(np.uint8))


def _tile(values: Tensor, shape: tuple[int, ...], colors: Any) -> NDArray[np.float64]:
    """Return values from 0 to 1 as colors (H, W, 3)."""
    array = values.detach().double().cpu().reshape(shape).numpy()
    return np.asarray(colors(array[0])[..., :3] if len(array) == 1 else array.transpose(1, 2, 0))


def _framed(tile: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a picture with white around it."""
    return np.pad(tile, ((0, 1), (0, 1), (0, 0)), constant_values=1.0)
