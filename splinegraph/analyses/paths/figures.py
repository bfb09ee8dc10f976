"""Figure of the families' contributions to a class score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from splinegraph.analyses.canvas import blank
from splinegraph.analyses.paths.decomposition import PathDecomposition
from splinegraph.analyses.regions.figures.colors import INK, LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_paths"]

LONG = 28
"""Characters of a family's name that are shown."""


def plot_paths(found: PathDecomposition, ax: Axes | None = None, *, sample: int = 0) -> Axes:
    """Draw what each family gives to the first class shown: from the input, from biases, and together.

    Parameters
    ----------
    found : PathDecomposition
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a figure of its own, which pyplot does not know of.
    sample : int, default 0

    Returns
    -------
    matplotlib.axes.Axes
    """
    given, biased = found.of_sample(sample)
    count = len(found)
    ax = blank(7.0, min(max(2.4, 1.2 + 0.3 * count), 14.0)).add_subplot() if ax is None else ax
    place = range(count)
    ax.barh([i - 0.19 for i in place], given, 0.38, color=LIGHT[0], label="from the input")
    ax.barh([i + 0.19 for i in place], biased, 0.38, color=LIGHT[1], label="from biases")
    together = [a + b for a, b in zip(given, biased, strict=True)]
    ax.plot(together, list(place), "D", color=INK, markersize=4, label="together")
    ax.axvline(0, color=INK, linewidth=0.6)
    ax.set_yticks(list(place), [_label(n, c) for n, c in zip(found.names, found.counts, strict=True)])
    ax.invert_yaxis()
    output, score = int(found.classes[sample, 0]), float(found.value[sample].flatten()[found.classes[sample, 0]])
    ax.set_xlabel(f"contribution to output {output}, which is {score:.4g}")
    title = f"paths by {found.by}" + " (overlapping)" * (found.by == "block") + ", tangent" * (found.kind == "tangent")
    ax.set_title(title, fontsize="medium")
    ax.legend(fontsize="small", frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _label(name: str, count: int | None) -> str:
    short = name if len(name) <= LONG else name[: LONG - 1] + "…"
    short = short.replace("$", r"\$")  # no formula
    return short if count is None else f"{short}  ({count:,} path{'s' * (count != 1)})"
