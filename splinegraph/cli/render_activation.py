"""The section on the activation graph in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from splinegraph.analyses.activation.result import LayerSummary
from splinegraph.analyses.report.activation import ActivationSection
from splinegraph.cli.render_pieces import fill, footnote, section_title, text_table

__all__ = ["render_activation"]


def render_activation(console: Console, section: ActivationSection, hint: str) -> None:
    """Print the headline and a line per switching operator."""
    section_title(console, "activation", section.headline, "" if section.layers else "dim")
    if not section.layers:
        return
    classes = ["purity", "permuted", "agreeing"] if section.labels else []
    table = text_table(["node"], ["cells", "alone", *classes])

    def share(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.0f} %"

    def cells(layer: LayerSummary) -> list[str | Text]:
        style = "dim" if layer.says_nothing else ""
        known = [layer.purity, layer.baseline, layer.agreeing] if section.labels else []
        numbers = [str(layer.cells), share(layer.alone_inputs), *map(share, known)]
        return [layer.name, *(Text(number, style=style) for number in numbers)]

    fill(console, table, section.layers, cells, hint)
    alone = "alone: samples that share their cell with no other"
    told = "; permuted: purity of permuted labels; agreeing: most others in the cell have the same label"
    footnote(console, f"{alone}{told * bool(section.labels)}")
