"""The sections on boundary points and on local affine maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from splinegraph.analyses.affine_map import AffineMap, affine_map
from splinegraph.analyses.report.labels import Labels
from splinegraph.analyses.report.names import shown_names
from splinegraph.analyses.report.registry import section
from splinegraph.analyses.report.study import Chosen, Collector, Part, Study
from splinegraph.analyses.report.values import LISTED, Section, plural
from splinegraph.core.linearization import TIE_TOLERANCE, ties

__all__ = ["BoundarySection", "MapRow", "MapsSection", "boundary_section", "maps_section"]


@dataclass(frozen=True, eq=False, repr=False)
class BoundarySection(Section):
    """The samples at which candidates tie that differ as functions of the input.

    Parameters
    ----------
    samples, on_boundary : int
    indices : tuple of int
        Which ones; at most 1000.
    by_node : dict from name to int
        How many samples tie at each switching operator, where there are any.
    tolerance : float
        In rounding units of the sample's largest value at the node.
    """

    samples: int
    on_boundary: int
    indices: tuple[int, ...]
    by_node: dict[str, int]
    tolerance: float

    @property
    def headline(self) -> str:
        if not self.on_boundary:
            return f"none of {plural(self.samples, 'sample')} lies on a boundary between cells"
        verb = "lies" if self.on_boundary == 1 else "lie"
        most = sorted(self.by_node.items(), key=lambda item: -item[1])[:3]
        where = ", ".join(f"{count} at {name}" for name, count in most)
        more = ", ..." if len(self.by_node) > 3 else ""
        return f"{self.on_boundary} of {plural(self.samples, 'sample')} {verb} on a boundary ({where}{more})"


class Tied(Collector):
    """Which samples lie on a boundary, and at which operators."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self.by_node: dict[str, int] = {}
        self.indices: list[int] = []
        self.on_boundary = 0

    def add(self, part: Part) -> None:
        flags = torch.zeros(len(part.inputs[0]), dtype=torch.bool)
        for name, tied in ties(self.study.graph, part.inputs, seed=self.study.seed).items():
            flags |= tied.cpu()
            if count := int(tied.sum()):
                self.by_node = {**self.by_node, name: self.by_node.get(name, 0) + count}
        found = flags.nonzero()[:, 0]
        self.on_boundary += len(found)
        self.indices = [*self.indices, *(found[: LISTED - len(self.indices)] + part.start).tolist()]


@section("boundary", needs=(Tied,), order=40)
def boundary_section(study: Study) -> BoundarySection:
    """Find the samples on a boundary between cells, and the operators that tie there."""
    found = study[Tied]
    names = shown_names(study.graph)
    return BoundarySection(
        samples=len(study),
        on_boundary=found.on_boundary,
        indices=tuple(found.indices),
        by_node={shown: found.by_node[name] for name, shown in names.items() if name in found.by_node},
        tolerance=TIE_TOLERANCE,
    )


@dataclass(frozen=True)
class MapRow:
    """f_c(x) = <A[x]_c, x> + b[x]_c at one sample, for its largest output c.

    Parameters
    ----------
    sample : int
    label : int or None
    label_name : str or None
        Name of that class, where it has one.
    output : int
        c, a flat index into the output.
    output_name : str or None
        Name of the class c, where labels are classes of the output and have names.
    value, matching, bias : float
        f_c(x), the template matching value <A[x]_c, x>, and b[x]_c.
    norm : float
        Euclidean norm of the template A[x]_c.
    error : float
        Largest |f(x) - (A[x] x + b[x])| over all outputs.
    boundary : bool
        Whether x lies on the boundary of its cell: then the tie rule chose the code, and A[x] with it.
    """

    sample: int
    label: int | None
    label_name: str | None
    output: int
    output_name: str | None
    value: float
    matching: float
    bias: float
    norm: float
    error: float
    boundary: bool


@dataclass(frozen=True, eq=False, repr=False)
class MapsSection(Section):
    """Local affine maps at chosen samples.

    Parameters
    ----------
    kind : {'exact', 'tangent'}
        'exact' if f is that map on the whole cell of x, 'tangent' if it only touches f at x.
    output : str
        Name of the graph's output, the first if there are several.
    outputs : int
        How many the graph has.
    judged : bool
        Whether labels are known and are classes of this output, so that c can be right or wrong.
    rows : tuple of MapRow
    """

    kind: Literal["exact", "tangent"]
    output: str
    outputs: int
    judged: bool
    rows: tuple[MapRow, ...]

    @property
    def headline(self) -> str:
        which = f"; of output {self.output!r}, the first of {self.outputs}" if self.outputs > 1 else ""
        if self.kind == "exact":
            return f"f(x) = A[x] x + b[x], exact on the whole cell of x{which}"
        return f"tangents: f is not piecewise affine, and A[x] x + b[x] only touches it at x{which}"


@section("maps", needs=(Chosen, Labels), order=50)
def maps_section(study: Study) -> MapsSection:
    """Open the network at the chosen samples."""
    outputs = study.graph.outputs
    graph = study.graph if len(outputs) == 1 else study.graph.output(0)
    chosen, labels = study[Chosen], study[Labels]
    name = shown_names(study.graph)[outputs[0]]
    if not chosen.at:
        return MapsSection("exact" if graph.exact else "tangent", name, len(outputs), labels.judged, ())
    local = affine_map(graph, *chosen.inputs, dtype=None)
    _check(study, local)
    rows = tuple(
        MapRow(
            sample=sample, label=label, label_name=labels.name(label),
            output_name=labels.name(row["output"]) if labels.judged else None, **row,
        )
        for sample, label, row in zip(chosen.at, chosen.labels, _columns(local, chosen.inputs), strict=True)
    )  # fmt: skip
    return MapsSection(local.kind, name, len(outputs), labels.judged, rows)


TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3}
"""Largest |f(x) - (A x + b)|, relative to the larger of A x and b: these may cancel."""


def _check(study: Study, local: AffineMap) -> None:
    """Check that f(x) is A x + b where f(x) is a number, by one more pass through the network for each side."""
    y, mapped, b = (t.reshape(len(local), -1).detach() for t in (local.value, local.matvec(*local.inputs), local.bias))
    finite = y.isfinite().all(1)
    if not bool(finite.any()):
        return study.checked("maps", "f(x) = A[x] x + b[x]", None, "no chosen sample has a finite output")
    y, mapped, b = y[finite], mapped[finite], b[finite]
    sizes = torch.stack([y.abs().amax(1), mapped.abs().amax(1), b.abs().amax(1)]).amax(0)
    sizes = sizes.clamp(min=torch.finfo(y.dtype).tiny)
    worst = float(((y - mapped - b).abs().amax(1) / sizes).max())
    tolerance = TOLERANCE.get(y.dtype, 1e-1)
    what = "on the cells of" if local.kind == "exact" else "at"
    more = "" if len(y) == len(local) else f"; {len(local) - len(y)} more with NaN or infinite outputs left out"
    detail = f"{what} {plural(len(y), 'sample')}, all outputs: largest relative difference {worst:.1e}{more}"
    return study.checked("maps", "f(x) = A[x] x + b[x]", worst <= tolerance, detail, tolerance, worst)


def _columns(local: AffineMap, inputs: tuple[Tensor, ...]) -> list[dict[str, Any]]:
    """Return for each sample what its map says of its largest output."""
    count = len(inputs[0])
    value, matching, bias = (t.reshape(count, -1) for t in (local.value, local.matvec(*inputs), local.bias))
    best = value.argmax(1, keepdim=True)
    templates = local.rows(best)
    templates = templates if isinstance(templates, tuple) else (templates,)
    norms = torch.stack([t.reshape(count, -1).square().sum(1) for t in templates]).sum(0).sqrt()
    columns = {
        "output": best[:, 0],
        "value": value.gather(1, best)[:, 0],
        "matching": matching.gather(1, best)[:, 0],
        "bias": bias.gather(1, best)[:, 0],
        "norm": norms,
        "error": (value - matching - bias).abs().amax(1),
        "boundary": local.boundary,
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)]
