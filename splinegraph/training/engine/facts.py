"""What the spline of a network is like at one time: codes of a fixed batch, dead units, its Lipschitz bracket."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from splinegraph.analyses.lipschitz.lipschitz import lipschitz
from splinegraph.analyses.report.report import analyze
from splinegraph.analyses.report.values import Failed
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import SplineGraphError

__all__ = ["SplineFacts", "spline_facts"]


@dataclass(frozen=True)
class SplineFacts:
    """The state of a network's spline.

    Parameters
    ----------
    samples : int
        Size of the batch that units and patterns are of.
    units : int or None
        Units that switch.
    dead : int or None
        Those that stay on one flat piece for all samples; others may wake them.
    always_on : int or None
        Those that stay on one piece that is not flat.
    patterns : int or None
        Distinct activation patterns: a lower bound of the number of cells.
    distance : float or None
        Share of the units on which two samples differ, averaged over all pairs.
    lipschitz_lower, lipschitz_upper : float or None
        Bracket of the Lipschitz constant in l2 on all of space; None for infinity, or where it was not asked for.
    notes : tuple of str
        What could not be worked out, and why.
    """

    samples: int
    units: int | None = None
    dead: int | None = None
    always_on: int | None = None
    patterns: int | None = None
    distance: float | None = None
    lipschitz_lower: float | None = None
    lipschitz_upper: float | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {**asdict(self), "notes": list(self.notes)}


def spline_facts(graph: SplineGraph, samples: Tensor, *, budget: float | None = 1.0, seed: int = 0) -> SplineFacts:
    """Return the state of a network's spline with its present weights.

    Parameters
    ----------
    graph : SplineGraph
    samples : Tensor of shape (B, *in)
    budget : float or None
        Seconds for the Lipschitz bracket, beyond the product of the operators' constants, which is always worked out;
        None leaves it out.
    seed : int

    Notes
    -----
    Three forward passes over the samples, in float64.
    """
    report = analyze(graph, data=samples, sections=["units", "codes"], seed=seed)
    notes = [f"{name}: {part.headline}" for name, part in report.sections.items() if isinstance(part, Failed)]
    found: dict[str, Any] = {}
    if not isinstance(report["units"], Failed):
        units = report["units"]
        found |= {"units": units.units, "dead": units.dead, "always_on": units.always_on}
    if not isinstance(report["codes"], Failed):
        codes = report["codes"]
        far = None if codes.mean_distance is None or not codes.units else codes.mean_distance / codes.units
        found |= {"patterns": codes.distinct, "distance": far}
    if budget is not None:
        try:
            bound = lipschitz(graph, 2, budget=budget, seed=seed)
        except SplineGraphError as error:  # a report on training must not fail for it
            notes.append(f"lipschitz: {error}")
        else:
            upper = bound.upper if math.isfinite(bound.upper) else None
            found |= {"lipschitz_lower": float(bound.lower), "lipschitz_upper": upper}
            notes += bound.remarks
    return SplineFacts(len(samples), **found, notes=tuple(notes))
