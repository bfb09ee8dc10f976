"""Cells per CPU second and peak memory of the enumeration of regions: ours, and whichever peers are installed.

    python -m benchmarks.regions [--nets 2-64x3-1 ...] [--peers regioncam ...] [--peers-path DIR ...] [--repeat 3]
                                 [--json FILE] [--growth FILE.png] [--timeout 120]

Every measurement is a process of its own on the same core, with compiled code warm; the programs take turns, and the
figures are medians of CPU seconds, so that noise of the machine hits all of them. `--nets plane`, `space` or `small`
stand for the networks with two inputs, with more, and for those that are done in seconds; any other name such as
5-20-20-1 is a dense network. Folders with peers that are not on the path are named with --peers-path.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.regions_nets import CASES, PLANE, SPACE
from benchmarks.regions_peers import OURS, PEERS, add_paths, why_not

GROUPS = {
    "plane": [name for name in CASES if name not in SPACE],
    "space": list(SPACE),
    "small": ["2-16-16-1", "2-32x3-1", "3-16-16-1", "4-16-16-1"],
    "all": list(CASES),
}

Row = dict[str, Any]


def machine() -> Row:
    """Return what the figures depend on."""
    import numba
    import numpy

    info = Path("/proc/cpuinfo")
    models = (
        [x.partition(":")[2].strip() for x in info.read_text().splitlines() if x.startswith("model name")]
        if info.is_file()
        else []
    )
    return {
        "processor": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numba": numba.__version__,
        "numpy": numpy.__version__,
    }


def call(name: str, method: str, folders: Sequence[str], timeout: float, runs: int) -> Row:
    """Measure one program on one case, in a process pinned to one core."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.regions_worker", name, method, str(runs), *folders]
    core = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None

    def pin() -> None:
        if core is not None:
            os.sched_setaffinity(0, {core})

    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    try:
        out = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=timeout, preexec_fn=pin, check=False
        )
    except subprocess.TimeoutExpired:
        return {"note": f"over {timeout:.0f} s"}
    if out.returncode:
        lines = out.stderr.strip().splitlines()
        return {"note": "failed: " + (lines[-1] if lines else f"exit code {out.returncode}")[:120]}
    row: Row = json.loads(out.stdout.strip().splitlines()[-1])
    return row


def measure(
    name: str, methods: Sequence[str], folders: Sequence[str], repeat: int, timeout: float, runs: int = 3
) -> dict[str, Row]:
    """Return for each program the cells that it finds of one network, CPU seconds of each run, and memory."""
    rows: dict[str, Row] = {}
    for turn in range(repeat):
        for method in methods:
            known = rows.get(method)
            if known is not None and "note" in known:
                continue
            row = call(name, method, folders, timeout, runs)
            if known is None or "note" in row:
                rows[method] = row
            else:
                known["seconds"] += row["seconds"]
                for key in ("peak_mib", "grown_mib"):
                    known[key] = max(known[key], row[key])
            said = row.get("note") or f"{row['cells']} cells, {min(row['seconds']):.4f} s"
            print(f"  {name}, {method}, turn {turn + 1}: {said}", file=sys.stderr, flush=True)
    for row in rows.values():
        if "seconds" in row:
            row["median"] = statistics.median(row["seconds"])
            cells = row["cells"] or rows.get("ours", {}).get("cells")
            row["expected"] = {**PLANE, **SPACE}.get(name)
            if cells:
                row["rate"], row["bytes_per_cell"] = cells / row["median"], row["grown_mib"] * 2**20 / cells
    return rows


def show(table: dict[str, dict[str, Row]], methods: Sequence[str], console: Console) -> None:
    """Print cells per CPU second, ratios to the best peer, and memory."""
    rates = Table(title="cells per CPU second (ratio of ours to the best peer last)")
    memory = Table(title="peak memory in MiB, of that beyond the imports in brackets")
    for column in ("network", "cells", *methods, "ratio"):
        rates.add_column(column, justify="left" if column == "network" else "right")
    for column in ("network", *methods):
        memory.add_column(column, justify="left" if column == "network" else "right")
    for name, rows in table.items():
        cells = sorted({row["cells"] for row in rows.values() if row.get("cells")})
        peers = [row["rate"] for key, row in rows.items() if key not in OURS and row.get("rate", math.nan) > 0]
        mine = rows.get("ours", {}).get("rate", math.nan)
        ratio = f"{mine / max(peers):.2f}" if peers else ""
        shown = [
            f"{row['rate']:,.0f}" if "rate" in row else row.get("note", "")
            for row in (rows.get(m, {}) for m in methods)
        ]
        rates.add_row(name, " / ".join(f"{n:,}" for n in cells), *shown, ratio)
        used = [
            f"{r['peak_mib']:.0f} ({r['grown_mib']:.0f})" if "rate" in r else ""
            for r in (rows.get(m, {}) for m in methods)
        ]
        memory.add_row(name, *used)
    console.print(rates)
    console.print(memory)
    for name, rows in table.items():
        for method, row in rows.items():
            if row.get("cells") and row.get("expected") not in (None, row["cells"]):
                console.print(f"{name}: {method} finds {row['cells']} cells, {row['expected']} are known")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", default=["all"])
    parser.add_argument("--peers", nargs="*", default=list(PEERS))
    parser.add_argument("--peers-path", nargs="*", default=[])
    parser.add_argument("--repeat", type=int, default=3, help="processes per figure; each runs three times")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds per process")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--growth", type=Path, help="plot how cells and time grow, into this PNG")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.peers) - set(PEERS))
    if unknown:
        parser.error(f"no peer {unknown[0]!r}; there are {', '.join(PEERS)}")
    add_paths(options.peers_path)
    console = Console(width=200)
    reasons = {name: why_not(name) for name in options.peers}
    methods = [*OURS, *(name for name, reason in reasons.items() if reason is None)]
    for name, reason in reasons.items():
        if reason is not None:
            console.print(f"{name}: {reason}")
    nets = list(dict.fromkeys(net for given in options.nets for net in GROUPS.get(given, [given])))
    facts = machine()
    table: dict[str, dict[str, Row]] = {}
    result: Row = {"machine": facts, "repeat": options.repeat, "peers": reasons, "results": table}
    try:
        for net in nets:
            table[net] = measure(net, methods, options.peers_path, options.repeat, options.timeout)
            save(result, options.json)
    except KeyboardInterrupt:
        console.print("interrupted: the networks that were done")
    show(table, methods, console)
    if options.growth is not None:
        from benchmarks.regions_growth import growth

        result["growth"] = growth(options.growth, options.timeout)
    save(result, options.json)


def save(result: Row, path: Path | None) -> None:
    """Write the figures so far."""
    if path is not None:
        path.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
