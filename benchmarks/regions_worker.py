"""One program on one case in a process of its own: cells, CPU seconds, peak memory, as a line of JSON.

python -m benchmarks.regions_worker CASE PROGRAM RUNS [FOLDER ...]
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from pathlib import Path

import torch

from benchmarks.regions_nets import Case, case, dense, digits
from benchmarks.regions_peers import add_paths, program

LONG = 5.0
"""Seconds of a run after which it is not repeated."""

ENOUGH = 0.2
"""Seconds in all before which a run is repeated: a single one of a millisecond says little."""


def main() -> None:
    name, method, runs, *folders = sys.argv[1:]
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    add_paths(folders)
    print(json.dumps(measure(case(name), method, int(runs))))


def measure(chosen: Case, method: str, runs: int) -> dict[str, object]:
    """Return what one program needs for one case; CPU seconds of each run, compiled code warm."""
    run = program(method, chosen)
    if run is None:
        return {"note": "not supported"}
    _warm(chosen, method)
    before = peak()
    seconds, cells = [], None
    while len(seconds) < runs or sum(seconds) < ENOUGH:
        start = time.process_time()
        cells = run()
        seconds.append(time.process_time() - start)
        if seconds[-1] > LONG:
            break
    return {"cells": cells, "seconds": seconds, "peak_mib": peak(), "grown_mib": peak() - before}


def _warm(chosen: Case, method: str) -> None:
    """Run on something small of the same kind, so that everything is imported and compiled."""
    small = dense(f"{chosen.dim}-6-6-1") if chosen.weights else digits("small", _module(chosen), 0.01)
    run = program(method, small)
    assert run is not None
    for _ in range(2):
        run()


def _module(chosen: Case) -> str:
    """Return the example that a network was imported from."""
    return type(chosen.net).__module__.rpartition(".")[2]


def peak() -> float:
    """Return the largest resident set of this process so far, in MiB.

    Not `ru_maxrss`, which a process takes over from the one that started it; that only where there is no /proc.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
