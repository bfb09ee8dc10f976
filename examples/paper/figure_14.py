"""Figure 14. Polynomial, piecewise polynomial, continuous piecewise polynomial.

The paper: three functions on an interval: one polynomial, one per region of a partition, and one per region with
values that agree at the knots (Definitions 8 and 9, Eq 88-94).

What is true: the definitions, with misprints. An order of m means m coefficients, and so a degree of m - 1; the paper
says 'degree minus one'. In Eq 94 only the R - 1 interior knots have multiplicities; a knot of multiplicity M leaves m
- 1 - M continuous derivatives, and the space has the dimension m + sum of the multiplicities.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from examples.paper.page import Page, Setting
from examples.paper.style import BLUE, GREEN, PURPLE, RED, canvas
from splinegraph.splines import Spline1d, SplineSpace

ENDS, KNOTS = (0.0, 4.0), (1.0, 2.2, 3.1)
COLORS = (BLUE, GREEN, PURPLE, RED)
ORDER = 3


def show(ax: Axes, spline: Spline1d, title: str) -> None:
    """Draw each piece in its colour, and the knots."""
    for a, b, color in zip(spline.breaks, spline.breaks[1:], COLORS, strict=False):
        grid = np.linspace(a, b, 60)
        values = spline(grid)
        values[-1] = spline(np.array([b - 1e-9]))[0]
        ax.plot(grid, values, color=color, linewidth=3)
    for at in spline.breaks[1:-1]:
        ax.axvline(at, color="0.85", zorder=0)
    ax.set_title(title, fontsize=9.5)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set(xlim=ENDS, ylim=(-0.3, 2.3), xlabel="x")


def drawn(times: int, seed: int) -> tuple[Spline1d, int]:
    """Return a spline whose knots have a multiplicity, by random coefficients, and the dimension of its space."""
    space = SplineSpace(ORDER, ENDS, KNOTS, (times,) * len(KNOTS))
    weights = np.random.default_rng(seed).uniform(0.0, 2.0, space.dim)
    basis = space.basis()
    edges = np.array([ENDS[0], *KNOTS, ENDS[1]])
    widths = np.diff(edges)
    # three values inside each piece determine it
    pieces = []
    for a, width in zip(edges, widths, strict=False):
        at = a + width * np.array([0.2, 0.5, 0.8])
        values = sum(w * b(at) for w, b in zip(weights, basis, strict=True))
        pieces.append(np.polyfit(at - a, values, ORDER - 1))
    return Spline1d(edges, np.array(pieces).T), space.dim


def draw(setting: Setting) -> Page:
    """Draw the three functions."""
    one = Spline1d(np.array(ENDS), np.array([[0.3], [-1.1], [1.4]]))
    (broken, wide), (joined, dim) = drawn(ORDER, 3), drawn(ORDER - 1, 4)
    figure = canvas(9.2, 3.1)
    left, middle, right = figure.subplots(1, 3, sharey=True)
    show(left, one, f"polynomial of order {ORDER}:\n{ORDER} coefficients")
    show(middle, broken, f"piecewise: multiplicity {ORDER},\ndimension {wide}")
    show(right, joined, f"continuous piecewise: multiplicity {ORDER - 1},\ndimension {dim}")
    return Page(
        figure,
        measured=(
            f"Multiplicities found from the pieces: {broken.multiplicities()} and {joined.multiplicities()}.",
            f"The space of C¹ splines, with multiplicity 1, has dimension {SplineSpace(ORDER, ENDS, KNOTS).dim}.",
        ),
    )
