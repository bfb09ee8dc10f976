"""What torch exports comes back: equal to the model and to onnxruntime, and traced as the model is."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("onnx")

import splinegraph as sg
from benchmarks.models import Block
from splinegraph.tracers.onnx import OnnxModule, read_onnx


class Recurrent(nn.Module):
    def __init__(self, kind: Callable[..., nn.Module], **settings: Any) -> None:
        super().__init__()
        self.cells = kind(4, 6, batch_first=True, **settings)
        self.head = nn.Linear(12 if settings.get("bidirectional") else 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cells(x)[0][:, -1])


class Sizes(nn.Module):
    """Reads sizes from its input, which exporters write as Shape, Gather, Concat and Reshape."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.conv(x)).view(x.size(0), 4, -1).permute(0, 2, 1)
        return self.head(y.reshape(x.size(0), -1))


def _cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)
    )  # fmt: skip


def _resnet() -> nn.Module:
    return nn.Sequential(Block(3, 4, 1), Block(4, 8, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))


def _upsampling() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.LeakyReLU(0.1), nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.ConvTranspose2d(4, 2, 3, 2, 1, 1), nn.GroupNorm(1, 2), nn.GELU(),
    )  # fmt: skip


def _transformer() -> nn.Module:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "cnn": (_cnn, (1, 4, 4)),
    "resnet": (_resnet, (3, 6, 6)),
    "sizes": (Sizes, (1, 4, 4)),
    "upsampling": (_upsampling, (1, 5, 5)),
    "lstm": (lambda: Recurrent(nn.LSTM), (3, 4)),
    "gru": (lambda: Recurrent(nn.GRU, bidirectional=True), (3, 4)),
    "rnn": (lambda: Recurrent(nn.RNN, nonlinearity="relu"), (3, 4)),
    "transformer": (_transformer, (5, 8)),
}


AFFINE = {"cnn", "resnet", "sizes", "rnn"}
"""Those that are piecewise affine; an export may not lose that."""

QUICK = {"cnn", "resnet", "sizes", "lstm"}


def chosen(quick: set[str]) -> list[Any]:
    """Return the names of all models; those that take longer are marked."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in MODELS]


def export(model: nn.Module, shape: tuple[int, ...], path: Path, *, dynamo: bool, fixed: bool) -> None:
    settings: dict[str, Any] = {}
    if not fixed and dynamo:
        settings["dynamic_shapes"] = ({0: torch.export.Dim("batch")},)
    elif not fixed:
        settings["dynamic_axes"] = {"x": {0: "batch"}}
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            x = torch.zeros(1 if fixed else 2, *shape)
            torch.onnx.export(model, (x,), str(path), input_names=["x"], dynamo=dynamo, verbose=False, **settings)
    finally:
        logging.disable(logging.NOTSET)


def make(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    torch.manual_seed(0)
    build, shape = MODELS[name]
    model = build().eval()
    for tensor in [*model.parameters(), *model.buffers()]:
        if tensor.is_floating_point():
            tensor.data += 0.2 * torch.rand_like(tensor)
    return model, shape


def onnxruntime_of(path: Path, x: Tensor) -> np.ndarray:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])


def check(name: str, path: Path, *, dynamo: bool, fixed: bool) -> OnnxModule:
    model, shape = make(name)
    if dynamo:
        pytest.importorskip("onnxscript")
    export(model, shape, path, dynamo=dynamo, fixed=fixed)
    module = read_onnx(path)
    assert module.input_shapes == (shape,)
    assert module.batching == "any"
    x = torch.randn(1 if fixed else 3, *shape)
    with torch.no_grad():
        found, expected = module(x), model(x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.numpy(), onnxruntime_of(path, x), rtol=1e-5, atol=1e-5)
    graph = sg.trace(module, x[:1])
    assert graph.batched
    assert all(node.op.family != "opaque" for node in graph.operators)
    assert all(n.op.piecewise_affine for n in graph.operators) == (name in AFFINE)
    return module


@pytest.mark.parametrize("name", chosen(QUICK))
def test_round_trip(name: str, tmp_path: Path) -> None:
    check(name, tmp_path / "model.onnx", dynamo=False, fixed=False)


@pytest.mark.parametrize("name", chosen({"transformer"}))
def test_a_batch_size_in_the_file_is_generalized(name: str, tmp_path: Path) -> None:
    module = check(name, tmp_path / "model.onnx", dynamo=False, fixed=True)
    assert "batches of 1" in module.notes[0]


def test_round_trip_of_the_newer_exporter(tmp_path: Path) -> None:
    check("cnn", tmp_path / "model.onnx", dynamo=True, fixed=False)


@pytest.mark.slow
@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_round_trip_of_the_newer_exporter_for_all(name: str, fixed: bool, tmp_path: Path) -> None:
    check(name, tmp_path / "model.onnx", dynamo=True, fixed=fixed)


def test_weights_stay_parameters(tmp_path: Path) -> None:
    model, shape = make("cnn")
    export(model, shape, tmp_path / "model.onnx", dynamo=False, fixed=False)
    module = read_onnx(tmp_path / "model.onnx")
    sizes = sorted(p.numel() for p in module.parameters())
    assert sizes == sorted(p.numel() for p in model.parameters())
    module(torch.randn(2, *shape)).sum().backward()
    assert all(p.grad is not None for p in module.parameters())


def test_statistics_of_batch_norms_are_buffers(tmp_path: Path) -> None:
    model = nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3)).eval()
    export(model, (3,), tmp_path / "model.onnx", dynamo=False, fixed=False)
    module = read_onnx(tmp_path / "model.onnx")
    assert {n.rsplit(".", 1)[1] for n, _ in module.named_parameters()} == {"weight", "bias"}
    assert {n.rsplit(".", 1)[1] for n, _ in module.named_buffers()} == {"running_mean", "running_var"}


def test_nodes_keep_their_names(tmp_path: Path) -> None:
    model, shape = make("cnn")
    export(model, shape, tmp_path / "model.onnx", dynamo=False, fixed=False)
    module = read_onnx(tmp_path / "model.onnx")
    graph = sg.trace(module, torch.zeros(1, *shape))
    names = [name for name, _ in module.named_children()]
    assert {node.module for node in graph.operators} == set(names)
    assert any("Conv" in name for name in names)


def test_steps_in_time_are_kept(tmp_path: Path) -> None:
    model, shape = make("rnn")
    export(model, shape, tmp_path / "model.onnx", dynamo=False, fixed=False)
    graph = sg.trace(read_onnx(tmp_path / "model.onnx"), torch.zeros(1, *shape))
    steps = {n.step for n in graph.operators if n.step is not None}
    assert steps == {0, 1, 2}
