"""Tasks: branches of a search that wait, as bytes that another process can carry on from, bit by bit."""

from __future__ import annotations

import zlib

import numpy as np

from splinegraph.analyses.regions.search import state as st
from splinegraph.analyses.regions.search import tables as at
from splinegraph.analyses.regions.search.program import Program
from splinegraph.analyses.regions.search.state import State, grown
from splinegraph.errors import DataError

__all__ = ["load_task", "position", "split"]

MAGIC = b"SGT1"
HASH = 16
"""Bytes of the program's hash that a task carries."""

START = len(MAGIC) + HASH + 2


def position(task: bytes | None) -> bytes:
    """Return where a task's cells belong: sorted by position, cells come in the order of one single run."""
    if task is None:
        return b""
    length = int.from_bytes(task[START - 2 : START], "big")
    return task[START : START + length]


def split(state: State, program: Program, place: bytes) -> list[bytes]:
    """Return the branches on the stack as tasks, in the order in which one single run would do them."""
    if not state.s[st.DEPTH]:  # the hash takes longer than a small search
        return []
    head = MAGIC + bytes.fromhex(program.hash)[:HASH]
    tasks = []
    for number, depth in enumerate(reversed(range(int(state.s[st.DEPTH]))), start=1):
        mine = place + number.to_bytes(4, "big")
        tasks.append(head + len(mine).to_bytes(2, "big") + mine + _dump(state, program, depth))
    return tasks


def _dump(state: State, program: Program, depth: int) -> bytes:
    """Return one record with all that it depends on: the cuts and boxes on its path, and the codes so far."""
    from splinegraph.analyses.regions.search.kernels import stack

    begin = int(state.records[depth])
    last = depth + 1 == state.s[st.DEPTH]
    end = int(state.s[st.INTEGERS] if last else state.records[depth + 1])
    record = state.integers[begin:end].copy()
    layer, path, floats = int(record[stack.LAYER_]), int(record[stack.PATH_]), int(record[stack.FLOATS_])
    size = (program.dim + 2) * int(record[stack.C1_] - record[stack.F0_])
    record[stack.FLOATS_], record[stack.END_] = 0, end - begin
    units = _units(program, layer)
    sizes = np.array([layer, path, len(record), size], dtype=np.int64)
    parts = [sizes, record, state.code[:units]]
    numbers = [state.floats[floats : floats + size], state.rows[:path], state.box[: layer + 2]]
    return zlib.compress(b"".join(a.tobytes() for a in (*parts, *numbers)), 1)


def load_task(state: State, program: Program, task: bytes) -> State:
    """Return the state, fresh so far, with the task on its stack."""
    from splinegraph.analyses.regions.search.kernels.search import rebuild

    if task[:4] != MAGIC or task[4 : 4 + HASH] != bytes.fromhex(program.hash)[:HASH]:
        raise DataError(
            "this task is of another search", why="the weights, the domain or the version differ", remedy="start anew"
        )
    data = zlib.decompress(task[START + len(position(task)) :])
    layer, path, length, size = (int(v) for v in np.frombuffer(data, dtype=np.int64, count=4))
    units, dim = _units(program, layer), program.dim
    integers = np.frombuffer(data, dtype=np.int64, offset=32, count=length + units)
    numbers = np.frombuffer(data, dtype=np.float64, offset=32 + 8 * (length + units))
    columns = size // (dim + 2)
    for name, needed in (("columns", columns + dim), ("floats", size), ("integers", length), ("rows", path)):
        array = "R" if name == "columns" else name
        while getattr(state, array).shape[-1 if array == "R" else 0] < needed:
            state = grown(state, name)
    state.integers[:length], state.code[:units] = integers[:length], integers[length:]
    state.floats[:size], state.rows[:path] = numbers[:size], numbers[size : size + path * (dim + 1)].reshape(path, -1)
    state.box[: layer + 2] = numbers[size + path * (dim + 1) :].reshape(-1, 2, dim)
    s = state.s
    s[st.LAYER], s[st.DEPTH], s[st.INTEGERS], s[st.FLOATS], s[st.MODE] = layer, 1, length, size, st.POP
    rebuild(program.tables, state)
    return state


def _units(program: Program, layer: int) -> int:
    """Return the number of units up to a node."""
    node = program.tables.node[layer]
    return int(node[at.UNIT] + node[at.UNITS])
