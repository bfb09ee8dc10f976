"""The section on measures: active units, how the slope turns between samples, how sharp the minimum is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from splinegraph.analyses.measures.activity import activity
from splinegraph.analyses.measures.sharpness import Sharpness, sharpness
from splinegraph.analyses.measures.smoothness import Smoothness, smoothness
from splinegraph.analyses.report.kept import Kept
from splinegraph.analyses.report.labels import Labels
from splinegraph.analyses.report.names import shown_names
from splinegraph.analyses.report.registry import section
from splinegraph.analyses.report.study import Study
from splinegraph.analyses.report.values import Section
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import SplineGraphError

__all__ = ["LayerSparsity", "MeasuresSection", "measures_section"]

PAIRS, WORK = 16, 2**28
"""Most chords along which slopes are followed, and units times entries of all nodes for all of them: seconds."""

DRAWS, STEPS = 3, 8
"""Directions in which the weights are moved, and steps of Lanczos' method."""

UNITS = 20_000
PARAMETERS = 2_000_000
ENTRIES = 2**26
"""Units, parameters, and entries of the widest value over all samples, up to which it is worked out."""


@dataclass(frozen=True)
class LayerSparsity:
    """One switching operator.

    Parameters
    ----------
    node : str
    active : float or None
        Mean share of active units; None where units select.
    entropy : float
        Mean over the units of the entropy of their piece, in bits.
    effective : float
        2 to the entropy of the layer's patterns.
    """

    node: str
    active: float | None
    entropy: float
    effective: float


@dataclass(frozen=True, eq=False, repr=False)
class MeasuresSection(Section):
    """Measures on the first samples.

    Parameters
    ----------
    samples : int
        How many of them.
    active : float or None
        Mean share of active units.
    layers : tuple of LayerSparsity
    chords : int
        Between samples drawn at random.
    variation : float or None
        Mean total variation of the slope along them; None if not worked out.
    variation_kind : {'exact', 'lower'} or None
    loss, rise, curvature : float or None
        Cross entropy, by how much it rises where every filter is moved by a tenth of its length, and a lower bound of
        the largest eigenvalue of its Hessian; None without labels.
    why : str
        What was not worked out, and why; '' if all was.
    """

    samples: int
    active: float | None
    layers: tuple[LayerSparsity, ...]
    chords: int
    variation: float | None
    variation_kind: str | None
    loss: float | None
    rise: float | None
    curvature: float | None
    why: str

    @property
    def headline(self) -> str:
        parts = [] if self.active is None else [f"{100 * self.active:.0f} % of the units are active"]
        if self.variation is not None:
            least = "at least " if self.variation_kind == "lower" else ""
            parts.append(f"between samples the slope turns by {least}{self.variation:.3g}")
        if self.curvature is not None:
            parts.append(f"the loss {self.loss:.3g} curves by {self.curvature:.3g} or more")
        return "; ".join([*parts, *[self.why] * bool(self.why)])


@section("measures", needs=(Kept, Labels), order=150)
def measures_section(study: Study) -> MeasuresSection:
    """Measure the network on the first samples."""
    kept, graph = study[Kept], study.graph
    names = shown_names(graph)
    if len(graph.inputs) > 1:
        return MeasuresSection(0, None, (), 0, None, None, None, None, None, "not worked out: several inputs")
    (x,) = kept.inputs
    found = activity(graph, x)
    turning, why_not = _smoothness(graph, study, kept)
    sharp, why = _sharpness(graph, study, kept)
    layers = tuple(
        LayerSparsity(names[layer.name], layer.active, layer.entropy, layer.effective) for layer in found.layers
    )
    return MeasuresSection(
        len(kept), found.active, layers,
        chords=0 if turning is None else len(turning.pairs), variation=None if turning is None else turning.mean,
        variation_kind=None if turning is None else turning.kind,
        loss=None if sharp is None else sharp.loss, rise=None if sharp is None else sharp.mean,
        curvature=None if sharp is None else sharp.curvature, why="; ".join(filter(None, (why_not, why))),
    )  # fmt: skip


def _smoothness(graph: SplineGraph, study: Study, kept: Kept) -> tuple[Smoothness | None, str]:
    units = sum(math.prod(node.shape) for node in graph.operators if node.op.family != "affine")
    entries = sum(math.prod(node.shape) for node in graph.nodes)
    pairs = min(PAIRS, WORK // max(units * entries, 1))  # a chord may cross as many cells as there are units
    if units > UNITS or not pairs:
        return None, f"no slopes between samples: {units:,} units, values of {entries:,} entries"
    try:
        return smoothness(graph, kept.inputs[0], kept.labels, pairs=pairs, seed=study.seed), ""
    except SplineGraphError as error:
        return None, f"no slopes between samples: {error.what}"


def _sharpness(graph: SplineGraph, study: Study, kept: Kept) -> tuple[Sharpness | None, str]:
    labels, y = study[Labels], kept.labels
    if y is None or not labels.judged:
        return None, f"no sharpness: {labels.why_not or 'the samples have no labels'}"
    size = sum(tensor.numel() for tensor in graph.parameters())
    if size > PARAMETERS or len(y) * max(math.prod(node.shape) for node in graph.nodes) > ENTRIES:
        return None, f"no sharpness: {size:,} parameters"
    try:
        return sharpness(graph, kept.inputs[0], y, draws=DRAWS, steps=STEPS, seed=study.seed), ""
    except SplineGraphError as error:
        return None, f"no sharpness: {error.what}"
