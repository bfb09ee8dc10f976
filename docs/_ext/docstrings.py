"""Sphinx extension: docstrings say |x| and (*shape, C), which reStructuredText takes for markup."""

from __future__ import annotations

import re
from typing import Any

_CODE = re.compile(r"(``.*?``|`[^`]*`|:math:`[^`]*`)")
_STAR = re.compile(r"(?<!\*)\*(?=[\w.]+(?![\w.]*\*))")  # no emphasis: nothing closes it
_NOTE = re.compile(r"^(\s*)\.\. \[(\d+)\] ")


def setup(app: Any) -> dict[str, bool]:
    """Change docstrings before napoleon reads them, and drop links that were guessed from words."""
    app.connect("autodoc-process-docstring", _process, priority=400)
    app.connect("doctree-read", _keep_links_to_public_names)
    return {"parallel_read_safe": True}


def _process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    example = False
    for number, line in enumerate(lines):
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if not example and line.strip() != "*":
            lines[number] = _escaped(line)


def _escaped(line: str) -> str:
    # A page holds many docstrings, each with a reference 1: a list, then, and no footnotes.
    line = _NOTE.sub(r"\1\2. ", line)
    parts = _CODE.split(line)
    for index in range(0, len(parts), 2):
        text = re.sub(r"\[(\d+)\]_(?=\W|$)", r"[\1]", parts[index])
        parts[index] = _STAR.sub(r"\\*", text.replace("|", r"\|"))
    return "".join(parts)


def _keep_links_to_public_names(app: Any, doctree: Any) -> None:
    """Turn the links from words such as `shape` in 'tensor of shape (B, C)' back to text."""
    from sphinx.addnodes import pending_xref

    import splinegraph

    public = {"splinegraph", *splinegraph.__all__}
    for node in list(doctree.findall(pending_xref)):
        if node.get("refdomain") == "py" and node["reftarget"].lstrip(".").split(".")[0] not in public:
            node.replace_self(node.children)
