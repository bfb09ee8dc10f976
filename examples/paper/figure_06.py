"""Figure 6. All paths of a recurrent network.

The paper: paths through the hidden layers go forward in time or upward in depth, never back; there are
combinatorially many, and the state of the last layer is the sum over all of them (Eq 48-50).

What is true: the picture, and the count: C(T - t + L - l, L - l) paths lead from (l, t) to the last state, C(T + L,
L) - 1 in all. The printed sums are wrong: the product of layer 2 has to run over q = k_2 ... k_1 + 1 and that of
layer 1 over q = k_1 ... t + 1, from the last to the first; in Eq 50 that of layer 3 begins at k_3 and not at T; and
from the second layer on W_in x^t, which Eq 13 has, is left out. All paths from one node are equally long, so that
grouping them by length is grouping them by source.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn

import splinegraph as sg
from examples.paper.figure_05 import LAYERS, STEPS, grid, path
from examples.paper.page import Page, Setting, to
from examples.paper.style import BLUE, GREY, RED, bare, canvas


def draw(setting: Setting) -> Page:
    """Draw all paths of a source, and the number of paths from each node."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.RNN(3, 5, num_layers=LAYERS, nonlinearity="relu", batch_first=True).double().eval()
        x = torch.randn(1, STEPS, 3, dtype=torch.float64)

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            states: torch.Tensor = self.rnn(x)[0]
            return states[:, -1]

    found = sg.paths(sg.trace(Last().eval(), x), x, by="source")
    numbers = dict(zip(found.names, found.counts, strict=True))
    figure = canvas(9.2, 3.8)
    left, right = figure.subplots(1, 2)
    grid(left, sources=False)
    source = (2, 1)
    for ups in itertools.combinations_with_replacement(range(source[0], STEPS + 1), LAYERS - 1):
        nodes = [(2, 0), source]
        for layer, until in enumerate(ups, start=1):
            nodes += [(t, layer) for t in range(nodes[-1][0] + 1, until + 1)] + [(until, layer + 1)]
        nodes += [(t, LAYERS) for t in range(nodes[-1][0] + 1, STEPS + 1)]
        path(left, nodes, BLUE)
    left.set_title(f"all {numbers['layer 1 step 2']} paths from $x^2$ to $z^{{(3,4)}}$", fontsize=10)
    total = 0
    for layer in range(1, LAYERS + 1):
        for t in range(1, STEPS + 1):
            count = numbers[f"layer {layer} step {t}"]
            total += count
            assert count == math.comb(STEPS - t + LAYERS - layer, LAYERS - layer)
            right.plot(t, layer, "o", markersize=30, color="white", markeredgecolor=GREY)
            right.text(t, layer, str(count), ha="center", va="center", fontsize=11, color=RED, weight="bold")
    bare(right).set(xlim=(0.4, STEPS + 0.5), ylim=(0.4, LAYERS + 0.6))
    right.set_xticks(range(1, STEPS + 1), [f"t = {t}" for t in range(1, STEPS + 1)])
    right.set_yticks(range(1, LAYERS + 1), [f"layer {layer}" for layer in range(1, LAYERS + 1)])
    right.tick_params(length=0)
    right.set_title("paths from each node to the last state", fontsize=10)
    return Page(
        figure,
        measured=(
            f"{total} paths in all, which is C({STEPS + LAYERS}, {LAYERS}) - 1; what they carry adds up to the last "
            f"state of a random network {to(found.error)}.",
        ),
    )
