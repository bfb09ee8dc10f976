"""Sphinx extension: pages that git hosts show as they are, and what the site makes of them.

The tables of contents are appended to their pages, files from outside of docs/ take the place of the pages that link to
them, and links to those files are turned to these pages.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

_LAST_LINE = re.compile(r"^(```python\n>>> (?:(?!```).*\n)*?)\n+(?=```$)", re.MULTILINE)
"""Examples that run end in an empty line, which pytest asks for and readers do not."""
_LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")


def setup(app: Any) -> dict[str, bool]:
    """Read the settings `toctrees` and `mirrored`, and change sources as they are read."""
    app.add_config_value("toctrees", {}, "env")
    app.add_config_value("mirrored", {}, "env")
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}


def _read(app: Any, name: str, source: list[str]) -> None:
    page = Path(app.srcdir) / f"{name}.md"
    if not page.is_file():  # a notebook
        return
    root, origin = Path(app.srcdir).parent, page
    mirrored = app.config.mirrored
    if name in mirrored:
        origin = root / mirrored[name]
        app.env.note_dependency(str(origin))
        source[0] = origin.read_text(encoding="utf-8")
    targets = {root / path: Path(app.srcdir) / f"{document}.md" for document, path in mirrored.items()}
    source[0] = _LAST_LINE.sub(r"\1", source[0])
    source[0] = _LINK.sub(lambda link: _moved(link, origin, page, targets), source[0])
    for caption, entries in app.config.toctrees.get(name, {}).items():
        source[0] += _toctree(caption, entries)


def _moved(link: re.Match[str], origin: Path, page: Path, targets: dict[Path, Path]) -> str:
    """Turn a link of the file `origin` to one that is right on `page`."""
    path, anchor = link.group(1), link.group(2) or ""
    target = Path(os.path.normpath(origin.parent / path))
    target = targets.get(target, target)
    if target == page:
        return anchor or page.name
    return Path(os.path.relpath(target, page.parent)).as_posix() + anchor


def _toctree(caption: str, entries: list[str]) -> str:
    options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["\n```{toctree}", *options, "", *entries, "```\n"])
