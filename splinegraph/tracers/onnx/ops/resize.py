"""Resize and Upsample: torch's interpolation where it is the same map, else a matrix per axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from splinegraph.tracers.onnx.ops.coordinates import cubic_weights, linear_weights, nearest_places, source
from splinegraph.tracers.onnx.registry import Node, operator
from splinegraph.tracers.onnx.values import Array, integers

__all__: list[str] = []

_LINEAR = {3: "linear", 4: "bilinear", 5: "trilinear"}


@operator("Upsample", static=(1,))
def _upsample(node: Node, x: Tensor, scales: Any = None) -> Tensor:
    factors = node.get("scales") if scales is None else scales.reshape(-1).tolist()
    sizes = [_scaled(n, s) for n, s in zip(x.shape, factors, strict=True)]
    settings = {"mode": node.get("mode", "nearest"), "coordinate_transformation_mode": "asymmetric",
                "nearest_mode": "floor"}  # fmt: skip
    inner = Node("Resize", "", node.name, node.version, settings)
    return _resize_to(inner, x, list(range(x.dim())), sizes, factors, None)


@operator("Resize", static=(1, 2, 3))
def _resize(node: Node, x: Tensor, roi: Any = None, scales: Any = None, sizes: Any = None) -> Tensor:
    if node.version < 11:  # the second input is the scales
        return _upsample(node, x, roi)
    axes = [a % x.dim() for a in node.ints("axes", range(x.dim())) or []]
    region = None if roi is None or not roi.size else roi.reshape(2, -1).astype(np.float64)
    if sizes is None or not sizes.size:
        factors = [float(s) if not isinstance(s, torch.SymFloat) else 1.0 for s in scales.reshape(-1).tolist()]
        wanted = [_scaled(x.shape[a], s) for a, s in zip(axes, factors, strict=True)]
        if region is not None and node.get("coordinate_transformation_mode") == "tf_crop_and_resize":
            spans = region[1] - region[0]
            wanted = [_scaled(x.shape[a], s * w) for a, s, w in zip(axes, factors, spans, strict=True)]
    else:
        wanted = integers(sizes, "the size of a resize")
        factors = [_factor(x.shape[a], n) for a, n in zip(axes, wanted, strict=True)]
        policy = node.get("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            factors = [min(factors) if policy == "not_larger" else max(factors)] * len(axes)
            wanted = [math.floor(x.shape[a] * factors[0] + 0.5) for a in axes]
    return _resize_to(node, x, axes, wanted, factors, region)


def _scaled(size: Any, factor: float) -> Any:
    return size if factor == 1 else math.floor(float(np.float32(factor)) * size)


def _factor(size: Any, wanted: Any) -> float:
    known = isinstance(size, int) and isinstance(wanted, int)
    return wanted / size if known else 1.0


def _resize_to(
    node: Node, x: Tensor, axes: Sequence[int], sizes: Sequence[Any], factors: Sequence[float], roi: Array | None
) -> Tensor:
    """Resize the given axes; those whose size is a symbol (the batch) keep it."""
    crop = node.get("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize"
    moved = {
        axis: (int(size), factor, None if roi is None or not crop else (roi[0, i], roi[1, i]))
        for i, (axis, size, factor) in enumerate(zip(axes, sizes, factors, strict=True))
        if _changes(x, axis, size, factor) or (crop and axis > 1)
    }
    mode = node.get("mode", "nearest")
    if mode == "nearest":
        return _nearest(node, x, moved)
    fast = None if crop or node.get("antialias", 0) else _interpolate(node, x, moved, mode)
    if fast is not None:
        return fast
    for axis, (size, factor, region) in moved.items():
        x = _by_matrix(node, x, axis, size, factor, region)
    return x


def _changes(x: Tensor, axis: int, size: Any, factor: float) -> bool:
    have = x.shape[axis]
    if not isinstance(have, int) or not isinstance(size, int):
        return False
    return have != size or factor != 1


_Moved = dict[int, tuple[int, float, tuple[float, float] | None]]


def _nearest(node: Node, x: Tensor, moved: _Moved) -> Tensor:
    places = {}
    for axis, (size, factor, region) in moved.items():
        where = source(node, int(x.shape[axis]), size, factor, region)
        places[axis] = nearest_places(where, node.get("nearest_mode", "round_prefer_floor"), int(x.shape[axis]))
    same = all(
        np.array_equal(p, np.floor(np.arange(len(p)) * np.float32(x.shape[a] / len(p))).astype(int))
        for a, p in places.items()
    )
    crop = node.get("coordinate_transformation_mode") == "tf_crop_and_resize"
    if same and not crop and places and min(places) > 1 and 3 <= x.dim() <= 5:
        return F.interpolate(x, size=_target(x, moved), mode="nearest")
    for axis, index in places.items():
        x = x.index_select(axis, torch.from_numpy(index).to(x.device))
        if crop:
            x = _outside(node, x, axis, int(moved[axis][0]), moved[axis])
    return x


def _target(x: Tensor, moved: _Moved) -> list[int]:
    return [moved[a][0] if a in moved else int(x.shape[a]) for a in range(2, x.dim())]


def _interpolate(node: Node, x: Tensor, moved: _Moved, mode: str) -> Tensor | None:
    """Return torch's own interpolation, None where it is another map."""
    if not moved or min(moved) < 2 or x.dim() not in _LINEAR or (mode == "cubic" and x.dim() != 4):
        return None
    if mode == "cubic" and (node.get("cubic_coeff_a", -0.75) != -0.75 or node.get("exclude_outside", 0)):
        return None
    for corners in (False, True):
        if all(_same(node, int(x.shape[a]), size, f, mode, corners) for a, (size, f, _) in moved.items()):
            kind = "bicubic" if mode == "cubic" else _LINEAR[x.dim()]
            return F.interpolate(x, size=_target(x, moved), mode=kind, align_corners=corners)
    return None


def _same(node: Node, have: int, size: int, factor: float, mode: str, corners: bool) -> bool:
    """Return whether torch reads an axis at the same places."""
    ours = source(node, have, size, factor, None)
    steps = np.arange(size)
    if corners:
        theirs = steps * ((have - 1) / (size - 1) if size > 1 else 0.0)
    else:
        theirs = (steps + 0.5) * (have / size) - 0.5
    if mode == "linear":
        ours, theirs = np.clip(ours, 0, have - 1), np.clip(theirs, 0, have - 1)
    return bool(np.allclose(ours, theirs, atol=1e-9))


def _by_matrix(
    node: Node, x: Tensor, axis: int, size: int, factor: float, region: tuple[float, float] | None
) -> Tensor:
    have = int(x.shape[axis])
    where = source(node, have, size, factor, region)
    stretch = min(factor, 1.0) if node.get("antialias", 0) else 1.0
    exclude = bool(node.get("exclude_outside", 0))
    if node.get("mode") == "linear":
        weights = linear_weights(where, have, stretch, exclude=exclude)
    else:
        weights = cubic_weights(where, have, stretch, node.get("cubic_coeff_a", -0.75), exclude=exclude)
    matrix = torch.from_numpy(weights).to(x)
    x = torch.matmul(x.movedim(axis, -1), matrix.t()).movedim(-1, axis)
    if node.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        x = _outside(node, x, axis, size, (size, factor, region), have)
    return x


def _outside(node: Node, x: Tensor, axis: int, size: int, how: tuple[int, float, Any], have: int = 0) -> Tensor:
    """Fill what lies outside of the input with the node's value."""
    where = source(node, have or size, size, how[1], how[2])
    out = (where < 0) | (where > (have or size) - 1)
    if not out.any():
        return x
    mask = torch.from_numpy(out).to(x.device).reshape(-1, *[1] * (x.dim() - 1 - axis))
    return torch.where(mask, x.new_full((), node.get("extrapolation_value", 0.0)), x)
