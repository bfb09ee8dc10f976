"""The paths through a residual network: families by length and by block, beside one pass of the network's affine map.

    python -m benchmarks.paths [--blocks 5 10 20 40] [--channels 16] [--size 32] [--samples 1]

2^L paths run through L blocks. Path by path is what a search would do; it is tried up to 10 blocks.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import splinegraph as sg

__all__ = ["main", "network"]

SEARCHED = 10
"""Blocks up to which every path is followed by itself."""


class Block(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + 0.3 * self.second(self.first(x).relu())
        return found


def network(blocks: int, channels: int, size: int) -> sg.SplineGraph:
    """Return a residual classifier with random weights."""
    torch.manual_seed(0)
    body = [Block(channels) for _ in range(blocks)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)]
    net = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1), *body, *head).double().eval()
    return sg.trace(net, torch.zeros(1, 3, size, size, dtype=torch.float64))


def seconds(work: Callable[[], object]) -> float:
    """Return the processor's time for a second call."""
    work()
    started = time.process_time()
    work()
    return time.process_time() - started


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, nargs="+", default=[5, 10, 20, 40])
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--samples", type=int, default=1)
    options = parser.parse_args(arguments)
    table = Table(title="CPU seconds; error: largest |sum of the families - f(x)|, relative")
    for heading in ("blocks", "paths", "affine map", "by length", "by block", "path by path", "error", "counts"):
        table.add_column(heading, justify="right")
    for blocks in options.blocks:
        graph = network(blocks, options.channels, options.size)
        x = torch.randn(options.samples, 3, options.size, options.size, dtype=torch.float64)
        found = sg.paths(graph, x)
        binomial = [math.comb(blocks, j) for j in range(blocks + 1)]
        times = [
            seconds(lambda g=graph, v=x: sg.affine_map(g, v).matvec(v)),  # type: ignore[misc]
            seconds(lambda g=graph, v=x: sg.paths(g, v)),  # type: ignore[misc]
            seconds(lambda g=graph, v=x: sg.paths(g, v, by="block")),  # type: ignore[misc]
        ]
        each = ""
        if blocks <= SEARCHED:
            each = f"{seconds(lambda g=graph, v=x: sg.paths(g, v, by='subset')):.3f}"  # type: ignore[misc]
        total = found.contributions.sum(0)
        error = float((total - found.value).abs().max() / found.value.abs().max())
        table.add_row(
            str(blocks), f"{2**blocks:,}", *(f"{t:.3f}" for t in times), each,
            f"{error:.0e}", "C(L, j)" if list(found.counts) == binomial else "WRONG",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
