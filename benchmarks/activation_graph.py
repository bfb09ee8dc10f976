"""The activation graph of a data set beside a plain forward pass, and beside one that hashes its codes.

``python -m benchmarks.activation_graph [--quick] [--network small-cnn-mean] [--inputs 60000] [--double] [--json FILE]``

MNIST is the .npz with x_train and y_train that SPLINEGRAPH_MNIST names; without it images are random, which says so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.data.arrays import TensorSource
from splinegraph.data.source import Piece

__all__ = ["Costs", "images", "measure", "peak_memory"]

BATCH = 256

MNIST = "SPLINEGRAPH_MNIST"


@dataclass(frozen=True)
class Costs:
    """CPU seconds of passes over the same batches, which took turns.

    Parameters
    ----------
    inputs, nodes, edges : int
    data : str
    dtype : str
    forward : float
        The plain model.
    hashing : float
        The plain model, its signs packed and hashed with BLAKE2b, as one would write it.
    ours : float
        The whole activation graph, with labels.
    """

    inputs: int
    nodes: int
    edges: int
    data: str
    dtype: str
    forward: float
    hashing: float
    ours: float

    def __str__(self) -> str:
        return (
            f"{self.inputs} {self.data}, {self.dtype}: {self.nodes} nodes, {self.edges} edges; CPU seconds: forward "
            f"{self.forward:.1f}, forward + hashing {self.hashing:.1f}, activation graph {self.ours:.1f}: "
            f"{self.ours / self.hashing:.2f} x forward + hashing, {self.ours / self.forward:.2f} x forward"
        )


def images(count: int) -> tuple[Tensor, Tensor, str]:
    """Return images (N, 1, 28, 28), labels and what they are."""
    path = os.environ.get(MNIST)
    if path is None:
        generator = torch.Generator().manual_seed(0)
        labels = torch.randint(0, 10, (count,), generator=generator)
        return torch.rand(count, 1, 28, 28, generator=generator), labels, "random images"
    with np.load(path) as found:
        x, y = found["x_train"][:count], found["y_train"][:count]
    return torch.from_numpy(x)[:, None] / 255, torch.from_numpy(y.astype(np.int64)), "images of MNIST"


class Turns(TensorSource):
    """Data that run two other passes on each batch before giving it, and know how long those took."""

    def __init__(self, x: Tensor, model: nn.Module) -> None:
        super().__init__((x,))
        self.model, self.codes = model, list[np.ndarray]()
        self.forward = self.hashing = 0.0
        self.seen: set[bytes] = set()
        for module in model.modules():
            if isinstance(module, nn.ReLU | nn.LeakyReLU):
                module.register_forward_pre_hook(self._sign)
        self.listening = False

    def _sign(self, _: nn.Module, args: tuple[Tensor, ...]) -> None:
        if self.listening:
            self.codes.append(np.packbits(np.greater(args[0].numpy(), 0).reshape(len(args[0]), -1), axis=1))

    @torch.no_grad()
    def _pieces(self, size: int) -> Iterator[Piece]:
        for inputs, labels in super()._pieces(size):
            begin = time.process_time()
            self.model(inputs[0])
            between = time.process_time()
            self.listening = True
            self.model(inputs[0])
            self.listening = False
            for packed in self.codes:
                self.seen.update(hashlib.blake2b(row, digest_size=16).digest() for row in packed)
            self.codes.clear()
            self.forward += between - begin
            self.hashing += time.process_time() - between
            yield inputs, labels


def measure(network: str, count: int, dtype: torch.dtype = torch.float32) -> Costs:
    """Return what each way costs, in one thread."""
    torch.manual_seed(0)
    model = sg.training.topology(network).eval().to(dtype)
    x, y, what = images(count)
    x = x.to(dtype)
    graph = sg.trace(model, x[:1])
    sg.activation_graph(graph, x[:BATCH], dtype=None)  # what is worked out once is left out
    turns = Turns(x, model)
    begin = time.process_time()
    found = sg.activation_graph(graph, turns.label(y), dtype=None, batch_size=BATCH)
    ours = time.process_time() - begin - turns.forward - turns.hashing
    assert len(found) == len(turns.seen), "both ways have to find as many cells"
    name = str(dtype).removeprefix("torch.")
    return Costs(len(x), len(found), len(found.edges), what, name, turns.forward, turns.hashing, ours)


def peak_memory(network: str, count: int, different: int) -> float:
    """Return by how many MiB a process grows that makes the graph of `count` images, `different` of them different."""
    options = ["--network", network, "--inputs", str(count), "--different", str(different), "--memory"]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.activation_graph", *options]
    environment = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "0"}  # give freed memory back, so that use shows
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


class Again(TensorSource):
    """The same images again and again, up to a number of them."""

    def __init__(self, x: Tensor, count: int) -> None:
        super().__init__((x,))
        self.length = count

    def _pieces(self, size: int) -> Iterator[Piece]:
        assert self.length is not None
        left = self.length
        while left:
            for inputs, labels in super()._pieces(size):
                yield (inputs[0][:left],), labels
                left -= min(left, len(inputs[0]))


def _memory(network: str, count: int, different: int) -> float:
    torch.manual_seed(0)
    x, _, _ = images(different)
    graph = sg.trace(sg.training.topology(network).eval(), x[:1])
    sg.activation_graph(graph, x[:BATCH], dtype=None)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = _peak()
    sg.activation_graph(graph, Again(x, count), dtype=None)
    return (_peak() - before) / 1024


def _peak() -> int:
    """Return the peak of this process's memory in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="small-cnn-mean")
    parser.add_argument("--inputs", type=int, default=60_000)
    parser.add_argument("--quick", action="store_true", help="2000 images")
    parser.add_argument("--double", action="store_true", help="float64 too")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--different", type=int, default=1000, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.memory:
        print(_memory(asked.network, asked.inputs, asked.different))
        return
    count = 2000 if asked.quick else asked.inputs
    costs = [measure(asked.network, count, d) for d in (torch.float32, torch.float64)[: 1 + asked.double]]
    print(*costs, sep="\n")
    cases = [(count // 2, 1000), (count, 1000), (count // 2, count // 2), (count, count)]
    memory = [(n, different, peak_memory(asked.network, n, different)) for n, different in cases]
    for n, different, grown in memory:
        print(f"{n} images, {different} of them different: {grown:.1f} MiB more at the peak")
    if asked.json:
        rows = [{"images": n, "different": different, "mib": grown} for n, different, grown in memory]
        asked.json.write_text(json.dumps({"costs": [asdict(c) for c in costs], "memory": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
