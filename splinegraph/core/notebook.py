"""Results as small HTML tables for notebooks: text only, escaped, in the colors of the page they are on."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

__all__ = ["ROWS", "card", "page"]

ROWS = 20
"""Most rows of a table, and entries of a list of facts."""

COLUMNS = 10
"""Most columns of a table."""

TABLES = 3
"""Most tables below the facts."""

LISTED = 6
"""Numbers up to which a list is written out."""

LONGEST = 120
"""Characters of one cell."""

LINE = "1px solid rgba(128,128,128,0.35)"
CELL = "padding:1px 10px 1px 0;vertical-align:top;background:none"
NUMBER = f"{CELL};text-align:right;font-variant-numeric:tabular-nums"
TEXT = f"{CELL};text-align:left"
TABLE = "border-collapse:collapse;border:0;margin:0"

Table = tuple[str, Sequence[str], Sequence[Sequence[object]]]


def card(result: Any, *, picture: str = "") -> str:
    """Return a result as HTML: what `repr` says, then what `to_dict` has, lists of records as tables.

    Parameters
    ----------
    result : object with `to_dict`
    picture : str, optional
        A data URI of an image to put above the tables.
    """
    told = repr(result)
    title = told[1:-1] if told.startswith("<") and told.endswith(">") else type(result).__name__
    facts: dict[str, object] = {}
    tables: list[Table] = []
    for key, value in result.to_dict().items():
        name = str(key).replace("_", " ")
        records = _records(value)
        if records is not None:
            tables.append((name, *records))
        elif key == "provenance" and isinstance(value, Mapping):
            facts |= _origin(value)
        elif key != "format" and _shown(value):
            facts[name] = value
    return page(title, facts, tables, picture=picture)


def _origin(provenance: Mapping[str, object]) -> dict[str, object]:
    """Return where a result comes from: a digest in a few digits, and whether the weights have changed since."""
    kept = {key: value for key, value in provenance.items() if key not in ("weights_sha256", "stale") and value != ""}
    told = ", ".join(f"{key} {written(value)}" for key, value in kept.items() if _plain(value) and value is not None)
    weights = provenance.get("weights_sha256")
    changed = {"stale": "the weights have changed since"} if provenance.get("stale") else {}
    return {**changed, "made with": f"{told}, weights {weights[:12]}" if isinstance(weights, str) else told}


def page(title: str, facts: Mapping[str, object], tables: Sequence[Table] = (), *, picture: str = "") -> str:
    """Return HTML of a title, facts and tables.

    Parameters
    ----------
    title : str
    facts : mapping from name to value
    tables : sequence of (name, columns, rows)
        Of each the first rows are shown, and how many there are.
    picture : str, optional
        A data URI of an image.
    """
    parts = [f'<div style="margin:0 0 4px"><strong>{_text(title, 300)}</strong></div>']
    if picture:
        parts.append(f'<img src="{escape(picture)}" alt="{_text(title, 300)}" style="max-width:100%;background:#fff">')
    if facts:
        parts.append(_facts(facts))
    for name, columns, records in tables[:TABLES]:
        parts.append(f'<div style="margin:6px 0 2px">{_text(name, LONGEST)}{_count(len(records))}</div>')
        parts.append(_table(columns[:COLUMNS], [row[:COLUMNS] for row in records[:ROWS]]))
    if len(tables) > TABLES:
        parts.append(f"<div>and {', '.join(_text(name, LONGEST) for name, *_ in tables[TABLES:])}</div>")
    return f'<div style="font-size:0.9em;line-height:1.4;overflow-x:auto">{"".join(parts)}</div>'


def _count(rows: int) -> str:
    return f", the first {ROWS} of {rows:,}" if rows > ROWS else ""


def _facts(facts: Mapping[str, object]) -> str:
    lines = []
    for name, value in list(facts.items())[: 2 * ROWS]:
        named = f'<td style="{TEXT};white-space:nowrap;opacity:0.75">{_text(name, LONGEST)}</td>'
        lines.append(
            f'<tr style="background:none">{named}<td style="{TEXT}">{_text(written(value), 3 * LONGEST)}</td></tr>'
        )
    return f'<table style="{TABLE}">{"".join(lines)}</table>'


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    sides = [_style(next((row[i] for row in rows if row[i] is not None), "")) for i in range(len(columns))]
    heads = [
        f'<th style="{side};border-bottom:{LINE}">{_text(name, LONGEST)}</th>'
        for name, side in zip(columns, sides, strict=True)
    ]
    lines = [f'<tr style="background:none">{"".join(heads)}</tr>']
    for row in rows:
        cells = [
            f'<td style="{side}">{_text(written(value), LONGEST)}</td>' for value, side in zip(row, sides, strict=True)
        ]
        lines.append(f'<tr style="background:none">{"".join(cells)}</tr>')
    return f'<table style="{TABLE}">{"".join(lines)}</table>'


def _style(value: object) -> str:
    return NUMBER if isinstance(value, int | float) and not isinstance(value, bool) else TEXT


def _text(text: str, longest: int) -> str:
    """Return text that may stand in HTML, on one line; control characters are left out."""
    plain = re.sub(r"[\x00-\x1f\x7f]+", " ", text).encode("utf-8", "replace").decode("utf-8")
    return escape(plain if len(plain) <= longest else plain[: longest - 1] + "…")


def written(value: object) -> str:
    """Return a value as short text."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" if value < 10**15 else f"{float(value):.4g}" if value.bit_length() < 1024 else "huge"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return _bracket(value) or ", ".join(f"{k} {written(v)}" for k, v in value.items() if _plain(v))
    if isinstance(value, list | tuple):
        shown = ", ".join(map(written, value[:LISTED]))
        return f"{shown}, … ({len(value):,})" if len(value) > LISTED else shown or "none"
    return str(value)


def _bracket(value: Mapping[Any, object]) -> str:
    """Return both ends of a bound on one line; '' if it is none."""
    if not {"lower", "upper"} <= set(value):
        return ""
    lower, upper = value["lower"], value["upper"]
    kind = f" ({value['kind']})" if value.get("kind") else ""
    return f"{written(lower)}{kind}" if lower == upper else f"{written(lower)} to {written(upper)}{kind}"


def _plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _shown(value: object) -> bool:
    """Say whether a value is short enough to be a fact: no text over lines, no list of lists, no nested mapping."""
    if isinstance(value, Mapping):
        return bool(value) and all(_plain(v) for v in value.values())
    if isinstance(value, list | tuple):
        return bool(value) and all(_plain(v) for v in value)
    return _plain(value) and value is not None and value != "" and not (isinstance(value, float) and math.isnan(value))


def _records(value: object) -> tuple[list[str], list[list[object]]] | None:
    """Return a list of records, or a mapping from names to records, as columns and rows; None if it is neither."""
    if isinstance(value, Mapping):
        entries: list[Any] = [
            {"name": str(k), **v} for k, v in value.items() if isinstance(v, Mapping) and not _bracket(v)
        ]
        whole = len(entries) == len(value)
    elif isinstance(value, list | tuple):
        entries = [v for v in value if isinstance(v, Mapping)]
        whole = len(entries) == len(value)
    else:
        return None
    if not entries or not whole:
        return None
    keys = list(dict.fromkeys(key for entry in entries for key in entry))
    kept = [key for key in keys if any(_shown(entry.get(key)) for entry in entries)]
    rows = [[entry.get(key) if _shown(entry.get(key)) else None for key in kept] for entry in entries]
    return [str(key).replace("_", " ") for key in kept], rows
