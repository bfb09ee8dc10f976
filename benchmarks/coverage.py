"""How many real models are traced, equal to eager, and rightly called piecewise affine or not.

    python -m benchmarks.coverage [--packages FOLDER] [--only PATTERN] [--package NAME] [--jobs 1] [--results FILE]
                                  [--again failed|all] [--json FILE] [--list]

The models are a written list (`benchmarks/coverage_models`) with random weights. Each runs in a worker
process with a time limit and a memory cap, so that a crash loses that model only. Every answer is appended
to the results file at once; a run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import fnmatch
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.coverage_models import ENTRIES, Entry
from benchmarks.coverage_tables import line, passed, totals

RECYCLE = 25  # models after which a worker is replaced, so that leaks do not add up


class Worker:
    """A process that tries one model after the other."""

    def __init__(self, folders: list[str], memory: float) -> None:
        self.command = [sys.executable, "-W", "ignore", "-m", "benchmarks.coverage_worker", str(memory), *folders]
        self.process: subprocess.Popen[str] | None = None
        self.served = 0

    def run(self, entry: Entry, timeout: float) -> dict[str, Any]:
        """Return what became of one model, whatever becomes of the process."""
        if self.process is None or self.served >= RECYCLE:
            self.close()
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                env=environment,
            )  # fmt: skip
            self.served = 0
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.served += 1
        failed = {"name": entry.name, "expected": entry.exact, "stage": "trace", "traced": False, "equal": False}
        try:
            self.process.stdin.write(entry.name + "\n")
            self.process.stdin.flush()
            ready = bool(select.select([self.process.stdout], [], [], timeout)[0])
            answer = self.process.stdout.readline() if ready else ""
        except BrokenPipeError:
            ready, answer = True, ""
        if answer:
            row: dict[str, Any] = json.loads(answer)
            return row
        code = self.close()
        why = f"the worker died (exit status {code})" if ready else f"no answer in {timeout:.0f} s"
        return {**failed, "error": why}

    def close(self) -> int | None:
        """End the process and return its exit status."""
        if self.process is None:
            return None
        with self.process as process:  # closes the pipes
            if process.poll() is None:
                process.kill()
        self.process = None
        return process.returncode


def chosen(options: argparse.Namespace) -> list[Entry]:
    """Return the entries that the command line asks for."""
    found = [e for e in ENTRIES if options.package in (None, e.family, *e.packages)]
    if options.only:
        patterns = options.only.split(",")
        found = [e for e in found if any(fnmatch.fnmatch(e.name, p if "*" in p else f"*{p}*") for p in patterns)]
    return found


def stored(path: Path) -> dict[str, dict[str, Any]]:
    """Return the last answer for each model; a last line cut off by an interruption is ignored."""
    rows: dict[str, dict[str, Any]] = {}
    if path.exists():
        for text in path.read_text().splitlines():
            try:
                row = json.loads(text)
            except json.JSONDecodeError:
                continue
            rows[row["name"]] = row
    return rows


def measure(entries: Iterable[Entry], options: argparse.Namespace) -> None:
    """Try the entries, `jobs` at a time, printing and appending each answer."""
    local, lock, workers = threading.local(), threading.Lock(), list[Worker]()

    def one(entry: Entry) -> None:
        worker = getattr(local, "worker", None)
        if worker is None:
            worker = local.worker = Worker(options.packages, options.memory)
            workers.append(worker)
        row = worker.run(entry, options.timeout)
        with lock:
            print(line(row), flush=True)
            with options.results.open("a") as file:
                file.write(json.dumps(row) + "\n")

    try:
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for future in [pool.submit(one, entry) for entry in entries]:
                future.result()
    finally:
        for worker in workers:
            worker.close()


def main() -> None:
    """Run what is asked for and print the totals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", action="append", default=[], help="folder to append to the module search path")
    parser.add_argument("--only", help="names to try: comma-separated parts or patterns with *")
    parser.add_argument("--package", help="family or package to try, such as timm")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=300, help="seconds per model")
    parser.add_argument("--memory", type=float, default=12, help="GiB of address space per worker")
    parser.add_argument("--results", type=Path, default=Path("coverage.jsonl"), help="where answers are kept")
    parser.add_argument("--again", choices=("failed", "all"), help="try models anew that have an answer")
    parser.add_argument("--json", type=Path, help="write the answers and the totals there")
    parser.add_argument("--list", action="store_true", help="print the list and stop")
    options = parser.parse_args()
    entries = chosen(options)
    if options.list:
        print("\n".join(f"{e.name:50} {e.exact}" for e in entries))
        return
    marks = {e.name: {"expected": e.exact} for e in entries}  # the list's, which may be newer than the answers
    known = {name: row | marks[name] for name, row in stored(options.results).items() if name in marks}
    if options.again == "all":
        known = {}
    elif options.again == "failed":
        known = {name: row for name, row in known.items() if passed(row)}
    measure([e for e in entries if e.name not in known], options)
    known = stored(options.results)
    rows = [known[name] | mark for name, mark in marks.items() if name in known]
    print(totals(rows))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
