"""The section on separation in the terminal."""

from __future__ import annotations

from rich.console import Console

from splinegraph.analyses.report.separation import LayerSeparation, SeparationSection
from splinegraph.cli.render_pieces import fill, section_title, text_table

__all__ = ["render_separation"]


def render_separation(console: Console, section: SeparationSection, hint: str) -> None:
    """Print the headline and, where classes are known, a line per switching operator."""
    section_title(console, "separation", section.headline, "dim" if section.why else "")
    if section.why:
        return
    table = text_table(["node"], ["within classes", "between", "within is nearer", "nearest of the class"])

    def cells(layer: LayerSeparation) -> list[str]:
        shares = (layer.within, layer.between, layer.order, layer.purity)
        return [layer.node, *("" if share is None else f"{100 * share:.0f} %" for share in shares)]

    fill(console, table, section.layers, cells, hint)
