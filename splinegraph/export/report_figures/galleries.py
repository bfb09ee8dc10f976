"""Galleries of a report: templates, and what the network keeps of its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from splinegraph.analyses.canvas import blank
from splinegraph.export.report_figures.parts import Record, brief, image, plain, rows, section

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_encoding", "draw_templates"]

ROWS, COLUMNS = 6, 8
"""Most samples, and pictures of each, in a figure; the page has all of them."""

BACK = {"adjoint": "A^T f(x)", "least_squares": "least squares"}
"""What reconstructions are called."""

STEP_X, STEP_Y = 1.12, 1.5
"""Width and height of a picture of size 1 with its margins."""


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture, what stands above it, and whether its colors say the sign."""

    picture: Record
    caption: str
    signed: bool = False


def draw_templates(report: Record) -> Axes | None:
    """Draw a row per sample: it, and the templates of some outputs; None if the report has no pictures of them."""
    table: list[list[Tile | None]] = []
    for sample in rows(section(report, "templates").get("gallery") or {}, "samples")[:ROWS]:
        tiles: list[Tile | None] = [Tile(sample["x"], _about(sample))]
        for row in rows(sample, "rows")[: COLUMNS - 1]:
            parts = f"{brief(row['matching'])} {'+' if (row['bias'] or 0) >= 0 else '−'} {brief(abs(row['bias'] or 0))}"
            caption = f"output {row['output']}: {brief(row['score'])}\n= {parts}"
            tiles.append(Tile(row["template"], caption, signed=True))
        table.append(tiles)
    return _gallery(table, "templates A[x]_c: score = <A[x]_c, x> + b[x]_c; blue negative, red positive")


def draw_encoding(report: Record) -> Axes | None:
    """Draw a row per sample: it, and its reconstructions; None if the report has no pictures of them."""
    table: list[list[Tile | None]] = []
    for sample in rows(section(report, "encoding").get("gallery") or {}, "samples")[:ROWS]:
        tiles: list[Tile | None] = [Tile(sample["x"], f"sample {sample['sample']}")]
        for row in rows(sample, "rows")[: COLUMNS - 1]:
            tiles.append(
                Tile(row["image"], f"{BACK.get(row['name'], plain(row['name']))}\nerror {brief(row['error'])}")
            )
        table.append(tiles)
    return _gallery(table, "samples, and what is got back from code and output; errors squared, relative to |x|²")


def _about(sample: Record) -> str:
    label = sample.get("label")
    told = "" if label is None else f"\nclass {plain(label)}"
    return f"sample {sample['sample']}{told}"


def _paired(table: list[list[Tile | None]], across: int) -> tuple[list[list[Tile | None]], int]:
    """Put every second row beside the one above it: two narrow rows make a page less high."""
    wide = across + 1
    padded = [row + [None] * (wide - len(row)) for row in table] + [[]]
    return [padded[i] + padded[i + 1] for i in range(0, len(table), 2)], wide + across


def _gallery(table: list[list[Tile | None]], title: str) -> Axes | None:
    if not table:
        return None
    across = max(map(len, table))
    table, across = _paired(table, across) if len(table) > 2 and across <= 4 else (table, across)
    ax = blank(max(0.95 * STEP_X * across, 4.5), 0.95 * STEP_Y * len(table) + 0.3).add_subplot()
    for i, tiles in enumerate(table):
        for k, tile in enumerate(tiles):
            if tile is not None:
                _tile(ax, i, k, tile)
    ax.set_xlim(-0.1, STEP_X * across - 0.1)
    ax.set_ylim(-STEP_Y * len(table) + STEP_Y - 0.05, 1.45)
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_title(title, fontsize=8, parse_math=False)
    return ax


def _tile(ax: Axes, row: int, column: int, tile: Tile) -> None:
    values = image(tile.picture)
    low, high = float(values.min()), float(values.max())
    style: dict[str, Any] = {}
    if tile.signed:
        limit = max(abs(low), abs(high)) or 1.0
        style = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
        values = np.clip(0.5 + values / (2 * limit), 0, 1) if values.ndim == 3 else values
    elif values.ndim == 3:
        values = np.clip((values - low) / ((high - low) or 1.0), 0, 1)
    else:
        style = {"cmap": "gray_r"}
    x, y = STEP_X * column, -STEP_Y * row
    height, width = values.shape[:2]
    wide, tall = width / max(width, height), max(height / max(width, height), 0.12)
    left, bottom = x + (1 - wide) / 2, y + (1 - tall) / 2
    ax.imshow(values, extent=(left, left + wide, bottom, bottom + tall), interpolation="nearest", **style)
    xs, ys = [left, left + wide, left + wide, left, left], [bottom, bottom, bottom + tall, bottom + tall, bottom]
    ax.plot(xs, ys, color="0.7", linewidth=0.6)
    ax.text(x + 0.5, y + 1.05, tile.caption, ha="center", va="bottom", fontsize=6, parse_math=False)
