"""Where cells are kept while they are found: in memory, or in a folder from which to go on."""

from __future__ import annotations

import abc
import base64
import contextlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from splinegraph.analyses.regions.cells import Cells
from splinegraph.analyses.regions.scale.line import Line, Task
from splinegraph.analyses.regions.scale.rows import read_rows, write_rows
from splinegraph.analyses.regions.scale.work import ROOT
from splinegraph.core.files import make_folder, write_json
from splinegraph.errors import DataError

__all__ = ["FORMAT", "Folder", "Memory", "Store", "method_of"]

FORMAT = "splinegraph frontier 2"
"""Name and version of what a folder holds."""

SNAPSHOT = "frontier.json"

EVERY = 1.0
"""Seconds between two snapshots."""

MOST = 2**21
"""Cells after which there is a snapshot in any case."""


class Store(abc.ABC):
    """Cells by the task that gave them.

    Attributes
    ----------
    lasting : bool
        Whether it outlives the process.
    flaws : dict from str to None
        Why cells may be missing even where nothing is left to do; kept with the cells.
    """

    lasting = False

    def __init__(self) -> None:
        self.flaws: dict[str, None] = {}

    @abc.abstractmethod
    def add(self, task: Task, cells: Cells) -> None:
        """Take the cells of a task that is done."""

    @abc.abstractmethod
    def save(self, line: Line, *, now: bool = False) -> None:
        """Make sure that nothing is lost; every now and then, or at once."""

    @abc.abstractmethod
    def cells(self, line: Line) -> Iterator[Cells]:
        """Yield the cells of the tasks that are done, in order."""


class Memory(Store):
    """Cells in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._cells: dict[int, Cells] = {}

    def add(self, task: Task, cells: Cells) -> None:
        self._cells[id(task)] = cells

    def save(self, line: Line, *, now: bool = False) -> None:
        pass

    def cells(self, line: Line) -> Iterator[Cells]:
        for task in line:
            if task.state == "done" and task.count:
                yield self._cells[id(task)]


class Folder(Store):
    """Cells in Parquet files of a folder, with a snapshot of all tasks.

    A part is written whole, then the snapshot that names it takes the place of the one before: at any moment the
    folder holds a snapshot and all the parts that it names. What a process that is killed has found since the last
    snapshot is found again.

    Parameters
    ----------
    path : Path
        The folder of the parts.
    identity : mapping of str to plain values
        What the cells depend on.
    resume : bool
        Whether to go on from what is there; otherwise the folder is begun anew.

    Raises
    ------
    DataError
        If it cannot be written, or holds the beginning of something else.
    """

    lasting = True

    def __init__(self, path: Path, identity: Mapping[str, Any], *, resume: bool) -> None:
        super().__init__()
        self.path, self._identity = make_folder(path), dict(identity)
        self.began = [Task(ROOT)]
        self.seconds = 0.0
        self._parts = 0
        self._waiting: list[tuple[Task, Cells]] = []
        self._saved = self._opened = time.monotonic()
        if resume:
            self._resume()
        self._tidy()

    @property
    def snapshot(self) -> Path:
        """The file that names all tasks."""
        return self.path / SNAPSHOT

    def part(self, number: int) -> Path:
        """Return the file of a part."""
        return self.path / f"part-{number:06}.parquet"

    def add(self, task: Task, cells: Cells) -> None:
        self._waiting.append((task, cells))

    def save(self, line: Line, *, now: bool = False) -> None:
        held = sum(len(cells) for _, cells in self._waiting)
        if not now and held < MOST and time.monotonic() < self._saved + EVERY:
            return
        if held:
            start = 0
            for task, cells in self._waiting:
                task.part, task.start, start = self._parts, start, start + len(cells)
            write_rows(Cells.concat([cells for _, cells in self._waiting]), self.part(self._parts))
            self._parts += 1
        self._waiting = []
        seconds = self.seconds + time.monotonic() - self._opened
        about = {"format": FORMAT, **self._identity, "seconds": seconds, "flaws": list(self.flaws)}
        write_json({**about, "tasks": _plain(line)}, self.snapshot)
        self._saved = time.monotonic()

    def cells(self, line: Line) -> Iterator[Cells]:
        return self.cells_of(line)

    def cells_of(self, tasks: Iterable[Task]) -> Iterator[Cells]:
        """Yield the cells of the tasks that are done and saved."""
        held: tuple[int, Cells | None] = (-1, None)
        for task in tasks:
            if task.state == "done" and task.count:
                if held[0] != task.part or held[1] is None:
                    held = task.part, read_rows(self.part(task.part))
                part = held[1]
                assert part is not None
                yield part[task.start : task.start + task.count]

    def discard(self) -> None:
        """Remove the folder, once its cells are kept elsewhere."""
        for file in [self.snapshot, *self.path.glob("part-*.parquet")]:
            file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody put something of their own there
            self.path.rmdir()

    def _resume(self) -> None:
        held = _read(self.snapshot)
        for name, mine in self._identity.items():
            if held.get(name) != mine:
                raise DataError(
                    f"{self.path.parent} holds regions of another {name}", why=f"{held.get(name)} there, {mine} here",
                    remedy="give what it was begun with, or another folder",
                )  # fmt: skip
        self.began = list(_tasks(held["tasks"]))
        self.seconds, self.flaws = float(held["seconds"]), dict.fromkeys(held["flaws"])
        self._parts = max((task.part for task in self.began), default=-1) + 1
        for number in {task.part for task in self.began if task.count}:
            if not self.part(number).exists():
                raise DataError(f"{self.part(number)} is missing", remedy="begin anew in another folder")

    def _tidy(self) -> None:
        """Remove parts that no snapshot names, and what was left of writing."""
        if not self._parts:
            self.snapshot.unlink(missing_ok=True)
        for file in [*self.path.glob("part-*.parquet"), *self.path.glob(".*.partial")]:
            number = file.stem.removeprefix("part-")
            if not number.isdecimal() or int(number) >= self._parts:
                file.unlink(missing_ok=True)


def method_of(path: Path) -> str:
    """Return the algorithm that a folder of parts was begun with.

    Raises
    ------
    DataError
        If it holds nothing to go on from.
    """
    return str(_read(path / SNAPSHOT).get("method"))


def _plain(line: Line) -> list[list[Any]]:
    """Return each task as [name, number of its parent, cells, part, first row]; cells -1 where it is not done."""
    numbers = {id(task): number for number, task in enumerate(line)}
    rows = []
    for task in line:
        name = None if task.name is None else base64.b64encode(task.name).decode()
        parent = -1 if task.parent is None else numbers.get(id(task.parent), -1)
        rows.append([name, parent, task.count if task.state == "done" else -1, task.part, task.start])
    return rows


def _tasks(rows: Iterable[list[Any]]) -> Iterator[Task]:
    made: list[Task] = []
    for name, parent, count, part, start in rows:
        task = Task(None if name is None else base64.b64decode(name), made[parent] if parent >= 0 else None)
        if count >= 0:
            task.state, task.count, task.part, task.start = "done", count, part, start
        made.append(task)
        yield task


def _read(path: Path) -> dict[str, Any]:
    folder = path.parent.parent
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{folder} holds nothing to go on from", remedy="leave out --resume") from error
    except OSError as error:
        raise DataError(f"cannot read {path}", why=error.strerror or str(error)) from error
    except ValueError as error:
        raise DataError(f"{path} is no JSON", why=str(error)) from error
    found = held.get("format") if isinstance(held, dict) else None
    if found != FORMAT:
        raise DataError(f"{path} is a {found!r}", why=f"this version goes on from a {FORMAT!r}", remedy="begin anew")
    return dict(held)
