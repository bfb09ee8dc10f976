"""The section on convexity: what composition rules and random chords say of each output, on all of space."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.analyses.convexity.checklist import checklist
from splinegraph.analyses.convexity.convexity import convexity
from splinegraph.analyses.convexity.verdict import Certificate, Verdict, Verdicts
from splinegraph.analyses.report.names import shown_names
from splinegraph.analyses.report.regions import Few
from splinegraph.analyses.report.registry import section
from splinegraph.analyses.report.study import Study
from splinegraph.analyses.report.values import LISTED, Section, plural
from splinegraph.errors import one_line

__all__ = ["ConvexitySection", "FailingLayer", "OutputVerdict", "convexity_section"]

PARAMETERS = 5_000_000
ENTRIES = 200_000
"""Parameters, and entries of a value, up to which there are verdicts: larger networks take minutes."""

OUTPUTS = 1000
"""Entries of the output up to which each is judged."""

WITNESSES = 20
"""Witnesses that are checked once more."""

ROUNDING = 1e-9
"""How far rounding may put a value past a chord, relative to the largest value."""

WORK, CHORDS = 2**27, (64, 4000)
"""Entries of all nodes that chords may cost: it tells how many there are, between these two."""

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
    chords = WORK // max(sum(math.prod(node.shape) for node in graph.nodes), 1)
    found = convexity(graph, methods=METHODS, seed=study.seed, chords=min(max(chords, CHORDS[0]), CHORDS[1]))
    _check(study, found)
    names = shown_names(graph)
    failing = tuple(
        FailingLayer(
            names[c.node], one_line(c.label), one_line(graph[c.node].module), c.asks, c.failing,
            c.total if math.isfinite(c.total) else None,
        )
        for c in checklist(graph).failing[:LISTED]
    )  # fmt: skip
    return ConvexitySection(found.counts, tuple(_told(v) for v in found[:LISTED]), failing, "")


def _check(study: Study, found: Verdicts) -> None:
    """Check the first witnesses by running bounds of rounding or exact rationals, certificates on chords of samples."""
    witnesses = [w for verdict in found for w in verdict.witnesses]
    if witnesses:
        held = [w.holds() for w in witnesses[:WITNESSES]]
        detail = f"{sum(held)} of {len(held)} refute what they say beyond all rounding"
        more = f"; {len(witnesses) - len(held)} more were not looked at" if len(witnesses) > len(held) else ""
        study.checked("convexity", "witnesses against convexity and concavity hold", all(held), detail + more)
    signs = [
        (place, sign)
        for place, verdict in enumerate(found)
        for sign, proof in ((1.0, verdict.convex), (-1.0, verdict.concave))
        if isinstance(proof, Certificate)
    ]
    if signs:
        name = "outputs certified convex or concave are so on chords between samples"
        off, pairs = _off_chords(study, signs)
        detail = f"{plural(pairs, 'chord')}, {plural(len({p for p, _ in signs}), 'output')}: off by {off:.1e} at most"
        study.checked("convexity", name, off <= ROUNDING if pairs else None, detail, ROUNDING, off)
    if not witnesses and not signs:
        study.checked("convexity", "certificates and witnesses", None, "no output is decided")


def _off_chords(study: Study, signs: list[tuple[int, float]]) -> tuple[float, int]:
    """Return by how much middles of chords between samples are on the wrong side, relative to the largest value."""
    first = list(study[Few].first.values())
    pairs = list(itertools.combinations(range(len(first)), 2))
    if not pairs:
        return 0.0, 0
    xs = [torch.stack(side).double() for side in zip(*first, strict=True)]
    left, right = (torch.tensor(side) for side in zip(*pairs, strict=True))

    def values(points: list[Tensor]) -> Tensor:
        ys = study.graph(*points, dtype=torch.float64)
        return torch.cat([y.reshape(len(y), -1) for y in (ys if isinstance(ys, tuple) else (ys,))], dim=1)

    ends, middles = values(xs), values([(x[left] + x[right]) / 2 for x in xs])
    size = float(ends.abs().max().clamp(min=torch.finfo(torch.float64).tiny))
    above = (middles - (ends[left] + ends[right]) / 2) / size
    worst = max(float((sign * above[:, place]).max()) for place, sign in signs)
    return max(worst, 0.0), len(pairs)


def _told(verdict: Verdict) -> OutputVerdict:
    proof = verdict.proof
    if isinstance(proof, Certificate):
        return OutputVerdict(verdict.index, str(verdict.status), verdict.method, proof.text)
    gaps = [f"not {w.against}: {abs(w.gap):.3g} off a chord" for w in verdict.witnesses]
    notes = () if verdict.decided else verdict.notes
    return OutputVerdict(verdict.index, str(verdict.status), verdict.method, one_line("; ".join([*gaps, *notes])))
