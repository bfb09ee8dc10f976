"""A report as one HTML page that works from a file, offline: made from the report's plain data alone."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splinegraph.core.files import write_text
from splinegraph.errors import SplineGraphError
from splinegraph.export.html.assets import HERE, policy, scripts, styles
from splinegraph.export.html.outline import Page, outline

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from splinegraph.analyses.report.report import Report

__all__ = ["THEMES", "render_page", "write_html"]

THEMES = ("auto", "light", "dark")
"""What a page may look like at first; 'auto' is as the reader's system is."""


def write_html(report: Report | Mapping[str, Any], path: str | os.PathLike[str], *, theme: str = "auto") -> Path:
    """Write a report as one HTML page that needs no other file and no network.

    Parameters
    ----------
    report : Report or mapping
        A report, or what its `to_dict` or a report.json gives.
    path : str or path
    theme : str, default 'auto'
        'light' or 'dark': what it looks like until the reader changes it; 'auto' is as the reader's system is.

    Returns
    -------
    Path

    Raises
    ------
    SplineGraphError
        If there is no such theme, or it is no report.
    DataError
        If the file cannot be written.
    """
    plain = report if isinstance(report, Mapping) else report.to_dict()
    return write_text(render_page(plain, theme=theme), path)


def render_page(report: Mapping[str, Any], *, theme: str = "auto") -> str:
    """Return a report as the text of an HTML page.

    Parameters
    ----------
    report : mapping
        As `Report.to_dict` returns it, in the format of this version.
    theme : str, default 'auto'

    Raises
    ------
    SplineGraphError
        If there is no such theme, or it is no report.
    """
    if theme not in THEMES:
        raise SplineGraphError(f"there is no theme {theme!r}", remedy=f"choose of {', '.join(THEMES)}")
    sections = report.get("sections")
    if not isinstance(sections, Mapping) or not all(isinstance(held, Mapping) for held in sections.values()):
        raise SplineGraphError("this is no report", why="it has no sections", remedy="give what Report.to_dict returns")
    page: Page = outline(report)
    views = [picture.view for section in page.sections for picture in section.pictures]
    used, libraries = scripts(views)
    template = _environment().get_template("page.html")
    rendered = template.render(
        page=page, theme=theme, style=_markup(styles()), policy=policy(used), scripts=used, libraries=libraries,
        data=_page_json(report), version=metadata.version("splinegraph"),
    )  # fmt: skip
    # file names may hold bytes that are no text
    return rendered.encode("utf-8", "backslashreplace").decode("utf-8")


def _page_json(value: Any) -> Markup:
    """Return a value as JSON that can stand in a script element: nothing in it ends the element."""
    from splinegraph.analyses.report.values import jsonable

    text = json.dumps(jsonable(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return _markup(text)


def _markup(text: str) -> Markup:
    from markupsafe import Markup

    return Markup(text)  # our own files, or escaped for where it stands


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(HERE / "templates")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["page_json"] = _page_json
    return made
