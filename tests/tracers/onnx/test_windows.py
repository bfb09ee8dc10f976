"""Padding, rounding and dilation of windows, and resizing, against onnxruntime."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from splinegraph.tracers.onnx.reading import from_model_proto  # noqa: E402

SIZES = (1, 2, 7, 6)


def both(node: Any, stored: dict[str, Any], sizes: tuple[int, ...] = SIZES, opset: int = 17) -> tuple[Any, Any]:
    """Return our result and onnxruntime's."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, sizes)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    weights = [numpy_helper.from_array(np.asarray(v), k) for k, v in stored.items()]
    graph = helper.make_graph([node], "graph", [x], [y], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    value = np.random.default_rng(0).normal(size=sizes).astype(np.float32)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        mine = from_model_proto(model)(torch.from_numpy(value))
    return mine.numpy(), session.run(None, {"x": value})[0]


def check(node: Any, stored: dict[str, Any], **settings: Any) -> None:
    mine, theirs = both(node, stored, **settings)
    np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)


PADDINGS: list[dict[str, Any]] = [
    {"auto_pad": "SAME_UPPER"}, {"auto_pad": "SAME_LOWER"}, {"auto_pad": "VALID"}, {"pads": [0, 1, 1, 0]},
    {"pads": [1, 1, 1, 1]},
]  # fmt: skip


@pytest.mark.parametrize("padding", PADDINGS, ids=str)
@pytest.mark.parametrize("stride", [1, 2])
def test_convolution(padding: dict[str, Any], stride: int) -> None:
    weight = np.random.default_rng(1).normal(size=(3, 2, 2, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], strides=[stride, stride], **padding)
    check(node, {"w": weight})


@pytest.mark.parametrize(
    "settings",
    [{"pads": [0, 1, 1, 0]}, {"pads": [1, 1, 1, 1], "output_padding": [1, 0]}, {"auto_pad": "SAME_UPPER"},
     {"auto_pad": "SAME_LOWER"}, {"output_shape": [14, 12]}, {"dilations": [2, 1]}],
    ids=str,
)  # fmt: skip
def test_transposed_convolution(settings: dict[str, Any]) -> None:
    generator = np.random.default_rng(1)
    stored = {"w": generator.normal(size=(2, 3, 3, 3)), "b": generator.normal(size=3)}
    node = helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], strides=[2, 2], **settings)
    check(node, {k: v.astype(np.float32) for k, v in stored.items()})


@pytest.mark.parametrize("padding", PADDINGS, ids=str)
@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool", "LpPool"])
def test_pools(kind: str, padding: dict[str, Any]) -> None:
    for stride, include in itertools.product((1, 2), (0, 1) if kind == "AveragePool" else (0,)):
        extra = {"count_include_pad": include} if kind == "AveragePool" else {}
        node = helper.make_node(kind, ["x"], ["y"], kernel_shape=[2, 3], strides=[stride, stride], **padding, **extra)
        check(node, {})


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_pools_that_round_up(kind: str) -> None:
    for pads in ([0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0]):
        node = helper.make_node(kind, ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, pads=pads)
        check(node, {})


def test_dilated_max_pool() -> None:
    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], dilations=[2, 3], pads=[1, 0, 0, 1])
    check(node, {})


MODES = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]


@pytest.mark.parametrize("place", MODES)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_resize(mode: str, place: str) -> None:
    for sizes in ((1, 2, 14, 9), (1, 2, 3, 6), (1, 2, 1, 1)):
        node = helper.make_node(
            "Resize", ["x", "", "", "s"], ["y"], mode=mode, coordinate_transformation_mode=place
        )  # fmt: skip
        check(node, {"s": np.array(sizes, np.int64)})


@pytest.mark.parametrize("place", MODES[:3])
@pytest.mark.parametrize("rounding", ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
def test_resize_to_the_nearest(rounding: str, place: str) -> None:
    for sizes in ((1, 2, 14, 9), (1, 2, 3, 4)):
        node = helper.make_node(
            "Resize", ["x", "", "", "s"], ["y"], nearest_mode=rounding, coordinate_transformation_mode=place
        )
        check(node, {"s": np.array(sizes, np.int64)})


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
def test_pads(mode: str) -> None:
    for pads in ([0, 0, 1, 2, 0, 0, 2, 1], [0, 1, 0, 0, 0, 1, 0, 2], [0, 0, 0, 3, 0, 0, 0, 0]):
        if mode in ("reflect", "wrap") and pads[1]:
            continue  # longer than the axis allows
        node = helper.make_node("Pad", ["x", "p"], ["y"], mode=mode)
        check(node, {"p": np.array(pads, np.int64)}, opset=19)
