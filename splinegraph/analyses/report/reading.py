"""A report.json read back: this format, older ones brought up to it, and one line on anything else."""

from __future__ import annotations

import copy
import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from splinegraph.errors import DataError, one_line

__all__ = ["FORMAT", "joined_later", "migrated", "read_report"]

NAME = "splinegraph report"

VERSION = 3
"""Of the format; `FORMAT` is its whole name."""

FORMAT = f"{NAME} {VERSION}"
"""Name and version of what `Report.to_dict` returns; `schema.json` describes it."""

JOINED: Mapping[str, Mapping[str, object]] = {
    "graph.nodes": {"curvature": "", "parameters": None},
    "regions": {"picture": None, "checks": []},
    "lipschitz": {"constants": None, "rungs": None, "local": None},
    "activation": {"browser": None},
    "templates": {"gallery": None},
    "encoding": {"gallery": None},
}
"""Keys that format 3 brought, by the section or list that holds them, and what stands for what was not recorded."""

SECTIONS = ("checks",)
"""Sections that format 3 brought."""

LACKS = "an older report, without pictures, constants of nodes and checks: analyze the model anew to have them"

REMEDY = "analyze the model anew"


def read_report(path: str | os.PathLike[str], *, migrate: bool = True) -> dict[str, Any]:
    """Read a report that `splinegraph analyze` wrote.

    Parameters
    ----------
    path : str or path
        report.json, or the folder that holds it.
    migrate : bool, default True
        Whether an older format is brought up to this one; else it is left as it is.

    Returns
    -------
    dict
        What `Report.to_dict` gives.

    Raises
    ------
    DataError
        If the file is missing, cannot be read, is no JSON, is no report, or of a later format.
    """
    path = Path(path)
    try:
        path = path / "report.json" if path.is_dir() else path
        text = path.read_text(encoding="utf-8")
        held = json.loads(text, parse_constant=_number, parse_float=_number)
        if re.search(r"\\u[dD][89a-fA-F]", text):  # half a character cannot be written again
            json.dumps(held, ensure_ascii=False).encode()
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}", remedy="give the report.json of an earlier analysis") from error
    except OSError as error:
        raise DataError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path} is no JSON", why=one_line(str(error)), remedy="the file may be cut off: " + REMEDY
        ) from error  # fmt: skip
    try:
        _check(held)
    except DataError as error:
        raise DataError(f"{one_line(str(path))}: {error.what}", why=error.why, remedy=error.remedy) from error
    return migrated(held) if migrate else dict(held)


def migrated(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report in the present format; what an older one did not record is null, which a note says.

    Raises
    ------
    DataError
        If it is no report, of a later format, or its structure is broken.
    """
    version = _check(report)
    found = copy.deepcopy(dict(report))
    if version == VERSION:
        return found
    found["format"] = FORMAT
    found.setdefault("request", {})  # format 1 kept none
    found["notes"] = [*found.get("notes", []), LACKS]
    for place, keys in JOINED.items():
        for held in _places(found["sections"], place):
            for key, value in keys.items():
                held.setdefault(key, copy.copy(value))
    return found


def joined_later(key: tuple[str | int, ...], version: str) -> bool:
    """Return whether a key of a report, counted from its top, came after a format: reports of it cannot have it."""
    number = re.fullmatch(rf"{NAME} (\d+)", version)
    names = [str(part) for part in key[1:] if not isinstance(part, int)]
    if number is None or int(number[1]) >= VERSION or key[:1] != ("sections",) or not names:
        return False
    return names == [*SECTIONS] or names[-1] in JOINED.get(".".join(names[:-1]), {})


def _places(sections: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    """Return the mappings at a place, of sections that are there and were made."""
    name, _, rest = place.partition(".")
    section = sections.get(name)
    if not isinstance(section, dict) or section.get("failed"):
        return []
    if not rest:
        return [section]
    rows = section.get(rest)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _check(report: object) -> int:
    """Return the version of a report's format, or refuse what is none or has another structure."""
    found = report.get("format") if isinstance(report, Mapping) else None
    number = re.fullmatch(rf"{NAME} (\d{{1,9}})", found) if isinstance(found, str) else None
    if number is None or not isinstance(report, Mapping):
        why = f"its format is {one_line(str(found))[:60]!r}" if found else "it names no format"
        raise DataError("this is no report of splinegraph", why=why, remedy="give the report.json of an analysis")
    version = int(number[1])
    if version > VERSION:
        raise DataError(
            f"this is a {found!r}", why=f"this version of splinegraph reads formats 1 to {VERSION}",
            remedy="install a later version of splinegraph, or " + REMEDY,
        )  # fmt: skip
    if version < 1:
        raise DataError(f"this is a {found!r}", why="there is no such format", remedy=REMEDY)
    why = _broken(report)
    if why:
        raise DataError("this report is broken", why=why, remedy=REMEDY)
    return version


def _broken(report: Mapping[str, Any]) -> str:
    """Return what is wrong with the structure that all formats share; '' if nothing is."""
    sections = report.get("sections")
    if not isinstance(sections, Mapping):
        return "it has no sections"
    for name, section in sections.items():
        shown = one_line(str(name))[:60]
        if not isinstance(section, Mapping):
            return f"section {shown!r} holds no fields"
        if not isinstance(section.get("headline"), str) or not isinstance(section.get("failed"), bool):
            return f"section {shown!r} has no headline, or does not say whether it failed"
    kinds = {"name": str, "complete": bool, "notes": list, "request": Mapping, "provenance": Mapping}
    for key, kind in kinds.items():
        if key in report and not isinstance(report[key], kind):
            return f"{key!r} is of another type"
    missing = [key for key in kinds if key not in report and key != "request"]
    if missing:
        return f"{missing[0]!r} is missing"
    if not all(isinstance(note, str) for note in report["notes"]):
        return "a note is no text"
    return ""


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no finite number")
    return number
