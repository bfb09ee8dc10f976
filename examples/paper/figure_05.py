"""Figure 5. Direct paths of a recurrent network.

The paper: from every input x^t a direct path leads to each layer, and the recursion carries it to the last step, so
that the state of the first layer is a sum over all time steps.

What is true: the sum over time is right, for the network's own gates at x. The first of the two printed lines is
wrong unless the units are ReLU, as it applies the slopes A_σ twice to the bias b and once too many to b_σ; both lines
leave out the initial state, which has to be 0. Below, the sum is taken apart for a trained network that reads an
image row by row.
"""

from __future__ import annotations

import itertools

from matplotlib.axes import Axes

import splinegraph as sg
from examples.digits_rnn import model
from examples.paper.page import Page, Setting, to
from examples.paper.style import BLUE, GREY, INK, RED, arrow, bare, canvas

STEPS, LAYERS = 4, 3


def grid(ax: Axes, sources: bool = True) -> None:
    """Draw a node per layer and step, and the inputs below."""
    for t in range(1, STEPS + 1):
        for layer in range(LAYERS + 1):
            color = "white" if layer else "#DDDDDD"
            ax.plot(t, layer, "o" if layer else "s", markersize=31, color=color, markeredgecolor=INK, zorder=3)
            name = f"$z^{{({layer},{t})}}$" if layer else f"$x^{t}$"
            ax.text(t, layer, name, ha="center", va="center", fontsize=9.5, zorder=4)
            if layer and t < STEPS:
                arrow(ax, (t, layer), (t + 1, layer), GREY)
            if layer > 1 or (layer and sources):
                arrow(ax, (t, layer - 1), (t, layer), GREY)
    bare(ax).set(xlim=(0.55, STEPS + 0.45), ylim=(-0.45, LAYERS + 0.45))


def path(ax: Axes, nodes: list[tuple[int, int]], color: str) -> None:
    """Draw a path through (step, layer) nodes."""
    for start, end in itertools.pairwise(nodes):
        arrow(ax, start, end, color, 2.6)


def draw(setting: Setting) -> Page:
    """Draw direct paths, and what each time step gives to the score of a digit."""
    data = sg.training.load_data("digits", normalisation="unit")
    x = data.x_test[(data.y_test == 4).nonzero()[0]]
    graph = sg.trace(model, x)
    found = sg.paths(graph, x, by="time")
    figure = canvas(9.6, 3.8)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.7, 0.8, 1.4))
    grid(left)
    path(left, [(1, 0), (1, 1), (2, 1), (3, 1), (4, 1)], BLUE)
    path(left, [(3, 0), (3, 1), (4, 1)], RED)
    left.set_title("direct paths to layer 1 at the last step", fontsize=10)
    middle.imshow(x[0, 0].numpy(), cmap="gray_r")
    middle.set(xticks=[], yticks=range(8), yticklabels=[f"$x^{t}$" for t in range(1, 9)])
    middle.set_title("an image, row by row", fontsize=10)
    inputs, biases = (part[:, 0, 0].numpy() for part in found.scores)
    right.barh(range(9), inputs, color=BLUE, height=0.4, label="paths from the input")
    right.barh([y + 0.4 for y in range(9)], biases, color=RED, height=0.4, label="paths from biases")
    right.axvline(0, color=INK, linewidth=0.8)
    right.set_yticks([y + 0.2 for y in range(9)], found.names, fontsize=8)
    right.invert_yaxis()
    right.spines[["top", "right"]].set_visible(False)
    right.legend(frameon=False, fontsize=7)
    chosen = int(found.classes[0, 0])
    right.set_title(f"what enters at each step, to the score of {chosen}", fontsize=10)
    total, score = float((inputs + biases).sum()), float(found.value[0, chosen])
    return Page(figure, measured=(f"The bars add up to the score {score:.3f}, {to(abs(total - score))}.",))
