"""Distances between the codes of 1000 images, all layers of a network, beside other ways to get them.

    python -m benchmarks.separation [--network small-cnn-mean] [--samples 1000] [--repeat 3]
    python -m benchmarks.separation --sweep        # depth and width on digits, a minute
    python -m benchmarks.separation --quick

MNIST is the .npz that SPLINEGRAPH_MNIST names; without it images are random, which says so. CPU seconds, the least of
the repeats, one thread each: set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import splinegraph as sg
from benchmarks.regions import machine
from splinegraph.analyses.separation.frobenius import differing
from splinegraph.training import topology

__all__ = ["main", "measured", "trained"]

PAIRS = 300
"""Pairs that the loop over pairs is timed on; the rest is scaled."""

FEW = 100
"""Samples that other slow ways are timed on."""


def least(function: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """Return the least CPU time of some calls, and the last result."""
    times, result = [], None
    for _ in range(repeat):
        before = time.process_time()
        result = function()
        times.append(time.process_time() - before)
    return min(times), result


def images(count: int) -> tuple[Tensor, str]:
    """Return MNIST's test images, or random ones, and which."""
    path = os.environ.get("SPLINEGRAPH_MNIST")
    if path is None:
        return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(0)), "random images"
    with np.load(path) as held:
        return torch.from_numpy(held["x_test"][:count]).reshape(-1, 1, 28, 28).float() / 255, "MNIST"


def measured(network: str, samples: int, repeat: int) -> list[dict[str, Any]]:
    """Return CPU seconds of ways to the same matrices, all layers together."""
    X, data = images(samples)
    torch.manual_seed(0)
    graph = sg.trace(topology(network).eval(), X[:1])
    forward, found = least(lambda: sg.codes(graph, X, dtype=None), 1)
    sg.separation(graph, X[:8], dtype=None)  # compiles
    whole, result = least(lambda: sg.separation(graph, X, dtype=None), 1)
    bits = {layer.name: found.unpack(layer.name).flatten(1) for layer in found.layers}
    expected = [layer.hamming for layer in result]

    def loop() -> None:
        pairs = itertools.islice(itertools.combinations(range(samples), 2), PAIRS)
        for i, j in pairs:
            for code in bits.values():
                torch.count_nonzero(code[i] != code[j])

    def product(dtype: torch.dtype) -> list[Tensor]:
        made = []
        for code in bits.values():
            on = code.to(dtype)
            common = torch._int_mm(on, on.T) if dtype == torch.int8 else on @ on.T
            made.append(common.diagonal()[:, None] + common.diagonal() - 2 * common)
        return made

    few, scale = found[:FEW], max(1.0, samples / FEW) ** 2
    floats = {name: code.float() for name, code in bits.items()}

    def distances() -> list[Tensor]:
        return [torch.cdist(f[:FEW], f[:FEW], p=0) for f in floats.values()]

    all_pairs = samples * (samples - 1) / 2
    rows: list[dict[str, Any]] = [
        {"way": f"codes: a forward pass, {data}", "seconds": forward},
        {"way": "sg.separation, forward pass included", "seconds": whole},
        {
            "way": "packed codes, counted",
            "seconds": least(lambda: [differing(found, x) for x in found.layers], repeat)[0],
        },
        {"way": "loop over pairs, scaled", "seconds": least(loop, 1)[0] * all_pairs / min(PAIRS, all_pairs)},
        {"way": "packed codes, numpy, scaled", "seconds": least(lambda: few.hamming(), 1)[0] * scale},
        {"way": "torch.cdist(p=0), scaled", "seconds": least(distances, 1)[0] * scale},
    ]
    for dtype, ways in ((torch.float32, "float32"), (torch.int8, "int8")):
        seconds, made = least(lambda dtype=dtype: product(dtype), repeat)
        assert all((a.numpy() == b).all() for a, b in zip(made, expected, strict=True)), ways
        rows.append({"way": f"product of {ways} matrices", "seconds": seconds})
    seconds = least(lambda: [f @ f.T for f in floats.values()], repeat)[0]
    return [*rows, {"way": "the product alone, float32: the limit of a matmul", "seconds": seconds}]


def trained(depth: int, width: int, steps: int) -> Callable[[int], sg.SplineGraph]:
    """Return a maker of ReLU networks trained on the first 180 digits."""
    X, y = digits()

    def make(seed: int) -> sg.SplineGraph:
        torch.manual_seed(seed)
        sizes = [64] + [width] * depth
        hidden = [layer for a, b in itertools.pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
        model = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(width, 10))
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(model(X[:180]), y[:180]).backward()
            optimizer.step()
        return sg.trace(model.eval(), X[:1])

    return make


def digits() -> tuple[Tensor, Tensor]:
    """Return the example's 360 digits."""
    with np.load("examples/digits.npz") as held:
        return torch.from_numpy(held["x"]).float(), torch.from_numpy(held["y"]).long()


def sweep(depths: Sequence[int], widths: Sequence[int], seeds: Sequence[int]) -> None:
    """Print where classes separate on digits not trained on, at initialization and after training."""
    X, y = digits()
    for name, steps in (("untrained", 0), ("trained", 150)):
        makers = {(d, w): trained(d, w, steps) for d in depths for w in widths}
        found = sg.separation_sweep(makers, X[180:], y[180:], seeds=seeds, share=0.85)
        print(f"{name}: {found!r}")
        for depth, width in makers:
            rows = [row for row in found.rows if (row.depth, row.width) == (depth, width)]
            purity = np.mean([[p or 0.0 for p in row.purity] for row in rows], axis=0)
            told = " ".join(f"{p:.2f}" for p in purity)
            print(f"  depth {depth} width {width:4d}: purity {told}; separated in {[r.separated for r in rows]}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="small-cnn-mean")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--sweep", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(machine())
    if options.sweep:
        sweep(*(((1, 2), (16,), (0,)) if options.quick else ((1, 2, 4), (16, 64, 256), (0, 1, 2))))
        return
    for row in measured(options.network, 40 if options.quick else options.samples, options.repeat):
        print(f"{row['way']:52s} {row['seconds']:9.3f} s")


if __name__ == "__main__":
    main()
