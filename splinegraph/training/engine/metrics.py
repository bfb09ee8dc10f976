"""Metrics of a run: one JSON object per line, always; TensorBoard where it is installed."""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from splinegraph.core.files import write_text
from splinegraph.errors import DataError

__all__ = ["Metrics", "read_metrics"]


class Metrics:
    """Appends rows to a file `metrics.jsonl`; a row that cannot be written whole leaves nothing behind.

    Parameters
    ----------
    path : Path
    keep : int
        Rows that are there already are kept up to this step, when a run goes on; those after it are of work that was
        lost. -1 starts anew.
    tensorboard : bool
        Whether numbers go to a folder `tensorboard` beside it too, if that package is installed.
    """

    def __init__(self, path: Path, *, keep: int = -1, tensorboard: bool = True) -> None:
        self.path = path
        rows = [] if keep < 0 else [row for row in read_metrics(path) if row["step"] <= keep]
        write_text("".join(_line(row) for row in rows), path)
        self._board = _board(path.parent / "tensorboard", keep) if tensorboard else None

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row, which has a `step`.

        Raises
        ------
        DataError
            If it cannot be written: the file is as it was before.
        """
        line = _line(row).encode("utf-8")
        try:
            with self.path.open("ab", buffering=0) as file:
                before = file.tell()
                try:
                    written = file.write(line)
                    if written != len(line):
                        written += file.write(line[written:])
                except OSError:
                    with contextlib.suppress(OSError):
                        os.truncate(file.fileno(), before)
                    raise
        except OSError as error:
            why = error.strerror or str(error)
            remedy = "free some space, or choose another folder; resume goes on from the last checkpoint"
            raise DataError(f"cannot write {self.path}", why=why, remedy=remedy) from error
        if self._board is not None:
            for name, value in _numbers(row):
                self._board.add_scalar(name, value, row["step"])

    def close(self) -> None:
        """End TensorBoard's file."""
        if self._board is not None:
            self._board.close()


def read_metrics(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the rows of a file, up to the first line that is cut off; none if there is no file."""
    rows: list[dict[str, Any]] = []
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        return rows
    for line in text.splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(_finite(row), allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """Return a row without numbers that JSON lacks."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return value


def _numbers(row: Mapping[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for key, value in row.items():
        if isinstance(value, Mapping):
            found += _numbers(value, f"{prefix}{key}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and key != "step":
            found.append((prefix + key, value))
    return found


def _board(folder: Path, keep: int) -> Any:
    """Return TensorBoard's writer; None where it is not installed."""
    try:
        writers = importlib.import_module("torch.utils.tensorboard")
    except ImportError:
        return None
    return writers.SummaryWriter(str(folder), purge_step=None if keep < 0 else keep + 1)
