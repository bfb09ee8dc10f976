"""What a training gave, in the terminal: accuracies over draws, gains, and the paper's table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from splinegraph.cli.tables import plain_table
from splinegraph.cli.train_work import Trained
from splinegraph.training.experiments.findings import SUPERVISED, Findings, Key
from splinegraph.training.experiments.statistics import Estimate
from splinegraph.training.experiments.table4 import OTHERS, Row, rows

__all__ = ["render"]


def render(result: Trained, console: Console | None = None) -> None:
    """Print accuracies, what they gain, and how sure that is."""
    console = Console(highlight=False, markup=False, emoji=False) if console is None else console
    for note in result.notes:
        console.print(Text(note, style="dim"))
    found = result.findings
    if not found.complete:
        failed = f", {len(found.failures)} failed" if found.failures else ""
        text = f"{len(found.done)} of {found.planned} trials are done{failed}"
        console.print(Text(text, style="yellow"))
    if not found.keys:
        return
    console.print()
    _print(_arms(found), console)
    if result.table4:
        console.print()
        _print(_table4(found, rows(tuple(dict.fromkeys(key.network for key in found.keys)))), console)
        console.print(Text("  accuracy in percent; with 50 labels others have, as the paper cites them:", style="dim"))
        console.print(Text("  " + "; ".join(_others()), style="dim"))
    splines = _splines(found)
    if splines.row_count:
        console.print(Text("\n  the splines of the first draw, before and after", style="dim"))
        _print(splines, console)
    for line in verdicts(found):
        console.print(line)


def _arms(found: Findings) -> Table:
    """Return one row per arm."""
    headings = ("network", "labels", "trained", "accuracy", "draws", "gain")
    table = plain_table(*headings, numbers=(1, 3, 4, 5))
    for key in found.keys:
        gain = found.gain(key)
        accuracy = found.accuracy(key)
        told = "" if gain is None else f"{100 * gain.mean:+.1f}"
        style = "bold" if gain is not None and gain.significant and gain.mean > 0 else ""
        table.add_row(key.network, str(key.labels), key.way, percent(accuracy), str(accuracy.draws), told, style=style)
    return table


def _splines(found: Findings) -> Table:
    """Return what each arm's first network is like on the probe, at first and in the end."""
    headings = ("network, trained", "", "units", "dead", "patterns", "Lipschitz, l2", "error of R")
    table = plain_table(*headings, numbers=(2, 3, 4, 5, 6))
    for key in found.keys:
        report = found.of(key)[min(found.of(key))].report
        before, after, error = (report.get(name) for name in ("before", "after", "reconstruction_error"))
        if before is None or after is None:
            continue
        names = (key.network, f"  {key.labels}, {key.way}")
        for name, when, side in zip(names, ("before", "after"), (before, after), strict=True):
            bracket = f"{_known(side['lipschitz_lower'])} to {_known(side['lipschitz_upper'])}"
            counts = [_known(side[count]) for count in ("units", "dead", "patterns")]
            table.add_row(name, when, *counts, bracket, _known(error) if side is after else "")
    return table


def _known(value: float | None) -> str:
    return "?" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def percent(accuracy: Estimate) -> str:
    """Return a mean in percent, and the deviation of a draw where there are several."""
    mean = f"{100 * accuracy.mean:.2f}"
    return f"{mean} %" if accuracy.draws < 2 else f"{mean} ± {100 * accuracy.deviation:.2f} %"


def verdicts(found: Findings) -> Iterator[Text]:
    """Yield what the samples without labels are worth, a line per network and number of labels."""
    for key in found.keys:
        gain = found.gain(key)
        if gain is None:
            continue
        what = f"\n{key}: {100 * gain.mean:+.1f} points beside the labels alone"
        if gain.draws < 2:
            yield Text(
                what + "; one draw does not say how sure that is: --draws 5", style="green" if gain.mean > 0 else ""
            )
            continue
        ends = f"95 % interval {100 * gain.low:+.1f} to {100 * gain.high:+.1f}, {gain.draws} draws, paired"
        sure = "" if gain.significant else "; not significant"
        yield Text(f"{what} ({ends}){sure}", style="green" if gain.significant and gain.mean > 0 else "yellow")


def _table4(found: Findings, paper: Sequence[Row]) -> Table:
    """Return the paper's figures and ours, side by side."""
    keys = [key for key in found.keys if key.way != SUPERVISED]
    counts = sorted({key.labels for key in keys})
    alone = sorted({key.labels for key in found.keys if key.way == SUPERVISED})
    ours = [f"ours\n{count}" for count in counts] + [f"ours\nSup{count}" for count in alone]
    headings = ("network\n", "paper\n50", "paper\nSup1000", *ours)
    table = plain_table(*headings, numbers=tuple(range(1, len(headings))))
    for row in paper:
        figures = [_figure(found, keys, row.topology, count) for count in counts]
        bare = [_figure(found, found.keys, row.topology, count, SUPERVISED) for count in alone]
        table.add_row(
            f"{row.topology}\n({row.printed})", f"{row.accuracy:.2f}", f"{row.supervised:.1f}", *figures, *bare
        )
    return table


def _figure(found: Findings, keys: Sequence[Key], network: str, labels: int, way: str | None = None) -> str:
    for key in keys:
        if (key.network, key.labels) == (network, labels) and way in (None, key.way):
            return percent(found.accuracy(key)).removesuffix(" %")
    return ""


def _others() -> Iterator[str]:
    for name, mean, deviation in OTHERS:
        yield f"{name} {mean:.2f}" + ("" if deviation is None else f" ± {deviation:.2f}")


def _print(table: Table, console: Console) -> None:
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
