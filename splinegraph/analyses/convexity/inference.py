"""Local against global inference: which of the paper's three statements hold, and which layers and units break them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from splinegraph.analyses.convexity.blame import Unit, blame_of
from splinegraph.analyses.convexity.checklist import Checklist, checklist
from splinegraph.analyses.convexity.convexity import convexity, deadline_of
from splinegraph.analyses.convexity.facets import by_facets
from splinegraph.analyses.convexity.frozen import Frozen, frozen
from splinegraph.analyses.convexity.place import Place
from splinegraph.analyses.convexity.prefixes import Prefix, all_of, prefixes
from splinegraph.analyses.convexity.verdict import Certificate, Finding, Verdicts, Witness
from splinegraph.analyses.regions.enumerate import enumerate_regions
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.core.graph import SplineGraph
from splinegraph.core.notebook import card
from splinegraph.errors import DomainError, UnsupportedOperatorError, require_seed, require_whole

__all__ = ["Inference", "inference"]

LINES = 10
"""Of each table that are shown."""

BEFORE = ("curvature", "backward", "chords")
"""Methods that are tried on the outputs before the facets, whose cells all layers share."""


@dataclass(frozen=True, eq=False, repr=False)
class Inference:
    """What is known of global inference; made by `splinegraph.inference`.

    Parameters
    ----------
    graph : SplineGraph
    domain : object or None
    verdicts : Verdicts
        Of every output.
    prefixes : tuple of Prefix
        The network up to each layer that switches, in order.
    blame : dict from (layer, unit) to float
        The most negative jump of an output's slope across a facet where the unit switches, for the worst output.
    frozen : tuple of Frozen
        Whether frozen choices of pieces stay below each output.
    checklist : Checklist
        Corollary 2, layer by layer.
    partition : Partition or None
        The cells, where there are some.
    seconds : float
    notes : tuple of str
    """

    graph: SplineGraph
    domain: Any
    verdicts: Verdicts
    prefixes: tuple[Prefix, ...]
    blame: Mapping[Unit, float]
    frozen: tuple[Frozen, ...]
    checklist: Checklist
    partition: Partition | None = field(default=None, repr=False)
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def maximum(self) -> tuple[bool | None, ...]:
        """Whether each output is the largest of the affine maps of its own regions, so that it is convex (Thm 2)."""
        proofs = (verdict.convex for verdict in self.verdicts)
        return tuple(True if isinstance(p, Certificate) else False if isinstance(p, Witness) else None for p in proofs)

    @property
    def pulled_out(self) -> tuple[bool | None, ...]:
        """Whether the pieces that all layers are on, one layer at a time, make each output largest (Thm 10).

        None too for networks that are not piecewise affine: smooth layers choose no pieces.
        """
        if not self.graph.exact:
            return (None,) * len(self.verdicts)
        every = [p for prefix in self.prefixes for p in prefix.pullouts]
        return tuple(all_of(p.holds for p in every if p.output == i) for i in range(len(self.verdicts)))

    @property
    def dominated(self) -> tuple[bool | None, ...]:
        """Whether every frozen choice of pieces stays below each output."""
        return tuple(found.holds for found in self.frozen)

    @property
    def first_failing(self) -> str | None:
        """The first layer with a unit that is not convex in the inputs; None if there is none, or none is known."""
        return next((prefix.layer for prefix in self.prefixes if prefix.holds is False), None)

    def __repr__(self) -> str:
        return f"<Inference of {self.graph.name}: {len(self.verdicts)} outputs, {len(self.prefixes)} layers>"

    def _repr_html_(self) -> str:
        return card(self)

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "maximum": list(self.maximum), "pulled_out": list(self.pulled_out), "dominated": list(self.dominated),
            "first_failing": self.first_failing, "verdicts": self.verdicts.to_dict(),
            "prefixes": [prefix.to_dict() for prefix in self.prefixes],
            "blame": [{"layer": layer, "unit": unit, "jump": jump} for (layer, unit), jump in self.blame.items()],
            "frozen": [found.to_dict() for found in self.frozen], "checklist": self.checklist.to_dict(),
            "cells": None if self.partition is None else len(self.partition), "seconds": self.seconds,
            "notes": list(self.notes),
        }  # fmt: skip


def inference(
    graph: SplineGraph, on: Any = None, *, limit: int = 20_000, budget: float | None = None, seed: int = 0
) -> Inference:
    r"""Tell whether local inference is global, in the three senses of that, and what breaks it.

    - **maximum**: an output is the largest of the affine maps of its own regions,
      :math:`f_c(x) = \max_r A_r x + b_r`. It is if and only if it is convex.
    - **pulled out**: the pieces that a layer is on make the output largest among all choices of pieces of its units.
    - **dominated**: the affine map of every choice of pieces of all units, realised or not, stays below the output.

    The last implies the first; the first implies neither of the others.

    Parameters
    ----------
    graph : SplineGraph
    on : Box, Plane, Segment, Polytope, Ball, tuple of them, or None
        The convex domain; None for all of space. Layers are looked at unit by unit on bounded domains.
    limit : int
        Cells that may be enumerated.
    budget : float, optional
        Seconds for the cells.
    seed : int
        Of random chords, inputs and choices.

    Returns
    -------
    Inference

    Raises
    ------
    DomainError, ShapeError
        If the domain does not fit the inputs.

    Notes
    -----
    A layer whose units are not convex does not keep the output from being so: -(-relu(x)) is convex. Decide on the
    verdicts, and look at the layers for an explanation. The paper's Corollary 2 needs no sign of the biases and no
    strictly increasing activations, but convex and nondecreasing ones, and weights >= 0 in the last layer too; the
    checklist is that.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Thm 2, 3, 10, Cor 2, Prop 3.
    .. [2] B. Amos, L. Xu, J. Z. Kolter, "Input Convex Neural Networks", ICML 2017.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> net = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(2, 2, bias=False)).double()
    >>> net[1].weight.data = torch.tensor([[2.0, -1.0], [-2.0, 2.0]]).double()
    >>> graph = sg.trace(net.eval(), torch.zeros(1, 2).double())
    >>> found = inference(graph, sg.Box([-1.0, -1.0], [1.0, 1.0]))
    >>> found.maximum, found.pulled_out, found.dominated, found.blame
    ((False, False), (False, False), (False, False), {('relu', 0): -2.0, ('relu', 1): -1.0})
    """
    started = time.monotonic()
    require_whole("limit", limit)
    seed = require_seed(seed)
    deadline = deadline_of(budget)
    place = Place.of(graph, on)
    partition, note = _cells(graph, place, limit, deadline)
    methods = BEFORE if partition is not None else (*BEFORE, "facets")  # a ball has cells in its box
    verdicts = convexity(graph, on, methods=methods, limit=limit, budget=budget, seed=seed)
    blame: dict[Unit, float] = {}
    if partition is not None:
        left = [i for i, verdict in enumerate(verdicts) if not verdict.settled]
        verdicts = _joined(verdicts, by_facets(partition, left, deadline=deadline))
        blame = blame_of(partition)
    return Inference(
        graph, on, verdicts, prefixes(graph, on, partition, deadline=deadline, seed=seed), blame,
        frozen(graph, on, seed=seed), checklist(graph, on), partition, time.monotonic() - started,
        (note,) if note else (),
    )  # fmt: skip


def _cells(graph: SplineGraph, place: Place, limit: int, deadline: float | None) -> tuple[Partition | None, str]:
    """Return the cells of a domain, or why there are none."""
    if place.curved:
        return None, "cells are enumerated on polytopes only: layers are known by rules"
    if place.on is None:
        return None, "cells are enumerated on bounded domains only: layers are known by rules"
    budget = None if deadline is None else max(deadline - time.monotonic(), 1e-3)
    try:
        found = enumerate_regions(graph, place.flat, limit=limit, budget=budget)
    except (DomainError, UnsupportedOperatorError) as error:
        return None, str(error)
    return found, "" if found.complete else f"more than {len(found)} cells: layers are known in part"


def _joined(verdicts: Verdicts, found: Mapping[int, Finding]) -> Verdicts:
    """Return the verdicts with what else was found, and nothing of what was known replaced."""
    every = list(verdicts)
    for i, new in found.items():
        old = every[i]
        convex = new.convex if old.convex is None else old.convex
        concave = new.concave if old.concave is None else old.concave
        notes = (*old.notes, f"facets: {new.note}") if new.note else old.notes
        every[i] = replace(old, convex=convex, concave=concave, notes=notes)
    return replace(verdicts, verdicts=tuple(every))


def _lines(found: Inference) -> Iterator[str]:
    words = {True: "yes", False: "no", None: "not known"}
    yield f"{'output':<12}{'maximum of its maps':<22}{'pulled out':<14}dominated"
    answers = zip(found.verdicts, found.maximum, found.pulled_out, found.dominated, strict=True)
    for verdict, *row in list(answers)[:LINES]:
        first, second, third = (words[answer] for answer in row)
        yield f"{list(verdict.index)!s:<12}{first:<22}{second:<14}{third}"
    yield f"{'layer':<24}{'units':>6}  {'convex':>6}  {'not':>6}  {'unknown':>7}"
    for prefix in found.prefixes:
        counts = [prefix.convex.count(answer) for answer in (True, False, None)]
        yield f"{prefix.layer:<24}{len(prefix.convex):>6}  {counts[0]:>6}  {counts[1]:>6}  {counts[2]:>7}"
    for (layer, unit), jump in list(found.blame.items())[:LINES]:
        yield f"slopes fall by {-jump:.4g} where {layer}[{unit}] switches"
    yield from found.notes
