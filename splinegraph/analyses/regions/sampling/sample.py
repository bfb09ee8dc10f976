"""Regions found by sampling: a lower bound of their number, and an estimate of how much was seen."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from splinegraph.analyses.batches import part_size, widest
from splinegraph.analyses.provenance import Provenance
from splinegraph.analyses.regions.requests import device_of, floating
from splinegraph.analyses.regions.sampling.distinct import distinct
from splinegraph.analyses.regions.sampling.doubts import Doubts
from splinegraph.analyses.regions.sampling.hashing import Hasher
from splinegraph.analyses.regions.sampling.points import Where, blocks, choose
from splinegraph.core.bound import Bound
from splinegraph.core.domains.chart import chart_of
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.notebook import card
from splinegraph.errors import ShapeError, require_seed

__all__ = ["RegionSample", "sample_regions"]

CACHE = 2**17
"""Entries of a batch's widest value on CPU (1 MiB in float64), so that layers follow each other in the cache."""

DEVICE = 2**26
"""The same on other devices, which want large batches."""


@dataclass(frozen=True, eq=False)
class RegionSample:
    """What n points saw of the activation cells; made by `splinegraph.sample_regions`.

    Parameters
    ----------
    n : int
        Points sampled.
    count : int
        Distinct activation patterns among them: a lower bound of the number of cells.
    singletons, doubletons : int
        Patterns seen by exactly one, and by exactly two points.
    where : str
        'uniform' in the domain, 'near' data, along 'chords' between data points, or 'mixed': half near, half chords.
    seconds : float
    notes : tuple of str
    provenance : Provenance
    undecided : int
        Patterns that are not counted: rounding may have decided a unit wherever they were seen.
    """

    n: int
    count: int
    singletons: int
    doubletons: int
    where: Where
    seconds: float
    notes: tuple[str, ...]
    provenance: Provenance
    undecided: int = 0

    @property
    def bound(self) -> Bound:
        """The number of cells, bounded below by what was seen."""
        return Bound(float(self.count), float("inf"), "lower")

    @property
    def mass_seen(self) -> float:
        """Good-Turing estimate of the chance that one more point falls into a cell already seen.

        An estimate: one minus the share of points that are alone in their cell.
        """
        return 1.0 - self.singletons / self.n

    @property
    def chao1(self) -> float:
        """Chao's estimate of a lower bound of the number of cells that points of this kind can meet.

        An estimate, not a bound: count + f1 (f1 - 1) / (2 (f2 + 1)), for f1 cells seen once and f2 twice.
        """
        return self.count + self.singletons * (self.singletons - 1) / (2 * (self.doubletons + 1))

    @property
    def collision_probability(self) -> float:
        """A bound of the chance that two patterns shared a key, so that the count is too low: d^2 / 2^129."""
        return float(self.count) ** 2 / 2.0**129

    @property
    def stale(self) -> bool:
        """Whether the weights have changed since."""
        return self.provenance.weights.stale

    def __repr__(self) -> str:
        return (
            f"<RegionSample: at least {self.count} cells seen by {self.n} points ({self.where}); estimates: "
            f"mass seen {self.mass_seen:.4g}, Chao1 {self.chao1:.6g}>"
        )

    def _repr_html_(self) -> str:
        return card(self)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe summary; every number says what it is."""
        kind: dict[str, Literal["lower", "estimate"]] = {"lower": "lower", "estimate": "estimate"}
        return {
            "points": self.n,
            "where": self.where,
            "cells": {"value": self.count, "kind": kind["lower"]},
            "mass_seen": {"value": self.mass_seen, "kind": kind["estimate"], "method": "Good-Turing"},
            "cells_estimate": {"value": self.chao1, "kind": kind["estimate"], "method": "Chao1, a lower estimate"},
            "undecided": self.undecided,
            "singletons": self.singletons,
            "doubletons": self.doubletons,
            "collision_probability": self.collision_probability,
            "seconds": self.seconds,
            "notes": list(self.notes),
            "provenance": self.provenance.to_dict(),
        }


def sample_regions(
    graph: SplineGraph,
    on: Any = None,
    *,
    n: int,
    data: Any = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float64,
    batch_size: int | None = None,
    where: Literal["auto", "uniform", "near", "chords", "mixed"] = "auto",
) -> RegionSample:
    """Count the distinct activation patterns of n random points: a lower bound of the number of cells.

    Parameters
    ----------
    graph : SplineGraph
        Need not be piecewise affine: patterns are those of the operators that switch.
    on : domain, or tuple of domains, optional
        One per input. Default: the whole space, which needs data.
    n : int
        Points.
    data : Tensor of shape (M, *in), tuple of them, or DataSource, optional
    seed : int
        The same seed gives the same points, whatever `batch_size`; CPU and other devices have different ones.
    device : optional
        Default: that of the parameters.
    dtype : torch.dtype
        Arithmetic to decide the codes in.
    batch_size : int, optional
        Points per pass. Default: what fits the cache.
    where : {'auto', 'uniform', 'near', 'chords', 'mixed'}
        Uniformly in the domain; near data points; along segments between pairs of them; half near and half
        along chords. 'auto' is uniform up to 12 free coordinates, and mixed beyond, where data are given.

    Returns
    -------
    RegionSample

    Raises
    ------
    DomainError
        If there is nothing to sample, or the domain is unbounded.
    ShapeError
        If the data do not fit the graph, or n < 1.
    SplineGraphError
        If there is no such device, or the dtype is not a floating one.

    Notes
    -----
    One forward pass per point, up to the last operator that switches, and one more where a pattern is new: patterns
    that rounding may have made are not counted, and `undecided` says how many. Patterns are hashed to 128 bits as
    they are found, and not kept; memory grows with the number of distinct ones only (40 to 80 bytes each).

    References
    ----------
    .. [1] I. J. Good, "The Population Frequencies of Species and the Estimation of Population Parameters", 1953.
    .. [2] A. Chao, "Nonparametric Estimation of the Number of Classes in a Population", 1984.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.Sequential(torch.nn.ReLU()).eval(), torch.zeros(1, 2))
    >>> sg.sample_regions(graph, sg.Box(-torch.ones(2), torch.ones(2)), n=1000).count
    4
    """
    require_graph(graph)
    seed = require_seed(seed)
    if n < 1:
        raise ShapeError(f"n is {n}", remedy="sample at least one point")
    floating(dtype)
    where_, note = choose(where, None if on is None else chart_of(graph, on), data)
    place = _device(graph, device)
    begun = time.perf_counter()
    hasher, seen = Hasher(graph, dtype, place), distinct(place)
    step = part_size("batch_size", batch_size, _rows(graph, place)) if graph.batched else 1
    doubts = Doubts(graph)
    for block in blocks(graph, on, data, where_, n=n, seed=seed, device=place):
        for part in _parts(block, step):
            inputs = [x.to(dtype) for x in part]
            keys = hasher(inputs)
            doubts.add(keys, inputs, seen.add(keys))
    counts, doubtful = doubts.without(*seen.counts())
    settings = {"n": n, "where": where_, "device": str(place)}
    return RegionSample(
        n,
        len(counts),
        int((counts == 1).sum()),
        int((counts == 2).sum()),
        where_,
        time.perf_counter() - begun,
        (note,) if note else (),
        Provenance.of(graph, dtype=dtype, seed=seed, **settings),
        doubtful,
    )


def _device(graph: SplineGraph, device: torch.device | str | None) -> torch.device:
    """Return where to work: by default where the parameters are."""
    if device is not None:
        return device_of(device)
    return next((p.device for p in graph.parameters()), torch.device("cpu"))


def _rows(graph: SplineGraph, device: torch.device) -> int:
    """Return how many points to take at a time."""
    if device.type == "cpu":
        return min(2**13, CACHE // widest(graph))
    return DEVICE // widest(graph)


def _parts(block: Sequence[Tensor], step: int) -> Iterator[list[Tensor]]:
    for start in range(0, len(block[0]), step):
        yield [x[start : start + step] for x in block]
