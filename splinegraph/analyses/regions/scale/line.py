"""All tasks of an enumeration in depth-first order: what is done, what runs, what is open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Line", "Task"]


@dataclass(eq=False)
class Task:
    """A part of the enumeration.

    Parameters
    ----------
    name : bytes or None
        What the runner knows it by; None is the whole domain.
    parent : Task or None
        The task that it was left over from.
    count : int
        How many cells it gave itself, once it is done.
    state : {'open', 'running', 'done', 'failed'}
    strikes : int
        How many workers died of it.
    part, start : int
        Where its cells are stored: which part, and from which row on; part -1 if they are not.
    """

    name: bytes | None
    parent: Task | None = None
    count: int = 0
    state: str = "open"
    strikes: int = 0
    part: int = -1
    start: int = 0


class Line:
    """Tasks in depth-first order, such that the cells of the done ones, one behind the other, are in order too.

    A task that is done stays in its place, and what is left of it stands behind it. Whatever was split how
    and ran where, the order of the cells is that of one run.

    Parameters
    ----------
    tasks : sequence of Task
        In order.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        # runs of done tasks are one item each, so that the line is about as long as there are open ones
        self._items: list[Task | list[Task]] = []
        for task in tasks:
            self._append(task)

    def _append(self, task: Task) -> None:
        if task.state != "done":
            self._items.append(task)
        elif self._items and isinstance(self._items[-1], list):
            self._items[-1].append(task)
        else:
            self._items.append([task])

    def __iter__(self) -> Iterator[Task]:
        """Go through all tasks in order."""
        for item in self._items:
            if isinstance(item, list):
                yield from item
            else:
                yield item

    @property
    def open(self) -> list[Task]:
        """The tasks that nobody has begun, in order."""
        return [item for item in self._items if isinstance(item, Task) and item.state == "open"]

    @property
    def left(self) -> list[Task]:
        """The tasks that are not done, in order."""
        return [item for item in self._items if isinstance(item, Task)]

    @property
    def settled(self) -> int:
        """How many cells come before the first task that is not done."""
        first = self._items[0] if self._items else None
        return sum(task.count for task in first) if isinstance(first, list) else 0

    def take(self, most: int, *, last: bool = False) -> list[Task]:
        """Return the first open tasks that stand beside each other, or the last ones; they are running now.

        At most so many. The last ones are the large ones: branches further up.
        """
        taken: list[Task] = []
        for item in reversed(self._items) if last else self._items:
            if isinstance(item, Task) and item.state == "open" and len(taken) < most:
                item.state = "running"
                taken.append(item)
            elif taken:
                break
        return taken[::-1] if last else taken

    def finish(self, task: Task, count: int, left: Sequence[bytes]) -> list[Task]:
        """Put what is left of a task behind it, and return it."""
        task.count, task.state = count, "done"
        children = [Task(name, task) for name in left]
        at = self._items.index(task)
        here: list[Task | list[Task]] = [[task]]
        before = self._items[at - 1] if at else None
        if isinstance(before, list):  # join neighbors that are done
            before.append(task)
            here = []
        self._items[at : at + 1] = [*here, *children]
        after = at + len(here) - 1
        if not children and after + 1 < len(self._items):
            done, following = self._items[after], self._items[after + 1]
            if isinstance(done, list) and isinstance(following, list):
                done.extend(following)
                del self._items[after + 1]
        return children

    def cut(self, limit: int) -> tuple[Line, Task | None, int]:
        """Return the line of the first `limit` cells, with all else open again.

        Returns
        -------
        Line
            Its done tasks hold at most `limit` cells.
        Task or None
            The task with whose cells the limit is passed; it is open, and running it once more with the next
            number as limit gives the missing cells.
        int
        """
        kept: list[Task] = []
        room, split = limit, None
        opened: set[int] = set()
        for task in self:
            if task.parent is not None and id(task.parent) in opened:
                opened.add(id(task))  # it will come again from the task that it was left over from
            elif task.state == "done" and split is None and task.count <= room:
                room -= task.count
                kept.append(task)
            elif task.state == "done":
                again = Task(task.name, task.parent)
                split = again if split is None else split
                opened.add(id(task))
                kept.append(again)
            else:
                kept.append(task)
        return Line(kept), split, room
