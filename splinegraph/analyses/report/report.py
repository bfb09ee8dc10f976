"""`splinegraph.analyze`: one report on a graph, section by section."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.provenance import Provenance
from splinegraph.analyses.report.graph import graph_section, inputs_section
from splinegraph.analyses.report.maps import boundary_section, maps_section
from splinegraph.analyses.report.study import Study, prepare
from splinegraph.analyses.report.units import codes_section, units_section
from splinegraph.analyses.report.values import Failed, Section
from splinegraph.core.graph import SplineGraph

__all__ = ["SECTIONS", "Report", "analyze"]

SECTIONS: dict[str, Callable[[Study], Section]] = {
    "graph": graph_section,
    "inputs": inputs_section,
    "units": units_section,
    "codes": codes_section,
    "boundary": boundary_section,
    "maps": maps_section,
}
"""The sections of a report, in order. One that fails is shown as failed; the others are made all the same."""


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """What `analyze` found.

    Parameters
    ----------
    name : str
        Of the graph.
    sections : mapping from name to Section
        In the order of `SECTIONS`.
    notes : tuple of str
        Remarks on where model and data come from.
    provenance : Provenance
    """

    name: str
    sections: Mapping[str, Section]
    notes: tuple[str, ...]
    provenance: Provenance

    def __getitem__(self, section: str) -> Any:
        """Return a section by name; typed loosely, since it may be a `Failed` one."""
        return self.sections[section]

    @property
    def complete(self) -> bool:
        """Whether no section failed."""
        return not any(isinstance(section, Failed) for section in self.sections.values())

    @property
    def stale(self) -> bool:
        """Whether the weights changed since."""
        return self.provenance.weights.stale

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return {
            "format": "splinegraph report 1",
            "name": self.name,
            "complete": self.complete,
            "notes": list(self.notes),
            "provenance": self.provenance.to_dict(),
            "sections": {
                name: {"failed": isinstance(section, Failed), **section.to_dict()}
                for name, section in self.sections.items()
            },
        }

    def __str__(self) -> str:
        width = max(map(len, self.sections))
        lines = [f"{name.ljust(width)}  {section.headline}" for name, section in self.sections.items()]
        return "\n".join([self.name, *lines, *self.notes])

    def __repr__(self) -> str:
        first = next(iter(self.sections.values())).headline
        return f"<Report on {self.name}: {first}{'' if self.complete else ', incomplete'}>"


def analyze(
    graph: SplineGraph,
    *,
    data: Tensor | tuple[Tensor, ...] | None = None,
    labels: Tensor | None = None,
    at: Sequence[int] | None = None,
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> Report:
    """Report on a network: its operators, units, activation patterns and local affine maps.

    Parameters
    ----------
    graph : SplineGraph
    data : Tensor of shape (B, *in), or a tuple of them, optional
        One per input of the graph. Default: up to 1000 standard normal random inputs, which the report
        says.
    labels : Tensor of shape (B,), integer, optional
        Classes.
    at : sequence of int, optional
        Samples whose local maps are shown. Default: the first five.
    dtype : torch.dtype, default torch.float64
        Arithmetic.
    seed : int, default 0
        Of random inputs and random directions.
    notes : sequence of str, optional
        Remarks to keep in the report, such as where the data come from.

    Returns
    -------
    Report

    Raises
    ------
    ShapeError
        If the data do not fit the graph, or are empty.
    DataError
        If data are NaN or infinite, labels do not fit, or a sample in `at` does not exist.

    Notes
    -----
    Four forward passes over the data, in parts that fit in memory; about units / 8 bytes per sample are
    kept. Dead and constant units are those of these samples: others may switch them.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1)).eval()
    >>> report = analyze(sg.trace(net, torch.zeros(1, 2)), data=torch.eye(2))
    >>> report["maps"].headline
    'f(x) = A[x] x + b[x], exact on the whole cell of x'
    """
    with torch.no_grad():
        study = prepare(graph, data, labels, None if at is None else tuple(at), dtype, seed)
        provenance = Provenance.of(graph, dtype=dtype, seed=seed, samples=len(study), random_inputs=study.random)
        sections = {name: _attempt(make, study) for name, make in SECTIONS.items()}
    return Report(graph.name, sections, tuple(notes), provenance)


def _attempt(make: Callable[[Study], Section], study: Study) -> Section:
    try:
        return make(study)
    except Exception as error:  # noqa: BLE001  # a section that fails must not lose the others
        text = " ".join(str(error).split()) or type(error).__name__
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        return Failed(type(error).__name__, f"{text[:500]}{notes}")
