"""Colors that people with any of the common kinds of color blindness can tell apart.

References
----------
.. [1] P. Tol, "Colour schemes", SRON/EPS/TN/09-002, issue 3.2, 2021: "light" and "muted".
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BOUNDARY", "INK", "LIGHT", "MISSING", "PALE", "apart", "class_colors", "rgb", "shaded", "wheel"]

LIGHT = (
    "#77AADD", "#EE8866", "#EEDD88", "#FFAABB", "#99DDFF", "#44BB99", "#BA8DB4", "#BBCC33", "#C3A38A", "#AAAA00",
)  # fmt: skip
"""For areas: pale enough for black text and lines."""

MUTED = ("#E0A3AD", "#9991C3", "#88BB99", "#C090A8", "#A1D4CC", "#CCCC99")
"""Joined where there are more classes than that."""

PALE = ("#BBCCEE", "#FFCCCC", "#EEEEBB", "#CCDDAA", "#CCEEFF", "#DDDDDD", "#DDBBDD", "#BBDDCC")
"""For many small areas side by side."""

MISSING = "#F2F2F2"
"""What is not covered."""

INK = "#333333"
"""Text, ticks and frames."""

BOUNDARY = "#111111"
"""Decision boundaries."""


def rgb(color: str) -> tuple[float, float, float]:
    """Return the channels, 0 to 1, of a color such as '#88CCEE'."""
    return tuple(int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))  # type: ignore[return-value]


def class_colors(classes: Sequence[int]) -> dict[int, str]:
    """Return a color for each class: its own in all figures, as long as no two of them would share it.

    They repeat beyond 16 classes.
    """
    palette = [*LIGHT, *MUTED]
    found: dict[int, int] = {}
    for c in sorted(classes):
        wanted = [(c + shift) % len(palette) for shift in range(len(palette))]
        taken = set(found.values())
        found[c] = next((place for place in wanted if place not in taken), wanted[0])
    return {c: _mixed(palette[place]) for c, place in found.items()}


def _mixed(color: str) -> str:
    """Return a color with some white in it."""
    return "#" + "".join(f"{round(255 * (c + (1 - c) * 0.2)):02X}" for c in rgb(color))


def shaded(colors: NDArray[np.float64], keys: NDArray[Any], depth: float = 0.05) -> NDArray[np.float64]:
    """Return colors (N, 3) made a little lighter or darker, by integer keys (N,): areas of one color stay apart."""
    mixed = (keys.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    amount = (mixed >> np.uint64(61)).astype(np.float64) / 3.5 - 1  # eight steps: one path for each, see `plane`
    toward = np.where(amount[:, None] > 0, 1.0, 0.0)
    return colors + (toward - colors) * np.abs(amount)[:, None] * 2 * depth


def apart(count: int, pairs: NDArray[Any]) -> NDArray[np.int64]:
    """Return a number for each vertex of a graph such that neighbors differ, few numbers in all.

    Parameters
    ----------
    count : int
    pairs : array of int, shape (E, 2)

    Notes
    -----
    Greedy, vertices of most neighbors first: planar graphs need 6 to 8 numbers in practice. O(count + E).
    """
    ends = np.concatenate([pairs, pairs[:, ::-1]])
    ends = ends[np.argsort(ends[:, 0], kind="stable")]
    starts = np.searchsorted(ends[:, 0], np.arange(count + 1))
    numbers = np.full(count, -1, dtype=np.int64)
    used = [0]  # how often each number was given: the rarest one that is free keeps them balanced
    for vertex in np.argsort(-np.diff(starts), kind="stable").tolist():
        taken = set(numbers[ends[starts[vertex] : starts[vertex + 1], 1]].tolist())
        free = [n for n in range(len(used)) if n not in taken]
        if not free:
            free = [len(used)]
            used.append(0)
        best = min(free, key=used.__getitem__)
        numbers[vertex] = best
        used[best] += 1
    return numbers


def wheel(count: int) -> list[tuple[float, float, float]]:
    """Return `count` pale colors, more than there are in the palette if need be."""
    extra = max(0, count - len(PALE))
    return [*map(rgb, PALE), *(colorsys.hls_to_rgb(i / extra, 0.75, 0.5) for i in range(extra))][:count]
