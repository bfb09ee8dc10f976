"""The section on checks: what the numbers of the other sections rest on, and whether it held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from splinegraph.analyses.report.graph import Seen
from splinegraph.analyses.report.registry import section
from splinegraph.analyses.report.study import Study
from splinegraph.analyses.report.values import Check, Failed, Section, plural
from splinegraph.core.agreement import Agreement
from splinegraph.core.graph import SplineGraph

__all__ = ["ChecksSection", "checks_section"]

EXPECTED = {
    "inputs": "every output is finite",
    "maps": "f(x) = A[x] x + b[x]",
    "regions": "the cells of the slice",
    "lipschitz": "both ends of the Lipschitz constant",
    "convexity": "certificates and witnesses",
}
"""What is checked of sections, for rows on those where nothing was."""

NAMED = 3
"""Failed checks that the headline names."""


@dataclass(frozen=True, eq=False, repr=False)
class ChecksSection(Section):
    """What was checked.

    Parameters
    ----------
    rows : tuple of Check
        The trace first, then section by section.
    """

    rows: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """Those that failed."""
        return tuple(row for row in self.rows if row.passed is False)

    @property
    def headline(self) -> str:
        left = sum(row.passed is None for row in self.rows)
        ran = len(self.rows) - left
        more = f", {left} not run" if left else ""
        if self.failed:
            named = ", ".join(f"{row.name} ({row.part})" for row in self.failed[:NAMED])
            dots = ", ..." * (len(self.failed) > NAMED)
            return f"{len(self.failed)} of {plural(ran, 'check')} FAILED: {named}{dots}{more}"
        return f"all {ran} checks passed{more}" if ran > 1 else f"{plural(ran, 'check')} passed{more}"


@section("checks", needs=(Seen,), order=180)
def checks_section(study: Study) -> ChecksSection:
    """Collect what the trace and the other sections checked; what was left out is said not to have run."""
    rows = [*_of_trace(study.graph), *_of_weights(study), *_of_outputs(study), *study.checks, *_of_regions(study)]
    known = {row.part for row in rows}
    for part, name in EXPECTED.items():
        if part not in known:
            rows.append(Check(name, part, None, _why_not(study.made.get(part))))
    places = {part: place for place, part in enumerate(("trace", "weights", *EXPECTED))}
    return ChecksSection(tuple(sorted(rows, key=lambda row: places.get(row.part, len(places)))))


def _of_trace(graph: SplineGraph) -> Iterator[Check]:
    """Yield the comparisons with the model that the trace made."""
    if not graph.checks:
        why = "the graph was traced without a check, or not traced from a model"
        yield Check("the graph computes what the model does", "trace", None, why)
    for row in graph.checks:
        yield _comparison(row)
    if graph.checks and not any(row.dtype == "float64" and row.what == "model" for row in graph.checks):
        why = "the model does not run in float64"
        yield Check("the graph computes what the model does, in float64", "trace", None, why)
    if graph.checks and not graph.batched:
        why = "the graph runs one sample at a time"
        yield Check("a sample in a batch is treated as it is alone", "trace", None, why)


def _comparison(row: Agreement) -> Check:
    name = "the graph computes what the model does"
    where = f"a batch of {row.batch}" if row.batch > 1 else "one sample"
    if row.what == "batch":
        name = "a sample in a batch is treated as it is alone"
        where = f"the last of a batch of {row.batch}"
    detail = f"{where}: largest relative difference {row.difference:.1e}"
    held = row.difference <= row.tolerance
    return Check(f"{name}, in {row.dtype}", "trace", held, detail, row.tolerance, row.difference)


def _of_weights(study: Study) -> Iterator[Check]:
    stale = study.weights.stale
    detail = "a tensor was written to" if stale else "no tensor was written to"
    yield Check("the weights are the same at the end as at the start", "weights", not stale, detail)


def _of_outputs(study: Study) -> Iterator[Check]:
    seen = study.find(Seen)
    if seen is not None:
        bad = len(study) - seen.finite
        detail = f"{plural(bad, 'output')} of {len(study)} NaN or infinite" if bad else f"{len(study)} samples"
        yield Check(EXPECTED["inputs"], "inputs", not bad, detail)


def _of_regions(study: Study) -> Iterator[Check]:
    """Yield the checks of the slice's cells, which that section keeps itself."""
    for row in getattr(study.made.get("regions"), "checks", None) or ():
        held: Mapping[str, Any] = row if isinstance(row, Mapping) else vars(row)
        yield Check(str(held["name"]), "regions", held["passed"], str(held["detail"]), held.get("tolerance"))


def _why_not(made: Section | None) -> str:
    """Say why there are no checks of a section."""
    if made is None:
        return "the section was left out"
    if isinstance(made, Failed):
        return f"the section {made.headline}"
    return str(getattr(made, "why", "")) or "there was nothing to check"
