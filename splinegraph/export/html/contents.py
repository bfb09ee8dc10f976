"""What stands in each section of a page: title, meaning, pictures and tables.

A section of the report that is not listed here is shown by its headline alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from splinegraph.export.html.tables import Table

__all__ = ["CONTENTS", "Content", "Facts", "Picture", "content"]

Facts = Mapping[str, Any]
"""A section of the report, as it stands in report.json."""


@dataclass(frozen=True)
class Picture:
    """A place where a script draws.

    Parameters
    ----------
    view : str
        Name of the view.
    title : str
    caption : str
        How to read it.
    has : callable (section) -> bool, optional
        Whether the section holds what it draws.
    """

    view: str
    title: str
    caption: str
    has: Callable[[Facts], object] = bool


@dataclass(frozen=True)
class Content:
    """How a section is shown.

    Parameters
    ----------
    title : str
    about : str
        What the section finds, and of which kind its numbers are.
    pictures : sequence of Picture
    tables : callable (section, report) -> list of Table
    """

    title: str
    about: str
    pictures: Sequence[Picture]
    tables: Callable[[Facts, Facts], list[Table]]


CONTENTS: dict[str, Content] = {}
"""By the name of the section."""


def content(
    name: str, title: str, about: str, *pictures: Picture
) -> Callable[[Callable[[Facts, Facts], list[Table]]], Callable[[Facts, Facts], list[Table]]]:
    """Make a function the tables of a section.

    Parameters
    ----------
    name : str
        Of the section.
    title, about : str
    *pictures : Picture
    """

    def register(tables: Callable[[Facts, Facts], list[Table]]) -> Callable[[Facts, Facts], list[Table]]:
        CONTENTS[name] = Content(title, about, pictures, tables)
        return tables

    return register
