"""The figure of the activation graph of a report: the cells of each layer, and how samples go from one to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from splinegraph.analyses.canvas import blank
from splinegraph.analyses.regions.figures.colors import INK, class_colors
from splinegraph.export.report_figures.parts import Record, plain, rows, section

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_activation"]

LARGEST = 1500
"""Most cells in a figure."""

WIDTH = 0.16
"""Of a column of cells, where layers are 1 apart."""

GREY = "#AAAAAA"

Point = tuple[float, float]


@dataclass(eq=False)
class Block:
    """A cell as a block: `left` and `right` are how much of its sides edges have taken so far."""

    layer: int
    count: int
    labels: Mapping[str, int]
    bottom: float = 0.0
    taken: dict[str, float] = field(default_factory=lambda: {"left": 0.0, "right": 0.0})

    @property
    def label(self) -> str:
        """Most frequent label, '' without labels."""
        return max(self.labels, key=lambda name: (self.labels[name], name)) if self.labels else ""


def draw_activation(report: Record) -> Axes | None:
    """Draw a column of cells per layer, as high as they have samples; None without cells, or with too many."""
    found = section(report, "activation")
    browser = found.get("browser") or {}
    nodes, layers = rows(browser, "nodes"), rows(browser, "layers")
    if not nodes or len(nodes) > LARGEST:
        return None
    blocks = [Block(at, count, labels or {}) for at, _, count, labels, *_ in nodes]
    edges = [(int(a), int(b), int(count)) for a, b, count in rows(browser, "edges")]
    top = _stack(blocks, edges, len(layers))
    colors = _colors(blocks)
    ax = blank(max(4.5, 1.5 * len(layers) + 1.2), 5.2).add_subplot()
    _ribbons(ax, blocks, edges, colors)
    _columns(ax, blocks, colors, top)
    ax.set_xlim(-0.3, len(layers) - 0.7)
    ax.set_ylim(0, top)
    ax.set_xticks(range(len(layers)), _names(layers, blocks), fontsize=8, color=INK, parse_math=False)
    ax.set_ylabel(f"{found.get('samples', 0)} samples; a block is a cell", fontsize=8, color=INK)
    ax.tick_params(length=0, labelsize=8, colors=INK)
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    left_out = browser.get("left_out")
    if left_out:
        ax.set_title(f"{left_out} cells with few samples are left out", fontsize=8, color=INK, parse_math=False)
    _legend(ax, colors)
    return ax


def _names(layers: Sequence[object], blocks: list[Block]) -> list[str]:
    counts = [sum(block.layer == at for block in blocks) for at in range(len(layers))]
    return [
        f"{plain(name)[:20]}\n{count:,} {'cell' if count == 1 else 'cells'}"
        for name, count in zip(layers, counts, strict=True)
    ]


def _stack(blocks: list[Block], edges: list[tuple[int, int, int]], layers: int) -> float:
    """Give the blocks of each layer their places, by label and then by where their samples come from."""
    reads: dict[int, list[tuple[int, int]]] = {}
    for a, b, count in edges:
        reads.setdefault(b, []).append((a, count))
    totals = [sum(block.count for block in blocks if block.layer == at) for at in range(layers)]
    top = float(max(totals, default=1)) or 1.0
    for at in range(layers):
        here = [index for index, block in enumerate(blocks) if block.layer == at]
        order = sorted(here, key=lambda index: (blocks[index].label, _from(blocks, reads.get(index, [])), index))
        height = 0.0
        for index in order:
            blocks[index].bottom = height
            height += blocks[index].count
    return top


def _from(blocks: list[Block], reads: list[tuple[int, int]]) -> float:
    weight = sum(count for _, count in reads)
    return sum(blocks[a].bottom * count for a, count in reads) / weight if weight else 0.0


def _colors(blocks: list[Block]) -> dict[str, Any]:
    names = sorted({name for block in blocks for name in block.labels}, key=_numeric)
    found = class_colors([_numeric(name)[0] if name.isdecimal() else at for at, name in enumerate(names)])
    return dict(zip(names, found.values(), strict=False)) if len(found) == len(names) else dict.fromkeys(names, GREY)


def _numeric(name: str) -> tuple[int, str]:
    return (int(name) if name.isdecimal() else 10**9, name)


def _ribbons(ax: Axes, blocks: list[Block], edges: list[tuple[int, int, int]], colors: Mapping[str, Any]) -> None:
    """Draw an edge as a band, as wide as it has samples, from the side of one block to that of another."""
    from matplotlib.collections import PolyCollection

    ease = np.linspace(0, 1, 13)
    bend = ease**2 * (3 - 2 * ease)
    bands, shades = [], []
    for a, b, count in sorted(edges, key=lambda edge: (blocks[edge[0]].bottom, blocks[edge[1]].bottom)):
        one, two = blocks[a], blocks[b]
        start, end = one.bottom + one.taken["right"], two.bottom + two.taken["left"]
        one.taken["right"] += count
        two.taken["left"] += count
        xs = one.layer + WIDTH / 2 + ease * (two.layer - one.layer - WIDTH)
        low = start + bend * (end - start)
        bands.append(np.concatenate([np.stack([xs, low], 1), np.stack([xs, low + count], 1)[::-1]]))
        shades.append(colors.get(one.label, GREY))
    if bands:
        many = len(bands) > 400
        ax.add_collection(
            PolyCollection(bands, facecolors=shades, edgecolors="none", alpha=0.35, zorder=1, rasterized=many),
            autolim=False,
        )


def _columns(ax: Axes, blocks: list[Block], colors: Mapping[str, Any], top: float) -> None:
    from matplotlib.collections import PolyCollection

    parts, shades, frames = [], [], []
    for block in blocks:
        height = block.bottom
        for name in sorted(block.labels, key=_numeric) or [""]:
            count = block.labels.get(name, block.count)
            parts.append(_corners(block, height, count))
            shades.append(colors.get(name, GREY))
            height += count
        if block.count > top / 250:  # a line around each of many slivers would be all that is seen
            frames.append(_corners(block, block.bottom, block.count))
    filled = PolyCollection(parts, facecolors=shades, edgecolors="none", zorder=2)
    ax.add_collection(filled, autolim=False)
    if frames:
        framed = PolyCollection(frames, facecolors="none", edgecolors="white", linewidths=0.6, zorder=3)
        ax.add_collection(framed, autolim=False)


def _corners(block: Block, bottom: float, height: float) -> list[Point]:
    left, right = block.layer - WIDTH / 2, block.layer + WIDTH / 2
    return [(left, bottom), (right, bottom), (right, bottom + height), (left, bottom + height)]


def _legend(ax: Axes, colors: Mapping[str, Any]) -> None:
    from matplotlib.patches import Patch

    if colors:
        handles = [Patch(facecolor=color, label=f"label {plain(name)}") for name, color in list(colors.items())[:20]]
        legend = ax.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0, frameon=False, fontsize=8,
            labelcolor=INK, handlelength=1.1,
        )  # fmt: skip
        for text in legend.get_texts():
            text.set_parse_math(False)
