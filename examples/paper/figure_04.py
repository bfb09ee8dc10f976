"""Figure 4. The joint partition of a spline operator.

The paper: K splines on one domain are a spline operator. Its regions are the nonempty intersections of one region of
each (Eq 26), and each of them lies in exactly one region of every spline (Eq 28). Here a partition of 2 and one of 3
regions make up the joint one.

What is true: all of it, if 'nonempty' is read as 'with an interior': closed regions share their borders, and these
intersections have no area. There are at most 2 · 3 regions, and fewer if some do not meet.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.axes import Axes

import splinegraph as sg
from examples.paper.page import Page, Setting
from examples.paper.style import BLUE, CYAN, GREEN, PURPLE, RED, YELLOW, bare, canvas
from splinegraph.splines import AffineSpline, Region, SplineOperator

COLORS = (BLUE, RED, GREEN, YELLOW, CYAN, PURPLE)


def half_planes(*rows: tuple[float, float, float]) -> Region:
    """Return the points of the unit square with a x + b y <= c for all rows (a, b, c)."""
    square = [(1, 0, 1), (-1, 0, 0), (0, 1, 1), (0, -1, 0)]
    array = np.array([*rows, *square], dtype=float)
    return Region(array[:, :2], array[:, 2])


def corners(region: Region) -> np.ndarray:
    """Return the corners in order, shape (V, 2)."""
    found = sg.Polytope(torch.from_numpy(region.normals), torch.from_numpy(region.offsets)).vertices.numpy()
    around = found - found.mean(0)
    return found[np.argsort(np.arctan2(around[:, 1], around[:, 0]))]


def show(ax: Axes, regions: list[Region], names: list[str], title: str) -> None:
    """Draw regions with their names."""
    for region, name, color in zip(regions, names, COLORS, strict=False):
        corner = corners(region)
        ax.fill(*corner.T, facecolor=color, edgecolor="white", linewidth=2, alpha=0.75)
        ax.text(*corner.mean(0), name, ha="center", va="center", fontsize=11)
    bare(ax).set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    ax.set_title(title, fontsize=10)


def draw(setting: Setting) -> Page:
    """Draw two partitions and their common refinement."""
    first = [half_planes((1, 0.35, 0.74)), half_planes((-1, -0.35, -0.74))]
    second = [
        half_planes((0.3, -1, -0.5), (-1.2, -1, -0.75)),
        half_planes((-0.3, 1, 0.5), (-1.2, -1, -0.75)),
        half_planes((1.2, 1, 0.75)),
    ]
    splines = [AffineSpline(part, np.zeros((len(part), 2)), np.arange(len(part)) * 1.0) for part in (first, second)]
    joint, parents = SplineOperator(splines).partition()
    figure = canvas(9.2, 3.3)
    left, middle, right = figure.subplots(1, 3)
    show(left, first, [rf"$\omega_{{1,{r + 1}}}$" for r in range(2)], r"$\Omega_1$: 2 regions")
    show(middle, second, [rf"$\omega_{{2,{r + 1}}}$" for r in range(3)], r"$\Omega_2$: 3 regions")
    names = [f"{i + 1}, {j + 1}" for i, j in parents]
    show(right, joint, names, rf"$\Omega^S$: {len(joint)} regions, named by their parents")
    areas = [sg.Polytope(torch.from_numpy(r.normals), torch.from_numpy(r.offsets)).volume for r in joint]
    return Page(
        figure,
        measured=(
            f"{len(joint)} of the 6 intersections have an interior; the areas of the joint regions add up to "
            f"{sum(areas):.6f}, that of the square.",
        ),
    )
