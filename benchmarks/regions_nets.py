"""Networks and domains whose regions are counted."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.core.domains.plane import Plane

DIGITS = Path(__file__).resolve().parent.parent / "examples" / "digits.npz"


@dataclass(frozen=True)
class Case:
    """A network in float64 and a domain, a box [-1, 1]^D unless `domain` says otherwise.

    `weights` are its linear layers, each followed by a ReLU but the last, restricted to the domain's coordinates in
    [-1, 1]^D: what peers take that know nothing else. None for networks that are more than that.
    """

    name: str
    net: nn.Module
    shape: tuple[int, ...]
    domain: Any
    weights: list[tuple[Tensor, Tensor]] | None
    cells: int | None

    @property
    def dim(self) -> int:
        chart: int = self.domain.chart.dim
        return chart

    def graph(self) -> sg.SplineGraph:
        return sg.trace(self.net, torch.zeros(1, *self.shape, dtype=torch.float64))


def mlp(*widths: int) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(itertools.pairwise(widths)):
        layers += [nn.Linear(a, b)] + [nn.ReLU()] * (i < len(widths) - 2)
    return nn.Sequential(*layers).double().eval()


def linears(net: nn.Module) -> list[tuple[Tensor, Tensor]]:
    return [(m.weight.detach(), m.bias.detach()) for m in net.modules() if isinstance(m, nn.Linear)]


def dense(name: str, cells: int | None = None) -> Case:
    """The case of a name such as 2-64x3-1: D, widths, outputs."""
    widths: list[int] = []
    for part in name.split("-"):
        width, _, times = part.partition("x")
        widths += [int(width)] * int(times or 1)
    net = mlp(*widths)
    ones = torch.ones(widths[0], dtype=torch.float64)
    return Case(name, net, (widths[0],), sg.Box(-ones, ones), linears(net), cells)


def plane_through_image_space(name: str, cells: int | None = None) -> Case:
    """An orthonormal plane, 20 across, through a random point of the 784 inputs of 784-256x3-10."""
    net = mlp(784, 256, 256, 256, 10)
    generator = torch.Generator().manual_seed(1)
    origin = torch.rand(784, generator=generator, dtype=torch.float64)
    random = torch.randn(784, 2, generator=generator, dtype=torch.float64)
    u, v = torch.linalg.qr(random)[0].T
    weights = linears(net)
    first, bias = weights[0]
    weights[0] = 10 * first @ torch.stack([u, v], 1), bias + first @ origin
    return Case(name, net, (784,), Plane(origin, u, v, extent=10.0), weights, cells)


def digits(name: str, module: str, extent: float) -> Case:
    """A square on the plane through three digits, around their mean; `extent` is half its side, in pixel values."""
    import importlib

    net = copy.deepcopy(importlib.import_module(f"examples.{module}").model).double().eval()
    x = torch.from_numpy(np.load(DIGITS)["x"][:3]).double()
    domain = Plane(x.mean(0), x[1] - x[0], x[2] - x[0], extent=extent)
    return Case(name, net, (1, 8, 8), domain, None, None)


PLANE: dict[str, int] = {
    "2-16-16-1": 127,
    "2-32x3-1": 1180,
    "2-64x3-1": 6668,
    "2-128x3-10": 20714,
    "2-256x2-1": 37357,
    "2-256x4-10": 125057,
}
SPACE: dict[str, int | None] = {
    "3-16-16-1": 1276,
    "3-32-32-1": 11512,
    "4-16-16-1": 6658,
    "4-32-32-1": 80487,
    "6-12-12-1": 7990,
    "6-16-16-1": 35227,
    "8-10-10-1": 8197,
    "8-16-16-1": 1031208,
}
"""The number of cells, on which at least two independent programs agree."""

CASES: dict[str, Callable[[], Case]] = {
    **{name: (lambda name=name, cells=cells: dense(name, cells)) for name, cells in PLANE.items()},
    "plane 784-256x3-10": lambda: plane_through_image_space("plane 784-256x3-10", 53350),
    "digits CNN": lambda: digits("digits CNN", "digits_cnn", 0.3),
    "digits ResNet": lambda: digits("digits ResNet", "digits_resnet", 0.3),
    **{name: (lambda name=name, cells=cells: dense(name, cells)) for name, cells in SPACE.items()},
}


def case(name: str) -> Case:
    """Return a case of the table, or the dense one that the name describes."""
    return CASES[name]() if name in CASES else dense(name)
