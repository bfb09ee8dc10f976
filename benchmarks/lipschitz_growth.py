"""How bounds and times grow with width and depth, as a figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["plot"]


def plot(found: dict[str, dict[int, dict[str, Any]]], path: Path) -> None:
    """Draw bounds relative to the lower end above, and CPU seconds below, against each of the sizes."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    figure, axes = plt.subplots(2, len(found), figsize=(4.6 * len(found), 5.6), layout="constrained", squeeze=False)
    for (above, below), (title, rows) in zip(axes.T, found.items(), strict=True):
        for part, colour in (("product", "#999999"), ("semidefinite", "#0072B2"), ("ours", "#D55E00")):
            upper, seconds = _series(rows, part)
            style = {"color": colour, "marker": "o", "label": "whole ladder" if part == "ours" else part}
            above.plot(list(upper), list(upper.values()), **style)
            below.plot(list(seconds), list(seconds.values()), **style)
        above.set(title=title, yscale="log", ylabel="upper end / lower end")
        below.set(xlabel=title.split(" of ")[0], yscale="log", ylabel="CPU seconds")
        for axis in (above, below):
            axis.set_xscale("log", base=2)
            axis.set_xticks(list(rows))
            axis.xaxis.set_major_formatter(ScalarFormatter())
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.grid(alpha=0.3, which="major")
            axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].legend(frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _series(rows: dict[int, dict[str, Any]], part: str) -> tuple[dict[int, float], dict[int, float]]:
    """Return upper ends, over the lower end, and seconds by size; sizes without a figure are left out."""
    upper, seconds = {}, {}
    for size, row in rows.items():
        lower, mine = row["ours"].get("lower"), row["ours" if part == "product" else part]
        end = mine.get("product" if part == "product" else "upper")
        if lower and end:
            upper[size] = end / lower
        if "seconds" in mine and part != "product":
            seconds[size] = mine["seconds"]
    return upper, seconds
