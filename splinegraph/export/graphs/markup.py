"""What the two XML formats have in common: attribute tables, values as text, files written line by line."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.sax.saxutils import quoteattr

from splinegraph.export.files import writing
from splinegraph.export.graphs.scalars import Scalar

__all__ = ["Table", "table", "tag", "text", "write_lines"]

_TYPES = {bool: "boolean", int: "long", float: "double", str: "string"}

Table = dict[str, tuple[str, str]]
"""By attribute name: its identifier in the file and its type."""


def table(rows: Iterable[Mapping[str, Scalar]], prefix: str, without: frozenset[str] = frozenset()) -> Table:
    """Return the attributes that occur in some rows, each with an identifier and a type of both formats."""
    kinds: dict[str, type] = {}
    for row in rows:
        for name, value in row.items():
            if name not in kinds:
                kinds[name] = type(value)
    names = [name for name in kinds if name not in without]
    return {name: (f"{prefix}{index}", _TYPES[kinds[name]]) for index, name in enumerate(names)}


def text(value: Scalar) -> str:
    """Return a value as the schemas of both formats spell it."""
    if value is True or value is False:
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def tag(name: str, attributes: Mapping[str, Scalar], end: str = "/>") -> str:
    """Return a tag; the values are escaped."""
    return f"<{name}{''.join(f' {key}={quoteattr(text(value))}' for key, value in attributes.items())}{end}"


def write_lines(lines: Iterable[str], path: str | os.PathLike[str]) -> Path:
    """Write lines of XML as they come, atomically."""
    with writing(path) as file:
        stream = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        stream.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        stream.writelines(f"{line}\n" for line in lines)
        stream.flush()
        stream.detach()
    return Path(path)
