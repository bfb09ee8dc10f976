"""Which sections a report has. A new one is one function and one decorator.

::

    class Extremes(Collector):  # what it needs of all samples: sums, not samples
        highest = -math.inf

        def add(self, part: Part) -> None:
            self.highest = max(self.highest, float(part.inputs[0].max()))


    @section("extremes", needs=(Extremes,))
    def extremes_section(study: Study) -> ExtremesSection:  # a frozen dataclass of plain values
        return ExtremesSection(study[Extremes].highest)

Its module is imported in `report.py`, its keys are described in `schema.json`, and `cli/render.py` may show it
in a way of its own. All collectors share one pass over the data; a section that fails is shown as failed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from splinegraph.analyses.report.study import Collector, Study
from splinegraph.analyses.report.values import Section
from splinegraph.errors import SplineGraphError

__all__ = ["SECTIONS", "SectionKind", "chosen", "section"]

S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class SectionKind:
    """How a section is made.

    Parameters
    ----------
    make : callable
        Makes it of a `Study`.
    needs : tuple of Collector types
        What it asks of all samples; none for a section on the graph alone.
    order : int
        Its place in the report.
    """

    make: Callable[[Study], Section]
    needs: tuple[type[Collector], ...]
    order: int


SECTIONS: dict[str, SectionKind] = {}
"""By name."""


def section(
    name: str, *, needs: Sequence[type[Collector]] = (), order: int = 1000
) -> Callable[[Callable[[Study], S]], Callable[[Study], S]]:
    """Make a function a section of all reports.

    Parameters
    ----------
    name : str
        Key in the report: stable, lower case.
    needs : sequence of Collector types
        What it asks of all samples.
    order : int
        Sections are shown in ascending order of it.

    Raises
    ------
    ValueError
        If there is a section of that name.
    """

    def register(make: Callable[[Study], S]) -> Callable[[Study], S]:
        if name in SECTIONS:
            raise ValueError(f"there are two sections {name!r}")
        SECTIONS[name] = SectionKind(make, tuple(needs), order)
        return make

    return register


def chosen(only: Sequence[str] | None, skip: Sequence[str]) -> dict[str, SectionKind]:
    """Return the sections asked for, in the order of the report.

    Raises
    ------
    SplineGraphError
        If there is none of a name, or none is left.
    """
    for name in [*(only or ()), *skip]:
        if name not in SECTIONS:
            close = difflib.get_close_matches(name, SECTIONS, n=1)
            known = ", ".join(sorted(SECTIONS, key=lambda n: SECTIONS[n].order))
            raise SplineGraphError(
                f"there is no section {name!r}", remedy=f"did you mean {close[0]!r}?" if close else f"choose of {known}"
            )
    wanted = [name for name in (SECTIONS if only is None else only) if name not in skip]
    if not wanted:
        raise SplineGraphError("no section is left to make", remedy="choose or skip others")
    found = sorted(dict.fromkeys(wanted), key=lambda name: (SECTIONS[name].order, list(SECTIONS).index(name)))
    return {name: SECTIONS[name] for name in found}
