"""Names that look like one which is not there, for messages."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["files_near", "near"]


def near(name: str, names: Iterable[str]) -> list[str]:
    """Return the names that look like `name`, the nearest first, whatever their case."""
    known = {n.lower(): n for n in names}
    return [known[n] for n in difflib.get_close_matches(name.lower(), known, n=3)]


def files_near(path: Path, suffixes: tuple[str, ...], *, folders: bool = False) -> list[Path]:
    """Return the files beside a missing one whose names look like it, the nearest first; perhaps folders too."""
    try:
        names = [
            name
            for name in sorted(os.listdir(path.parent))
            if name.lower().endswith(suffixes) or (folders and (path.parent / name).is_dir())
        ]
    except (OSError, ValueError):
        return []
    return [path.parent / name for name in near(path.name, names) or near(path.stem, names)]
