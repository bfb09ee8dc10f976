"""Piecewise affine approximants: ours beside uniform knots, knots by curvature, and the fits of pwlf.

    python -m benchmarks.splines [--pieces 4 8 16 32 64] [--plot FILE.png] [--json FILE] [--quick]

For each function the largest error of ours, which is proved, and of others, which is measured on a dense grid and then
refined around its maxima: so theirs may be larger, and ours may not. Uniform knots interpolate, and are then shifted to
the middle of their errors; knots by curvature (de Boor, 1973) share the integral of sqrt|f''| out evenly. pwlf
(least squares with free knots, from several starts) is asked for few pieces only.
The second table has the fewest pieces for a tolerance.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.spline_networks import networks
from splinegraph.core.operator import Operator
from splinegraph.operators.smooth import Exp, Reciprocal, Square
from splinegraph.operators.smooth_functions import GELU, Sigmoid, SiLU, Softplus, Tanh
from splinegraph.splines import PiecewiseAffine, Univariate, approximate
from splinegraph.transforms.spline.functions import function_on

__all__ = ["main"]

FUNCTIONS: dict[str, tuple[Operator, tuple[float, float]]] = {
    "x^2": (Square(), (0.0, 1.0)),
    "exp": (Exp(), (0.0, 2.0)),
    "1/x": (Reciprocal(), (0.1, 2.0)),
    "softplus": (Softplus(), (-8.0, 8.0)),
    "sigmoid": (Sigmoid(), (-8.0, 8.0)),
    "tanh": (Tanh(), (-4.0, 4.0)),
    "GELU": (GELU(), (-8.0, 8.0)),
    "SiLU": (SiLU(), (-8.0, 8.0)),
}
"""Operators and intervals."""

TOLERANCES = (1e-2, 1e-3, 1e-4)
GRID = 200_001
MOST_FITTED = 8
"""Pieces beyond which pwlf takes minutes."""

Knots = Callable[[Univariate, tuple[float, float], int], np.ndarray]


def uniform(function: Univariate, interval: tuple[float, float], pieces: int) -> np.ndarray:
    return np.linspace(*interval, pieces + 1)


def by_curvature(function: Univariate, interval: tuple[float, float], pieces: int) -> np.ndarray:
    """Return knots that share the integral of the root of the second derivative."""
    x = np.linspace(*interval, GRID)
    density = np.sqrt(np.abs(np.gradient(function.slope(x), x))) + 1e-12
    total = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return np.interp(np.linspace(0, total[-1], pieces + 1), total, x)


def interpolant(function: Univariate, knots: np.ndarray) -> float:
    """Return the error of the interpolant, moved to the middle of its errors, on a grid that holds the knots."""
    x = np.union1d(np.linspace(knots[0], knots[-1], GRID), knots)
    gap = function.value(x) - np.interp(x, knots, function.value(knots))
    return float(gap.max() - gap.min()) / 2


def fitted(function: Univariate, interval: tuple[float, float], pieces: int) -> float | None:
    """Return the largest error of pwlf's least squares fit; None if it is not installed, or would take too long."""
    if pieces > MOST_FITTED or importlib.util.find_spec("pwlf") is None:
        return None
    import pwlf

    x = np.linspace(*interval, 300)
    model = pwlf.PiecewiseLinFit(x, function.value(x), seed=0)
    model.fitfast(pieces)
    dense = np.linspace(*interval, GRID)
    return float(np.abs(function.value(dense) - model.predict(dense)).max())


def fewest(error: Callable[[int], float], tol: float, most: int = 4096) -> int | None:
    """Return the fewest pieces with an error of at most tol, by doubling and bisection."""
    high = 1
    while high <= most and error(high) > tol:
        high *= 2
    if high > most:
        return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if error(middle) <= tol else (middle, high)
    return high


def on_grid(function: Univariate, p: PiecewiseAffine, interval: tuple[float, float]) -> float:
    x = np.union1d(np.linspace(*interval, GRID), p.knots)
    return float(np.abs(function.value(x) - p(x)).max())


def errors(options: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    """Compare errors at the same number of pieces."""
    rows: list[dict[str, Any]] = []
    for name, (operator, interval) in FUNCTIONS.items():
        function = function_on(operator, interval)
        for pieces in options.pieces:
            start = time.process_time()
            p = approximate(function, interval, pieces=pieces)
            seconds = time.process_time() - start
            rows.append({
                "function": name, "interval": interval, "pieces": pieces, "ours": p.error, "seconds": seconds,
                "on a grid": on_grid(function, p, interval),
                "uniform": interpolant(function, uniform(function, interval, pieces)),
                "by curvature": interpolant(function, by_curvature(function, interval, pieces)),
                "pwlf": fitted(function, interval, pieces),
            })  # fmt: skip
    table = Table(title="largest error; in brackets how many times ours", title_justify="left")
    for heading in (
        "function",
        "interval",
        "pieces",
        "ours, proved",
        "proved / observed",
        "uniform knots",
        "knots by curvature",
        "pwlf",
        "our CPU ms",
    ):
        table.add_column(heading, justify="left" if heading in ("function", "interval") else "right")
    for row in rows:
        others = [
            "" if row[k] is None else f"{row[k]:.3e} ({row[k] / row['ours']:.2f})"
            for k in ("uniform", "by curvature", "pwlf")
        ]
        low, high = row["interval"]
        table.add_row(
            row["function"],
            f"[{low:g}, {high:g}]",
            str(row["pieces"]),
            f"{row['ours']:.4e}",
            f"{row['ours'] / row['on a grid']:.6f}",
            *others,
            f"{1000 * row['seconds']:.1f}",
        )
    console.print(table)
    return rows


def counts(options: argparse.Namespace, console: Console) -> list[dict[str, Any]]:
    """Compare numbers of pieces at the same error."""
    rows = []
    for name, (operator, interval) in FUNCTIONS.items():
        function = function_on(operator, interval)
        for tol in TOLERANCES[: 2 if options.quick else 3]:

            def error(
                n: int, knots: Knots, function: Univariate = function, interval: tuple[float, float] = interval
            ) -> float:
                return interpolant(function, knots(function, interval, n))

            rows.append({
                "function": name, "tol": tol, "ours": approximate(function, interval, tol=tol).pieces,
                "uniform": fewest(lambda n: error(n, uniform), tol),
                "by curvature": fewest(lambda n: error(n, by_curvature), tol),
            })  # fmt: skip
    table = Table(title="fewest pieces for an error", title_justify="left")
    for heading in ("function", "error", "ours", "uniform knots", "knots by curvature"):
        table.add_column(heading, justify="left" if heading == "function" else "right")
    for row in rows:
        table.add_row(
            row["function"], f"{row['tol']:g}", str(row["ours"]), str(row["uniform"]), str(row["by curvature"])
        )
    console.print(table)
    return rows


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw errors against pieces, one panel per function."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["function"] for row in rows))
    figure = Figure(figsize=(11, 2.6 * math.ceil(len(names) / 4)), layout="constrained")
    axes = figure.subplots(math.ceil(len(names) / 4), 4, squeeze=False).flat
    for ax, name in zip(axes, names, strict=False):
        mine = [row for row in rows if row["function"] == name]
        x = [row["pieces"] for row in mine]
        for key, style in (("uniform", "s--"), ("by curvature", "^--"), ("pwlf", "x"), ("ours", "o-")):
            known = [(n, row[key]) for n, row in zip(x, mine, strict=True) if row[key] is not None]
            if known:
                ax.loglog(*zip(*known, strict=True), style, label=key, markersize=4, linewidth=1.2)
        ax.set_title(f"{name} on [{mine[0]['interval'][0]:g}, {mine[0]['interval'][1]:g}]", fontsize=9)
        ax.tick_params(labelsize=7)
        ax.set_xticks(x, [str(n) for n in x])
        ax.minorticks_off()
    axes = list(figure.axes)
    axes[0].legend(fontsize=7, frameon=False)
    figure.supxlabel("pieces", fontsize=9)
    figure.supylabel("largest error", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=int, nargs="+", default=[4, 8, 16, 32, 64])
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer pieces and tolerances")
    options = parser.parse_args(arguments)
    if options.quick:
        options.pieces = options.pieces[:2]
    torch.set_num_threads(1)
    console = Console(width=170)
    result = {"errors": errors(options, console), "pieces": counts(options, console)}
    result["networks"] = networks(options.quick, console)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1))
    if options.plot is not None:
        plot(result["errors"], options.plot)


if __name__ == "__main__":
    main()
