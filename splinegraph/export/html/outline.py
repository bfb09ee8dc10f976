"""What a page says, of a report's plain data: the overview, the sections and where it all comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from splinegraph.export.html import contents_bounds, contents_network, contents_paper  # noqa: F401  # register contents
from splinegraph.export.html.contents import CONTENTS, Content, Picture
from splinegraph.export.html.overview import BROKEN, Finding, facts, findings, origin
from splinegraph.export.html.tables import Table
from splinegraph.export.html.values import count, number

__all__ = ["Page", "ShownSection", "outline"]

NAMED = 3
"""Failed checks that the top of the page names."""


@dataclass(frozen=True)
class ShownSection:
    """A section as the page shows it.

    Parameters
    ----------
    name, title, headline, about : str
    failed : bool
    pictures : sequence of Picture
    lines : sequence of str
        Remarks.
    tables : sequence of Table
    """

    name: str
    title: str
    headline: str
    about: str = ""
    failed: bool = False
    pictures: Sequence[Picture] = ()
    lines: Sequence[str] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Page:
    """All that a page says in words.

    Parameters
    ----------
    name, verdict : str
    facts, alarms, notes, left_out : sequence of str
    findings : sequence of Finding
    sections : sequence of ShownSection
    origin : sequence of (str, str)
    """

    name: str
    verdict: str
    facts: Sequence[str]
    alarms: Sequence[str]
    findings: Sequence[Finding]
    notes: Sequence[str]
    left_out: Sequence[str]
    sections: Sequence[ShownSection]
    origin: Sequence[tuple[str, str]]


def outline(report: Mapping[str, Any]) -> Page:
    """Return what a page says of a report."""
    sections = report["sections"]
    shown = [_shown(name, section, report) for name, section in sections.items()]
    return Page(
        name=str(report.get("name") or "Report"), verdict=_verdict(sections.get("graph") or {}),
        facts=facts(report), alarms=_alarms(report, shown), findings=findings(report),
        notes=[str(note) for note in report.get("notes") or ()],
        left_out=[made.title for name, made in CONTENTS.items() if name not in sections],
        sections=shown, origin=origin(report),
    )  # fmt: skip


def _verdict(graph: Mapping[str, Any]) -> str:
    """Return whether the network is piecewise affine, on one line."""
    obstacles = graph.get("obstacles")
    if not isinstance(obstacles, list) or not obstacles:
        return str(graph.get("headline") or "")
    return f"not piecewise affine: {number(len(obstacles))} of {count(graph.get('operators'), 'operator')} are not"


def _alarms(report: Mapping[str, Any], shown: Sequence[ShownSection]) -> list[str]:
    """Return why the report is not whole."""
    failed = [section.title for section in shown if section.failed]
    found = [f"Failed: {', '.join(failed)}. The reason stands in each section."] if failed else []
    rows = (report["sections"].get("checks") or {}).get("rows")
    listed = rows if isinstance(rows, list) else []
    broken = [row for row in listed if isinstance(row, Mapping) and row.get("passed") is False]
    if broken:
        names = ", ".join(str(row.get("name")) for row in broken[:NAMED]) + ", …" * (len(broken) > NAMED)
        found.append(f"{count(len(broken), 'check')} failed: {names}.")
    if not report.get("complete", True) and not found:
        found.append("This report is incomplete: the notes say why.")
    return found


def _shown(name: str, section: Mapping[str, Any], report: Mapping[str, Any]) -> ShownSection:
    made = CONTENTS.get(name, Content(name, "", (), lambda section, report: []))
    headline = str(section.get("headline") or "")
    if section.get("failed"):
        return ShownSection(name, made.title, headline, failed=True)
    why = str(section.get("why") or "")
    lines = [why] if why not in headline else []
    try:
        tables = made.tables(section, report)
        pictures = [picture for picture in made.pictures if picture.has(section)]
    except BROKEN as error:
        # a report.json that was edited, or is of another version
        told = f"The details cannot be shown: {type(error).__name__}: {error}."
        return ShownSection(name, made.title, headline, made.about, lines=[*lines, told])
    return ShownSection(name, made.title, headline, made.about, False, pictures, lines, tables)
