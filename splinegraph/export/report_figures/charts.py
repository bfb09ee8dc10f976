"""Charts of a report by layer: shares of pieces, and distances between classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from splinegraph.analyses.canvas import blank
from splinegraph.analyses.regions.figures.colors import INK, LIGHT
from splinegraph.export.report_figures.parts import Record, finite, plain, rows, section

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LAYERS", "draw_separation", "draw_units", "name_rows"]

LAYERS = 60
"""Most layers in a chart; the page has all of them."""


def name_rows(ax: Axes, names: Sequence[str], longest: int = 28) -> None:
    """Name the rows of a chart, the first on top."""
    ax.set_yticks(range(len(names)), [_cut(name, longest) for name in names], fontsize=7, color=INK, parse_math=False)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(colors=INK, labelsize=7)
    _open(ax)


def _open(ax: Axes) -> None:
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _cut(name: str, longest: int = 28) -> str:
    name = plain(name)
    return name if len(name) <= longest else name[: longest - 1] + "…"


def draw_units(report: Record) -> Axes | None:
    """Draw for each switching operator how often its units are on each piece, and how many never switch."""
    layers = rows(section(report, "units"), "layers")
    shown = layers[:LAYERS]
    if not shown:
        return None
    ax = blank(7.0, 0.26 * len(shown) + 1.2).add_subplot()
    most = max(int(piece) for layer in shown for piece in layer["share"] or {"0": 0})
    for piece in range(min(most + 1, len(LIGHT))):
        last = piece == len(LIGHT) - 1
        left = [sum(finite(v) for k, v in layer["share"].items() if int(k) < piece) for layer in shown]
        wide = [
            sum(finite(v) for k, v in layer["share"].items() if int(k) == piece or (last and int(k) > piece))
            for layer in shown
        ]
        label = f"piece {piece}" + (" and above" if last and most > piece else "")
        ax.barh(range(len(shown)), wide, left=left, color=LIGHT[piece], edgecolor="white", linewidth=0.4, label=label)
    for at, layer in enumerate(shown):
        told = f"{layer['units']:,} units, {layer['dead']:,} dead, {layer['always_on']:,} always on"
        ax.text(1.02, at, told, va="center", fontsize=7, color=INK)
    name_rows(ax, [layer["name"] for layer in shown])
    ax.set_xlim(0, 1)
    ax.set_xlabel(f"share of samples and units on each piece{_cut_off(len(layers))}", fontsize=8, color=INK)
    if most:
        ax.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=5, fontsize=7, frameon=False, labelcolor=INK,
            handlelength=1.1,
        )  # fmt: skip
    return ax


def _cut_off(count: int) -> str:
    return f"; the first {LAYERS} of {count} layers" if count > LAYERS else ""


def draw_separation(report: Record) -> Axes | None:
    """Draw mean distances of codes within and between classes, and the nearest neighbor's purity, by layer."""
    found = section(report, "separation")
    layers = rows(found, "layers")
    shown = layers[:LAYERS]
    if not shown:
        return None
    ax = blank(max(5.5, 0.42 * len(shown) + 3.4), 3.4).add_subplot()
    curves = (
        ("mean", "any two samples", "#999999", ":"),
        ("within", "within classes", LIGHT[0], "-"),
        ("between", "between classes", LIGHT[1], "-"),
        ("purity", "nearest of the same class", LIGHT[5], "-"),
    )
    for key, label, color, style in curves:
        values = [finite(layer.get(key)) for layer in shown]
        if not all(map(math.isnan, values)):
            ax.plot(range(len(shown)), values, style, marker="o", markersize=4, color=color, label=label)
    chance = finite(found.get("chance"))
    if not math.isnan(chance):
        ax.axhline(chance, color="#B8B8B8", linewidth=1, linestyle="--", label="nearest, by chance")
    names = [_cut(layer["node"]) for layer in shown]
    ax.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=7, color=INK, parse_math=False)
    ax.tick_params(axis="y", colors=INK, labelsize=7)
    _open(ax)
    ax.set_ylim(0, 1.03)
    ax.set_ylabel("share of the largest distance; of samples", fontsize=8, color=INK)
    ax.set_title(f"codes of {found.get('samples', 0)} samples{_cut_off(len(layers))}", fontsize=9, color=INK)
    ax.legend(frameon=False, fontsize=8, labelcolor=INK, loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.0)
    return ax
