"""The cells that samples visit, for going through them one by one: the most visited ones, and the steps between."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.activation.keys import EXACT, Keys
from splinegraph.analyses.activation.result import ActivationGraph
from splinegraph.analyses.activation.tables import Ints, Table

__all__ = ["EDGES", "NODES", "Browser", "browser"]

NODES = 5_000
"""Most cells that are listed."""

EDGES = 20_000
"""Most steps that are listed."""

NAMED = 5
"""Most samples that are named of a cell."""

SHORTEST = 6
"""Digits of a cell's name, at least; more where two cells begin alike."""


@dataclass(frozen=True)
class Browser:
    """Visited cells and the steps between them.

    Parameters
    ----------
    layers : tuple of str
        Names of the switching operators.
    nodes : tuple of (int, str, int, mapping or None, tuple of int)
        Cells, the most visited ones: number of the layer, a name in hexadecimal digits that no other cell of the
        layer has, how many samples visit it, how many of each label (None without labels), and some samples in it,
        the first one and others of the first 1024.
    edges : tuple of (int, int, int)
        From one of the nodes, to one of the next layer, and how many samples go there.
    left_out, edges_left_out : int
        How many visited cells, and steps, are not listed.
    """

    layers: tuple[str, ...]
    nodes: tuple[tuple[int, str, int, Mapping[str, int] | None, tuple[int, ...]], ...]
    edges: tuple[tuple[int, int, int], ...]
    left_out: int
    edges_left_out: int


def browser(found: ActivationGraph, names: Sequence[str], widths: Sequence[int], seen: Sequence[Keys]) -> Browser:
    """Return the most visited cells.

    Parameters
    ----------
    found : ActivationGraph
    names : sequence of str
        How the layers are shown.
    widths : sequence of int
        Bytes of a code in each.
    seen : sequence of arrays of uint64, shape (n, 2)
        Keys of the first samples, layer by layer, to name samples by.
    """
    listed = np.sort(np.lexsort((found.first, -found.counts))[:NODES])  # of equals, cells of the same early samples
    keys = np.concatenate([_names(found.keys[found.nodes(i)], width) for i, width in enumerate(widths)])
    samples, labels = _samples(found, seen), _labels(found, listed)
    nodes = tuple(
        (layer, key, count, label, tuple(dict.fromkeys([first, *samples.get(node, ())]))[:NAMED])
        for node, layer, key, count, label, first in zip(
            listed.tolist(), found.layer_of[listed].tolist(), keys[listed].tolist(), found.counts[listed].tolist(),
            labels, found.first[listed].tolist(), strict=True,
        )
    )  # fmt: skip
    edges = _edges(found, listed)
    return Browser(tuple(names), nodes, edges, len(found) - len(listed), len(found.edges) - len(edges))


def _names(keys: Keys, width: int) -> NDArray[Any]:
    """Return a name for each cell of a layer: as few digits of its key as tell them apart."""
    rows = np.ascontiguousarray(keys.astype("<u8")).view(np.uint8)[:, : max(1, min(width, EXACT))]
    digits = np.array([row.tobytes().hex() for row in rows], dtype=f"U{2 * rows.shape[1]}")
    for length in itertools.chain(range(SHORTEST, digits.itemsize // 4, 2), (0,)):
        short = digits.astype(f"U{length}") if length else digits
        if len(np.unique(short)) == len(short):
            return short
    return digits


def _samples(found: ActivationGraph, seen: Sequence[Keys]) -> dict[int, list[int]]:
    """Return the first samples in each cell, of those whose keys are known, in ascending order."""
    held: dict[int, list[int]] = {}
    for layer, keys in enumerate(seen):
        rows = found.nodes(layer)
        table = Table(found.keys[rows], found.counts[rows], found.first[rows])
        for sample, node in enumerate((table.find(keys) + rows.start).tolist()):
            known = held.setdefault(node, [])
            if len(known) < NAMED:
                known.append(sample)
    return held


def _labels(found: ActivationGraph, listed: Ints) -> list[dict[str, int] | None]:
    """Return how many samples of each label are in each of some cells."""
    if found.histogram is None:
        return [None] * len(listed)
    place = np.full(len(found), -1)
    place[listed] = np.arange(len(listed))
    counted: list[dict[str, int] | None] = [{} for _ in listed]
    rows = place[found.histogram.node] >= 0
    for node, label, count in zip(
        place[found.histogram.node[rows]].tolist(), found.histogram.place[rows].tolist(),
        found.histogram.mass[rows].tolist(), strict=True,
    ):  # fmt: skip
        held = counted[node]
        assert held is not None
        held[str(found.classes[label])] = int(count)
    return counted


def _edges(found: ActivationGraph, listed: Ints) -> tuple[tuple[int, int, int], ...]:
    place = np.full(len(found), -1)
    place[listed] = np.arange(len(listed))
    ends = place[found.edges].reshape(-1, 2)
    rows = np.flatnonzero((ends >= 0).all(1))
    rows = np.sort(rows[np.argsort(-found.edge_counts[rows], kind="stable")[:EDGES]])
    told = np.column_stack([ends[rows], found.edge_counts[rows]]).tolist()
    return tuple((a, b, count) for a, b, count in told)
