"""The section on the activation graph: which cells the samples share, and whether these know the classes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from splinegraph.analyses.activation.activation_graph import assembled
from splinegraph.analyses.activation.coarsening import layer_keys
from splinegraph.analyses.activation.keys import Keys
from splinegraph.analyses.activation.result import LayerSummary
from splinegraph.analyses.activation.tally import Tally
from splinegraph.analyses.codes import Layer
from splinegraph.analyses.provenance import Provenance
from splinegraph.analyses.report.browsing import Browser, browser
from splinegraph.analyses.report.names import shown_names
from splinegraph.analyses.report.patterns import part_codes
from splinegraph.analyses.report.registry import section
from splinegraph.analyses.report.study import Collector, Part, Study
from splinegraph.analyses.report.values import Section, plural

__all__ = ["ActivationSection", "Visits", "activation_section"]

NAMED = 1024
"""Samples that cells can be named by: those of the parts that begin before this one."""


class Visits(Collector):
    """Which cells of each layer the samples visit, and in which order."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self.tally = Tally()
        self.layers: tuple[Layer, ...] = ()
        self.seen: tuple[tuple[Keys, ...], ...] = ()  # of the first parts

    def add(self, part: Part) -> None:
        found = part_codes(self.study, part)
        if found.layers:
            labels = None if part.labels is None else part.labels.numpy().astype(np.int64)
            keys = tuple(layer_keys(found, None))
            self.tally, self.layers = self.tally.added(keys, labels), found.layers
            if part.start < NAMED:
                self.seen = (*self.seen, keys)

    @property
    def first(self) -> list[Keys]:
        """Keys of the cells that the first samples visit, layer by layer, each of shape (samples, 2)."""
        return [np.concatenate(parts) for parts in zip(*self.seen, strict=True)]


@dataclass(frozen=True, eq=False, repr=False)
class ActivationSection(Section):
    """The activation graph of the samples.

    Parameters
    ----------
    samples : int
    cells, edges : int
        Cells that were visited, over all layers, and steps from one layer to the next.
    labels : int
        How many classes occur; 0 without labels.
    layers : tuple of LayerSummary
        In topological order.
    browser : Browser or None
        The most visited cells; None if there are none.
    """

    samples: int
    cells: int
    edges: int
    labels: int
    layers: tuple[LayerSummary, ...]
    browser: Browser | None = None

    @property
    def headline(self) -> str:
        if not self.layers:
            return "not applicable: no operator switches, so there are no cells"
        found = f"{plural(self.cells, 'cell')} in {plural(len(self.layers), 'layer')}, {plural(self.edges, 'edge')}"
        silent = [layer for layer in self.layers if layer.says_nothing]
        if len(silent) == len(self.layers):
            return f"{found}; nearly all samples are alone in their cells, which then say nothing of classes"
        if self.labels < 2:
            return f"{found}; {'all labels are of one class' if self.labels else 'no labels'}"
        best = max((layer for layer in self.layers if not layer.says_nothing), key=lambda layer: layer.agreeing or 0.0)
        return (
            f"{found}; most others in the cell have the same label for {100 * (best.agreeing or 0.0):.0f} % of the"
            f" samples in {best.name}"
        )


@section("activation", needs=(Visits,), order=85)
def activation_section(study: Study) -> ActivationSection:
    """Summarize the activation graph; `splinegraph export --graph activation` writes it."""
    visits = study[Visits]
    if not visits.layers:
        return ActivationSection(len(study), 0, 0, 0, ())
    provenance = Provenance.of(study.graph, dtype=study.dtype, seed=study.seed)
    found = assembled(study.graph, visits.layers, visits.tally, study.source.classes, None, provenance)
    names = shown_names(study.graph)
    layers = tuple(dataclasses.replace(layer, name=names[layer.name]) for layer in found.summary)
    shown = browser(found, [layer.name for layer in layers], [x.stop - x.start for x in visits.layers], visits.first)
    return ActivationSection(len(study), len(found), len(found.edges), len(found.classes), layers, shown)
