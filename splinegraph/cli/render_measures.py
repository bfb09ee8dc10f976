"""The section on measures in the terminal."""

from __future__ import annotations

from rich.console import Console

from splinegraph.analyses.report.measures import LayerSparsity, MeasuresSection
from splinegraph.cli.render_pieces import fill, section_title, text_table

__all__ = ["render_measures"]


def render_measures(console: Console, section: MeasuresSection, hint: str) -> None:
    """Print the headline and a line per switching operator."""
    section_title(console, "measures", section.headline, "" if section.samples else "dim")
    if not section.layers:
        return
    table = text_table(["node"], ["active", "entropy of a unit, bits", "effective patterns"])

    def cells(layer: LayerSparsity) -> list[str]:
        active = "" if layer.active is None else f"{100 * layer.active:.0f} %"
        # abs: of what is always on one piece it may be -0.0
        return [layer.node, active, f"{abs(layer.entropy):.2f}", f"{layer.effective:.1f}"]

    fill(console, table, section.layers, cells, hint)
