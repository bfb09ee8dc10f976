"""`splinegraph.analyze`: one report on a graph, section by section."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from splinegraph.analyses.provenance import Provenance
from splinegraph.analyses.report import (  # noqa: F401
    activation,
    checks,
    convexity,
    encoding,
    lipschitz,
    maps,
    measures,
    paths,
    regions,
    separation,
    templates,
    units,
)

# each of these modules registers its sections
from splinegraph.analyses.report import graph as graph_sections  # noqa: F401
from splinegraph.analyses.report.labels import Labels
from splinegraph.analyses.report.reading import FORMAT
from splinegraph.analyses.report.registry import SectionKind, chosen
from splinegraph.analyses.report.study import Progress, Study, prepare
from splinegraph.analyses.report.values import Check, Failed, Section, jsonable
from splinegraph.core.graph import SplineGraph
from splinegraph.core.notebook import page
from splinegraph.errors import one_line

__all__ = ["FORMAT", "Report", "analyze"]


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """What `analyze` found.

    Parameters
    ----------
    name : str
        Of the graph.
    sections : mapping from name to Section
        In the order of the report.
    notes : tuple of str
        Remarks on where model and data come from.
    provenance : Provenance
    request : mapping
        What was asked for, as plain values: enough to ask for it again.
    interrupted : bool
        Whether the pass over the data did not come to its end: the sections are on the samples before it.
    broken : tuple of Check
        The checks that failed, also where there is no section on them.
    """

    name: str
    sections: Mapping[str, Section]
    notes: tuple[str, ...]
    provenance: Provenance
    request: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    interrupted: bool = False
    broken: tuple[Check, ...] = ()

    def __getitem__(self, section: str) -> Any:
        """Return a section by name; typed loosely, since it may be a `Failed` one."""
        return self.sections[section]

    @property
    def complete(self) -> bool:
        """Whether all samples were looked at, no section failed, and no check did."""
        failed = any(isinstance(section, Failed) for section in self.sections.values())
        return not (self.interrupted or self.broken or failed)

    @property
    def stale(self) -> bool:
        """Whether the weights changed since."""
        return self.provenance.weights.stale

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON types."""
        return {
            "format": FORMAT,
            "name": self.name,
            "complete": self.complete,
            "notes": list(self.notes),
            "request": jsonable(self.request),
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

    def _repr_html_(self) -> str:
        title = f"Report on {self.name}" + ("" if self.complete else ", incomplete")
        notes = {f"note {place}": note for place, note in enumerate(self.notes, 1)}
        return page(title, {name: section.headline for name, section in self.sections.items()} | notes)

    def __repr__(self) -> str:
        first = next(iter(self.sections.values())).headline
        return f"<Report on {self.name}: {first}{'' if self.complete else ', incomplete'}>"


def analyze(
    graph: SplineGraph,
    *,
    data: Any = None,
    labels: Any = None,
    limit: int | None = None,
    at: Sequence[int] | None = None,
    sections: Sequence[str] | None = None,
    skip: Sequence[str] = (),
    dtype: torch.dtype = torch.float64,
    seed: int = 0,
    notes: Sequence[str] = (),
    request: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Report on a network: one section per analysis, each as far as the network's size allows.

    Parameters
    ----------
    graph : SplineGraph
    data : Tensor of shape (B, *in), tuple of them, path, Dataset, DataLoader or DataSource, optional
        Anything that `splinegraph.data.reading.read_data` takes, one input per input of the graph. Default: up
        to 1000 random inputs, which the report says: standard normal, or random orders of the example's embeddings
        where an input is the output of an embedding.
    labels : Tensor of shape (B,), integer, optional
        Classes, where `data` does not hold them.
    limit : int, optional
        Look at the first samples only.
    at : sequence of int, optional
        Samples whose local maps are shown. Default: the first five.
    sections, skip : sequence of str, optional
        Names of the sections to make, and of those to leave out. Default: all.
    dtype : torch.dtype, default torch.float64
        Arithmetic.
    seed : int, default 0
        Of random inputs and random directions.
    notes : sequence of str, optional
        Remarks to keep in the report, such as where the model comes from.
    request : mapping, optional
        Kept in the report: plain values with which to ask for it again.
    progress : callable, optional
        Called with ("data", samples done, their number or None) in the pass over the data, and for each
        section with (its name, 0, None) and (its name, 1, 1).

    Returns
    -------
    Report

    Raises
    ------
    ShapeError
        If the data do not fit the graph.
    DataError
        If data cannot be read, or are empty, NaN or infinite, labels do not fit, or a sample in `at` does not
        exist.
    SplineGraphError
        If there is no section of a name.

    Notes
    -----
    One pass over the data, with three forward passes over each part. The samples are not kept: memory is that
    of two parts of at most 512, 16 bytes per sample, 8 per unit and piece, and 100 per cell of a layer. No pass at
    all if only the graph is asked for. Dead and constant units are those of these samples: others may switch them.

    An interrupt (KeyboardInterrupt) of that pass ends it: the sections are made of the samples seen so far. One
    before or after it leaves the sections made so far; the others are shown as failed. Neither report is complete.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1)).eval()
    >>> report = analyze(sg.trace(net, torch.zeros(1, 2)), data=torch.eye(2))
    >>> report["maps"].headline
    'f(x) = A[x] x + b[x], exact on the whole cell of x'
    """
    kinds = chosen(sections, skip)
    tell: Progress = progress or _silent
    with torch.no_grad():
        study = prepare(graph, data, labels, at, limit, dtype, seed)
        provenance = Provenance.of(graph, dtype=dtype, seed=seed)
        found = _make(study, kinds, tell)
    broken = _broken(study, found)
    warnings = [f"warning: a check failed: {row.name} ({row.part}): {row.detail}" for row in broken]
    settings = {"samples": study.samples, "random_inputs": study.random}
    return Report(
        one_line(graph.name), {name: found.get(name, INTERRUPTED) for name in kinds},
        tuple(dict.fromkeys(map(one_line, (*notes, *_remarks(study), *warnings)))),
        dataclasses.replace(provenance, settings=settings), dict(request or {}), bool(study.interrupted), broken,
    )  # fmt: skip


INTERRUPTED = Failed("KeyboardInterrupt", "interrupted")


def _broken(study: Study, found: Mapping[str, Section]) -> tuple[Check, ...]:
    """Return the checks that failed."""
    told = found.get("checks")
    rows = told.rows if isinstance(told, checks.ChecksSection) else study.checks
    return tuple(row for row in rows if row.passed is False)


def _remarks(study: Study) -> list[str]:
    """Return what to know of the samples."""
    found = [] if study.random else [f"data: {study.source.name}", *study.source.notes]
    labels = study.find(Labels)
    found += () if labels is None else labels.notes
    return [*found, study.interrupted] if study.interrupted else found


def _silent(stage: str, done: int, total: int | None) -> None:
    """Show no progress."""


def _make(study: Study, kinds: Mapping[str, SectionKind], tell: Progress) -> dict[str, Section]:
    """Make the sections, those on the graph alone before the data are read; as many as there is time for."""
    found = study.made
    try:
        for name, kind in kinds.items():
            if not kind.needs:
                found[name] = _attempt(name, kind, study, tell)
        study.collect((need for kind in kinds.values() for need in kind.needs), tell)
        for name, kind in kinds.items():
            if kind.needs:
                found[name] = _attempt(name, kind, study, tell)
    except KeyboardInterrupt:
        pass  # what is missing is shown as interrupted
    return found


def _attempt(name: str, kind: SectionKind, study: Study, tell: Progress) -> Section:
    tell(name, 0, None)
    try:
        made = kind.make(study)
    except Exception as error:  # noqa: BLE001  # a section that fails must not lose the others
        text = one_line(str(error)) or type(error).__name__
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        made = Failed(type(error).__name__, f"{text[:500]}{notes}")
    tell(name, 1, 1)
    return made
