"""How cells, time and memory grow with width, depth and dimension, as a figure.

python -m benchmarks.regions_growth FILE.png
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.regions import call

SERIES: dict[str, dict[int, str]] = {
    "width of 2-w-w-1": {w: f"2-{w}-{w}-1" for w in (16, 32, 64, 128, 256, 384)},
    "depth of 2-32xL-1": {d: f"2-32x{d}-1" for d in (1, 2, 3, 4, 6, 8, 12)},
    "dimension of D-12-12-1": {d: f"{d}-12-12-1" for d in (2, 3, 4, 5, 6, 7, 8)},
}


def growth(path: Path, timeout: float = 120.0, series: dict[str, dict[int, str]] | None = None) -> dict[str, Any]:
    """Measure and plot; return the figures."""
    found: dict[str, Any] = {}
    for title, nets in (SERIES if series is None else series).items():
        rows = {x: call(name, "ours", [], timeout, 3) for x, name in nets.items()}
        found[title] = {x: row for x, row in rows.items() if "seconds" in row}
    plot(found, path)
    return found


def plot(found: dict[str, Any], path: Path) -> None:
    """Draw cells, CPU milliseconds and bytes per cell against each of the sizes."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import ScalarFormatter

    figure, axes = plt.subplots(1, len(found), figsize=(4.2 * len(found), 3.6), layout="constrained", squeeze=False)
    for axis, (title, rows) in zip(axes[0], found.items(), strict=True):
        sizes = list(rows)
        cells = [rows[x]["cells"] for x in sizes]
        seconds = [min(rows[x]["seconds"]) for x in sizes]
        axis.plot(sizes, cells, "o-", color="#0072B2", label="cells")
        axis.plot(sizes, [1e3 * s for s in seconds], "s--", color="#D55E00", label="CPU milliseconds")
        grown = [(x, rows[x]["grown_mib"] * 2**20 / rows[x]["cells"]) for x in sizes if rows[x]["grown_mib"] > 8]
        if grown:
            axis.plot(*zip(*grown, strict=True), "^:", color="#009E73", label="bytes per cell")
        axis.set(title=title, xlabel=title.split(" ")[0], yscale="log")
        if max(sizes) / min(sizes) > 20:
            axis.set_xscale("log", base=2)
            axis.set_xticks(sizes)
            axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.grid(alpha=0.3, which="major")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].legend(frameon=False, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    growth(Path(sys.argv[1]))
