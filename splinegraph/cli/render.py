"""A report in the terminal, at any width."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.text import Text

from splinegraph.analyses.report.activation import ActivationSection
from splinegraph.analyses.report.checks import ChecksSection
from splinegraph.analyses.report.convexity import ConvexitySection
from splinegraph.analyses.report.encoding import EncodingSection
from splinegraph.analyses.report.graph import GraphSection, InputsSection, NodeRow
from splinegraph.analyses.report.lipschitz import LipschitzSection
from splinegraph.analyses.report.maps import BoundarySection, MapsSection
from splinegraph.analyses.report.measures import MeasuresSection
from splinegraph.analyses.report.paths import PathsSection
from splinegraph.analyses.report.regions import RegionsSection
from splinegraph.analyses.report.report import Report
from splinegraph.analyses.report.separation import SeparationSection
from splinegraph.analyses.report.templates import TemplatesSection
from splinegraph.analyses.report.units import CodesSection, LayerUnits, UnitsSection
from splinegraph.analyses.report.values import Failed, Section, plural
from splinegraph.cli.render_activation import render_activation
from splinegraph.cli.render_checks import render_checks
from splinegraph.cli.render_encoding import render_encoding
from splinegraph.cli.render_measures import render_measures
from splinegraph.cli.render_paths import render_paths
from splinegraph.cli.render_pieces import WIDE, fill, footnote, named, placed, section_title, text_table
from splinegraph.cli.render_separation import render_separation
from splinegraph.cli.render_templates import render_templates

__all__ = ["render", "render_graph", "render_heading"]

NAME = 16
"""Longest name of a class in a table."""


def render(report: Report, *, saved: bool = False, console: Console | None = None) -> None:
    """Print a report; `saved` says that all of it is in report.json too."""
    console = Console(highlight=False, markup=False, emoji=False) if console is None else console
    hint = "all of them are in report.json" if saved else "all of them: --out DIR writes report.json"
    for note in report.notes:
        console.print(Text(note, style="yellow" if note.startswith("warning") else "dim"))
    for name, section in report.sections.items():
        if isinstance(section, Failed):
            console.print(Text(f"\n{name}  ", style="bold") + Text(section.headline, style="red"))
        elif type(section) in RENDERERS:
            RENDERERS[type(section)](console, section, hint)
        else:
            section_title(console, name, section.headline)
    if not report.complete:
        failed = any(isinstance(section, Failed) for section in report.sections.values())
        why = "interrupted" if report.interrupted else "some sections failed" if failed else "a check failed"
        console.print(Text(f"\n{why}: this report is incomplete", style="bold red"))


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "scalar"


# sections


def render_heading(console: Console, section: GraphSection) -> None:
    """Print a graph's name, whether it is exact, its size and the remarks of the trace."""
    verdict = Text(section.headline, style="green" if section.exact and section.continuous else "yellow")
    console.print(Text(f"\n{section.name}: ", style="bold") + verdict)
    shapes = [", ".join(map(_shape, ports.values())) for ports in (section.inputs, section.outputs)]
    counts = f"{plural(section.operators, 'operator')}, {section.parameters:,} parameters"
    console.print(f"{counts}, {shapes[0]} → {shapes[1]}", style="dim")
    for note in section.notes:
        console.print(Text(note, style="dim"))


def render_graph(console: Console, section: GraphSection, hint: str = "") -> None:
    """Print the heading and one line per operator; with a hint on where all are, only the ends of a long list."""
    render_heading(console, section)
    console.print()
    wide = console.width >= WIDE
    table = text_table(["node", "operator", "shape", "kind", "module", *["source"] * wide])

    def cells(row: NodeRow) -> list[Any]:
        style = "" if row.kind in ("exact", "") else "yellow"
        step = "" if row.step is None else f" t={row.step}"
        found: list[Any] = [named(console, row.name), row.operator, row.shape]
        found += [Text(row.kind, style=style), placed(console, row.module + step)]
        return [*found, row.source] if wide else found

    fill(console, table, section.nodes, cells, hint)


def _inputs(console: Console, section: InputsSection, hint: str) -> None:
    section_title(console, "inputs", section.headline, "yellow" if section.random else "")


def _units(console: Console, section: UnitsSection, hint: str) -> None:
    section_title(console, "units", section.headline)
    if not section.layers:
        return
    wide = console.width >= WIDE
    table = text_table(
        ["node", *["operator"] * wide], ["units", "pieces", "dead", "always on"], ["share of each piece"]
    )

    def cells(layer: LayerUnits) -> list[Any]:
        pieces = str(layer.pieces) if layer.pieces else "∞"
        counts = [Text(str(n), style="yellow" if n else "dim") for n in (layer.dead, layer.always_on)]
        return [named(console, layer.name), *[layer.operator] * wide, str(layer.units), pieces, *counts, _shares(layer)]

    fill(console, table, section.layers, cells, hint)
    if section.dead or section.always_on:
        footnote(console, "dead: the same number for all samples; always on: never switches, not flat")


def _shares(layer: LayerUnits) -> str:
    """Return the percentages of the pieces in order, such as '63 37'; only the largest if there are many."""
    if 0 < layer.pieces <= 6:
        return " ".join(f"{100 * layer.share.get(p, 0.0):.0f}" for p in range(layer.pieces)) + " %"
    piece, share = max(layer.share.items(), key=lambda item: item[1])
    return f"most on {piece}: {100 * share:.0f} %"


def _codes(console: Console, section: CodesSection, hint: str) -> None:
    section_title(console, "codes", section.headline)


def _boundary(console: Console, section: BoundarySection, hint: str) -> None:
    section_title(console, "boundary", section.headline)


def _maps(console: Console, section: MapsSection, hint: str) -> None:
    section_title(console, "maps", section.headline, "" if section.kind == "exact" else "yellow")
    if not section.rows:
        return
    labels = any(row.label is not None for row in section.rows)
    numbers = ["f_c(x)", "<A_c, x>", "b_c", "|A_c|", "|f - Ax - b|"]
    named = any(row.label_name or row.output_name for row in section.rows)
    last = [""] * any(row.boundary for row in section.rows)
    first = ["sample", *["label"] * labels, "c"]
    table = (
        text_table(first, numbers, last) if named else text_table([], [*first, *numbers], last)
    )  # names can be folded

    def cells(row: Any) -> list[Any]:
        wrong = section.judged and row.label is not None and row.label != row.output
        numbers = [f"{v:.4g}" for v in (row.value, row.matching, row.bias, row.norm)]
        output = Text(_class(row.output, row.output_name), style="yellow" if wrong else "")
        label = "" if row.label is None else _class(row.label, row.label_name)
        found = [str(row.sample), *[label] * labels, output, *numbers, f"{row.error:.0e}"]
        return [*found, Text("boundary" * row.boundary, style="dim")] if last else found

    fill(console, table, section.rows, cells, hint)
    footnote(console, "c: largest output; A_c: its template; <A_c, x>: template matching value")


def _regions(console: Console, section: RegionsSection, hint: str) -> None:
    section_title(console, "regions", section.headline, "dim" if section.cells is None and not section.chords else "")


def _lipschitz(console: Console, section: LipschitzSection, hint: str) -> None:
    section_title(console, "lipschitz", section.headline, "dim" if section.domain is None else "")


def _convexity(console: Console, section: ConvexitySection, hint: str) -> None:
    section_title(console, "convexity", section.headline, "dim" if section.counts is None else "")


def _class(number: int, name: str | None) -> str:
    """Return the number of a class, and its name if it has one."""
    if not name:
        return str(number)
    return f"{number} {name if len(name) <= NAME else name[: NAME - 1] + '…'}"


RENDERERS: dict[type[Section], Callable[[Console, Any, str], None]] = {
    GraphSection: render_graph,
    InputsSection: _inputs,
    UnitsSection: _units,
    CodesSection: _codes,
    BoundarySection: _boundary,
    MapsSection: _maps,
    RegionsSection: _regions,
    LipschitzSection: _lipschitz,
    ConvexitySection: _convexity,
    ActivationSection: render_activation,
    ChecksSection: render_checks,
    EncodingSection: render_encoding,
    MeasuresSection: render_measures,
    PathsSection: render_paths,
    SeparationSection: render_separation,
    TemplatesSection: render_templates,
}
"""How each kind of section is shown."""
