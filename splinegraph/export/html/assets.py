"""Scripts and styles that go into a page, ours and vendored ones, and the policy that lets only them run.

A script in ``assets/`` registers its views by ``splinegraph.view("name", ...)``. A page holds the scripts of its views,
those that register none and so help others, and the libraries that its views draw with.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["HERE", "Library", "Script", "libraries", "policy", "scripts", "styles"]

HERE = Path(__file__).resolve().parent

FIRST, LAST = ("base.js", "tables.js", "image.js"), ("base.css",)
"""What others build on comes first; the style of the frame, with its print rules, too."""


GRAPHS = ("operator-graph", "activation-graph")

DRAWN_WITH = {"d3": None, "plot": None, "cytoscape": GRAPHS, "dagre": GRAPHS}
"""Which views need a library; None for all others."""


@dataclass(frozen=True)
class Script:
    """A script as it stands in the page.

    Parameters
    ----------
    name : str
    text : str
    """

    name: str
    text: str

    @property
    def digest(self) -> str:
        """What the page's policy calls it."""
        return "sha256-" + base64.b64encode(hashlib.sha256(self.text.encode()).digest()).decode()


@dataclass(frozen=True)
class Library:
    """A vendored library.

    Parameters
    ----------
    key : str
        Name of its folder.
    package, version, licence, homepage : str
    file : str
        Name of the script in its folder.
    sha256 : str
        Of that file.
    """

    key: str
    package: str
    version: str
    licence: str
    homepage: str
    file: str
    sha256: str

    @property
    def path(self) -> Path:
        """The script."""
        return HERE / "vendor" / self.key / self.file

    @property
    def licences(self) -> str:
        """The texts of its licence and of those it bundles."""
        files = sorted(self.path.parent.glob("LICENSE*"))
        return "\n\n".join(file.read_text(encoding="utf-8").strip() for file in files)


@functools.cache
def libraries() -> dict[str, Library]:
    """Return the vendored libraries by key, in the order in which they load."""
    held: list[dict[str, Any]] = json.loads((HERE / "vendor" / "vendor.json").read_text(encoding="utf-8"))
    return {row["key"]: Library(**{name: row[name] for name in Library.__dataclass_fields__}) for row in held}


def scripts(views: Collection[str]) -> tuple[list[Script], list[Library]]:
    """Return the scripts of a page with some views, in the order in which they load, and the libraries among them."""
    ours = [file for file in _assets(".js") if not (made := _registers(file.text)) or made & set(views)]
    used = [library for key, library in libraries().items() if _draws(key, set(views))]
    return [*(Script(library.file, _library(library.path)) for library in used), *ours], used


def styles() -> str:
    """Return all styles as one."""
    return "\n".join(file.text for file in _assets(".css"))


def policy(used: Collection[Script]) -> str:
    """Return the content security policy of a page: nothing loads, and only these scripts run."""
    allowed = " ".join(f"'{script.digest}'" for script in used) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _assets(ending: str) -> list[Script]:
    files = [path for path in (HERE / "assets").iterdir() if path.suffix == ending]
    order = {name: place for place, name in enumerate((*FIRST, *LAST))}
    files.sort(key=lambda path: (order.get(path.name, len(order)), path.name))
    return [Script(path.name, path.read_text(encoding="utf-8")) for path in files]


def _registers(text: str) -> set[str]:
    return set(re.findall(r"""^[ \t]*splinegraph\.view\(\s*["']([a-z-]+)["']""", text, re.MULTILINE))


def _draws(key: str, views: set[str]) -> bool:
    named = DRAWN_WITH[key]
    return bool(views - set(GRAPHS) if named is None else views & set(named))


@functools.cache
def _library(path: Path) -> str:
    """Return a library without the name of its source map, which a browser's tools would look for."""
    return re.sub(r"^//# sourceMappingURL=.*\n?", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
