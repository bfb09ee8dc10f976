"""Table 2. Poolings as splines.

The paper: max pooling is a spline with one region per entry of its window, the one where that entry is largest, and
with that entry's unit vector as slope; mean pooling has one region. Windows may overlap. The matrices of max pooling
are all those with a row of a unit vector per window (Eq 32).

What is true: all of it for windows that do not overlap. For others not all combinations of winners occur: of the
windows {1, 2}, {2, 3}, {3, 1} there are 2^3 combinations and 6 regions, since no entry can beat the next one all
around. For windows of two entries the number of regions is that of the acyclic orientations of their graph. The
printed condition on overlaps, Card(R_1) ∩ Card(R_2), means R_1 ∩ R_2. At ties the first entry wins.
"""

from __future__ import annotations

import math

import torch
from torch import nn

import splinegraph as sg
from examples.paper.page import Page, Setting, to


class Pairs(nn.Module):
    """The larger one of each pair of neighbours, on a line or around a circle."""

    def __init__(self, around: bool) -> None:
        super().__init__()
        self.around = around

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maxima of x of shape (B, D)."""
        return torch.maximum(x, x.roll(-1, 1)) if self.around else torch.maximum(x[:, :-1], x[:, 1:])


def row(name: str, layer: nn.Module, shape: tuple[int, ...], choices: int) -> tuple[str, ...]:
    """Count the regions of a pooling in a box, exactly, and check its maps."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        x = torch.randn(100, *shape, dtype=torch.float64)
    graph = sg.trace(layer.eval(), x[:1])
    cells = sg.enumerate_regions(graph, sg.Box(torch.full(shape, -1.0), torch.full(shape, 1.0)))
    dense = sg.affine_map(graph, x).dense()
    A = dense.A.reshape(len(x), -1, math.prod(shape))
    value = torch.einsum("boi,bi->bo", A, x.flatten(1)) + dense.b.flatten(1)
    error = float((value - layer(x).flatten(1)).abs().max())
    return (name, str(choices), str(cells.count), "yes" if cells.complete else "no", to(error))


def draw(setting: Setting) -> Page:
    """Return the table, checked."""
    head = ("pooling", "combinations of winners", "regions", "all found", "A x + b is the layer")
    rows = [
        row("max, two windows of 2", nn.MaxPool1d(2), (1, 4), 4),
        row("max, one window of 4", nn.MaxPool1d(4), (1, 4), 4),
        row("max, windows {1, 2}, {2, 3}, {3, 4}", Pairs(around=False), (4,), 8),
        row("max, windows {1, 2}, {2, 3}, {3, 1}", Pairs(around=True), (3,), 8),
        row("max, the same around 4 entries", Pairs(around=True), (4,), 16),
        row("mean, two windows of 2", nn.AvgPool1d(2), (1, 4), 1),
    ]
    return Page(table=(head, *rows))
