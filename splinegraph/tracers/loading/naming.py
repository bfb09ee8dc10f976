"""How messages name what a user typed, what was meant, and what to type instead."""

from __future__ import annotations

import shlex
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from splinegraph.data.near import files_near, near
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
        target = _typed((name or self.name) + (f":{attribute}" if attribute else ""))
        weights = f"--weights {_typed(self.weights)}" if self.weights else ""
        return " ".join(part for part in (self.command, target, weights, options) if part)

    @property
    def set_model(self) -> str:
        """What to do where nothing here can be taken as it is."""
        return "set `model = ...` in it" if self.name.endswith(".py") else f"name what makes one: {self.name}:NAME"

    def build(self, name: str, arguments: Sequence[str], *, variable: str = "model") -> str:
        """Return what to do with a class or function that needs arguments."""
        line = f"{variable} = {name}({', '.join(f'{a}=...' for a in arguments)})"
        if self.name.endswith(".py"):
            return f"build it there: `{line}`"
        return f"build it in a .py file: `from {self.name} import {name.partition('.')[0]}` and `{line}`"


def _typed(name: str) -> str:
    """Return a name as it is typed in a shell; a file's name that begins like an option is told apart from one."""
    return shlex.quote(f"./{name}" if name.startswith("-") else name)


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
