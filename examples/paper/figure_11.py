"""Figure 11. Templates in gradient descent, with and without a penalty.

The paper: in two dimensions, templates of opposite classes that start alike. Without Tikhonov's penalty they keep
what they started with; with it, and the sooner the stronger it is, they turn to multiples of the input, which the
paper calls memorisation of the data set.

What is true: this picture. Without a penalty every step is along x, the sum of all templates is conserved, and the
loss has no minimum: templates grow for ever. With a penalty λ and |x| = 1 the limit is A_Y = (C - 1) β x and A_c = -β
x with the root β of 2 λ β (C - 1 + exp(C β)) = 1. The remark that biases do not interfere is false: they change the
predictions, and with them every step. Theorem 5, on a bound K instead of a penalty, has K outside the root: as
printed the energy is K²(C - 1)/C + K/C, which is K for K = 1 only.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes

import splinegraph as sg
from examples.paper.page import Page, Setting, to
from examples.paper.style import BLUE, INK, RED, canvas

X = torch.tensor([0.8, 0.6], dtype=torch.float64)
START = torch.tensor([[-0.9, 1.3], [0.9, -0.5], [0.9, -0.5]], dtype=torch.float64)
STEPS, RATE = 400, 0.1


def show(ax: Axes, found: sg.TemplateDynamics, title: str) -> None:
    """Draw the paths of the templates, and where they would end."""
    ax.axline((0, 0), tuple(X.tolist()), color="0.85", linewidth=1, zorder=0)
    ax.annotate("", tuple(X.tolist()), (0, 0), arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.6})
    ax.text(float(X[0]) + 0.08, float(X[1]) - 0.3, "x", fontsize=11)
    for c, color, name in ((0, BLUE, "template of the class of x"), (1, RED, "templates of the other classes")):
        path = found.path[:, c].numpy()
        ax.plot(*path.T, color=color, linewidth=2, label=name)
        ax.plot(*path[0], "o", color=color, markersize=7, fillstyle="none", markeredgewidth=1.6)
        ax.plot(*path[-1], "o", color=color, markersize=7)
    if found.tikhonov:
        best = sg.optimal_templates(X[None], [0], 3, tikhonov=found.tikhonov).rows[0].numpy()
        ax.plot(*best[:2].T, "x", color=INK, markersize=10, markeredgewidth=1.6, label="optimum", linestyle="none")
    ax.set(xlim=(-1.9, 2.7), ylim=(-1.9, 3.7), aspect="equal")
    ax.set_title(title, fontsize=10)
    ax.grid(color="0.93")
    ax.tick_params(labelsize=8)


def draw(setting: Setting) -> Page:
    """Draw the dynamics without, with a weak and with a strong penalty."""
    figure = canvas(9.2, 4.4)
    axes = figure.subplots(1, 3, sharey=True)
    runs = [
        sg.template_dynamics(X, 0, classes=3, steps=STEPS, rate=RATE, tikhonov=weight, start=START)
        for weight in (0.0, 0.02, 0.15)
    ]
    names = ("no penalty", "penalty λ = 0.02", "penalty λ = 0.15")
    for ax, run, name in zip(axes, runs, names, strict=True):
        show(ax, run, name)
    handles = axes[1].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    ends = [np.round(run.cosines[-1].numpy(), 3) for run in runs]
    return Page(
        figure,
        measured=(
            f"{STEPS} steps of rate {RATE} from the open to the full dots.",
            "Without a penalty the sum of templates stays "
            f"{to(runs[0].drift)}, and cosines to x end at {ends[0][0]:.3f} and {ends[0][1]:.3f}; with λ = 0.15 at "
            f"{ends[2][0]:.3f} and {ends[2][1]:.3f}.",
        ),
    )
