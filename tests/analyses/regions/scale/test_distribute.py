"""Many workers give what one gives, whatever dies, stops or is limited in between."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import spawn
from pathlib import Path

import numpy as np
import pytest
import torch

from splinegraph.analyses.regions.cells import Cells
from splinegraph.analyses.regions.scale import starting
from splinegraph.analyses.regions.scale.coverage import Coverage
from splinegraph.analyses.regions.scale.distribute import Harvest, Tick, distribute
from splinegraph.analyses.regions.scale.line import Line, Task
from splinegraph.analyses.regions.scale.pools import Here, Outcome, Pool
from splinegraph.analyses.regions.scale.processes import Processes
from splinegraph.analyses.regions.scale.work import Bundle, Runner, perform
from splinegraph.errors import SplineGraphError
from tests.analyses.regions.scale.tree import Tree

TREE = Tree(11)
ALL = TREE.run(None, limit=10**9)[0]


class Shuffled(Pool):
    """Workers that give back what they did in a random order, all in this process."""

    def __init__(self, runner: Runner, workers: int, seed: int = 0) -> None:
        self.workers, self._runner, self._random = workers, runner, np.random.default_rng(seed)
        self._waiting: list[tuple[int, Bundle]] = []
        self._number = itertools.count()
        self.closed = False

    @property
    def free(self) -> int:
        return 2 * self.workers - len(self._waiting)

    def submit(self, bundle: Bundle) -> int:
        self._waiting.append((next(self._number), bundle))
        return self._waiting[-1][0]

    def wait(self, seconds: float) -> list[Outcome]:
        number, bundle = self._waiting.pop(self._random.integers(len(self._waiting)))
        return [(number, perform(self._runner, bundle))]

    def close(self, *, kill: bool = False) -> None:
        self.closed = True


def same(found: Harvest, cells: Cells) -> bool:
    have = found.cells
    return have is not None and np.array_equal(have.packed, cells.packed) and np.array_equal(have.radii, cells.radii)


def test_the_tree_does_not_depend_on_its_pieces() -> None:
    assert len(ALL) == 1337
    first, left = TREE.run(None, limit=700)
    assert len(first) == 700
    parts = [first, *(TREE.run(task, limit=10**9)[0] for task in left)]
    assert np.array_equal(Cells.concat(parts).packed, ALL.packed)


@pytest.mark.parametrize("full", [1, 7, 100, 10_000])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_order_is_that_of_one_run(workers: int, full: int) -> None:
    found = distribute(TREE, pool=Shuffled(TREE, workers), full=full)
    assert same(found, ALL)
    assert found.complete
    assert not found.interrupted
    assert found.count == len(ALL)


@pytest.mark.parametrize("limit", [1, 99, 1336, 1337, 5000])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_limit_gives_the_first_cells_and_the_rest_later(workers: int, limit: int) -> None:
    some = distribute(TREE, pool=Shuffled(TREE, workers), full=100, limit=limit)
    assert some.count == min(limit, len(ALL))
    assert same(some, ALL[:limit])
    assert some.complete == (limit >= len(ALL))
    if some.left:
        rest = distribute(TREE, tasks=[Task(name) for name in some.left])
        assert same(rest, ALL[limit:])


def test_a_line_that_is_cut_opens_what_comes_behind() -> None:
    line = Line([Task(None)])
    (root,) = line.take(1)
    first, second = line.finish(root, 3, [b"a", b"b"])
    second.state = "running"
    line.finish(second, 4, [b"c"])
    first.state = "running"
    line.finish(first, 2, [])
    assert line.settled == 9
    cut, split, room = line.cut(7)
    assert [task.name for task in cut] == [None, b"a", b"b"]  # c will be left of b once more
    assert split is not None
    assert (split.name, split.state, room) == (b"b", "open", 2)


def test_time_ends_it_with_what_was_found() -> None:
    slow = Tree(11, slow=0.02)
    found = distribute(slow, pool=Shuffled(slow, 2), full=10, deadline=time.monotonic() + 0.3)
    assert 0 < found.count < len(ALL)
    assert not found.complete
    assert found.seconds < 2
    rest = distribute(TREE, tasks=[Task(name) for name in found.left])
    assert rest.count + found.count == len(ALL)


def test_an_interrupt_keeps_what_was_found() -> None:
    def stop(tick: Tick) -> None:
        if tick.cells > 300:
            raise KeyboardInterrupt

    pool = Shuffled(TREE, 2)
    found = distribute(TREE, pool=pool, full=50, progress=stop)
    assert found.interrupted
    assert pool.closed
    assert 300 < found.count < len(ALL)
    rest = distribute(TREE, tasks=[Task(name) for name in found.left])
    assert rest.count + found.count == len(ALL)


def test_progress_and_coverage() -> None:
    ticks: list[Tick] = []
    points = ALL.packed[::13].copy()
    missing = np.full((20, points.shape[1]), 200, np.uint8)
    coverage = Coverage(np.concatenate([points, missing]))
    found = distribute(TREE, coverage=coverage, progress=ticks.append, full=50)
    fractions = [tick.covered for tick in ticks if tick.covered is not None]
    assert fractions == sorted(fractions)
    assert ticks[-1].cells == found.count
    assert fractions[-1] == len(points) / (len(points) + 20)
    assert coverage.to_dict()["inside"] == len(points)


def test_coverage_counts_no_cells_beyond_the_limit() -> None:
    coverage = Coverage(ALL.packed)
    found = distribute(TREE, pool=Shuffled(TREE, 3), coverage=coverage, limit=401, full=100)
    assert found.count == 401
    assert coverage.to_dict()["inside"] == 401


# processes


@pytest.fixture(params=["copies", "served"])
def pool(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Tree, int], Processes]]:
    """Processes that are copies of this one, and such that a server starts."""
    copied = request.param == "copies"
    monkeypatch.setattr(starting, "_copies", lambda: copied)
    made: list[Processes] = []

    def make(tree: Tree, workers: int) -> Processes:
        pool = Processes(tree, workers)
        made.append(pool)
        while not pool._begun:  # so that nothing runs in this process
            pool.wait(0.01)
        return pool

    yield make
    for pool in made:
        pool.close(kill=True)


def test_processes_give_what_one_gives(pool: Callable[[Tree, int], Processes]) -> None:
    slow = Tree(11, slow=0.005)
    found = distribute(slow, pool=pool(slow, 2), full=100)
    assert same(found, ALL)
    assert found.notes == ()


def test_a_pool_that_has_not_started_works_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_copies", lambda: False)
    pool = Processes(TREE, 1)
    try:
        assert same(distribute(TREE, pool=pool, full=50), ALL)
    finally:
        pool.close(kill=True)


@pytest.mark.parametrize("deaths", [1, 2])
def test_workers_that_die_lose_nothing(
    tmp_path: Path, pool: Callable[[Tree, int], Processes], deaths: int
) -> None:  # fmt: skip
    poison = Tree(11, poison=bytes(ALL.packed[700][:6]), deaths=deaths, notes=str(tmp_path))
    found = distribute(poison, pool=pool(poison, 2), full=100)
    assert len(list(tmp_path.iterdir())) == deaths
    assert same(found, ALL)
    assert "died" in found.notes[0]


def test_a_task_that_kills_every_worker_is_given_up(
    tmp_path: Path, pool: Callable[[Tree, int], Processes]
) -> None:  # fmt: skip
    poison = Tree(11, poison=bytes(ALL.packed[700][:6]), deaths=1000, notes=str(tmp_path))
    found = distribute(poison, pool=pool(poison, 2), full=20)
    assert not found.complete
    assert len(list(tmp_path.iterdir())) == 3
    assert any("given up" in note for note in found.notes)
    rest = distribute(TREE, tasks=[Task(name) for name in found.left])
    assert rest.count + found.count == len(ALL)
    assert found.count > len(ALL) / 2


def test_what_fails_in_a_worker_is_told(pool: Callable[[Tree, int], Processes]) -> None:
    with pytest.raises(ValueError, match="out of luck"):
        distribute(Tree(broken=True), pool=pool(Tree(broken=True), 1))
    with pytest.raises(ValueError, match="out of luck"):
        distribute(Tree(broken=True))


class Unwilling:
    """Cannot be unpickled, so that no worker comes up."""

    def __reduce__(self) -> tuple[type[int], tuple[str]]:
        return int, ("no number",)

    def run(self, task: bytes | None, *, limit: int, deadline: float | None = None) -> tuple[Cells, list[bytes]]:
        time.sleep(0.2)
        return ALL[:0], [b""]


def test_workers_that_do_not_start_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_copies", lambda: False)
    with pytest.raises(SplineGraphError, match="do not start"):
        distribute(Unwilling(), pool=Processes(Unwilling(), 1))


def test_a_copy_is_made_only_where_no_other_thread_can_hold_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_prepared", False)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    assert (starting.context().get_start_method() == "fork") == (sys.platform == "linux")
    with monkeypatch.context() as patch:
        patch.setattr(threading, "active_count", lambda: 2)
        assert starting.context().get_start_method() != "fork"
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_initialized", lambda: True)
        assert starting.context().get_start_method() != "fork"
    with monkeypatch.context() as patch:
        patch.setattr(multiprocessing, "get_start_method", lambda allow_none: "spawn")
        assert starting.context().get_start_method() != "fork"


def test_a_start_hides_the_main_module_from_its_own_processes_alone() -> None:
    main, told = vars(sys.modules["__main__"]).copy(), spawn.get_preparation_data

    def told_elsewhere() -> set[str]:
        with ThreadPoolExecutor(1) as thread:
            return set(thread.submit(spawn.get_preparation_data, "a").result())

    everything = set(told("a"))
    with starting.started(copied=False):
        assert {name for name in spawn.get_preparation_data("a") if name.startswith("init_main")} == set()
        assert told_elsewhere() == everything
        assert vars(sys.modules["__main__"]) == main
    assert spawn.get_preparation_data is told


SCRIPT = """
import sys, threading
from splinegraph.analyses.regions.scale import processes
from tests.analyses.regions.scale.tree import Tree
print("begun", flush=True)
threading.Thread(target=threading.Event().wait, daemon=True).start()
pool = processes.Processes(Tree(3), 2)
while sys.argv[1] == "wait" and not pool._begun:
    pool.wait(0.1)
pool.close()
print(len(__file__) > 0, __spec__, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["wait", "go on"])
def test_a_script_needs_no_guard_and_stays_what_it_is(tmp_path: Path, how: str) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), how]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[4])}
    result = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "begun\nTrue None\n", "")


UNWANTED = """
import multiprocessing
from splinegraph.analyses.regions.scale.worker import serve
mine, theirs = multiprocessing.Pipe()
mine.close()
serve(theirs, None)
"""


def test_a_worker_that_nobody_wants_any_more_ends_quietly() -> None:
    result = subprocess.run([sys.executable, "-c", UNWANTED], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_all_workers_that_die_at_once_are_replaced(pool: Callable[[Tree, int], Processes]) -> None:
    slow = Tree(11, slow=0.005)
    workers, killed = pool(slow, 2), []

    def kill(tick: Tick) -> None:
        if tick.cells > 300 and not killed:
            killed.extend(slot._process for slot in workers._slots)
            for process in killed:
                process.kill()

    found = distribute(slow, pool=workers, full=50, progress=kill)
    assert len(killed) == 2
    assert found.complete
    assert same(found, ALL)


def test_here_is_a_pool_of_one() -> None:
    here = Here(TREE)
    assert (here.workers, here.free) == (1, 1)
    assert here.wait(0.0) == []
