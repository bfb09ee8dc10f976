"""Figures of the Lipschitz constants of a report: what each method gave, and the constants of the operators."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from splinegraph.analyses.canvas import blank
from splinegraph.analyses.regions.figures.colors import INK, LIGHT
from splinegraph.export.report_figures.charts import name_rows
from splinegraph.export.report_figures.parts import Record, brief, finite, rows, section

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_constants", "draw_ladder"]

LOWER, UPPER, BRACKET = "#117733", "#CC3311", "#EEEEEE"

LARGEST = 40
"""Most operators in the chart of constants."""


def _log_axis(ax: Axes, values: Iterable[float]) -> None:
    """Make the scale logarithmic, with ticks that leave room for their numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    known = [value for value in values if value > 0]
    wide = bool(known) and max(known) > 1e4 * min(known)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0), numticks=8 if wide else 14))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _norm(found: Record) -> str:
    return {"inf": "l∞", "1": "l1", "2": "l2"}.get(str(found.get("norm", "2")), f"l{found.get('norm')}")


def draw_ladder(report: Record) -> Axes | None:
    """Draw what each method says about the Lipschitz constant, and the bracket that all together leave."""
    found = section(report, "lipschitz")
    rungs = list(rows(found, "rungs"))
    lower, upper = finite(found.get("lower")), finite(found.get("upper"))
    if not rungs:
        rungs = [{"method": "lower bound", "lower": lower, "upper": None}] if lower > 0 else []
        method = found.get("method") or "upper bound"
        rungs += [{"method": method, "lower": None, "upper": upper}] if upper > 0 else []
    values = [finite(rung.get(side)) for rung in rungs for side in ("lower", "upper")]
    if not any(value > 0 for value in values):
        return None
    ax = blank(6.4, 0.32 * len(rungs) + 1.3).add_subplot()
    if lower > 0 and upper >= lower:
        ax.axvspan(lower, upper, color=BRACKET, zorder=0, linewidth=0)
    for at, rung in enumerate(rungs):
        _rung(ax, at, finite(rung.get("lower")), finite(rung.get("upper")))
    name_rows(ax, [str(rung.get("method", "")) for rung in rungs], 44)
    _log_axis(ax, values)
    ax.margins(x=0.12)
    ends = "" if math.isnan(lower) else f": {brief(lower)} to {brief(upper) if upper > 0 else '∞'}"
    place = {"box": " on the box around the samples", "space": " on all of space"}.get(str(found.get("domain")), "")
    ax.set_title(f"Lipschitz constant in {_norm(found)}{place}{ends}", fontsize=9, color=INK)
    ax.set_xlabel("▸ lower bound   ◂ upper bound   grey: where the constant is", fontsize=8, color=INK)
    return ax


def _rung(ax: Axes, at: int, lower: float, upper: float) -> None:
    if lower > 0 and upper > 0:
        ax.plot([lower, upper], [at, at], color="#999999", linewidth=1.2, zorder=2)
    for value, color, marker, shift, side in ((lower, LOWER, ">", -6, "right"), (upper, UPPER, "<", 6, "left")):
        if value > 0:
            ax.plot([value], [at], marker=marker, color=color, markersize=6, zorder=3)
            ax.annotate(
                brief(value), (value, at), (shift, 0), textcoords="offset points", va="center", ha=side, fontsize=7,
                color=INK,
            )  # fmt: skip


def draw_constants(report: Record) -> Axes | None:
    """Draw the largest constants of operators, and that of each as a function of the network's inputs."""
    found = section(report, "lipschitz")
    constants = found.get("constants") or {
        row["node"]: [row["constant"], row["total"]] for row in rows(found, "layers")
    }
    known = {name: (finite(own), finite(total)) for name, (own, total) in constants.items()}
    plain = {name: pair for name, pair in known.items() if pair[0] > 0 and not math.isclose(pair[0], 1.0)}
    if not plain:
        return None
    kept = set(sorted(plain, key=lambda name: -abs(math.log(plain[name][0])))[:LARGEST])
    shown = [name for name in plain if name in kept]
    ax = blank(6.4, 0.22 * len(shown) + 1.2).add_subplot()
    own = [plain[name][0] for name in shown]
    ax.barh(range(len(shown)), [v - 1 for v in own], left=1, color=LIGHT[0], height=0.7, label="of the operator itself")
    total = [plain[name][1] for name in shown]
    ax.plot(total, range(len(shown)), "o", markersize=3.5, color=LIGHT[1], label="from the input up to it (product)")
    _log_axis(ax, [*own, *total])
    ax.axvline(1, color=INK, linewidth=0.6)
    for at, value in enumerate(own):
        shift, side = (3, "left") if value > 1 else (-3, "right")
        ax.annotate(
            brief(value), (value, at), (shift, 0), textcoords="offset points", va="center", ha=side, fontsize=6,
            color=INK,
        )  # fmt: skip
    ax.margins(x=0.08)
    name_rows(ax, shown)
    more = f"; the {LARGEST} furthest from 1 of {len(plain)}" if len(plain) > LARGEST else ""
    ax.set_xlabel(f"upper bound of the Lipschitz constant in {_norm(found)}{more}", fontsize=8, color=INK)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize=8, labelcolor=INK)
    return ax
