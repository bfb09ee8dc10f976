"""Where a resized axis reads from, and with what weights, as ONNX defines it; float64 throughout."""

from __future__ import annotations

import numpy as np

from splinegraph.tracers.onnx.registry import Node
from splinegraph.tracers.onnx.values import Array

__all__ = ["cubic_weights", "linear_weights", "nearest_places", "source"]


def source(node: Node, have: int, size: int, factor: float, region: tuple[float, float] | None) -> Array:
    """Return the place in the input of every entry of the output.

    Parameters
    ----------
    node : Node
    have, size : int
        Lengths of input and output.
    factor : float
        The scale of the axis as given; it need not be size / have.
    region : pair of float, optional
        Start and end of the part to crop, relative to the input.
    """
    steps = np.arange(size, dtype=np.float64)
    mode = node.get("coordinate_transformation_mode", "half_pixel")
    if mode == "asymmetric":
        return steps / factor
    if mode == "align_corners":
        length = factor * have
        return steps * ((have - 1) / (length - 1)) if length > 1 else np.zeros(size)
    if mode == "pytorch_half_pixel":
        return (steps + 0.5) / factor - 0.5 if factor * have > 1 else np.zeros(size)
    if mode == "tf_half_pixel_for_nn":
        return (steps + 0.5) / factor
    if mode == "half_pixel_symmetric":
        center = have / 2 * (1 - size / (factor * have))
        return center + (steps + 0.5) / factor - 0.5
    if mode == "tf_crop_and_resize":
        start, end = region if region is not None else (0.0, 1.0)
        if size > 1:
            return start * (have - 1) + steps * (end - start) * (have - 1) / (size - 1)
        return np.full(size, 0.5 * (start + end) * (have - 1))
    return (steps + 0.5) / factor - 0.5


def nearest_places(where: Array, mode: str, have: int) -> Array:
    """Return the entries of the input that are nearest to the given places."""
    if mode == "floor":
        found = np.floor(where)
    elif mode == "ceil":
        found = np.ceil(where)
    elif mode == "round_prefer_ceil":
        found = np.floor(where + 0.5)
    else:
        found = np.ceil(where - 0.5)
    return np.clip(found, 0, have - 1).astype(np.int64)


def linear_weights(where: Array, have: int, stretch: float, *, exclude: bool) -> Array:
    """Return the matrix of linear interpolation; a stretch below 1 widens the filter, against aliasing."""
    return _weights(where, have, stretch, 1.0, lambda t: np.maximum(1 - np.abs(t), 0), exclude=exclude)


def cubic_weights(where: Array, have: int, stretch: float, a: float, *, exclude: bool) -> Array:
    """Return the matrix of cubic convolution with coefficient a."""

    def kernel(t: Array) -> Array:
        t = np.abs(t)
        near = ((a + 2) * t - (a + 3)) * t * t + 1
        far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
        return np.where(t <= 1, near, np.where(t < 2, far, 0.0))

    return _weights(where, have, stretch, 2.0, kernel, exclude=exclude)


def _weights(where: Array, have: int, stretch: float, radius: float, kernel: object, *, exclude: bool) -> Array:
    assert callable(kernel)
    matrix = np.zeros((len(where), have))
    reach = int(np.ceil(radius / stretch))
    for row, place in enumerate(where):
        taps = np.arange(int(np.floor(place)) - reach + 1, int(np.floor(place)) + reach + 1)
        weights = kernel((taps - place) * stretch)
        if exclude:
            weights = np.where((taps >= 0) & (taps < have), weights, 0.0)
        weights = weights / weights.sum()
        np.add.at(matrix[row], np.clip(taps, 0, have - 1), weights)
    return matrix
