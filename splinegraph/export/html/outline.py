"""What a page says, of a report's plain data: the overview, the sections and where it all comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from splinegraph.export.html import contents_bounds, contents_network, contents_paper  # noqa: F401  # register contents
from splinegraph.export.html.contents import CONTENTS, Content, Picture
from splinegraph.export.html.overview import BROKEN, Finding, facts, findings, origin
from splinegraph.export.html.tables import Table

__all__ = ["Page", "ShownSection", "outline"]


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
    graph = sections.get("graph") or {}
    return Page(
        name=str(report.get("name") or "Report"), verdict=str(graph.get("headline") or ""),
        facts=facts(report), alarms=_alarms(report, shown), findings=findings(report),
        notes=[str(note) for note in report.get("notes") or ()],
        left_out=[made.title for name, made in CONTENTS.items() if name not in sections],
        sections=shown, origin=origin(report),
    )  # fmt: skip


def _alarms(report: Mapping[str, Any], shown: Sequence[ShownSection]) -> list[str]:
    """Return why the report is not whole."""
    failed = [section.title for section in shown if section.failed]
    found = [f"Failed: {', '.join(failed)}. The reason stands in each section."] if failed else []
    if not report.get("complete", True) and not failed:
        found.append("This report is incomplete: it was interrupted, or a check failed.")
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
