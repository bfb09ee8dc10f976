"""Does a flat minimum go with a smooth function? Sharpness, smoothness and the gap of accuracy of many networks.

    python -m benchmarks.sharpness [--seeds 2] [--out DIR]
    python -m benchmarks.sharpness --quick

The paper (section 4.1) takes flat minima for a property of generalization, and a smooth spline for the same.
Networks of all combinations of width, batch size, weight decay and number of steps are trained on 500 digits; the
rank correlations (Kendall's tau-b) between the measures have intervals from resampled networks. DIR/sharpness.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional as F

import splinegraph as sg
from benchmarks.regions import machine
from splinegraph.analyses.templates.ranking import rank_agreement
from splinegraph.core.files import make_folder, write_json

__all__ = ["main", "tau"]

RESULTS = Path(__file__).parent / "results"
TRAINED = 500
MEASURES = ("rise", "curvature", "smoothness", "gap")


@dataclass(frozen=True)
class Row:
    """One trained network and its measures."""

    width: int
    batch: int
    decay: float
    steps: int
    seed: int
    train: float
    held_out: float
    gap: float
    rise: float
    curvature: float
    smoothness: float


def ways(quick: bool) -> Iterator[tuple[int, int, float, int]]:
    """Yield width, batch size, weight decay and steps of every network."""
    if quick:
        return itertools.product((16,), (16, 250), (0.0,), (20, 60))
    return itertools.product((32, 128), (16, 250), (0.0, 0.3), (300, 2000))


def trained(x: Tensor, y: Tensor, width: int, batch: int, decay: float, steps: int, seed: int) -> nn.Module:
    """Train a rectifier network of two hidden layers with AdamW."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
    )  # fmt: skip
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=decay)
    for _ in range(steps):
        rows = torch.randint(len(x), (batch,))
        optimizer.zero_grad()
        F.cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()
    return net.eval()


def measured(way: tuple[int, int, float, int], seed: int) -> Row:
    """Train one network and measure it."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    x = torch.from_numpy(data.data[order] / 16).float()
    y = torch.from_numpy(data.target[order]).long()
    graph = sg.trace(trained(x[:TRAINED], y[:TRAINED], *way, seed), x[:1])
    gap = sg.generalization_gap(graph, (x[:TRAINED], y[:TRAINED]), (x[TRAINED:], y[TRAINED:]))
    sharp = sg.sharpness(graph, x[:TRAINED], y[:TRAINED], draws=10, steps=20)
    smooth = sg.smoothness(graph, x[:TRAINED], pairs=100)
    return Row(
        *way, seed, gap.train, gap.held_out, gap.gap, sharp.mean, float(sharp.curvature or 0.0), smooth.rate
    )  # fmt: skip


def tau(first: Sequence[float], second: Sequence[float]) -> dict[str, float | None]:
    """Return Kendall's tau-b, and the interval that holds it in 95 % of resampled sets of networks, if it has one."""
    found = rank_agreement(first, second)
    return {"tau": found.tau, "low": found.low, "high": found.high}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--quick", action="store_true", help="four small networks, nothing written")
    options = parser.parse_args(arguments)
    console, started, rows = Console(), time.process_time(), []
    for way, seed in itertools.product(ways(options.quick), range(1 if options.quick else options.seeds)):
        rows.append(measured(way, seed))
        console.print(rows[-1], highlight=False)
    pairs = list(itertools.combinations(MEASURES, 2))
    found = {f"{a}, {b}": tau([getattr(r, a) for r in rows], [getattr(r, b) for r in rows]) for a, b in pairs}
    table = Table(title=f"Kendall's tau-b over {len(rows)} networks")
    for heading in ("between", "tau", "95 % interval"):
        table.add_column(heading)
    for name, row in found.items():
        ends = "none" if row["low"] is None else f"{row['low']:+.2f} to {row['high']:+.2f}"
        table.add_row(name, "none" if row["tau"] is None else f"{row['tau']:+.2f}", ends)
    console.print(table)
    told: dict[str, Any] = {
        "command": shlex.join(["python", "-m", "benchmarks.sharpness", *sys.argv[1:]]), "machine": machine(),
        "cpu_seconds": round(time.process_time() - started, 1), "correlations": found,
        "networks": [dataclasses.asdict(row) for row in rows],
    }  # fmt: skip
    if not options.quick:
        print("wrote", write_json(told, make_folder(options.out) / "sharpness.json"))


if __name__ == "__main__":
    main()
