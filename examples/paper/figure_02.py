"""Figure 2. Convolutions as matrices.

The paper: the matrix of one filter and one channel is block circulant with circulant blocks, and those of all pairs
of channels make the super-matrix C of a layer, which maps flattened signals (Eq 4-7).

What is true: this holds for circular padding alone. With zeros around the image, as nearly always, blocks are
Toeplitz and not circulant: the corners of the circulant matrix are missing. Eq 5, read with indices from 1, is a true
convolution delayed by one pixel, while frameworks compute cross-correlation. Eq 8 prints an empty range: the bias of
channel c lies at entries IJ(c - 1) + 1 to IJ c.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import nn

import splinegraph as sg
from examples.paper.page import Page, Setting, to
from examples.paper.style import SIGNED, canvas

SIZE = 6


def show(ax: Axes, matrix: np.ndarray, title: str, block: int, every: int = 0) -> None:
    """Draw a matrix with the borders of its blocks."""
    limit = abs(matrix).max()
    ax.imshow(matrix, cmap=SIGNED, vmin=-limit, vmax=limit, interpolation="nearest")
    for at in range(block, len(matrix), block):
        ax.axhline(at - 0.5, color="0.4" if every and at % every == 0 else "0.85", linewidth=0.7)
    for at in range(block, matrix.shape[1], block):
        ax.axvline(at - 0.5, color="0.4" if every and at % every == 0 else "0.85", linewidth=0.7)
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=9)
    ax.set_xlabel(f"{matrix.shape[0]} × {matrix.shape[1]}", fontsize=8)


def matrix_of(layer: nn.Module, shape: tuple[int, ...]) -> np.ndarray:
    """Return the matrix of an affine layer, read off its graph."""
    x = torch.zeros(1, *shape, dtype=torch.float64)
    dense = sg.affine_map(sg.trace(layer.double().eval(), x), x).dense()
    return dense.A[0].reshape(-1, x.numel()).detach().numpy()


def draw(setting: Setting) -> Page:
    """Draw a block with circular and with zero padding, and a super-matrix."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        one = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular", bias=False)
        full = nn.Conv2d(2, 3, 3, padding=1, bias=False)
    circular = matrix_of(one, (1, SIZE, SIZE))
    zero = sg.conv_matrix(one.weight.detach(), (1, SIZE, SIZE), padding=1).toarray()
    super_matrix = sg.conv_matrix(full.weight.detach().double(), (2, SIZE, SIZE), padding=1).toarray()
    x = torch.rand(1, 2, SIZE, SIZE, dtype=torch.float64)
    error = abs(super_matrix @ x.flatten().numpy() - full.double()(x).flatten().detach().numpy()).max()
    rolls = np.array(
        [np.roll(circular[0].reshape(SIZE, SIZE), (i, j), (0, 1)).ravel() for i, j in np.ndindex(SIZE, SIZE)]
    )
    figure = canvas(9.2, 3.9)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.05))
    show(left, circular, f"one filter, circular padding:\nblock circulant (images of {SIZE} × {SIZE})", SIZE)
    show(middle, zero, "the same filter among zeros:\nblock Toeplitz, no wrapped corners", SIZE)
    show(right, super_matrix, "super-matrix C of a layer:\n2 channels in, 3 channels out", SIZE * SIZE, SIZE * SIZE)
    return Page(
        figure,
        measured=(
            f"C x is the convolution of torch {to(error)}.",
            f"Rows of the circular matrix are rolls of its first, {to(abs(rolls - circular).max())}; with zeros "
            f"around the image {int((zero != circular).sum())} of its {int((circular != 0).sum())} entries are gone.",
        ),
    )  # fmt: skip
