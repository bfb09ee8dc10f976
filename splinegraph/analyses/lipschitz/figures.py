"""Figures of a Lipschitz bound: what each method gave, and which operators make the product large."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from splinegraph.analyses.canvas import blank
from splinegraph.analyses.lipschitz.bound import LipschitzBound, norm_name
from splinegraph.analyses.lipschitz.product import NodeConstant
from splinegraph.analyses.regions.figures.colors import INK, LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = ["layers", "plot_constants", "plot_ladder", "plot_lipschitz"]

BLUE, ORANGE, GREEN = LIGHT[0], LIGHT[1], LIGHT[5]

BARS = 24
"""Most operators in a bar chart: those farthest from 1."""

NAME = 40
"""Longest label of a bar."""

WIDE = 5.0
"""Ratio of the ends from which the axis is logarithmic."""


def layers(found: LipschitzBound) -> tuple[NodeConstant, ...]:
    """Return the operators whose own constant is not 1, in topological order: the others leave the product as it is."""
    nodes = () if found.product is None else found.product.nodes
    return tuple(entry for entry in nodes if any(k != 1 for k in entry.own))


def plot_lipschitz(found: LipschitzBound) -> Figure:
    """Draw both panels: the ends after each method, and the constants of the operators.

    Returns
    -------
    matplotlib.figure.Figure
    """
    entries = _shown(layers(found))
    height = max(3.6, 1.2 + 0.22 * len(entries))
    figure = blank(10.5, height)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    plot_ladder(found, left)
    plot_constants(found, right)
    return figure


def plot_ladder(found: LipschitzBound, ax: Axes | None = None) -> Axes:
    """Draw the lower and the upper end after each method, in the order in which they ran.

    Parameters
    ----------
    found : LipschitzBound
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a figure of its own, which pyplot does not know of.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = blank(6.4, 3.8).add_subplot() if ax is None else ax
    lower, upper = _ends(found)
    x = range(len(lower))
    known = [u for u in upper if math.isfinite(u)]
    top = max([*known, *lower], default=1.0) or 1.0
    drawn = [u if math.isfinite(u) else math.nan for u in upper]
    ax.fill_between(x, lower, drawn, color=GREEN, alpha=0.18, linewidth=0, step="mid")
    ax.step(x, drawn, where="mid", color=ORANGE, linewidth=1.4, label="upper end, proved")
    ax.step(x, lower, where="mid", color=BLUE, linewidth=1.4, label="lower end, attained")
    for i, rung in enumerate(found.rungs):
        for value in rung.values:
            if math.isfinite(value) and value > 0:
                ax.plot(i, value, "o", color=ORANGE if rung.side == "upper" else BLUE, markersize=4.5)
    least = min((v for v in (*lower, *known) if v > 0), default=top)
    if top > WIDE * least:
        ax.set_yscale("log")
        ax.set_ylim(least / 1.6, top * 1.6)
        _plain_numbers(ax.yaxis)
    else:
        ax.set_ylim(0, top * 1.12)
    ax.set_xlim(-0.6, len(lower) - 0.4)
    names = [f"{rung.method}\n{_seconds(rung.seconds)}" for rung in found.rungs]
    ax.set_xticks(list(x), names, rotation=30 if len(names) > 4 else 0, ha="right" if len(names) > 4 else "center")
    ax.set_ylabel(f"Lipschitz constant, l{norm_name(found.norm)}", color=INK, fontsize=9)
    ax.set_title(_headline(found), fontsize=10, color=INK, parse_math=False)
    if known or any(lower):
        ax.legend(fontsize=8, frameon=False, labelcolor=INK, loc="best")
    _style(ax)
    return ax


def plot_constants(found: LipschitzBound, ax: Axes | None = None) -> Axes:
    """Draw two bars per operator: its own constant, and its gain, what the bound of its value is to that before it.

    Gains along a chain multiply to the product. Operators with the constant 1 and, of many, those near it stay out.

    Parameters
    ----------
    found : LipschitzBound
    ax : matplotlib.axes.Axes, optional
        As in `plot_ladder`.

    Returns
    -------
    matplotlib.axes.Axes
    """
    every = layers(found)
    entries = _shown(every)
    ax = blank(6.4, max(2.4, 1.2 + 0.22 * len(entries))).add_subplot() if ax is None else ax
    values = [max(entry.own) for entry in entries]
    finite = [v for v in values if math.isfinite(v)]
    top = max(finite, default=1.0)
    widths = [v if math.isfinite(v) else 2 * top for v in values]
    colors = [BLUE if math.isfinite(v) else ORANGE for v in values]
    ax.barh(range(len(entries)), widths, color=colors, height=0.7, label="own constant")
    gains = [entry.gain if math.isfinite(entry.gain) else math.nan for entry in entries]
    ax.barh(range(len(entries)), gains, color=INK, height=0.14, label="gain along the graph")
    for i, (value, width) in enumerate(zip(values, widths, strict=True)):
        text = f"{value:.3g}" if math.isfinite(value) else "no constant"
        ax.annotate(text, (width, i), (3, 0), textcoords="offset points", va="center", fontsize=7.5, color=INK)
    ax.set_yticks(range(len(entries)), [_name(entry) for entry in entries], fontsize=7.5, parse_math=False)
    ax.invert_yaxis()
    positive = [v for v in finite if v > 0]
    if positive and max(positive) > 30 * min(positive):
        ax.set_xscale("log")
        ax.set_xlim(min(*positive, 1.0) / 2, 4 * max(widths))
        _plain_numbers(ax.xaxis)
    elif widths:
        ax.set_xlim(0, 1.18 * max(*widths, 1.0))
    ax.axvline(1.0, color=INK, linewidth=0.8, linestyle=(0, (3, 2)))
    product = math.inf if found.product is None else found.product.upper
    told = "infinite" if math.isinf(product) else f"{product:.6g}"
    left_out = f", {len(every) - len(entries)} operators left out" if len(entries) < len(every) else ""
    ax.set_title(f"constants of operators; product {told}{left_out}", fontsize=10, color=INK, parse_math=False)
    if entries:
        ax.legend(fontsize=8, frameon=False, labelcolor=INK, loc="best")
    _style(ax)
    return ax


def _plain_numbers(axis: Axis) -> None:
    """Label a logarithmic axis with 1, 2, 5, 10, ... instead of powers; without 2 and 5 if it is long."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 1e3 * low else (1.0,)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_locator(NullLocator())


def _headline(found: LipschitzBound) -> str:
    if math.isinf(found.upper):
        return f"{found.lower:.6g} or more, no upper end"
    return f"{found.upper:.6g}, exact" if found.kind == "exact" else f"{found.lower:.6g} to {found.upper:.6g}"


def _ends(found: LipschitzBound) -> tuple[list[float], list[float]]:
    """Return the best lower and upper end after each method."""
    uppers = [min(r.values) if r.side == "upper" else math.inf for r in found.rungs]
    lowers = [max(r.values) if r.side == "lower" else 0.0 for r in found.rungs]
    upper = list(itertools.accumulate(uppers, min))
    return [min(*both) for both in zip(itertools.accumulate(lowers, max), upper, strict=True)], upper


def _shown(entries: tuple[NodeConstant, ...]) -> list[NodeConstant]:
    """Return the entries that are farthest from 1, in their order."""

    def distance(entry: NodeConstant) -> float:
        k = max(entry.own)
        return math.inf if k == 0 or math.isinf(k) else abs(math.log(k))

    kept = sorted(sorted(range(len(entries)), key=lambda i: -distance(entries[i]))[:BARS])
    return [entries[i] for i in kept]


def _name(entry: NodeConstant) -> str:
    """Return the name and the operator of a node, short enough for an axis."""
    name, label = entry.node.name, entry.node.op.label
    text = f"{name}, {label}"
    text = name if label.lower() in name.lower() or len(text) > NAME else text
    return text if len(text) <= NAME else "…" + text[1 - NAME :]


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s" if seconds >= 0.1 else f"{1000 * seconds:.0f} ms"


def _style(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    for spine in ax.spines.values():
        spine.set(color=INK, linewidth=0.6)
    ax.tick_params(which="both", colors=INK, labelsize=7.5)
