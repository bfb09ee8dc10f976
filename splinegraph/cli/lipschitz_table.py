"""A Lipschitz bound in the terminal, at any width."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from splinegraph.analyses.lipschitz.bound import norm_name
from splinegraph.analyses.lipschitz.figures import layers
from splinegraph.cli.lipschitz_work import Bounded, Checked

if TYPE_CHECKING:
    from splinegraph.analyses.lipschitz.bound import LipschitzBound

__all__ = ["render"]

ROWS = 16
"""Longest table of operators."""

WITNESS = 12
"""Longest point that is written out."""


def render(result: Bounded | Checked, console: Console | None = None) -> None:
    """Print a bound, or what a certificate said."""
    console = Console(highlight=False, markup=False, emoji=False) if console is None else console
    if isinstance(result, Checked):
        _render_checked(result, console)
    else:
        _render_bound(result, console)


def _render_checked(checked: Checked, console: Console) -> None:
    claim = checked.certificate
    what = f"Lipschitz constant in l{norm_name(claim.norm)} at most {claim.upper:.8g}, on {checked.domain}"
    if checked.ok:
        console.print(Text("verified: ", style="bold green") + Text(f"{what}, by {claim.kind}"))
    else:
        console.print(Text("not verified: ", style="bold red") + Text(f"{claim.kind} does not prove {what}"))
    console.print(Text(f"worked out anew in {checked.seconds:.2f} s", style="dim"))


def _render_bound(result: Bounded, console: Console) -> None:
    found = result.found
    for note in result.notes:
        console.print(Text(note, style="dim"))
    style = "green" if result.ok else "yellow"
    console.print(Text(f"\n{result.graph.name}: ", style="bold") + Text(_headline(result), style=style))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, text in _rows(result):
        table.add_row(name, text)
    console.print(table)
    _methods(found, console)
    _operators(found, console)
    if found.interrupted:
        console.print(Text("interrupted: both ends hold, and more time may bring them closer", style="bold red"))


def _headline(result: Bounded) -> str:
    found = result.found
    what = f"Lipschitz constant in l{norm_name(found.norm)}"
    if result.jump is not None:
        return f"{what}: infinite: the network jumps"
    if found.kind == "exact":
        return f"{what}: {found.upper:.8g}, exact"
    if math.isinf(found.upper):
        return f"{what}: {found.lower:.8g} or more, no upper bound"
    gap = ""
    if found.lower > 0:
        ratio = found.upper / found.lower
        gap = f", {100 * (ratio - 1):.2g} % apart" if ratio < 2 else f", a factor of {ratio:.3g} apart"
    return f"{what}: {found.lower:.8g} to {found.upper:.8g}{gap}"


def _rows(result: Bounded) -> Iterator[tuple[str, Text]]:
    found = result.found
    yield "domain", Text(result.domain)
    if math.isfinite(found.upper):
        yield "upper end", Text(f"{found.method}{_share(found)}")
    if found.witness is not None:
        yield "lower end", Text(f"attained at {_point(found)}")
    for remark in found.remarks:
        yield "no bound" if math.isinf(found.upper) else "stopped", Text(remark, style="yellow")
    if result.jump is not None:
        yield "jump", Text(result.jump.text, style="yellow")
    if result.proved is not None:
        yield "certificate", _verdict(result)


def _verdict(result: Bounded) -> Text:
    if result.proved:
        return Text(f"verified in {result.seconds:.2f} s", style="green")
    why = "there is none for this method" if result.found.certificate is None else "it does not prove the upper end"
    return Text(f"not verified: {why}", style="bold red")


def _share(found: LipschitzBound) -> str:
    """Return how the bound compares with the product."""
    if found.product is None or found.method == "product" or not 0 < found.product.upper < math.inf:
        return ""
    return f", {found.upper / found.product.upper:.2g} times the product of norms"


def _point(found: LipschitzBound) -> str:
    if found.witness is None:
        return ""
    points = found.witness.inputs
    if len(points) == 1 and points[0].numel() <= WITNESS:
        return "(" + ", ".join(f"{x:.5g}" for x in points[0].reshape(-1).tolist()) + ")"
    shapes = " and ".join("×".join(map(str, x.shape)) or "scalar" for x in points)
    return f"a point of shape {shapes}, which is in the JSON"


def _methods(found: LipschitzBound, console: Console) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("method")
    for heading in ("lower", "upper", "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("note", overflow="fold")
    for rung in found.rungs:
        best = [rung.text if rung.side in (side, "both") and any(map(_tells, rung.values)) else "" for side in SIDES]
        table.add_row(rung.method, *best, f"{rung.seconds:.2f}", rung.note)
    console.print()
    console.print(Padding(table, (0, 0, 0, 2), expand=False))


SIDES = ("lower", "upper")


def _tells(value: float) -> bool:
    return math.isfinite(value)


def _operators(found: LipschitzBound, console: Console) -> None:
    """Print the operators whose constants are farthest from 1."""
    every = layers(found)
    if not every:
        return
    kept = sorted(sorted(range(len(every)), key=lambda i: -max(every[i].own))[:ROWS])
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for heading in ("node", "operator"):
        table.add_column(heading, overflow="fold")
    for heading in ("own constant", "gain", "from the input"):
        table.add_column(heading, justify="right", no_wrap=True)
    for entry in (every[i] for i in kept):
        own = ", ".join(f"{k:.4g}" for k in dict.fromkeys(entry.own))
        table.add_row(entry.node.name, entry.node.op.label, own, f"{entry.gain:.4g}", f"{entry.total:.4g}")
    console.print()
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
    if len(kept) < len(every):
        console.print(Text(f"  {len(every) - len(kept)} operators are left out; --out DIR writes all", style="dim"))
