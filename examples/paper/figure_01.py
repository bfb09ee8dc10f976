"""Figure 1. A signal with channels as a vector.

The paper: a signal z of shape (3, 3, 3), channels first, is reshaped to a vector of dimension 27, so that every layer
is a map between vectors.

What is true: all of it. The paper leaves the order open; here, as in torch, entry (c, i, j) is entry 9 c + 3 i + j,
counted from 0. The order matters as soon as matrices are written down (figure 2).
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import nn

import splinegraph as sg
from examples.paper.page import Page, Setting
from examples.paper.style import BLUE, GREEN, RED, arrow, bare, canvas

CHANNELS = (BLUE, RED, GREEN)


def tile(ax: Axes, x: float, y: float, size: float, color: str, label: str) -> None:
    """Draw one entry."""
    ax.fill([x, x + size, x + size, x], [y, y, y + size, y + size], facecolor=color, edgecolor="white", zorder=2)
    style = {"ha": "center", "va": "center", "color": "white", "fontsize": 8, "weight": "bold", "zorder": 2}
    ax.text(x + size / 2, y + size / 2, label, **style)


def draw(setting: Setting) -> Page:
    """Draw the volume and the vector, numbered by the flattening of torch."""
    z = torch.arange(27.0).reshape(1, 3, 3, 3)
    graph = sg.trace(nn.Flatten().eval(), z)
    dense = sg.affine_map(graph, z).dense()
    order = dense.A[0].reshape(27, 27).argmax(1).numpy()
    figure = canvas(9.2, 3.9)
    ax = bare(figure.add_subplot())
    for c in range(3):
        x, y = 3.9 * c, 3.0
        for i in range(3):
            for j in range(3):
                tile(ax, x + j, y + 2 - i, 1.0, CHANNELS[c], str(9 * c + 3 * i + j))
        ax.text(x + 1.5, y + 3.12, f"c = {c}", color=CHANNELS[c], fontsize=10, weight="bold", ha="center")
        arrow(ax, (x + 1.5, y + 0.35), (0.63 * (9 * c + 4.5), 1.0), CHANNELS[c])
    for at, entry in enumerate(order):
        tile(ax, 0.63 * at, 0.5, 0.61, CHANNELS[entry // 9], str(entry))
    ax.text(0, 0.15, "vector of dimension 27: entry 9c + 3i + j", fontsize=10, va="top")
    ax.text(12.0, 5.5, "z of shape (3, 3, 3):\nchannel c, row i, column j", fontsize=10, va="top")
    ax.set(xlim=(-0.2, 17.2), ylim=(-0.5, 6.6), aspect="equal")
    same = bool(np.array_equal(order, np.arange(27)))
    return Page(figure, measured=(f"A[x] of a traced `nn.Flatten` is the identity of 27 entries: {same}.",))
