"""Tables without lines."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

__all__ = ["plain_table"]


def plain_table(*headings: str, numbers: Sequence[int] = ()) -> Table:
    """Return an empty table with columns of these headings; those numbered are aligned to the right."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for i, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", justify="right" if i in numbers else "left")
    return table
