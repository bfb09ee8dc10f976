"""Every layer that switches as a function of the inputs: which of its units are convex."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from splinegraph.analyses.convexity.curvature import propagate
from splinegraph.analyses.convexity.facets import missing_for_proof
from splinegraph.analyses.convexity.jumps import jumps_of
from splinegraph.analyses.convexity.pullout import Pullout, pullouts
from splinegraph.analyses.convexity.settling import UNKNOWN, Settling
from splinegraph.analyses.regions.cells import code_layers
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.core.graph import SplineGraph
from splinegraph.core.layout import BatchLayout
from splinegraph.core.values import Curvature

__all__ = ["Prefix", "all_of", "prefixes"]

MOST_ENTRIES = 2**26
"""Entries of the maps of all cells to all units (512 MiB) up to which units are looked at one by one."""

EXACT = 500
"""Cells whose maps to all units may be worked out in exact rationals."""

Answers = dict[str, list[tuple[bool | None, bool | None]]]


@dataclass(frozen=True, eq=False)
class Prefix:
    """The network up to and including one layer that switches.

    Parameters
    ----------
    layer : str
        The node's name.
    label : str
        What it is.
    rules : tuple of Curvature, one per unit
        What composition rules say of the unit as a function of the inputs.
    convex, concave : tuple of bool or None, one per unit
        What is known, by rules or exactly by facets; None is not known.
    pullouts : tuple of Pullout
        Whether the argmax can be pulled out of it, for each output and their sum.
    """

    layer: str
    label: str
    rules: tuple[Curvature, ...]
    convex: tuple[bool | None, ...]
    concave: tuple[bool | None, ...]
    pullouts: tuple[Pullout, ...]

    @property
    def holds(self) -> bool | None:
        """Whether every unit is convex in the inputs; None if that is not known."""
        return all_of(self.convex)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "layer": self.layer, "label": self.label, "rules": [flag.name for flag in self.rules],
            "convex": list(self.convex), "concave": list(self.concave), "holds": self.holds,
            "pullouts": [p.to_dict() for p in self.pullouts],
        }  # fmt: skip


def all_of(answers: Iterable[bool | None]) -> bool | None:
    """Return False if one is, else None if one is not known, else True."""
    found = list(answers)
    return False if False in found else None if None in found else True


def prefixes(
    graph: SplineGraph, on: Any, partition: Partition | None, *, deadline: float | None = None, seed: int = 0
) -> tuple[Prefix, ...]:
    """Return what is known of every layer that switches, in order.

    Parameters
    ----------
    graph : SplineGraph
    on : domain or None
    partition : Partition, optional
        The cells of the domain, for exact answers.
    deadline : float, optional
        Of `time.monotonic`, for these.
    seed : int
        Of the inputs at which choices of pieces are tried.
    """
    layers = code_layers(graph)
    rules, pulled = propagate(graph, on), pullouts(graph, on, seed=seed)
    exact = {} if partition is None or not graph.continuous else _by_facets(partition, deadline)
    found = []
    for layer in layers:
        flags = tuple(Curvature(int(flag)) for flag in graph[layer.name].rows(rules[layer.name])[0])
        known = exact.get(layer.name, [(None, None)] * len(flags))
        convex = tuple(True if Curvature.CONVEX in f else answer for f, (answer, _) in zip(flags, known, strict=True))
        concave = tuple(True if Curvature.CONCAVE in f else answer for f, (_, answer) in zip(flags, known, strict=True))
        mine = tuple(p for p in pulled if p.layer == layer.name)
        found.append(Prefix(layer.name, graph[layer.name].op.label, flags, convex, concave, mine))
    return tuple(found)


def _by_facets(partition: Partition, deadline: float | None) -> Answers:
    """Return whether each unit is convex, and concave, from the facets of all cells."""
    graph, plain = partition.graph, BatchLayout()
    layers = [layer for layer in partition.layers if graph[layer.name].layout == plain]
    units = sum(layer.units for layer in layers)
    if not layers or len(partition) * units * (partition.dim + 1) > MOST_ENTRIES:
        return {}
    whole = replace(graph, outputs=tuple(layer.name for layer in layers), _cache={})
    kept = {"adjacency": partition.adjacency, "index": partition.index}
    every = partition.replace(graph=whole, verified=partition.verified, _cache=kept)
    jumps = jumps_of(every)
    settling, certain = Settling(every, jumps, EXACT, deadline), not missing_for_proof(every)
    answers: list[tuple[bool | None, bool | None]] = []
    for number in range(units):
        signs = settling.signs(number)
        clear = certain and not jumps.astray[:, number].any() and not (signs == UNKNOWN).any()
        falls, rises = (bool((signs == sign).any()) for sign in (-1, 1))
        answers.append((False if falls else True if clear else None, False if rises else True if clear else None))
    ends = np.cumsum([0, *(layer.units for layer in layers)]).tolist()
    return {layer.name: answers[start:stop] for layer, start, stop in zip(layers, ends, ends[1:], strict=False)}
