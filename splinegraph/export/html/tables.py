"""Tables of a page: cells that are text, and sort by a number where they are one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from splinegraph.export.html.values import MISSING, number, percent

__all__ = ["ROWS", "Cell", "Column", "Table", "node", "num", "share", "table", "text"]

ROWS = 500
"""Rows that stand in the page; the rest of a longer table is built on demand."""

LONG = 48
"""Characters from which a cell may be broken into lines."""


@dataclass(frozen=True)
class Cell:
    """One entry.

    Parameters
    ----------
    text : str
    value : float or None
        What it sorts by; None for text, and for what is not known.
    tone : str
        'good', 'bad', 'warn', 'muted' or none of them.
    node : str
        Name of a node whose details it opens, or ''.
    """

    text: str
    value: float | None = None
    tone: str = ""
    node: str = ""

    def to_list(self) -> list[Any]:
        """Return it as the page's scripts read it."""
        return [self.text, self.value, self.tone, self.node]


@dataclass(frozen=True)
class Column:
    """A heading.

    Parameters
    ----------
    title : str
    numeric : bool
    hint : str
        What the column holds, if its title does not say it.
    """

    title: str
    numeric: bool = False
    hint: str = ""


@dataclass(frozen=True)
class Table:
    """A table under a heading.

    Parameters
    ----------
    title : str
    columns : sequence of Column
    rows : sequence of sequences of Cell
    note : str
        What its headings mean.
    whole : int
        How many rows there are in all, where the report itself holds fewer.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    whole: int = field(default=0)

    @property
    def shown(self) -> Sequence[Sequence[Cell]]:
        """The rows that stand in the page."""
        return self.rows[:ROWS]

    def kind(self, column: int, cell: Cell) -> str:
        """Return what styles a cell; the page's scripts do alike."""
        numeric = self.columns[column].numeric
        long = not numeric and len(cell.text) > LONG
        return " ".join(part for part in ("num" * numeric, "long" * long, cell.tone) if part)

    @property
    def rest(self) -> list[list[list[Any]]]:
        """The other rows, as the page's scripts read them."""
        return [[cell.to_list() for cell in row] for row in self.rows[ROWS:]]


def table(
    title: str, columns: Sequence[object], rows: Iterable[Any] | None, cells: Callable[[Any], Sequence[Cell]],
    note: str = "",
) -> list[Table]:  # fmt: skip
    """Return a table of rows, in a list; no table if there are no rows. A column with only unknown entries is left out.

    Parameters
    ----------
    title : str
    columns : sequence of Column or str
        A title alone is a column of text.
    rows : iterable or None
    cells : callable (row) -> sequence of Cell
    note : str
    """
    headings = [c if isinstance(c, Column) else Column(str(c)) for c in columns]
    filled = [list(cells(row)) for row in rows or ()]
    if not filled:
        return []
    kept = [place for place in range(len(headings)) if any(row[place].text not in ("", MISSING) for row in filled)]
    return [Table(title, [headings[p] for p in kept], [[row[p] for p in kept] for row in filled], note)]


def text(value: Any, tone: str = "") -> Cell:
    """Return a cell of text."""
    return Cell(MISSING if value is None else str(value), tone=tone)


def node(name: Any) -> Cell:
    """Return a cell with the name of a node, which opens its details."""
    return text(name) if not isinstance(name, str) else Cell(name, node=name)


def num(value: Any, tone: str = "") -> Cell:
    """Return a cell with a number."""
    shown = number(value)
    return Cell(shown, None if shown == MISSING else float(value), tone)


def share(value: Any, tone: str = "") -> Cell:
    """Return a cell with a share, in percent."""
    shown = percent(value)
    return Cell(shown, None if shown == MISSING else float(value), tone)
