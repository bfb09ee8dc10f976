"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from splinegraph.errors import DataError

__all__ = ["check_folder", "check_writable", "json_text", "make_folder", "write_json", "write_text", "writing"]

LINE = 120
"""Longest line of JSON, but for rows of numbers."""


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


def check_writable(path: str | os.PathLike[str]) -> None:
    """Learn whether a file could be written, without touching what is there.

    Raises
    ------
    DataError
        If not.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"cannot write {path}", why="it is a folder", remedy="name a file in it")
    probe = _partial(path)
    try:
        if _is_device(path):
            if not os.access(path, os.W_OK):  # it is not opened: who reads a pipe would see its end
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise _unwritable(f"cannot write {path}", error) from error


def check_folder(folder: str | os.PathLike[str], name: str) -> None:
    """Learn whether a file could be written in a folder that may not be there yet, without making it.

    Raises
    ------
    DataError
        If not.
    """
    path = Path(folder)
    above = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not above.is_dir():
        raise DataError(f"cannot make the folder {path}", why=f"{above} is a file", remedy="choose another folder")
    if above == path:
        check_writable(path / name)
        return
    try:
        check_writable(above / f"{name}.{secrets.token_hex(4)}")
    except DataError as error:
        why = error.why
        raise DataError(f"cannot make the folder {path}", why=why, remedy="choose another folder") from error


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Give a binary file to write to, which takes the place of `path` once the block ends without an error.

    Whoever reads `path` sees the old file or the new one, never a part. A device or a pipe is written to as it is, and
    a link is followed.

    Raises
    ------
    DataError
        If the file cannot be written; what was there before is untouched.
    """
    path = Path(path)
    if not path.name:
        raise DataError(f"cannot write {str(path)!r}", why="it names no file", remedy="name a file in that folder")
    partial = _partial(path)
    try:
        if _is_device(path):
            with path.open("wb") as stream:
                yield stream
            return
        with partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, os.path.realpath(path))
    except BaseException as error:  # an interrupt leaves nothing behind either
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(f"cannot write {path}", error) from error
        raise


def write_text(text: str, path: str | os.PathLike[str]) -> Path:
    """Write a file atomically, in UTF-8; see `writing`.

    Raises
    ------
    DataError
        If the file cannot be written; what was there before is untouched.
    """
    with writing(path) as file:
        file.write(text.encode("utf-8"))
    return Path(path)


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
    return write_text(json_text(plain) + "\n", path)


def json_text(value: Any, indent: str = "") -> str:
    """Return plain values as JSON for people: indented, but short values and rows of numbers on one line.

    Raises
    ------
    ValueError
        If there are NaN or infinite numbers.

    Examples
    --------
    >>> print(json_text({"corners": [[0.0, 1.0], [2.0, 3.0]], "why": ""}))
    {"corners": [[0.0, 1.0], [2.0, 3.0]], "why": ""}
    """
    inner = indent + "  "
    if isinstance(value, dict) and value:
        parts = [f"{_key(key)}: {json_text(item, inner)}" for key, item in value.items()]
        start, end = "{", "}"
    elif isinstance(value, (list, tuple)) and not _numbers(value):
        parts, (start, end) = [json_text(item, inner) for item in value], "[]"
    else:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    # parts of what fits in a line fit in theirs
    if not any("\n" in part for part in parts):
        line = f"{start}{', '.join(parts)}{end}"
        if len(line) + len(indent) <= LINE:
            return line
    return f"{start}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{end}"


def _numbers(value: Any) -> bool:
    """Whether it is a list of numbers and nothing else."""
    return isinstance(value, (list, tuple)) and all(isinstance(item, (int, float)) for item in value)


def _key(key: Any) -> str:
    """Return a key as json writes it: always as text."""
    return json.dumps({key: 0}, ensure_ascii=False)[1:-4]


def _partial(path: Path) -> Path:
    """Return a new name beside a file, or beside what it links to."""
    target = Path(os.path.realpath(path))
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")


def _is_device(path: Path) -> bool:
    return path.exists() and not path.is_file() and not path.is_dir()


def _unwritable(what: str, error: OSError) -> DataError:
    remedies = {errno.ENOSPC: "free some space", errno.EDQUOT: "free some space", errno.ENOENT: "make its folder first"}
    remedy = remedies.get(error.errno or 0, "choose a folder that you may write to")
    return DataError(what, why=error.strerror or str(error), remedy=remedy)
