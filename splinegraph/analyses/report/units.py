"""The sections on units and on activation patterns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.report.names import shown_names
from splinegraph.analyses.report.patterns import Patterns, Tally
from splinegraph.analyses.report.registry import section
from splinegraph.analyses.report.study import Study
from splinegraph.analyses.report.values import LISTED, Section, plural
from splinegraph.core.graph import Node
from splinegraph.core.operator import Operator, SplineOperator
from splinegraph.core.walk import walk
from splinegraph.errors import one_line

__all__ = ["CodesSection", "LayerUnits", "UnitsSection", "codes_section", "units_section"]

MOST_COMMON = 5
"""How many of the most common patterns are listed."""


@dataclass(frozen=True)
class LayerUnits:
    """The units of one switching operator.

    Parameters
    ----------
    name, operator, module : str
    units : int
    pieces : int
        How many pieces a unit has; 0 if unbounded.
    share : dict from piece to float
        Share of (sample, unit) pairs on each piece that occurs.
    constant : dict from piece to int
        How many units stay on that piece for all samples.
    dead : int
        Units that stay on one flat piece: their output is the same number for all samples.
    always_on : int
        Units that stay on one piece that is not flat: they never switch.
    dead_units, always_on_units : tuple of int
        Which ones, as flat indices; at most 1000 of each.
    """

    name: str
    operator: str
    module: str
    units: int
    pieces: int
    share: dict[int, float]
    constant: dict[int, int]
    dead: int
    always_on: int
    dead_units: tuple[int, ...]
    always_on_units: tuple[int, ...]


@dataclass(frozen=True, eq=False, repr=False)
class UnitsSection(Section):
    """The switching operators, in the graph's order."""

    layers: tuple[LayerUnits, ...]
    samples: int
    units: int
    dead: int
    always_on: int

    @property
    def headline(self) -> str:
        if not self.layers:
            return "no operator switches: the network has no units"
        where = f"{plural(self.units, 'unit')} in {plural(len(self.layers), 'switching operator')}"
        return f"{where}: {self.dead} dead, {self.always_on} always on in {plural(self.samples, 'sample')}"


@section("units", needs=(Patterns,), order=20)
def units_section(study: Study) -> UnitsSection:
    """Count pieces, dead units and units that never switch."""
    passing, names = _passing(study), shown_names(study.graph)
    layers = tuple(
        _layer(study.graph[name], names[name], tally, passing[name])
        for name, tally in ((tally.layer.name, tally) for tally in study[Patterns].tallies)
    )
    return UnitsSection(
        layers,
        samples=len(study),
        units=sum(layer.units for layer in layers),
        dead=sum(layer.dead for layer in layers),
        always_on=sum(layer.always_on for layer in layers),
    )


def _layer(node: Node, name: str, tally: Tally, passing: Tensor) -> LayerUnits:
    constant = tally.constant
    dead, always_on = constant & ~passing, constant & passing
    pairs = max(int(tally.counts.sum()), 1)
    stay = (tally.counts == tally.samples).sum(1).tolist()
    return LayerUnits(
        name=name,
        operator=one_line(node.operator.label),
        module=one_line(node.module) + ("" if node.step is None else f" t={node.step}"),
        units=tally.layer.units,
        pieces=tally.layer.alphabet,
        share={p: n / pairs for p, n in zip(tally.pieces, tally.counts.sum(1).tolist(), strict=True)},
        constant={p: n for p, n in zip(tally.pieces, stay, strict=True) if n},
        dead=int(dead.sum()),
        always_on=int(always_on.sum()),
        dead_units=tuple(dead.nonzero()[:LISTED, 0].tolist()),
        always_on_units=tuple(always_on.nonzero()[:LISTED, 0].tolist()),
    )


def _passing(study: Study) -> dict[str, Tensor]:
    """Return which units of each switching operator pass changes on at the first sample.

    A unit that never switches is on the same piece there as everywhere, and that piece is flat if and
    only if (almost surely) a random direction of its operator's arguments does not move it.
    """
    generator = torch.Generator().manual_seed(study.seed)
    found: dict[str, Tensor] = {}

    def visit(node: Node, operator: Operator, xs: tuple[Tensor, ...]) -> Tensor:
        if not isinstance(operator, SplineOperator) or operator.alphabet([x.shape for x in xs]) == 1:
            return operator.forward(*xs)
        value, piece = operator.value_and_piece(*xs)
        directions = [torch.randn(x.shape, generator=generator, dtype=torch.float64).to(value) for x in xs]
        moved = piece.tangent(*directions) != 0
        found[node.name] = (node.layout.samples_first(moved) if node.layout else moved).reshape(-1).cpu()
        return value

    walk(study.graph, study.first, visit, operators=study.graph.resolved(study.dtype, study.first[0].device, 1))
    return found


@dataclass(frozen=True, eq=False, repr=False)
class CodesSection(Section):
    """The activation patterns of the samples.

    Parameters
    ----------
    samples, units, distinct : int
        `distinct` patterns: a lower bound of the number of activation cells.
    alone : int
        Patterns that only one sample has.
    mean_distance : float or None
        On how many units two samples differ, averaged over all pairs; None for one sample.
    most_common : tuple of (int, int)
        Number of samples with a pattern, and the first such sample, for the most common patterns.
    """

    samples: int
    units: int
    distinct: int
    alone: int
    mean_distance: float | None
    most_common: tuple[tuple[int, int], ...]

    @property
    def headline(self) -> str:
        if not self.units:
            return "not applicable: no operator switches, so all samples have the same pattern"
        found = f"{plural(self.distinct, 'distinct pattern')} in {plural(self.samples, 'sample')}"
        if self.mean_distance is None:
            return found
        share = 100 * self.mean_distance / self.units
        return (
            f"{found}; two samples differ on {self.mean_distance:.1f} of {plural(self.units, 'unit')} "
            f"on average ({share:.1f} %)"
        )


@section("codes", needs=(Patterns,), order=30)
def codes_section(study: Study) -> CodesSection:
    """Compare the activation patterns. The mean distance is exact: it follows from counts per unit."""
    patterns, count = study[Patterns], len(study)
    pairs = count * (count - 1) // 2
    differing = sum(tally.differing_pairs for tally in patterns.tallies)
    first, counts = patterns.distinct()
    order = np.lexsort((first, -counts))[:MOST_COMMON]
    return CodesSection(
        samples=count,
        units=patterns.units,
        distinct=len(counts),
        alone=int((counts == 1).sum()),
        mean_distance=differing / pairs if pairs else None,
        most_common=tuple((int(counts[i]), int(first[i])) for i in order),
    )
