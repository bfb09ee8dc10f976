"""Constants of operators against dense matrices, and against slopes at many points."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.lipschitz.product import product
from splinegraph.core.operator import Operator
from splinegraph.core.values import Box
from splinegraph.operators.spectral import operator_norm

NORMS = (1, 2, math.inf)


def only(module: nn.Module, *shape: int) -> tuple[Operator, list[tuple[int, ...]]]:
    """Return the last operator of a traced module, and the shapes of its arguments."""
    graph = sg.trace(module.double().eval(), torch.zeros(1, *shape, dtype=torch.float64))
    node = graph.operators[-1]
    return node.op, [graph[name].shape for name in node.args]


def dense(operator: Any, shape: tuple[int, ...]) -> Tensor:
    n = math.prod(shape)
    eye = torch.eye(n, dtype=torch.float64).reshape(n, *shape)
    return torch.stack([operator.linear(v).reshape(-1) for v in eye], 1).detach()


class Pad(nn.Module):
    def __init__(self, mode: str, *sides: int) -> None:
        super().__init__()
        self.mode, self.sides = mode, sides

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pad(x, self.sides, mode=self.mode)


class Times(nn.Module):
    def __init__(self, left: bool) -> None:
        super().__init__()
        self.left, self.matrix = left, nn.Parameter(torch.randn(5, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.matrix @ x if self.left else x @ self.matrix


AFFINE: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "overlapping average": (nn.AvgPool2d(3, 2, 1), (2, 6, 7)),
    "average without padding counted": (nn.AvgPool2d(3, 2, 1, count_include_pad=False), (2, 6, 7)),
    "average of one axis": (nn.AvgPool1d(3, 1), (2, 8)),
    "adaptive average": (nn.AdaptiveAvgPool2d((3, 4)), (2, 5, 7)),
    "bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), (2, 4, 5)),
    "nearest": (nn.Upsample(scale_factor=2), (2, 4, 5)),
    "bicubic": (nn.Upsample(scale_factor=2, mode="bicubic"), (1, 5, 5)),
    "reflect": (Pad("reflect", 2, 1, 1, 2), (2, 4, 5)),
    "replicate": (Pad("replicate", 2, 1, 1, 2), (2, 4, 5)),
    "circular": (Pad("circular", 2, 1, 1, 2), (2, 4, 5)),
    "left product": (Times(True), (5, 3)),
    "right product": (Times(False), (3, 5)),
}


@pytest.mark.parametrize("name", AFFINE)
@pytest.mark.parametrize("norm", NORMS)
def test_affine_constants_are_the_norms_of_dense_matrices(name: str, norm: float) -> None:
    torch.manual_seed(0)
    module, shape = AFFINE[name]
    operator, shapes = only(module, *shape)
    exact = float(torch.linalg.matrix_norm(dense(operator, shapes[0]), norm))
    found = operator.lipschitz(norm, shapes=shapes)
    assert exact * (1 - 1e-14) <= found <= exact * (1 + 1e-6)


@pytest.mark.parametrize(("stride", "dilation", "kernel"), [*itertools.product((1, 2, 3), repeat=3)])
def test_max_pooling_counts_the_windows_that_share_an_entry(stride: int, dilation: int, kernel: int) -> None:
    operator, shapes = only(nn.MaxPool1d(kernel, stride, dilation=dilation), 1, 24)
    starts = range(0, 24 - dilation * (kernel - 1), stride)
    met = torch.zeros(24)
    for start in starts:
        met[torch.arange(kernel) * dilation + start] += 1
    share = float(met.max())
    for norm, wanted in zip(NORMS, (share, math.sqrt(share), 1.0), strict=True):
        assert operator.lipschitz(norm, shapes=shapes) == pytest.approx(wanted)


KNOWN: list[tuple[nn.Module, float]] = [
    (nn.ReLU(), 1), (nn.LeakyReLU(0.2), 1), (nn.LeakyReLU(3.0), 3), (nn.ELU(), 1), (nn.ELU(2.5), 2.5),
    (nn.CELU(0.5), 1), (nn.Tanh(), 1), (nn.Softplus(), 1), (nn.Softplus(beta=3.0), 1), (nn.Hardtanh(-2, 3), 1),
    (nn.Sigmoid(), 0.25), (nn.Hardsigmoid(), 1 / 6), (nn.SELU(), 1.758099), (nn.GELU(), 1.128904),
    (nn.SiLU(), 1.099839), (nn.Mish(), 1.088498), (nn.Hardswish(), 1.5), (nn.ReLU6(), 1), (nn.Softshrink(), 1),
    (nn.LogSigmoid(), 1),
]  # fmt: skip


@pytest.mark.parametrize(("module", "wanted"), KNOWN, ids=[str(m) for m, _ in KNOWN])
def test_elementwise_constants_are_the_steepest_slopes(module: nn.Module, wanted: float) -> None:
    graph = sg.trace(module.double().eval(), torch.zeros(1, 1, dtype=torch.float64))
    for norm in NORMS:
        found = product(graph, norm).upper
        assert found == pytest.approx(wanted, rel=2e-6)
    x = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    y = module(x[:, None])[:, 0]
    steepest = float(((y[1:] - y[:-1]) / (x[1:] - x[:-1])).abs().max())
    assert 0.999 * wanted - 0.001 <= steepest <= found * (1 + 1e-9)


def test_prelu_takes_the_slopes_of_its_channels() -> None:
    module = nn.PReLU(3)
    module.weight.data = torch.tensor([0.5, -2.0, 1.5])
    operator, shapes = only(module, 3, 4)
    assert operator.lipschitz(2, shapes=shapes) == 2
    lower, upper = torch.ones(1, 3, 4).double(), 2 * torch.ones(1, 3, 4).double()
    assert operator.lipschitz(2, on=[Box(lower, upper)]) == 1


def test_softmax_and_log_softmax() -> None:
    torch.manual_seed(0)
    softmax, shapes = only(nn.Softmax(-1), 6)
    log_softmax, _ = only(nn.LogSoftmax(-1), 6)
    X = torch.randn(300, 6, dtype=torch.float64) * 10 ** torch.linspace(-1, 2, 300, dtype=torch.float64)[:, None]
    X[0] = torch.tensor([0.0, 0, -99, -99, -99, -99])  # comes near the supremum
    for operator, limits in ((softmax, (0.5, 0.5, 0.5)), (log_softmax, (5, math.sqrt(6), 2))):
        J = torch.func.vmap(torch.func.jacrev(operator.forward))(X)
        for norm, limit in zip(NORMS, limits, strict=True):
            sampled = float(torch.linalg.matrix_norm(J, norm).max())
            assert 0.999 * limit <= sampled <= operator.lipschitz(norm, shapes=shapes) * (1 + 1e-9)
            assert operator.lipschitz(norm, shapes=shapes) == pytest.approx(limit)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize(("transposed", "stride", "groups"), [(False, 1, 1), (False, 2, 2), (True, 2, 1), (True, 1, 2)])
def test_convolutions_of_any_padding_within_a_factor(mode: str, transposed: bool, stride: int, groups: int) -> None:
    if transposed and mode != "zeros":
        pytest.skip("torch has none")
    torch.manual_seed(0)
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    module = kind(4, 4, 3, stride, 1, groups=groups, padding_mode=mode).double().eval()
    graph = sg.trace(module, torch.zeros(1, 4, 6, 6, dtype=torch.float64))
    J = torch.func.jacrev(module)(torch.zeros(1, 4, 6, 6, dtype=torch.float64)).reshape(-1, 144).detach()
    for norm in NORMS:
        exact = float(torch.linalg.matrix_norm(J, norm))
        assert exact * (1 - 1e-12) <= product(graph, norm).upper <= exact * 1.2


def test_the_bracket_of_a_norm_holds_it_and_is_narrow() -> None:
    torch.manual_seed(0)
    operator, shapes = only(nn.Conv2d(3, 5, 3, padding=1), 3, 9, 9)
    exact = float(torch.linalg.matrix_norm(dense(operator, shapes[0]), 2))
    bound = operator_norm(operator, shapes)  # type: ignore[arg-type]
    assert bound.lower <= exact * (1 + 1e-12)
    assert exact <= bound.upper
    assert bound.lower >= 0.999999 * exact
    few = operator_norm(operator, shapes, steps=2)  # type: ignore[arg-type]
    assert 0 < few.lower <= exact * (1 + 1e-12)
