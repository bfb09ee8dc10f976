"""A folder to go on from: after an interrupt, a kill and a full disk, and never with something else."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from splinegraph.analyses.regions.cells import STALLED, Cells
from splinegraph.analyses.regions.scale import store as stores
from splinegraph.analyses.regions.scale.distribute import Tick, distribute
from splinegraph.analyses.regions.scale.rows import read_rows, write_rows
from splinegraph.analyses.regions.scale.store import Folder
from splinegraph.errors import DataError
from tests.analyses.regions.scale.tree import Tree

TREE = Tree(11)
ALL = TREE.run(None, limit=10**9)[0]
WHO = {"model": "a", "domain": "b"}
ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize("width", [0, 1, 9])
@pytest.mark.parametrize("dim", [1, 3])
def test_rows_come_back(tmp_path: Path, width: int, dim: int) -> None:
    draw = np.random.default_rng(0)
    cells = Cells(draw.integers(0, 256, (5, width), np.uint8), draw.normal(size=(5, dim)), draw.normal(size=5))
    cells.radii[2] = np.nan
    write_rows(cells, tmp_path / "a.parquet")
    back = read_rows(tmp_path / "a.parquet")
    for name in ("packed", "points", "radii"):
        assert np.array_equal(getattr(back, name), getattr(cells, name), equal_nan=name != "packed")
        assert getattr(back, name).dtype == getattr(cells, name).dtype


def _interrupt(tick: Tick) -> None:
    if tick.cells > 400:
        raise KeyboardInterrupt


def test_a_folder_is_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "EVERY", 0.0)
    folder = Folder(tmp_path / "parts", WHO, resume=False)
    first = distribute(TREE, store=folder, full=50, progress=_interrupt)
    assert first.interrupted
    again = Folder(tmp_path / "parts", WHO, resume=True)
    found = distribute(TREE, store=again, tasks=again.began, full=50)
    assert found.complete
    have = found.cells
    assert have is not None
    assert np.array_equal(have.packed, ALL.packed)
    once_more = Folder(tmp_path / "parts", WHO, resume=True)
    assert distribute(TREE, store=once_more, tasks=once_more.began).count == len(ALL)
    again.discard()
    assert not (tmp_path / "parts").exists()


class Stalling(Tree):
    """Says of its first cells that others may be missing."""

    def run(self, task: bytes | None, *, limit: int, deadline: float | None = None) -> tuple[Cells, list[bytes]]:
        cells, left = super().run(task, limit=limit, deadline=deadline)
        return dataclasses.replace(cells, sound=task is not None), left


def test_a_stall_is_not_forgotten(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "parts", WHO, resume=False)
    some = distribute(Stalling(11), store=folder, limit=300, full=100)
    assert STALLED in some.notes
    for _ in range(2):
        again = Folder(tmp_path / "parts", WHO, resume=True)
        found = distribute(TREE, store=again, tasks=again.began, full=100)
        assert (found.left, found.complete, found.notes) == ((), False, (STALLED,))


def test_a_limit_in_a_folder(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "parts", WHO, resume=False)
    some = distribute(TREE, store=folder, limit=777, full=100)
    have = some.cells
    assert have is not None
    assert np.array_equal(have.packed, ALL.packed[:777])
    again = Folder(tmp_path / "parts", WHO, resume=True)
    found = distribute(TREE, store=again, tasks=again.began, full=100).cells
    assert found is not None
    assert np.array_equal(found.packed, ALL.packed)


KILLED = """
import sys, time
from pathlib import Path
from splinegraph.analyses.regions.scale import store
from splinegraph.analyses.regions.scale.distribute import distribute
from tests.analyses.regions.scale.tree import Tree
store.EVERY = 0.0
def tell(tick):
    print(tick.cells, flush=True)
folder = store.Folder(Path(sys.argv[1]), {"model": "a", "domain": "b"}, resume=False)
distribute(Tree(11, slow=0.02), store=folder, full=50, progress=tell)
"""


@pytest.mark.slow
def test_a_kill_loses_nothing_that_was_saved(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "parts")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) > 300:
                break
        os.kill(process.pid, signal.SIGKILL)
    (tmp_path / "parts" / "part-000999.parquet").write_bytes(b"half")  # written, but in no snapshot
    (tmp_path / "parts" / ".part-001000.parquet.ab.partial").write_bytes(b"half")
    folder = Folder(tmp_path / "parts", WHO, resume=True)
    assert sum(task.count for task in folder.began) > 300
    assert not (tmp_path / "parts" / "part-000999.parquet").exists()
    found = distribute(TREE, store=folder, tasks=folder.began).cells
    assert found is not None
    assert np.array_equal(found.packed, ALL.packed)
    assert not list((tmp_path / "parts").glob(".*"))


@pytest.mark.parametrize("file", ["part", "frontier"])
def test_a_full_disk_leaves_a_consistent_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    monkeypatch.setattr(stores, "EVERY", 0.0)
    written = {"part": 0, "frontier": 0}
    fsync = os.fsync

    def full(descriptor: int) -> None:
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        kind = "part" if "/.part-" in name else "frontier"
        written[kind] += 1
        if kind == file and written[kind] == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    folder = Folder(tmp_path / "parts", WHO, resume=False)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DataError, match="No space left on device; free some space"):
            distribute(TREE, store=folder, full=50)
    again = Folder(tmp_path / "parts", WHO, resume=True)
    assert 0 < sum(task.count for task in again.began) < len(ALL)
    found = distribute(TREE, store=again, tasks=again.began).cells
    assert found is not None
    assert np.array_equal(found.packed, ALL.packed)


def test_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds nothing to go on from"):
        Folder(tmp_path / "a" / "parts", WHO, resume=True)
    folder = Folder(tmp_path / "b" / "parts", WHO, resume=False)
    distribute(TREE, store=folder)
    with pytest.raises(DataError, match=r"regions of another domain: b there, c here"):
        Folder(tmp_path / "b" / "parts", {**WHO, "domain": "c"}, resume=True)
    held = json.loads(folder.snapshot.read_text())
    folder.snapshot.write_text(json.dumps({**held, "format": "splinegraph frontier 0"}))
    with pytest.raises(DataError, match="frontier 0"):
        Folder(tmp_path / "b" / "parts", WHO, resume=True)
    folder.snapshot.write_text("{")
    with pytest.raises(DataError, match="no JSON"):
        Folder(tmp_path / "b" / "parts", WHO, resume=True)
    folder.snapshot.write_text(json.dumps(held))
    folder.part(0).unlink()
    with pytest.raises(DataError, match="is missing"):
        Folder(tmp_path / "b" / "parts", WHO, resume=True)


def test_a_folder_begun_anew_forgets(tmp_path: Path) -> None:
    first = Folder(tmp_path / "parts", WHO, resume=False)
    distribute(TREE, store=first)
    second = Folder(tmp_path / "parts", WHO, resume=False)
    assert os.listdir(tmp_path / "parts") == []
    time.sleep(0)
    assert distribute(TREE, store=second, limit=5).count == 5
