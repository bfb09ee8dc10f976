"""Products of live values: the laws, constants that depend on the other factor, attention."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.errors import TraceError
from splinegraph.operators.bilinear import MatrixProduct, Product
from splinegraph.testing import Sample, check_operator
from splinegraph.tracers.tracing import trace

SAMPLES = [
    Sample(Product(), ((3, 4), (3, 4)), torch.mul),
    Sample(Product(), ((3, 1, 4), (3, 2, 1)), torch.mul),
    Sample(Product(), ((2, 3, 1), (2, 1, 1)), torch.mul, batch=0),
    Sample(MatrixProduct(), ((2, 3, 4), (2, 4, 2)), torch.matmul),
    Sample(MatrixProduct(), ((2, 2, 3, 4), (2, 1, 4, 2)), torch.matmul),
    Sample(MatrixProduct(), ((1, 2, 3, 4), (2, 2, 4, 1)), torch.matmul, batch=None),
]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: f"{s.label}{s.shapes}")
def test_laws(sample: Sample) -> None:
    check_operator(sample)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("operator", "shapes"),
    [
        (Product(), ((2, 3), (2, 3))),
        (Product(), ((1, 3), (2, 1))),
        (MatrixProduct(), ((2, 3, 4), (2, 4, 2))),
        (MatrixProduct(), ((1, 3, 4), (2, 4, 2))),
        (MatrixProduct(), ((2, 3, 4), (1, 4, 2))),
    ],
)
@pytest.mark.parametrize("arg", [0, 1])
def test_constants_at_a_fixed_factor_are_norms(operator: Any, shapes: Any, arg: int) -> None:
    xs = [draw(*shape, seed=i).abs() for i, shape in enumerate(shapes)]
    boxes = [Box(x, x) for x in xs]
    boxes[arg] = Box.everything(shapes[arg])
    units = torch.eye(xs[arg].numel(), dtype=torch.float64).reshape(-1, *shapes[arg])
    rows = [operator.forward(*(unit if i == arg else x for i, x in enumerate(xs))) for unit in units]
    matrix = torch.stack([row.reshape(-1) for row in rows], 1)
    for norm in (1, math.inf):
        exact = float(torch.linalg.matrix_norm(matrix, norm))
        assert operator.lipschitz(norm, arg, boxes) == pytest.approx(exact)
    exact = float(torch.linalg.matrix_norm(matrix, 2))
    claim = operator.lipschitz(2, arg, boxes)
    assert claim == pytest.approx(exact) if isinstance(operator, Product) else claim >= exact * (1 - 1e-12)
    assert operator.lipschitz(2, arg) == math.inf


def test_facts_depend_on_the_other_factor() -> None:
    zero, one = torch.zeros(2), torch.ones(2)
    free, positive, fixed = Box(-one, one), Box(zero, one), Box(one, one)
    for operator in (Product(), MatrixProduct()):
        assert operator.curvature([free, free]) == Curvature.UNKNOWN
        assert operator.curvature([free, fixed]) == Curvature.AFFINE
    assert Product().monotonicity(0, [free, positive]).tolist() == [Monotonicity.NONDECREASING] * 2
    assert Product().monotonicity(1, [positive, free]).tolist() == [Monotonicity.NONDECREASING] * 2
    assert Product().monotonicity(0, [positive, free]).tolist() == [Monotonicity.UNKNOWN] * 2
    assert MatrixProduct().monotonicity(0, [free, positive]) == Monotonicity.NONDECREASING


def test_zero_times_anything_is_zero() -> None:
    zero = Box(torch.zeros(2), torch.zeros(2))
    image = Product().bounds(zero, Box.everything((2,), torch.float32))
    assert image.lower.tolist() == image.upper.tolist() == [0, 0]


class Model(nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.q, self.k, self.function = nn.Linear(6, 24), nn.Linear(6, 24), function
        self.memory = nn.Parameter(torch.randn(1, 2, 5, 4))

    def forward(self, x: Tensor) -> Any:
        q, k = (layer(x).reshape(-1, 2, 3, 4) for layer in (self.q, self.k))
        return self.function(q, k, self.memory)


def labels(function: Callable[..., Any]) -> list[str]:
    torch.manual_seed(0)
    graph = trace(Model(function).eval(), torch.randn(1, 6))  # compares with the model
    skip = ("Linear", "Reshape")
    return [node.op.label for node in graph.operators if node.op.label not in skip]


CORE = ["MoveAxis", "MatrixProduct", "Scale"]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda q, k, m: q * k, ["Product"]),
        (lambda q, k, m: q * q, ["Square"]),
        (lambda q, k, m: q * k[:, 0, 0, :1].reshape(-1, 1, 1, 1), ["Select", "Select", "Slice", "Product"]),
        (lambda q, k, m: q / k.exp(), ["Exp", "Reciprocal", "Product"]),
        (lambda q, k, m: q @ k.transpose(-1, -2), ["Permute", "MatrixProduct"]),
        (
            lambda q, k, m: F.scaled_dot_product_attention(q, k, q + k),
            ["Add", *CORE, "Softmax", "MatrixProduct"],
        ),
        (
            lambda q, k, m: F.scaled_dot_product_attention(q, k, k, is_causal=True, scale=0.3),
            [*CORE, "MaskedFill", "Softmax", "MatrixProduct"],
        ),
        (
            lambda q, k, m: F.scaled_dot_product_attention(
                q, k, k, attn_mask=torch.tensor([1, 1, 0], dtype=torch.bool).expand(3, 3)
            ),
            [*CORE, "MaskedFill", "Softmax", "MatrixProduct"],
        ),
        (
            lambda q, k, m: F.scaled_dot_product_attention(q, k, k, attn_mask=m[0, :, :3, :3]),
            [*CORE, "Shift", "Softmax", "MatrixProduct"],
        ),
        (
            lambda q, k, m: F.scaled_dot_product_attention(q, k, k, attn_mask=q[..., :3] > -5),
            ["Slice", "Comparison(> -5)", *CORE, "Where", "Softmax", "MatrixProduct"],
        ),
        (
            lambda q, k, m: F.scaled_dot_product_attention(q, m, m),
            ["RightMatmul", "Scale", "Softmax", "RightMatmul"],
        ),
        (
            lambda q, k, m: F.scaled_dot_product_attention(m, k, k),
            ["MoveAxis", "LeftMatmul", "Scale", "Softmax", "MatrixProduct"],
        ),
        (lambda q, k, m: F.scaled_dot_product_attention(m, m[..., :3, :], k), ["LeftMatmul"]),
        (
            lambda q, k, m: F.scaled_dot_product_attention(m, m[..., :3, :], k, attn_mask=m[..., :3]),
            ["LeftMatmul"],
        ),
    ],
)
def test_lowerings(function: Callable[..., Any], expected: list[str]) -> None:
    assert sorted(labels(function)) == sorted(expected)


def test_dropout_in_attention_is_refused() -> None:
    with pytest.raises(TraceError, match="dropout_p=0"):
        labels(lambda q, k, m: F.scaled_dot_product_attention(q, k, k, dropout_p=0.5))
