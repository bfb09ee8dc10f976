"""The tables of the benchmark of Lipschitz constants, from its figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["agreement", "bracket", "closed", "grid", "rungs", "shown", "soundness"]

Row = dict[str, Any]

CLOSED = 2e-6
"""Relative distance of two ends that counts as none."""

SLACK = 1e-9
"""Relative room for the rounding of sampled norms."""


def shown(row: Row | None) -> str:
    """Return a figure with its CPU seconds, or why there is none. A value that is no bound stands in brackets."""
    if row is None:
        return ""
    if not any(isinstance(row.get(key), float) for key in ("lower", "upper", "value")):
        return str(row.get("note", ""))
    if "upper" in row:
        lower = row.get("lower")
        text = f"{row['upper']:.6g}" if lower is None else f"{lower:.6g} to {row['upper']:.6g}"
    else:
        text = f"{row['lower']:.6g}" if "lower" in row else f"({row['value']:.6g})"
    return text + (f", {row['seconds']:.2g} s" if "seconds" in row else "")


def grid(console: Console, title: str, columns: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Print a plain table, the first column to the left."""
    table = Table(title=title, title_justify="left")
    for k, column in enumerate(columns):
        table.add_column(column, justify="right" if k else "left", overflow="fold")
    for line in lines:
        table.add_row(*line)
    console.print(table)


def agreement(rows: dict[str, Row]) -> list[str]:
    """Return what contradicts itself: upper ends below a norm that occurs, by name."""
    norms = {name: row["lower"] for name, row in rows.items() if row.get("lower") and name in ("ours", "sampled")}
    found = []
    for name, row in rows.items():
        for other, norm in norms.items():
            if row.get("upper") is not None and norm > row["upper"] * (1 + SLACK):
                found.append(f"{name}: upper end {row['upper']:.8g} below {norm:.8g} ({other})")
        if row.get("lower") is not None and row.get("upper") is not None and row["lower"] > row["upper"] * (1 + SLACK):
            found.append(f"{name}: lower end {row['lower']:.8g} above its upper end {row['upper']:.8g}")
    return found


def soundness(rows: dict[str, Row]) -> str:
    """Return what the last column says: every upper end is above every norm that was found, or whose is not."""
    wrong = agreement(rows)
    if wrong:
        return "WRONG: " + ", ".join(dict.fromkeys(line.partition(":")[0] for line in wrong))
    return "yes" if rows.get("sampled", {}).get("lower") is not None else "not sampled"


def rungs(row: Row) -> list[str]:
    """Return what each method of our ladder gave, in what time."""
    lines = []
    for rung in row.get("rungs", []):
        values = rung["value"] if isinstance(rung["value"], list) else [rung["value"]]
        text = " to ".join("none" if v is None else f"{v:.6g}" for v in values)
        lines.append(f"{rung['method']} ({rung['side']}): {text}, {rung['seconds']:.2g} s  {rung['note']}".rstrip())
    return lines


def bracket(row: Row | None) -> str:
    """Return by how much the upper end is above the lower one, in percent."""
    if not row or not row.get("lower") or row.get("upper") in (None, math.inf):
        return ""
    return "closed" if closed(row) else f"{100 * (row['upper'] / row['lower'] - 1):.3g} %"


def closed(row: Row | None) -> bool:
    """Return whether both ends are the same, as far as searches are asked to go."""
    return bool(row and row.get("lower") and row["upper"] < row["lower"] * (1 + CLOSED))
