"""What the reconstruction adds to a training step: ratios of one run, on CPU.

    python -m benchmarks.training [--networks small-cnn-mean ...] [--batch 64] [--repeat 10] [--threads 1]

A step is forward, loss, backward and Adam. The supervised step, the one with R by the explicit inverse and the one
with R by a double backward take turns on the same network, batch and memory layout; the figures are minima of the
processor's time.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.training_steps import Case, measure

NETWORKS = ("small-cnn-mean", "small-cnn-max", "resnet2-32-mean")


def add_row(table: Table, case: Case, repeat: int) -> dict[str, float | str]:
    """Measure a case and add it to the table."""
    found = measure(case, repeat)
    base, ours, double = (found[way] for way in ("supervised", "explicit", "double backward"))
    assert isinstance(base, float)
    assert isinstance(ours, float)
    refused = isinstance(double, str)
    table.add_row(
        case.network, case.label, f"{1e3 * base:.1f}", f"{ours / base:.2f}",
        double if isinstance(double, str) else f"{double / base:.2f}",
        "" if refused else f"{double / ours:.2f}",  # type: ignore[operator]
        f"{case.batch / ours:,.0f}",
    )  # fmt: skip
    return found


def new_table(title: str) -> Table:
    """Return an empty table."""
    table = Table(title=title)
    names = ("network", "layout", "supervised, ms", "with R / supervised", "double / supervised", "double / with R")
    for column in (*names, "images per second with R"):
        table.add_column(column, justify="left" if column in ("network", "layout") else "right")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    table = new_table(f"torch {torch.__version__}, {options.threads} thread(s), batch {options.batch}, CPU")
    for name in options.networks:
        for channels_last in (True, False):
            add_row(table, Case(name, options.batch, channels_last=channels_last), options.repeat)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
