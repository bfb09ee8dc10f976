"""The summary of an enumeration in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from splinegraph.analyses.regions.summary import Summary

__all__ = ["render_regions"]

CLASSES = 12
"""Most classes that are listed."""


def render_regions(summary: Summary, console: Console | None = None) -> None:
    """Print a summary as a short table."""
    console = Console(highlight=False, markup=False, emoji=False) if console is None else console
    for note in summary.partition.notes:
        console.print(Text(note, style="yellow" if note.startswith(("warning", "a worker")) else "dim"))
    style = "green" if summary.partition.complete else "yellow"
    console.print(Text(f"\n{summary.partition.graph.name}: ", style="bold") + Text(summary.headline, style=style))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, text in _rows(summary):
        table.add_row(name, text)
    console.print(table)
    if summary.interrupted:
        console.print(Text("interrupted: this is a part of the regions", style="bold red"))


def _rows(summary: Summary) -> Iterator[tuple[str, Text]]:
    partition = summary.partition
    yield "domain", Text(f"{summary.domain}, D = {partition.dim}")
    yield "units", Text(f"{partition.codes.units:,} in {len(partition.layers)} operators")
    yield "found by", Text(_speed(summary))
    if not partition.complete:
        yield "left", Text(f"{len(partition.left):,} tasks", style="yellow")
    if partition.count:
        yield "radius", Text(_spread(summary.radii))
    if summary.norms is not None and partition.count:
        yield "|A|", Text(_spread(summary.norms))
    if summary.classes:
        most = sorted(summary.classes.items(), key=lambda item: -item[1])
        shown = ", ".join(f"{c}: {n:,}" for c, n in most[:CLASSES])
        yield "cells of class", Text(shown + (f" and {len(most) - CLASSES} more" if len(most) > CLASSES else ""))
    checks = partition.verified
    if checks is None:
        yield "checks", Text("none", style="yellow")
    else:
        yield "checks", Text(checks.summary, style="green" if checks.ok else "bold red")
        for check in checks.failed:
            yield "", Text(f"{check.name}: {check.detail}", style="red")


def _speed(summary: Summary) -> str:
    rate = "" if summary.rate is None else f", {summary.rate:,.0f} cells/s"
    return f"{summary.partition.method} in {summary.seconds:.2f} s{rate}"


def _spread(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in values.items())
