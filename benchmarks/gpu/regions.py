"""The mesh and sampling on a GPU, beside ours on the CPU and beside edge subdivision on the same GPU.

    python -m benchmarks.gpu.regions [--nets 2-64x3-1 ...] [--peers-path DIR ...] [--repeat 5] [--device cuda]

Seconds on the clock, after warming up, minimum of the repetitions; `--device cpu` runs the same code without a GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.regions_nets import Case, case
from benchmarks.regions_peers import add_paths, why_not
from splinegraph.analyses.regions.cells import code_layers
from splinegraph.analyses.regions.mesh.mesh import mesh
from splinegraph.analyses.regions.mesh_torch.mesh import mesh_torch
from splinegraph.analyses.regions.sampling.sample import sample_regions
from splinegraph.core.domains.chart import chart_of

NETS = ("2-64x3-1", "2-128x3-10", "2-256x4-10", "plane 784-256x3-10")


def seconds(function: Callable[[], object], device: torch.device, repeat: int) -> float:
    """Return the least time of a call, on the clock."""
    best = float("inf")
    for turn in range(repeat + 1):
        _wait(device)
        start = time.perf_counter()
        function()
        _wait(device)
        if turn:  # the first one warms up
            best = min(best, time.perf_counter() - start)
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def products(case: Case, points: int, device: torch.device) -> Callable[[], object]:
    """Return what computes the linear layers alone, at as many points as there are cells: what no method can beat."""
    assert case.weights is not None
    weights = [(w.to(device), b.to(device)) for w, b in case.weights]
    start = torch.rand(points, case.dim, dtype=torch.float64, device=device)

    def run() -> object:
        x = start
        for weight, bias in weights:
            x = torch.addmm(bias, x, weight.T).clamp(min=0)
        return x

    return run


def edge_subdivision(case: Case, device: torch.device) -> Callable[[], object]:
    """Berzins' program, neuron by neuron, in float32, on the device."""
    import edge_subdivision as peer
    from NN import Net

    assert case.weights is not None
    hidden = case.weights[:-1]
    net = Net([case.dim, *(len(b) for _, b in hidden)])
    for layer, (weight, bias) in zip(net.fcs, hidden, strict=True):
        layer.weight.data, layer.bias.data = weight.float(), bias.float()

    def run() -> object:
        with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
            return peer.skeletal_subdivision(net, bbox=(-1, 1), device=device, verbose=False)

    return run


def meshes(names: Sequence[str], device: torch.device, repeat: int, console: Console) -> None:
    """Print times of the mesh, after checking that its cells are those of the CPU."""
    reason = why_not("edge subdivision")
    table = Table(title="mesh: seconds")
    for column in (
        "network",
        "cells",
        device.type,
        "CPU",
        "edge subdivision",
        "products alone",
        "CPU / this",
        "peer / this",
    ):
        table.add_column(column, justify="left" if column == "network" else "right")
    for name in names:
        chosen = case(name)
        graph = chosen.graph()
        chart, layers = chart_of(graph, chosen.domain), code_layers(graph)
        here, there = mesh_torch(graph, chart, layers=layers, device=device), mesh(graph, chart, layers=layers)
        same = {row.tobytes() for row in here.cells.packed} == {row.tobytes() for row in there.cells.packed}
        assert same, f"{name}: the cells are not those of the CPU"
        on = seconds(lambda: mesh_torch(graph, chart, layers=layers, device=device), device, repeat)  # noqa: B023
        off = seconds(lambda: mesh(graph, chart, layers=layers), device, repeat)  # noqa: B023
        peer = seconds(edge_subdivision(chosen, device), device, 1) if reason is None and chosen.weights else None
        alone = seconds(products(chosen, len(here.cells), device), device, repeat) if chosen.weights else None
        times = [f"{t:.4f}" if t is not None else "" for t in (on, off, peer, alone)]
        table.add_row(name, f"{len(here.cells):,}", *times, f"{off / on:.2f}", f"{peer / on:.2f}" if peer else "")
    if reason is not None:
        console.print(f"edge subdivision: {reason}")
    console.print(table)


def sampling(names: Sequence[str], device: torch.device, points: int, repeat: int, console: Console) -> None:
    """Print points per second: ours on the device, ours on the CPU, plain torch with packed signs on the device."""
    table = Table(title=f"sampling of {points:,} points: points per second")
    for column in ("network", device.type, "CPU", "plain torch + packbits", "this / CPU", "this / plain"):
        table.add_column(column, justify="left" if column == "network" else "right")
    for name in names:
        chosen = case(name)
        if chosen.weights is None:
            continue
        graph, box = chosen.graph(), chosen.domain
        on = seconds(lambda: sample_regions(graph, box, n=points, device=device), device, repeat)  # noqa: B023
        off = seconds(lambda: sample_regions(graph, box, n=points), device, repeat)  # noqa: B023
        plain = seconds(lambda: plain_sampling(chosen, points, device), device, repeat)  # noqa: B023
        rates = [f"{points / t:,.0f}" for t in (on, off, plain)]
        table.add_row(name, *rates, f"{off / on:.2f}", f"{plain / on:.2f}")
    console.print(table)


def plain_sampling(case: Case, points: int, device: torch.device, batch: int = 2**17) -> int:
    """Count distinct sign patterns as one would without this package."""
    assert case.weights is not None
    weights = [(w.to(device), b.to(device)) for w, b in case.weights[:-1]]
    packed = []
    for start in range(0, points, batch):
        x = 2 * torch.rand(min(batch, points - start), case.dim, dtype=torch.float64, device=device) - 1
        signs = []
        for weight, bias in weights:
            z = torch.addmm(bias, x, weight.T)
            signs.append(z > 0)
            x = z.clamp(min=0)
        packed.append(np.packbits(torch.cat(signs, 1).cpu().numpy(), axis=1))
    rows = np.concatenate(packed)
    return len(np.unique(rows.view(np.dtype((np.void, rows.shape[1])))))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", nargs="+", default=list(NETS))
    parser.add_argument("--peers-path", nargs="*", default=[])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("not measured: no CUDA device")
        return
    add_paths(options.peers_path)
    console = Console(width=160)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    console.print(f"{name}, torch {torch.__version__}, float64, CPU with {torch.get_num_threads()} thread(s)")
    meshes(options.nets, device, options.repeat, console)
    sampling(options.nets, device, options.points, max(1, options.repeat // 2), console)


if __name__ == "__main__":
    main()
