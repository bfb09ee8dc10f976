"""The section on convexity: what composition rules and random chords say of each output, on all of space."""

from __future__ import annotations

import math
from dataclasses import dataclass

from splinegraph.analyses.convexity.checklist import checklist
from splinegraph.analyses.convexity.convexity import convexity
from splinegraph.analyses.convexity.verdict import Certificate, Verdict
from splinegraph.analyses.report.names import shown_names
from splinegraph.analyses.report.regions import Few
from splinegraph.analyses.report.registry import section
from splinegraph.analyses.report.study import Study
from splinegraph.analyses.report.values import LISTED, Section
from splinegraph.errors import one_line

__all__ = ["ConvexitySection", "FailingLayer", "OutputVerdict", "convexity_section"]

PARAMETERS = 5_000_000
ENTRIES = 200_000
"""Parameters, and entries of a value, up to which there are verdicts: larger networks take minutes."""

OUTPUTS = 1000
"""Entries of the output up to which each is judged."""

METHODS = ("curvature", "backward", "chords")
"""Those whose work does not depend on the clock."""


@dataclass(frozen=True)
class OutputVerdict:
    """What is proved of one entry of the output.

    Parameters
    ----------
    index : tuple of int
    status : {'affine', 'convex', 'concave', 'neither', 'undecided'}
    method : str
        What decided it; '' if nothing did.
    proof : str
        The certificate's reason; of witnesses how far they are off their chords.
    """

    index: tuple[int, ...]
    status: str
    method: str
    proof: str


@dataclass(frozen=True)
class FailingLayer:
    """A layer that keeps the signs of weights from proving convexity.

    Parameters
    ----------
    node, operator, module : str
    asks : str
        What it would have to satisfy.
    units : int
        How many units do not.
    total : float or None
        Of weights, the sum of the negative ones.
    """

    node: str
    operator: str
    module: str
    asks: str
    units: int
    total: float | None


@dataclass(frozen=True, eq=False, repr=False)
class ConvexitySection(Section):
    """Verdicts on all of space, by work that does not depend on the clock.

    Parameters
    ----------
    counts : dict from status to int, or None
        How many outputs have each; None if none was judged.
    outputs : tuple of OutputVerdict
        The first ones.
    layers : tuple of FailingLayer
        Conditions of the corrected Corollary 2 that fail, in topological order.
    why : str
        Why nothing was judged; '' if it was.
    """

    counts: dict[str, int] | None
    outputs: tuple[OutputVerdict, ...]
    layers: tuple[FailingLayer, ...]
    why: str

    @property
    def headline(self) -> str:
        if self.counts is None:
            return self.why
        found = ", ".join(f"{count} {status}" for status, count in self.counts.items())
        outputs = "output" if sum(self.counts.values()) == 1 else "outputs"
        first = f"; signs first fail at {self.layers[0].node}" if self.layers else ""
        return f"of {sum(self.counts.values())} {outputs} {found}{first}"


@section("convexity", needs=(Few,), order=80)
def convexity_section(study: Study) -> ConvexitySection:
    """Judge every output by rules and chords.

    The samples have no part in it, but are read first: this may take longer.
    """
    graph = study.graph
    size = sum(tensor.numel() for tensor in graph.parameters())
    count = sum(math.prod(shape) for shape in graph.output_shapes)
    if size > PARAMETERS or max(math.prod(node.shape) for node in graph.nodes) > ENTRIES or count > OUTPUTS:
        why = f"not worked out: {size:,} parameters, {count:,} outputs; see `splinegraph convexity --only`"
        return ConvexitySection(None, (), (), why)
    found = convexity(graph, methods=METHODS, seed=study.seed)
    names = shown_names(graph)
    failing = tuple(
        FailingLayer(
            names[c.node], one_line(c.label), one_line(graph[c.node].module), c.asks, c.failing,
            c.total if math.isfinite(c.total) else None,
        )
        for c in checklist(graph).failing[:LISTED]
    )  # fmt: skip
    return ConvexitySection(found.counts, tuple(_told(v) for v in found[:LISTED]), failing, "")


def _told(verdict: Verdict) -> OutputVerdict:
    proof = verdict.proof
    if isinstance(proof, Certificate):
        return OutputVerdict(verdict.index, str(verdict.status), verdict.method, proof.text)
    gaps = [f"not {w.against}: {abs(w.gap):.3g} off a chord" for w in verdict.witnesses]
    notes = () if verdict.decided else verdict.notes
    return OutputVerdict(verdict.index, str(verdict.status), verdict.method, one_line("; ".join([*gaps, *notes])))
