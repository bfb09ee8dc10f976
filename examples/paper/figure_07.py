"""Figure 7. Finding the region by taking the maximum.

The paper: a linear spline is the maximum of its affine pieces if and only if it is convex (Theorem 2), so that the
piece of a query is the one with the largest value there.

What is true: 'if' always, and 'only if' where every region has an interior. Without that it fails: with the map 5x on
the region {0} and 0 elsewhere the spline is 0, convex, and not max(5x, 0). At ties several pieces are largest. A
spline that is not convex can be found by no such maximum: on the right the largest piece lies above the spline.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from matplotlib.axes import Axes

import splinegraph as sg
from examples.paper.page import Page, Setting, to
from examples.paper.style import BLUE, GREEN, INK, PURPLE, RED, canvas
from splinegraph.splines import AffineSpline, Region

COLORS = (BLUE, GREEN, PURPLE)
ENDS = np.array([-2.0, 2.0])


def spline(knots: tuple[float, ...], slopes: tuple[float, ...], start: float) -> AffineSpline:
    """Return a continuous spline with a value at the first knot."""
    edges = [-2.0, *knots, 2.0]
    regions = [Region(np.array([[1.0], [-1.0]]), np.array([b, -a])) for a, b in itertools.pairwise(edges)]
    offsets = [start - slopes[0] * knots[0]]
    for knot, before, after in zip(knots, slopes, slopes[1:], strict=False):
        offsets.append(offsets[-1] + (before - after) * knot)
    return AffineSpline(regions, np.array(slopes)[:, None], np.array(offsets))


def show(ax: Axes, s: AffineSpline, query: float, title: str) -> float:
    """Draw a spline, its pieces everywhere, and their values at a query; return how far the largest is above it."""
    grid = np.linspace(*ENDS, 201)
    pieces = s.slopes * grid + s.offsets[:, None]
    for piece, color in zip(pieces, COLORS, strict=False):
        ax.plot(grid, piece, "--", color=color, linewidth=1.2)
    for region, piece, color in zip(s.regions, pieces, COLORS, strict=False):
        inside = region.contains(grid[:, None])
        ax.plot(grid[inside], piece[inside], color=color, linewidth=3.5, solid_capstyle="butt")
    for knot in (region.offsets[0] for region in s.regions[:-1]):
        ax.axvline(knot, color="0.85", zorder=0)
    values = s.slopes[:, 0] * query + s.offsets
    ax.axvline(query, color=INK, linewidth=0.8, linestyle=":")
    ax.scatter(np.full(len(values), query), values, c=COLORS[: len(values)], zorder=4, s=28)
    ax.plot(query, values.max(), "o", markersize=12, color=RED, fillstyle="none", markeredgewidth=1.8)
    ax.set(xlim=ENDS, ylim=(-2.4, 3.2), xlabel="x")
    ax.set_title(title, fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    return float((pieces.max(0) - s(grid[:, None])).max())


def verdict(signs: tuple[float, float]) -> str:
    """Return what is proved of a network with the two bends of a picture."""
    net = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)).double().eval()
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.copy_(torch.tensor([0.7, -0.6]))
        net[2].weight.copy_(torch.tensor([signs]))
    graph = sg.trace(net, torch.zeros(1, 1, dtype=torch.float64))
    return sg.convexity(graph, sg.Box(torch.tensor([-2.0]), torch.tensor([2.0])))[0].status.name


def draw(setting: Setting) -> Page:
    """Draw a convex spline and one that is not."""
    figure = canvas(9.2, 3.5)
    left, right = figure.subplots(1, 2, sharey=True)
    above = show(left, spline((-0.7, 0.6), (-1.0, 0.3, 1.6), -0.4), 1.2, "convex: the piece of x is the largest at x")
    other = show(right, spline((-0.7, 0.6), (0.3, 1.6, -1.0), -0.9), 1.2, "not convex: the largest is another piece")
    left.set_ylabel("s(x), and all pieces (dashed)")
    return Page(
        figure,
        measured=(
            f"The largest piece is the spline {to(above)} on the left, and above it by up to {other:.2f} on "
            f"the right. `sg.convexity` of networks with the same bends says {verdict((1.3, 1.3))} and "
            f"{verdict((1.3, -2.6))}.",
        ),
    )
