"""A slice of a ResNet-18 at 224x224 through three images, within a budget of time and memory.

    python -m benchmarks.regions_resnet [--zoom 3e-5] [--seconds 300] [--memory 1.0] [--size 224]

The network is defined here, with random weights. The plane goes through three images; the whole of it holds far more
cells than anybody can list (2.5 million units bend there), so the slice is a small square around the first image:
`--zoom` is its side as a part of the distance to the second. The default completes in about a minute and a half of
CPU time; `--zoom 1` is the whole plane, of which the budget then leaves nearly all.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import time

import numpy as np
import torch
from torch import Tensor, nn

from splinegraph import SplineGraph, codes, trace
from splinegraph.analyses.regions.stream.result import StreamResult
from splinegraph.analyses.regions.stream.stream import stream
from splinegraph.core.domains.chart import Chart, chart_of
from splinegraph.core.domains.plane import Plane


class Block(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after))
        self.second = nn.Sequential(nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after))
        straight = stride == 1 and before == after
        self.skip = nn.Identity() if straight else nn.Sequential(
            nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.first(x))) + self.skip(x))


def resnet18(classes: int = 1000) -> nn.Module:
    """Return a ResNet-18 whose batch norms have seen some data."""
    widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
    blocks = [Block(before, after, 2 if after > before else 1) for before, after in itertools.pairwise(widths)]
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


def images(count: int, size: int, generator: torch.Generator) -> Tensor:
    """Return smooth random images in [0, 1]: noise whose spectrum falls with the frequency, as in photographs."""
    frequency = torch.fft.fftfreq(size)
    radius = (frequency[:, None] ** 2 + frequency[None] ** 2).sqrt().clamp(min=1 / size)
    noise = torch.randn(count, 3, size, size, generator=generator)
    smooth = torch.fft.ifft2(torch.fft.fft2(noise) / radius).real
    low, high = smooth.amin((2, 3), keepdim=True), smooth.amax((2, 3), keepdim=True)
    return (smooth - low) / (high - low)


def make(size: int) -> tuple[SplineGraph, Tensor]:
    """Return the traced network and three images, normalized as for ImageNet."""
    torch.manual_seed(0)
    model = resnet18()
    generator = torch.Generator().manual_seed(0)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    shown = (images(8, size, generator) - mean.reshape(3, 1, 1)) / std.reshape(3, 1, 1)
    with torch.no_grad():
        model.train()(shown)
    return trace(model.eval(), shown[:1]), shown[:3].double()


def square(points: Tensor, zoom: float) -> Plane:
    """Return a square around the first point in the plane through three."""
    first, second, third = points
    side = zoom * float((second - first).norm())
    return Plane(first, second - first, third - first, extent=side / 2)


def check(graph: SplineGraph, chart: Chart, found: StreamResult, count: int) -> int:
    """Return how many of some cells have another code when the network itself is asked at their points."""
    wrong = 0
    for i in np.linspace(0, len(found) - 1, min(count, len(found))).astype(int):
        packed = codes(graph, *chart.lift(torch.from_numpy(found.cells.points[i : i + 1]))).packed
        digest = hashlib.blake2b(packed[0].tobytes(), digest_size=16).digest()
        wrong += digest != found.hashes[i].tobytes()
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zoom", type=float, default=3e-5)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--memory", type=float, default=1.0, help="GiB for the values on the way")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--check", type=int, default=5, help="cells whose code is compared with the network's own")
    asked = parser.parse_args()
    graph, points = make(asked.size)
    chart = chart_of(graph, square(points, asked.zoom))
    cpu, deadline = time.process_time(), time.monotonic() + asked.seconds
    found = stream(graph, chart, deadline=deadline, memory=int(asked.memory * 2**30))
    cpu = time.process_time() - cpu
    units = sum(layer.units for layer in codes(graph, points[:1]).layers)
    print(f"{units} switching units, a square of side {2 * float(chart.upper[0]):.3g} (zoom {asked.zoom:g})")
    for name, faces in found.stats["faces"].items():
        print(f"  {name:24s} {faces:8d} faces")
    print(
        f"{len(found)} cells, {100 * found.covered / found.area:.3g} % of the area, "
        f"{'complete' if found.complete else f'{len(found.left)} tasks left'}, "
        f"{found.stats['seconds']:.1f} s ({cpu:.1f} s of CPU), peak memory {found.peak_memory / 2**20:.0f} MiB"
    )
    wrong = check(graph, chart, found, asked.check)
    print(f"of {min(asked.check, len(found))} cells checked, {wrong} have another code")


if __name__ == "__main__":
    main()
