"""Pictures of measures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from splinegraph.analyses.canvas import blank

if TYPE_CHECKING:
    from splinegraph.analyses.measures.activity import Activity
    from splinegraph.analyses.measures.smoothness import Smoothness

__all__ = ["plot_activity", "plot_smoothness"]

ACTIVE, ENTROPY, WITHIN, BETWEEN = "#4477AA", "#CCBB44", "#228833", "#AA3377"


def plot_activity(found: Activity, ax: Any = None) -> Any:
    """Draw the share of active units and the entropy of a unit, layer by layer."""
    ax = blank(max(5.0, 0.7 * len(found.layers) + 2), 3.6).add_subplot() if ax is None else ax
    at = range(len(found.layers))
    width = 0.4
    for i, layer in enumerate(found.layers):
        if layer.active is not None and layer.least is not None and layer.most is not None:
            ax.bar(i - width / 2, layer.active, width, color=ACTIVE, label="active units" if i == 0 else None)
            ax.plot([i - width / 2] * 2, [layer.least, layer.most], color="#222222", linewidth=1)
    ax.bar(
        [i + width / 2 for i in at], [layer.entropy for layer in found.layers], width, color=ENTROPY,
        label="entropy of a unit, bits",
    )  # fmt: skip
    ax.set_xticks(list(at), [layer.name for layer in found.layers], rotation=30, ha="right", parse_math=False)
    ax.set_ylim(0, None)
    ax.set_ylabel("share, bits")
    ax.set_title(f"{found.samples} samples; lines: least and most active sample", fontsize=9)
    ax.legend(frameon=False, fontsize=8)
    return ax


def plot_smoothness(found: Smoothness, ax: Any = None) -> Any:
    """Draw the variation of the slope along each chord beside its length."""
    ax = blank(5.0, 3.6).add_subplot() if ax is None else ax
    groups = (
        [("chords", slice(None), ACTIVE)]
        if found.same is None
        else [("within a class", found.same, WITHIN), ("between classes", ~found.same, BETWEEN)]
    )
    for name, rows, color in groups:
        ax.plot(found.lengths[rows], found.variation[rows], "o", markersize=3, alpha=0.7, color=color, label=name)
    ax.set_xlabel("length of the chord, l2")
    ax.set_ylabel("total variation of the slope" + ("" if found.kind == "exact" else ", at least"))
    ax.set_ylim(0, None)
    ax.legend(frameon=False, fontsize=8)
    return ax
