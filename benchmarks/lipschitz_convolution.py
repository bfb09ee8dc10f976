"""The l2 norm of a convolution, by ours and by what is in use elsewhere."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.lipschitz.product import product

__all__ = ["SHAPES", "WAYS", "measure"]

SHAPES: dict[str, Sequence[int]] = {
    "64 to 64, 3x3, on 32x32": (64, 64, 3, 1, 1, 1, 32),
    "32 to 64, 3x3, stride 2, on 32x32": (32, 64, 3, 2, 1, 1, 32),
    "16 to 16, 3x3, dilation 2, on 16x16": (16, 16, 3, 1, 2, 2, 16),
    "8 to 8, 5x5, on 8x8": (8, 8, 5, 1, 2, 1, 8),
}
"""Channels in and out, kernel, stride, padding, dilation, side of the image."""


def layer(shape: Sequence[int]) -> nn.Conv2d:
    inputs, outputs, kernel, stride, padding, dilation, _ = shape
    torch.manual_seed(0)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=False).double().eval()


def measure(way: str, shape: Sequence[int]) -> dict[str, Any]:
    """Return the norm by one way, and CPU seconds: the least of two runs."""
    conv, side = layer(shape), int(shape[-1])
    seconds = []
    with torch.no_grad():
        run = WAYS[way](conv, side)
        for _ in range(2):
            begun = time.process_time()
            value = run()
            seconds.append(time.process_time() - begun)
    return {"value": value, "seconds": min(seconds)}


def ours(conv: nn.Conv2d, side: int) -> Callable[[], float]:
    """An upper bound."""
    graph = sg.trace(conv, torch.zeros(1, conv.in_channels, side, side, dtype=torch.float64))
    return lambda: product(graph, 2).upper


def iterated(steps: int) -> Callable[[nn.Conv2d, int], Callable[[], float]]:
    """Power iteration: a lower bound."""

    def prepare(conv: nn.Conv2d, side: int) -> Callable[[], float]:
        return lambda: _power(conv, side, steps)

    return prepare


def _power(conv: nn.Conv2d, side: int, steps: int) -> float:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(1, conv.in_channels, side, side, dtype=torch.float64, generator=draw)
    for _ in range(steps):
        x = _adjoint(conv, conv(x / x.norm()), side)
    return float(conv(x / x.norm()).norm())


def _adjoint(conv: nn.Conv2d, y: Tensor, side: int) -> Tensor:
    padding = conv.padding[0]
    assert isinstance(padding, int)
    kernel, stride, dilation = conv.kernel_size[0], conv.stride[0], conv.dilation[0]
    rest = side - ((y.shape[-1] - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1)
    return F.conv_transpose2d(
        y, conv.weight, None, conv.stride, padding, output_padding=rest, dilation=conv.dilation
    )  # fmt: skip


def lanczos(conv: nn.Conv2d, side: int) -> Callable[[], float]:
    """Lanczos to convergence (scipy): a lower bound, in practice the norm."""
    from scipy.sparse.linalg import LinearOperator, svds

    shape = (conv.in_channels, side, side)
    outside = conv(torch.zeros(1, *shape, dtype=torch.float64)).shape
    operator = LinearOperator(
        (int(np.prod(outside)), int(np.prod(shape))), dtype=np.float64,
        matvec=lambda x: conv(torch.from_numpy(np.ascontiguousarray(x)).reshape(1, *shape)).reshape(-1).numpy(),
        rmatvec=lambda y: _adjoint(conv, torch.from_numpy(np.ascontiguousarray(y)).reshape(outside), side)
        .reshape(-1).numpy(),
    )  # fmt: skip
    start = np.random.default_rng(0).standard_normal(min(operator.shape))
    return lambda: float(svds(operator, 1, v0=start, tol=1e-4, return_singular_vectors=False)[0])


def circular(conv: nn.Conv2d, side: int) -> Callable[[], float]:
    """Singular values per frequency on a grid of the image's size, as for circular padding: no bound for zeros.

    With a stride s, of s^2 shifted grids together.

    References
    ----------
    .. [1] H. Sedghi, V. Gupta, P. Long, "The singular values of convolutional layers", ICLR 2019.
    """
    stride, dilation = conv.stride[0], conv.dilation[0]

    def run() -> float:
        k = dilation * (conv.kernel_size[0] - 1) + 1
        spread = torch.zeros(conv.out_channels, conv.in_channels, k, k, dtype=torch.float64)
        spread[:, :, ::dilation, ::dilation] = conv.weight
        wrapped = torch.zeros(conv.out_channels, conv.in_channels, side, side, dtype=torch.float64)
        for i, j in itertools.product(range(k), range(k)):
            wrapped[:, :, i % side, j % side] += spread[:, :, i, j]
        found = torch.fft.fft2(wrapped).permute(2, 3, 0, 1)
        n = side // stride  # frequencies that a stride makes one of
        folded = found.reshape(stride, n, stride, n, *found.shape[2:]).permute(1, 3, 4, 0, 2, 5)
        return float(torch.linalg.matrix_norm(folded.reshape(n * n, conv.out_channels, -1) / stride, 2).max())

    return run


def flat(conv: nn.Conv2d, side: int) -> Callable[[], float]:
    """The spectral norm of the kernel as a matrix, as in spectral normalization: no bound."""
    return lambda: float(torch.linalg.matrix_norm(conv.weight.reshape(conv.out_channels, -1), 2))


WAYS: dict[str, Callable[[nn.Conv2d, int], Callable[[], float]]] = {
    "ours, convolution": ours,
    "Lanczos": lanczos,
    "power iteration, 100 steps": iterated(100),
    "FFT, circular": circular,
    "kernel as a matrix": flat,
}
