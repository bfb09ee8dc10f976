"""The section on paths in the terminal."""

from __future__ import annotations

from rich.console import Console

from splinegraph.analyses.report.paths import PathFamily, PathsSection
from splinegraph.analyses.report.values import plural
from splinegraph.cli.render_pieces import fill, footnote, placed, section_title, text_table

__all__ = ["render_paths"]


def render_paths(console: Console, section: PathsSection, hint: str) -> None:
    """Print the headline and a line per family, then one per residual branch."""
    section_title(console, "paths", section.headline, "" if section.families else "dim")
    if not section.families:
        return
    families = "branches passed" if section.by == "length" else "first cell"
    for heading, rows in ((families, section.families), ("through branch", section.blocks)):
        if rows:
            table = text_table([heading], ["paths", "share", "from inputs", "from biases", "|template|"])
            fill(console, table, rows, lambda row: _cells(console, row), hint)
    samples = plural(section.samples, "sample")
    overlap = "; paths through a branch may pass others too" * bool(section.blocks)
    footnote(
        console,
        f"to the largest output, mean over {samples}, gates kept; share: of the sum of absolute values{overlap}",
    )


def _cells(console: Console, row: PathFamily) -> list[str]:
    paths = "" if row.paths is None else f"{row.paths:,}"
    numbers = [f"{number:.4g}" for number in (row.inputs, row.biases, row.norm)]
    return [placed(console, row.name), paths, f"{100 * row.share:.0f} %", *numbers]
