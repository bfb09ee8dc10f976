"""How messages name what a user typed, what was meant, and what to type instead."""

from __future__ import annotations

import difflib
import os
import shlex
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from splinegraph.tracers.exporting import user_line

__all__ = ["Place", "a_few", "files_near", "line_of", "near", "reason"]

SHOWN = 8
"""Names that a message lists at most."""


@dataclass(frozen=True)
class Place:
    """What a user typed to name a model, without the attribute.

    Parameters
    ----------
    name : str
        File or dotted module.
    command : str
        What stands before it on the command line.
    weights : str
        File of the weights, if any.
    attribute : str
        The attribute, if any.
    """

    name: str
    command: str = ""
    weights: str = ""
    attribute: str = ""

    def retype(self, attribute: str = "", *, name: str = "", options: str = "") -> str:
        """Return the command that names an attribute, or another file."""
        target = shlex.quote((name or self.name) + (f":{attribute}" if attribute else ""))
        weights = f"--weights {shlex.quote(self.weights)}" if self.weights else ""
        return " ".join(part for part in (self.command, target, weights, options) if part)

    @property
    def set_model(self) -> str:
        """What to do where nothing here can be taken as it is."""
        return "set `model = ...` in it" if self.name.endswith(".py") else f"name what makes one: {self.name}:NAME"

    def build(self, name: str, arguments: Sequence[str]) -> str:
        """Return what to do with a class or function that needs arguments."""
        line = f"model = {name}({', '.join(f'{a}=...' for a in arguments)})"
        if self.name.endswith(".py"):
            return f"build it there: `{line}`"
        return f"build it in a .py file: `from {self.name} import {name.partition('.')[0]}` and `{line}`"


def near(name: str, names: Iterable[str]) -> list[str]:
    """Return the names that look like `name`, the nearest first, whatever their case."""
    known = {n.lower(): n for n in names}
    return [known[n] for n in difflib.get_close_matches(name.lower(), known, n=3)]


def files_near(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Return the files beside a missing one whose names look like it, the nearest first."""
    try:
        names = [name for name in os.listdir(path.parent) if name.lower().endswith(suffixes)]
    except (OSError, ValueError):
        return []
    return [path.parent / name for name in near(path.name, names) or near(path.stem, names)]


def a_few(names: Iterable[str]) -> str:
    """Return the first names with commas between them, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more


def line_of(error: BaseException) -> str:
    """Return the user's own 'file.py:line' where an exception was raised."""
    return user_line([(f.filename, f.lineno or 0) for f in traceback.extract_tb(error.__traceback__)])


def reason(error: BaseException) -> str:
    """Return the kind of an exception and the first line of its text."""
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
