"""Table 1. Nonlinearities as splines.

The paper: ReLU, leaky ReLU and absolute value are splines with two regions per entry, x_d > 0 and x_d <= 0, no
offsets, and slopes 1 and 0, 1 and η, 1 and -1. A layer of K units has the matrices diag(v) with v in {0, 1}^K, {η,
1}^K or {-1, 1}^K.

What is true: all of it, with offsets named b_{d,1} and b_{d,2} where the table has b_{k,1}. Eq 31 leaves out the
input: it is A[z] z + b[z]. At x_d = 0 both pieces have the same value, so the tie may go either way; it goes to x_d
<= 0, as in this table and not as in the paper's worked example, which has x_d >= 0. Automatic differentiation is no
way to get A there: torch gives the slope 0 to |x| at 0, which is neither of its two.
"""

from __future__ import annotations

import itertools

import torch
from torch import nn

import splinegraph as sg
from examples.paper.page import Page, Setting, to

UNITS = 3


class Abs(nn.Module):
    """The absolute value as a module."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return |x|."""
        return x.abs()


def row(name: str, layer: nn.Module, low: float) -> tuple[str, ...]:
    """Check a nonlinearity on all sign patterns."""
    signs = torch.tensor(list(itertools.product((1.0, -1.0), repeat=UNITS)), dtype=torch.float64)
    x = signs * torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    graph = sg.trace(layer.eval(), x[:1])
    dense = sg.affine_map(graph, x).dense()
    expected = torch.diag_embed(torch.where(signs > 0, 1.0, low))
    error = float((torch.einsum("bij,bj->bi", dense.A, x) + dense.b - layer(x)).abs().max())
    slopes = float((dense.A - expected).abs().max())
    tie = sg.affine_map(graph, torch.zeros(1, UNITS, dtype=torch.float64)).dense().A[0, 0, 0]
    zero = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    layer(zero).sum().backward()
    count = len({tuple(a.flatten().tolist()) for a in dense.A})
    return (name, f"1 and {low:g}", f"{count} of 2^{UNITS}", to(slopes), to(error), f"{tie:g}", f"{zero.grad.item():g}")


def draw(setting: Setting) -> Page:
    """Return the table, checked."""
    head = (
        "nonlinearity", "slopes", f"matrices, K = {UNITS}", "A is diag(v)", "A x + b is the layer", "slope at 0",
        "torch's gradient at 0",
    )  # fmt: skip
    rows = [row("ReLU", nn.ReLU(), 0.0), row("leaky ReLU, η = 0.1", nn.LeakyReLU(0.1), 0.1), row("|x|", Abs(), -1.0)]
    relu = sg.trace(nn.ReLU().eval(), torch.zeros(1, UNITS))
    found = sg.affine_map(relu, torch.tensor([[1.0, -2.0, 3.0]])).value[0].tolist()
    return Page(table=(head, *rows), measured=(f"The worked example S(1, -2, 3) gives {found}.",))
