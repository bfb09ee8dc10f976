"""What sections in the terminal are made of: a title, tables, and long lists cut in the middle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

__all__ = ["ROWS", "WIDE", "fill", "footnote", "named", "placed", "section_title", "text_table"]

ROWS = 40
"""Longest table; a longer one is cut in the middle."""

WIDE = 100
"""Columns from which a table shows what is told elsewhere too."""

T = TypeVar("T")


def section_title(console: Console, name: str, text: str, style: str = "") -> None:
    """Print the name of a section and its finding."""
    console.print()
    line = Table.grid(padding=(0, 2))
    line.add_column(no_wrap=True, style="bold", min_width=8)
    line.add_column(style=style)
    line.add_row(name, text)
    console.print(line)


def footnote(console: Console, text: str) -> None:
    """Print what a table's headings mean, indented as the table is."""
    console.print(Padding(Text(text, style="dim"), (0, 0, 0, 2), expand=False))


def placed(console: Console, path: str) -> str:
    """Return a module path, without its first parts where the terminal is too narrow for it.

    Examples
    --------
    >>> placed(Console(width=80), "bert.encoder.layer.0.attention.self.query")
    '…0.attention.self.query'
    """
    room = max(console.width // 3, 20)
    if len(path) <= room:
        return path
    tail = path[-room + 1 :]
    return "…" + (tail.partition(".")[2] or tail)


def named(console: Console, name: str) -> str:
    """Return a node's name, without its middle where the terminal is too narrow for it: its end tells it apart."""
    room = max(console.width // 4, 16)
    return name if len(name) <= room else f"{name[: room // 2]}…{name[-(room - room // 2 - 1) :]}"


def text_table(left: Sequence[str], right: Sequence[str] = (), last: Sequence[str] = ()) -> Table:
    """Return an empty table with columns of text, of numbers, and of text again.

    Where the terminal is too narrow the text gives way, never the numbers.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for heading in left:
        table.add_column(heading, overflow="fold")
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in last:
        table.add_column(heading, no_wrap=True)
    return table


def fill(console: Console, table: Table, rows: Sequence[T], cells: Callable[[T], Sequence[Any]], hint: str) -> None:
    """Add rows, leaving out the middle of a long list if a hint says where it is, and print the table indented."""
    cut = len(rows) - ROWS + 1 if hint and len(rows) > ROWS else 0
    head = (ROWS - 1) // 2 if cut else len(rows)
    for row in rows[:head]:
        table.add_row(*cells(row))
    if cut:
        table.add_row(Text(f"… {cut} more", style="dim"))
        for row in rows[head + cut :]:
            table.add_row(*cells(row))
    console.print(Padding(table, (0, 0, 0, 2), expand=False))
    if cut:
        footnote(console, f"{cut} rows are left out; {hint}")
