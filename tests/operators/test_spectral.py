"""Bounds of convolutions' spectral norms against dense matrices."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
import torch
from torch import Tensor

from splinegraph.operators import spectral
from splinegraph.operators.convolution import Conv, ConvTranspose


def dense(operator: Conv | ConvTranspose, shape: tuple[int, ...]) -> Tensor:
    n = math.prod(shape)
    return operator.linear(torch.eye(n, dtype=torch.float64).reshape(n, *shape)).reshape(n, -1).T


def draw(rng: random.Random) -> tuple[Conv | ConvTranspose, tuple[int, ...]]:
    d, g = rng.choice([1, 2, 2, 3]), rng.choice([1, 1, 2])
    ins, outs = g * rng.choice([1, 2, 3]), g * rng.choice([1, 2, 3])
    kernel = [rng.choice([1, 2, 3, 5] if d < 3 else [1, 2, 3]) for _ in range(d)]
    stride, dilation = ([rng.choice([1, 1, 2, 3]) for _ in range(d)] for _ in range(2))
    padding = [rng.choice([0, 1, 2, k // 2]) for k in kernel]
    sizes = tuple(rng.choice([1, 4, 5, 7, 9] if d < 3 else [2, 3, 5]) for _ in range(d))
    settings: dict[str, Any] = {
        "stride": tuple(stride),
        "padding": tuple(padding),
        "dilation": tuple(dilation),
        "groups": g,
    }
    if rng.random() < 0.4:
        more = tuple(rng.randrange(max(s, a)) for s, a in zip(stride, dilation, strict=True))
        weight = torch.randn(ins, outs // g, *kernel, dtype=torch.float64)
        return ConvTranspose(weight, output_padding=more, **settings), (ins, *sizes)
    return Conv(torch.randn(outs, ins // g, *kernel, dtype=torch.float64), **settings), (ins, *sizes)


@pytest.mark.slow
@pytest.mark.parametrize("coarse", [False, True])
def test_is_above_the_dense_norm_for_every_setting(coarse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if coarse:
        monkeypatch.setattr(spectral, "MOST_WORK", 1)
    rng, looked = random.Random(0), 0
    torch.manual_seed(0)
    while looked < 150:
        operator, shape = draw(rng)
        try:
            matrix = dense(operator, shape)
        except RuntimeError:  # a kernel larger than the input
            continue
        if matrix.numel() == 0:
            continue
        looked += 1
        exact = float(torch.linalg.matrix_norm(matrix, 2))
        sized, any_size = operator._frequencies(shape[1:]), operator._frequencies(None)
        assert exact <= min(sized, any_size), operator.label
        assert operator.lipschitz(2, shapes=[(1, *shape)]) <= sized


def test_is_exact_up_to_the_rim_on_large_inputs() -> None:
    torch.manual_seed(0)
    operator = Conv(torch.randn(3, 2, 3, 3, dtype=torch.float64), None, (1, 1), (1, 1), (1, 1))
    exact = float(torch.linalg.matrix_norm(dense(operator, (2, 20, 20)), 2))
    assert exact <= operator.lipschitz(2, shapes=[(1, 2, 20, 20)]) <= 1.01 * exact


@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_full_padding_and_dilation_need_the_larger_grid(dilation: int) -> None:
    """A grid of n + k // 2 points would be below the norm there: all taps of one sign, in phase."""
    size, kernel = 6, torch.ones(1, 1, 3, dtype=torch.float64)
    operator = Conv(kernel, None, (1,), (2 * dilation,), (dilation,))
    exact = float(torch.linalg.matrix_norm(dense(operator, (1, size)), 2))
    assert exact <= operator._frequencies((size,)) <= 3 * (1 + 1e-9)


def test_of_zero_and_of_odd_weights() -> None:
    zero = Conv(torch.zeros(2, 2, 3, dtype=torch.float64), None, (1,), (1,), (1,))
    assert zero.lipschitz(2, shapes=[(1, 2, 5)]) == 0
    assert spectral.convolution_norm(torch.full((1, 1, 1), math.nan), (4,), (1,), (0,), (1,)) == math.inf
