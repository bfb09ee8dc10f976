"""Figures of convexity: which layers and units break it, and the chord that refutes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from splinegraph.analyses.canvas import blank
from splinegraph.analyses.convexity.inference import Inference
from splinegraph.analyses.convexity.verdict import Witness
from splinegraph.analyses.regions.figures.colors import INK, LIGHT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_convexity", "plot_layers", "plot_witness"]

BLUE, ORANGE, GREEN = LIGHT[0], LIGHT[1], LIGHT[5]
GREY = "#b8b8b8"

LAYERS = 16
"""Most layers in the bar chart: the first ones."""

POINTS = 401
"""Of the curve along a chord."""


def plot_convexity(found: Inference) -> Figure:
    """Draw both panels: the units of each layer, and the worst witness.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = min(len(found.prefixes), LAYERS)
    figure = blank(10.5, max(3.6, 1.3 + 0.28 * shown))
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    plot_layers(found, left)
    witness = worst(found)
    if witness is None:
        right.set_axis_off()
        counts = ", ".join(f"{count} {status}" for status, count in found.verdicts.counts.items())
        right.text(0.5, 0.5, f"no witness against any output:\n{counts}", ha="center", va="center", color=INK)
    else:
        plot_witness(witness, right)
    return figure


def plot_layers(found: Inference, ax: Axes | None = None) -> Axes:
    """Draw for each layer the share of its units that are convex in the inputs, are not, and are not known.

    Parameters
    ----------
    found : Inference
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default on a figure of its own, which pyplot does not know of.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = blank(6.4, 3.8).add_subplot() if ax is None else ax
    shown = found.prefixes[:LAYERS]
    start = [0.0] * len(shown)
    kinds = ((True, "convex in the inputs", BLUE), (False, "not convex", ORANGE), (None, "not known", GREY))
    for answer, label, color in kinds:
        counts = [prefix.convex.count(answer) for prefix in shown]
        parts = [count / max(len(prefix.convex), 1) for count, prefix in zip(counts, shown, strict=True)]
        bars = ax.barh(range(len(shown)), parts, left=start, color=color, label=label, height=0.7)
        ax.bar_label(bars, [str(n) if part > 0.06 else "" for n, part in zip(counts, parts, strict=True)],
                     label_type="center", fontsize=8, color="white")  # fmt: skip
        start = [a + b for a, b in zip(start, parts, strict=True)]
    blamed: dict[str, float] = {}
    for (layer, _), jump in found.blame.items():
        blamed[layer] = min(blamed.get(layer, 0.0), jump)
    for i, prefix in enumerate(shown):
        if prefix.layer in blamed:
            ax.text(1.02, i, f"{blamed[prefix.layer]:.3g}", va="center", fontsize=8, color=INK)
    if blamed:
        ax.text(1.02, 1.0, "worst jump", va="bottom", fontsize=8, color=INK, transform=ax.transAxes)
    ax.set_yticks(range(len(shown)), [prefix.layer for prefix in shown])
    ax.set(xlim=(0, 1), xlabel="share of the layer's units")
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    left = len(found.prefixes) - len(shown)
    ax.set_title("which layers are convex" + (f" (the first {LAYERS}, {left} more)" if left else ""), fontsize=10)
    ax.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
    return ax


def plot_witness(witness: Witness, ax: Axes | None = None) -> Axes:
    """Draw the output along a chord, and the chord that it should stay below (or above).

    Parameters
    ----------
    witness : Witness
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = blank(5.4, 3.8).add_subplot() if ax is None else ax
    t = torch.linspace(0, 1, POINTS, dtype=torch.float64)
    t = torch.cat([t, torch.tensor([1 - witness.weight], dtype=torch.float64)]).sort().values
    values = along(witness, t)
    at = int((t - (1 - witness.weight)).abs().argmin())
    chord = values[0] + (values[-1] - values[0]) * t
    ax.plot(t, values, color=BLUE, linewidth=1.6, label=f"output {list(witness.index)}")
    ax.plot(t, chord, color=GREY, linewidth=1.2, linestyle="--", label="chord")
    ax.plot(t[at], values[at], "o", color=ORANGE, markersize=5)
    ax.vlines(float(t[at]), float(chord[at]), float(values[at]), color=ORANGE, linewidth=1.4)
    ax.set(xlabel="from x (0) to y (1)")
    ax.set_title(f"not {witness.against}: gap {abs(witness.gap):.3g}", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=8, frameon=False)
    return ax


def along(witness: Witness, t: torch.Tensor) -> torch.Tensor:
    """Return the output at (1 - t) x + t y, float64."""
    graph, sides = witness.graph.output(*witness.index), zip(witness.x, witness.y, strict=True)
    batch = [torch.stack([(1 - s) * x + s * y for s in t.tolist()]) for x, y in sides]
    with torch.no_grad():
        value = graph(*batch, dtype=torch.float64)
    return torch.as_tensor(value).reshape(len(t))


def worst(found: Inference) -> Witness | None:
    """Return the witness with the largest gap, of those against convexity if there are any."""
    every = [witness for verdict in found.verdicts for witness in verdict.witnesses]
    against = [witness for witness in every if witness.against == "convex"] or every
    return max(against, key=lambda witness: abs(witness.gap), default=None)
