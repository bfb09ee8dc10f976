"""The section on templates in the terminal."""

from __future__ import annotations

from rich.console import Console

from splinegraph.analyses.report.templates import TemplateMeasure, TemplatesSection
from splinegraph.cli.render_pieces import fill, footnote, section_title, text_table

__all__ = ["MEANINGS", "render_templates"]

MEANINGS = {
    "to_input": "cosine of the class's template to x",
    "to_wrong": "cosine of it to those of other classes",
    "between_wrong": "cosine between those of other classes",
    "norm_ratio": "its norm over theirs",
}
"""What the measures say, Y being the class of a sample."""


def render_templates(console: Console, section: TemplatesSection, hint: str) -> None:
    """Print the headline, and each measure beside its optimum."""
    section_title(console, "templates", section.headline, "dim" if section.kind is None else "")
    if not section.measures:
        return
    table = text_table(["templates minus their mean"], ["mean", "optimum"])

    def cells(measure: TemplateMeasure) -> list[str]:
        mean = "" if measure.mean is None else f"{measure.mean:.2f}"
        return [MEANINGS[measure.name], mean, f"{measure.optimum:g}"]

    fill(console, table, section.measures, cells, hint)
    told = [] if section.bias_share is None else [f"the bias makes {100 * section.bias_share:.0f} % of its score"]
    if section.own is not None and section.same is not None:
        told.append(f"its cosine to other inputs of the class is {section.same:.2f}")
    if told:
        footnote(console, "; ".join(told))
