"""The sections on boundary points and on local affine maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from splinegraph.analyses.affine_map import affine_map
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
                self.by_node[name] = self.by_node.get(name, 0) + count
        found = flags.nonzero()[:, 0]
        self.on_boundary += len(found)
        self.indices += (found[: LISTED - len(self.indices)] + part.start).tolist()


@section("boundary", needs=(Tied,), order=40)
def boundary_section(study: Study) -> BoundarySection:
    """Find the samples on a boundary between cells, and the operators that tie there."""
    found = study[Tied]
    places = {node.name: place for place, node in enumerate(study.graph.nodes)}
    return BoundarySection(
        samples=len(study),
        on_boundary=found.on_boundary,
        indices=tuple(found.indices),
        by_node={name: found.by_node[name] for name in sorted(found.by_node, key=places.__getitem__)},
        tolerance=TIE_TOLERANCE,
    )


@dataclass(frozen=True)
class MapRow:
    """f_c(x) = <A[x]_c, x> + b[x]_c at one sample, for its largest output c.

    Parameters
    ----------
    sample : int
    label : int or None
    output : int
        c, a flat index into the output.
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
    output: int
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
    rows : tuple of MapRow
    """

    kind: Literal["exact", "tangent"]
    output: str
    rows: tuple[MapRow, ...]

    @property
    def headline(self) -> str:
        if self.kind == "exact":
            return "f(x) = A[x] x + b[x], exact on the whole cell of x"
        return "tangents: f is not piecewise affine, and A[x] x + b[x] only touches it at x"


@section("maps", needs=(Chosen,), order=50)
def maps_section(study: Study) -> MapsSection:
    """Open the network at the chosen samples."""
    graph = study.graph if len(study.graph.outputs) == 1 else study.graph.output(0)
    chosen = study[Chosen]
    if not chosen.at:
        return MapsSection("exact" if graph.exact else "tangent", graph.outputs[0], ())
    at, inputs = chosen.at, chosen.inputs
    local = affine_map(graph, *inputs, dtype=None)
    value, matching, bias = (t.reshape(len(at), -1) for t in (local.value, local.matvec(*inputs), local.bias))
    best = value.argmax(1, keepdim=True)
    templates = local.rows(best)
    templates = templates if isinstance(templates, tuple) else (templates,)
    norms = torch.stack([t.reshape(len(at), -1).square().sum(1) for t in templates]).sum(0).sqrt()
    columns = {
        "output": best[:, 0],
        "value": value.gather(1, best)[:, 0],
        "matching": matching.gather(1, best)[:, 0],
        "bias": bias.gather(1, best)[:, 0],
        "norm": norms,
        "error": (value - matching - bias).abs().amax(1),
        "boundary": local.boundary,
    }
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return MapsSection(
        local.kind,
        graph.outputs[0],
        tuple(
            MapRow(i, label, **dict(zip(columns, row, strict=True)))
            for i, label, row in zip(at, chosen.labels, rows, strict=True)
        ),
    )
