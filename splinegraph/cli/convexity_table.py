"""Verdicts on convexity in the terminal, at any width."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from splinegraph.analyses.convexity.verdict import Certificate, Status, Verdict
from splinegraph.cli.convexity_work import Judged
from splinegraph.cli.tables import plain_table

if TYPE_CHECKING:
    from splinegraph.analyses.convexity.inference import Inference

__all__ = ["render"]

ROWS = 12
"""Longest table."""

STYLES = {Status.NEITHER: "yellow", Status.UNDECIDED: "bold red"}
WORDS = {True: "yes", False: "no", None: "not known"}


def render(result: Judged, console: Console | None = None) -> None:
    """Print the verdicts, the layers, and what breaks convexity."""
    console = Console(highlight=False, markup=False, emoji=False) if console is None else console
    found = result.found
    for note in result.notes:
        console.print(Text(note, style="dim"))
    counts = ", ".join(f"{count} {status}" for status, count in found.verdicts.counts.items())
    style = "green" if result.ok else "yellow"
    console.print(
        Text(f"\n{found.graph.name}: ", style="bold") + Text(f"{_of(len(found.verdicts))}: {counts}", style=style)
    )
    console.print(Text("domain  ", style="dim") + Text(result.domain))
    if found.partition is not None:
        cells = f"{len(found.partition)}, {'all' if found.partition.complete else 'not all'} of the domain"
        console.print(Text("cells   ", style="dim") + Text(cells))
    _outputs(found, console)
    _layers(found, console)
    _blame(found, console)
    _checklist(found, console)
    for note in found.notes:
        console.print(Text(note, style="yellow"))


def _outputs(found: Inference, console: Console) -> None:
    """Print one row per output, those that are not decided first; then the proofs and what stands in the way."""
    headings = ("output", "status", "by", "maximum", "pulled out", "dominated", "above a chord", "below one")
    table = plain_table(*headings, numbers=(6, 7))
    every = list(zip(found.verdicts, found.maximum, found.pulled_out, found.dominated, strict=True))
    for verdict, *answers in sorted(every, key=lambda row: row[0].decided)[:ROWS]:
        status = Text(str(verdict.status), style=STYLES.get(verdict.status, "green"))
        index = ", ".join(map(str, verdict.index)) or "-"
        table.add_row(index, status, verdict.method, *(WORDS[answer] for answer in answers), *_gaps(verdict))
    _print(table, console, len(every))
    reasons = [proof.text for v in found.verdicts if isinstance(proof := v.proof, Certificate)]
    hindrances = [note for v in found.verdicts if not v.decided for note in v.notes]
    for text, count in Counter(reasons).most_common(ROWS):
        console.print(Text(f"  {_of(count)}: {text}", style="green"))
    for text, count in Counter(hindrances).most_common(ROWS):
        console.print(Text(f"  {_of(count)}: {text}", style="yellow"))


def _of(count: int) -> str:
    return "1 output" if count == 1 else f"{count} outputs"


def _gaps(verdict: Verdict) -> list[str]:
    """Return how far the witnesses are above and below their chords."""
    found = {witness.against: f"{abs(witness.gap):.3g}" for witness in verdict.witnesses}
    return [found.get("convex", ""), found.get("concave", "")]


def _layers(found: Inference, console: Console) -> None:
    """Print how many units of each layer are convex as functions of the inputs."""
    if not found.prefixes:
        return
    table = plain_table("layer", "operator", "units", "convex", "not convex", "not known", numbers=(2, 3, 4, 5))
    for prefix in found.prefixes[:ROWS]:
        counts = [prefix.convex.count(answer) for answer in (True, False, None)]
        table.add_row(prefix.layer, prefix.label, *(str(n) for n in (len(prefix.convex), *counts)))
    _print(table, console, len(found.prefixes))
    if found.first_failing is not None:
        console.print(Text(f"  the first layer with units that are not convex: {found.first_failing}"))


def _blame(found: Inference, console: Console) -> None:
    worst = list(found.blame.items())[:3]
    if worst:
        told = ", ".join(f"{layer}[{unit}] by {-jump:.4g}" for (layer, unit), jump in worst)
        console.print(Text(f"  slopes of outputs fall most where these units switch: {told}"))


def _checklist(found: Inference, console: Console) -> None:
    """Print the conditions of Corollary 2 that fail."""
    failing, every = found.checklist.failing, found.checklist.conditions
    console.print()
    if not failing:
        console.print(Text(f"  all {len(every)} conditions on signs of weights and on activations hold", style="green"))
        return
    console.print(Text(f"  {len(failing)} of {len(every)} conditions that would prove convexity fail:"))
    table = plain_table("node", "operator", "asks for", "fails for", "in all", "most", numbers=(3, 4, 5))
    for c in failing[:ROWS]:
        sizes = ("" if value != value else f"{value:.4g}" for value in (c.total, c.largest))
        table.add_row(c.node, c.label, c.asks, f"{c.failing} units", *sizes)
    _print(table, console, len(failing), gap=False)
    if found.checklist.shift is not None and found.checklist.holds_up_to_shift:
        console.print(Text("  a term added to all logits alike mends the last layer, and changes no class"))


def _print(table: Table, console: Console, count: int, *, gap: bool = True) -> None:
    if gap:
        console.print()
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
    for line in _left(count):
        console.print(Text(line, style="dim"))


def _left(count: int) -> Iterator[str]:
    if count > ROWS:
        yield f"  and {count - ROWS} more; --json FILE writes all"
