"""The section on checks in the terminal: those that failed, and those that were not run."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from splinegraph.analyses.report.checks import ChecksSection
from splinegraph.analyses.report.values import Check
from splinegraph.cli.render_pieces import fill, section_title, text_table

__all__ = ["render_checks"]


def render_checks(console: Console, section: ChecksSection, hint: str) -> None:
    """Print how many checks passed, and the others one by one."""
    section_title(console, "checks", section.headline, "bold red" if section.failed else "")
    rows = sorted((row for row in section.rows if not row.passed), key=lambda row: row.passed is None)
    if not rows:
        return

    def cells(row: Check) -> list[Any]:
        failed = row.passed is False
        return [Text("FAILED", style="red") if failed else Text("not run", style="dim"), row.part, row.name, row.detail]

    fill(console, text_table(["", "section", "check", "found"]), rows, cells, hint)
