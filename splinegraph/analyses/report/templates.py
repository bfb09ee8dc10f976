"""The section on templates: how those of the first samples match them, beside the optimal ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

from splinegraph.analyses.report.galleries import TemplateGallery, template_gallery
from splinegraph.analyses.report.kept import Kept
from splinegraph.analyses.report.labels import Labels
from splinegraph.analyses.report.registry import section
from splinegraph.analyses.report.study import Study
from splinegraph.analyses.report.values import Section, plural
from splinegraph.analyses.templates.memory import memorization
from splinegraph.analyses.templates.templates import templates

__all__ = ["TemplateMeasure", "TemplatesSection", "templates_section"]

SAMPLES = 64
"""Most samples whose templates are looked at."""

ENTRIES = 2**25
WORK = 2**27
"""Entries of their templates, and of all nodes on the way back to them, that are worked out: seconds."""


@dataclass(frozen=True)
class TemplateMeasure:
    """One number of the centred templates.

    Parameters
    ----------
    name : {'to_input', 'to_wrong', 'between_wrong', 'norm_ratio'}
    mean : float or None
        Over the samples.
    optimum : float
        What Theorem 5, corrected, has.
    """

    name: str
    mean: float | None
    optimum: float


@dataclass(frozen=True, eq=False, repr=False)
class TemplatesSection(Section):
    """Templates of the first samples.

    Parameters
    ----------
    samples, classes : int
        Of the first samples those whose scores and templates are finite.
    kind : {'exact', 'tangent'} or None
        None if nothing was worked out.
    judged : bool
        Whether the class of a sample is its label; otherwise it is the largest score.
    bias_share : float or None
        Mean share of the bias in the score of that class, after centring.
    measures : tuple of TemplateMeasure
    own, same, other : float or None
        Mean cosine of the centred template of the label to its input, to other inputs of the class, and to those of
        other classes; None without labels.
    why : str
        Why nothing was worked out; '' if it was.
    gallery : TemplateGallery or None
        None if nothing was worked out.
    """

    samples: int
    classes: int
    kind: str | None
    judged: bool
    bias_share: float | None
    measures: tuple[TemplateMeasure, ...]
    own: float | None
    same: float | None
    other: float | None
    why: str
    gallery: TemplateGallery | None = None

    @property
    def headline(self) -> str:
        if self.kind is None:
            return self.why
        own = next((m.mean for m in self.measures if m.name == "to_input"), None)
        match = "no template of the class" if own is None else f"mean cosine {own:.2f} of the class's template to x"
        tangent = "; tangents of a smooth network" if self.kind == "tangent" else ""
        return f"{match}, in {plural(self.samples, 'sample')} (1 at the optimum){tangent}"


@section("templates", needs=(Kept, Labels), order=140)
def templates_section(study: Study) -> TemplatesSection:
    """Compare the templates of the first samples with the optimal ones."""
    graph, kept, labels = study.graph, study[Kept], study[Labels]
    shapes = graph.output_shapes
    if len(graph.inputs) > 1 or len(shapes) > 1 or len(shapes[0]) != 1 or shapes[0][0] < 2:
        return _nothing("not applicable: templates of classes need one input and one score per class")
    classes = shapes[0][0]
    passed = sum(math.prod(node.shape) for node in graph.nodes)
    room = min(ENTRIES // (math.prod(graph.input_shapes[0]) * classes), WORK // (passed * classes))
    if not room:
        size = "×".join(map(str, graph.input_shapes[0]))
        return _nothing(f"not worked out: {classes} templates of {size}; see `splinegraph templates --classes`")
    (x,) = kept.inputs
    x = x[: min(room, SAMPLES)]
    y = kept.labels[: len(x)] if kept.labels is not None and labels.judged else None
    found = templates(graph, x, y)
    finite = found.scores.isfinite().all(1) & found.rows.flatten(1).isfinite().all(1)
    at = finite.nonzero()[:, 0].cpu()
    if not len(at):
        return _nothing(f"not worked out: none of {plural(len(x), 'sample')} has finite scores and templates")
    if len(at) < len(x):
        x, y = x[finite], None if y is None else y[at]
        found = templates(graph, x, y)
    target = found.scores.argmax(1) if y is None else y.to(x.device)
    share = found.centered_bias_share.gather(1, target[:, None])
    share = share[~share.isnan()]
    memory = {} if y is None else memorization(graph, x, y).to_dict()
    return TemplatesSection(
        samples=len(x), classes=classes, kind=found.kind, judged=y is not None,
        bias_share=float(share.mean()) if len(share) else None,
        measures=tuple(TemplateMeasure(name, **values) for name, values in found.comparison.to_dict().items()),
        own=memory.get("own"), same=memory.get("same"), other=memory.get("other"), why="",
        gallery=template_gallery(found, y, at.tolist()),
    )  # fmt: skip


def _nothing(why: str) -> TemplatesSection:
    return TemplatesSection(0, 0, None, False, None, (), None, None, None, why)
