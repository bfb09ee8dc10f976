"""Programs that enumerate regions, ours and others': each a function from a case to the number of cells.

A program that is not there, or cannot run here, is None with the reason.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import splinegraph as sg
from benchmarks.regions_nets import Case

Program = Callable[[], int | None]
"""Runs once and returns the number of cells, None where the program does not say."""

OURS = ("ours", "ours, verified", "ours, torch")
PEERS = ("regioncam", "edge subdivision", "relucent", "SyReNN", "parx", "nnenum", "SplineCam")


def ours(case: Case, *, verify: bool) -> Program:
    graph = case.graph()
    return lambda: sg.enumerate_regions(graph, case.domain, verify="cheap" if verify else False).count


def ours_torch(case: Case) -> Program | None:
    """The mesh in torch alone, on the CPU."""
    from splinegraph.analyses.regions.cells import code_layers
    from splinegraph.analyses.regions.mesh_torch.mesh import mesh_torch
    from splinegraph.core.domains.chart import chart_of

    if case.dim != 2:
        return None
    graph = case.graph()
    chart, layers = chart_of(graph, case.domain), code_layers(graph)
    return lambda: len(mesh_torch(graph, chart, layers=layers).cells)


def regioncam(case: Case) -> Program | None:
    """Float32; the last linear layer, which cuts nothing, is left out."""
    if case.dim != 2 or case.weights is None:
        return None
    import regioncam as peer

    hidden = [(w.T.float().contiguous().numpy(), b.float().numpy()) for w, b in case.weights[:-1]]

    def run() -> int:
        camera = peer.Regioncam(size=1)
        for weight, bias in hidden:
            camera.linear(weight, bias)
            camera.relu()
        count: int = camera.num_faces
        return count

    return run


def edge_subdivision(case: Case) -> Program | None:
    """Float32, vertices and edges; cells follow from Euler's formula where D = 2. The last layer is left out."""
    if case.weights is None:
        return None
    import edge_subdivision as peer
    from NN import Net

    hidden = case.weights[:-1]
    net = Net([hidden[0][0].shape[1], *(len(b) for _, b in hidden)])
    for layer, (weight, bias) in zip(net.fcs, hidden, strict=True):
        layer.weight.data, layer.bias.data = weight.float(), bias.float()

    def run() -> int | None:
        with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
            vertices, edges, _ = peer.skeletal_subdivision(net, bbox=(-1, 1), device=torch.device("cpu"), verbose=False)
        return 1 - len(vertices) + len(edges) if case.dim == 2 else None

    return run


def relucent(case: Case) -> Program | None:
    """Breadth-first, clipped to the box, one process; with the linear programs of Gurobi."""
    if case.weights is None:
        return None
    import relucent as peer

    layers: list[nn.Module] = []
    for weight, bias in case.weights:
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.weight.data, layer.bias.data = weight.float(), bias.float()
        layers += [layer, nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    start = torch.full((1, case.dim), 0.01).numpy()

    def run() -> int:
        cells = peer.Complex(net)
        cells.bfs(start=start, cube_radius=1.0, cube_mode="intersect", nworkers=1, verify=False, verbose=0)
        return len(cells)

    return run


def program(name: str, case: Case) -> Program | None:
    """Return the program of a name for a case; None if it cannot do it at all."""
    if name in ("ours", "ours, verified"):
        return ours(case, verify=name != "ours")
    makers = {"ours, torch": ours_torch, "regioncam": regioncam, "edge subdivision": edge_subdivision}
    return {**makers, "relucent": relucent}[name](case)


def why_not(name: str) -> str | None:
    """Return why a program cannot run here, None if it can."""
    if name in OURS:
        return None
    modules = {"regioncam": ["regioncam"], "edge subdivision": ["edge_subdivision", "NN"]}
    modules["relucent"] = ["relucent", "gurobipy"]
    if name in modules:
        missing = [m for m in modules[name] if importlib.util.find_spec(m) is None]
        return f"not installed: no module {missing[0]}" if missing else None
    if name == "parx":
        return "not run: needs Julia" if shutil.which("julia") is None else "not run: no adapter for its Julia part"
    needs = {"SyReNN": "a server built with Bazel", "nnenum": "files in ONNX and its own settings", "SplineCam": "CUDA"}
    return f"not installed: needs {needs[name]}"


def add_paths(folders: list[str]) -> None:
    """Let peers be found in folders, and in the folders inside of them that hold modules."""
    for folder in folders:
        inside = [str(p) for p in Path(folder).iterdir() if p.is_dir() and (p / "edge_subdivision.py").is_file()]
        sys.path += [p for p in (folder, *inside) if p not in sys.path]
