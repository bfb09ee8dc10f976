"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splinegraph.errors import DataError

if TYPE_CHECKING:
    from splinegraph.analyses.report.report import Report

__all__ = ["make_folder", "save_report", "write_json", "write_text"]


def make_folder(folder: str | os.PathLike[str]) -> Path:
    """Create a folder, with those above it, unless it is there.

    Raises
    ------
    DataError
        If that is not possible.
    """
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(f"cannot make the folder {path}", error) from error
    return path


def write_text(text: str, path: str | os.PathLike[str]) -> Path:
    """Write a file atomically: whoever reads it sees the old one or the new one, never a part.

    Raises
    ------
    DataError
        If the file cannot be written; what was there before is untouched.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException as error:  # an interrupt leaves nothing behind either
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(f"cannot write {path}", error) from error
        raise
    return path


def write_json(obj: Any, path: str | os.PathLike[str]) -> Path:
    """Write an object as JSON, atomically.

    Parameters
    ----------
    obj : a result with `to_dict`, or anything that the json module takes
    path : str or path

    Raises
    ------
    ValueError
        If it holds NaN or infinite numbers, which are no JSON.
    DataError
        If the file cannot be written.
    """
    plain = obj.to_dict() if hasattr(obj, "to_dict") else obj
    return write_text(json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n", path)


def save_report(report: Report, folder: str | os.PathLike[str]) -> Path:
    """Write a report to `folder`/report.json and return that path."""
    return write_json(report, make_folder(folder) / "report.json")


def _unwritable(what: str, error: OSError) -> DataError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    remedy = "free some space" if full else "choose a folder that you may write to"
    return DataError(what, why=error.strerror or str(error), remedy=remedy)
