"""A[x] of 64 inputs and 10 outputs: ours, vmap(jacrev), and C backward passes; and codes against a forward pass.

    python -m benchmarks.affine_maps [--repeat 7] [--threads 2]

Methods take turns in one process, so that noise of the machine hits all of them; the figures are minima.
Peak memory is measured in processes of their own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import jacrev, vmap

import splinegraph as sg
from benchmarks.models import MODELS, build

BATCH, OUTPUTS = 64, 10


def backward_passes(net: nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    y = net(x)
    rows = [torch.autograd.grad(y[:, c].sum(), x, retain_graph=c < OUTPUTS - 1)[0] for c in range(OUTPUTS)]
    return torch.stack(rows, 1)


def vmap_jacrev(net: nn.Module, x: Tensor) -> Tensor:
    return vmap(jacrev(lambda z: net(z[None])[0]))(x)


def methods(name: str) -> tuple[dict[str, Callable[[], object]], Tensor]:
    net = build(name)
    x = torch.rand(BATCH, 1, 28, 28)
    graph = sg.trace(net, x[:1])

    def ours() -> Tensor:
        with torch.no_grad():
            return sg.affine_map(graph, x, dtype=None).rows(range(OUTPUTS))

    def forward() -> Tensor:
        with torch.no_grad():
            return net(x)

    table: dict[str, Callable[[], object]] = {
        "ours": ours,
        "vmap(jacrev)": lambda: vmap_jacrev(net, x),
        "C backward": lambda: backward_passes(net, x),
        "codes": lambda: sg.codes(graph, x, dtype=None),
        "forward": forward,
    }
    return table, x


def timed(function: Callable[[], object]) -> float:
    """Return the seconds of one call, with caches warm from the same call (the methods take turns)."""
    function()
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def peak(name: str, method: str) -> float:
    """Return by how much the resident set grows at most while a method runs, in MiB (Linux).

    In a process of its own, after a warm call; the kernel's high-water mark is reset before.
    """
    code = (
        "import re, torch; from benchmarks.affine_maps import methods\n"
        f"torch.set_num_threads(1); table, _ = methods({name!r}); table[{method!r}]()\n"
        "status = lambda key: int(re.search(key + r':\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
        "open('/proc/self/clear_refs', 'w').write('5'); before = status('VmRSS')\n"
        f"kept = table[{method!r}]()\n"
        "print((status('VmHWM') - before) / 1024)"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "0"}  # give freed memory back, so that use shows
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(out.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-memory", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} thread(s), minimum of {options.repeat} runs, ms per input")
    for name in MODELS:
        table, _ = methods(name)
        reference = table["C backward"]()
        assert torch.allclose(table["ours"](), reference, atol=1e-4), "the methods disagree"  # type: ignore[arg-type]
        best = {key: float("inf") for key in table}
        for _ in range(options.repeat):
            for key, function in table.items():
                best[key] = min(best[key], timed(function))
        row = "  ".join(f"{key} {1e3 * value / BATCH:.4f}" for key, value in best.items())
        peer = min(best["vmap(jacrev)"], best["C backward"])
        print(f"{name}: {row}")
        print(
            f"    ours / faster peer {best['ours'] / peer:.2f}   codes / forward {best['codes'] / best['forward']:.2f}"
        )
        if not options.no_memory:
            memory = {key: peak(name, key) for key in ("ours", "vmap(jacrev)", "C backward")}
            row = "  ".join(f"{key} {value:.0f} MiB" for key, value in memory.items())
            peer_memory = min(memory["vmap(jacrev)"], memory["C backward"])
            print(f"    peak memory: {row}   ratio {memory['ours'] / max(peer_memory, 1.0):.2f}")


if __name__ == "__main__":
    main()
