"""Pictures of measures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from splinegraph.analyses.canvas import blank

if TYPE_CHECKING:
    from splinegraph.analyses.measures.activity import Activity
    from splinegraph.analyses.measures.gap import GeneralizationGap
    from splinegraph.analyses.measures.sharpness import Sharpness
    from splinegraph.analyses.measures.smoothness import Smoothness

__all__ = ["plot_activity", "plot_gap", "plot_sharpness", "plot_smoothness"]

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


def plot_sharpness(found: Sharpness, ax: Any = None) -> Any:
    """Draw the rises of the loss along random directions, the smallest first, and their mean."""
    ax = blank(5.0, 3.2).add_subplot() if ax is None else ax
    ax.bar(range(1, len(found.rises) + 1), sorted(found.rises), color=ACTIVE)
    if found.rises:
        ax.axhline(found.mean, color="#222222", linewidth=1, label=f"mean {found.mean:.3g}")
        ax.legend(frameon=False, fontsize=8)
    told = "" if found.curvature is None else f", curvature at least {found.curvature:.3g}"
    ax.set_title(f"loss {found.loss:.3g}{told}", fontsize=9)
    ax.set_xlabel("random direction")
    ax.set_ylabel(f"rise at {found.radius:g} of each filter")
    return ax


def plot_gap(found: GeneralizationGap, ax: Any = None) -> Any:
    """Draw both accuracies, and the interval of that on new samples."""
    ax = blank(4.0, 3.2).add_subplot() if ax is None else ax
    ax.bar([0, 1], [found.train, found.held_out], 0.6, color=[ACTIVE, WITHIN])
    below, above = found.held_out - found.low, found.high - found.held_out
    ax.errorbar([1], [found.held_out], [[below], [above]], color="#222222", capsize=4)
    names = [f"{name},\n{count} samples" for name, count in
             (("train", found.train_samples), ("held out", found.held_out_samples))]  # fmt: skip
    ax.set_xticks([0, 1], names)
    ax.set_ylim(0, 1)
    ax.set_ylabel("accuracy")
    ax.set_title(f"gap {100 * found.gap:.1f} points; line: {100 * found.level:g} % for new samples", fontsize=9)
    return ax
