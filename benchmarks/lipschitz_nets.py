"""Networks whose Lipschitz constants are bounded."""

from __future__ import annotations

import copy
import importlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import splinegraph as sg
from benchmarks.models import randomize_norms
from benchmarks.regions_nets import linears, mlp

__all__ = ["DATA", "GLOBAL", "MNIST", "Case", "case", "unrolled"]

MNIST = "SPLINEGRAPH_MNIST"
"""Names the file with the images: .npz with x_train, y_train, x_test."""

Layers = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Case:
    """A network in float64.

    `weights` are its linear layers, each followed by a ReLU but the last, convolutions as dense matrices: what peers
    take that know nothing else; None for networks that are more than that. `points`, shape (S, *in), is data.
    """

    name: str
    net: nn.Module
    shape: tuple[int, ...]
    weights: Layers | None
    points: Tensor | None

    def graph(self) -> sg.SplineGraph:
        return sg.trace(self.net, torch.zeros(1, *self.shape, dtype=torch.float64))


class Skipping(nn.Module):
    """Three convolutions with batch norm on 8x8, the last two beside a skip, then average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0, self.conv1, self.conv2 = (nn.Conv2d(n, 8, 3, padding=1) for n in (1, 8, 8))
        self.norm0, self.norm1, self.norm2 = (nn.BatchNorm2d(8) for _ in range(3))
        self.head = nn.Linear(8 * 4 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm0(self.conv0(x)))
        y = F.relu(self.norm1(self.conv1(x)))
        y = F.relu(x + self.norm2(self.conv2(y)))
        head: Tensor = self.head(F.avg_pool2d(y, 2).flatten(1))
        return head


def pooling() -> nn.Module:
    """Two convolutions on 8x8 with max pooling between them."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(16 * 4 * 4, 10),
    )  # fmt: skip


def strided(side: int, kernel: int, *, hidden: int = 0) -> nn.Sequential:
    """Two convolutions of stride 2, without pooling: what Jacobian bounds of peers can be taken of."""
    left = 16 * (side // 4) ** 2
    convolutions = [nn.Conv2d(1, 8, kernel, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, kernel, 2, 1), nn.ReLU(), nn.Flatten()]
    dense = [nn.Linear(left, hidden), nn.ReLU(), nn.Linear(hidden, 10)] if hidden else [nn.Linear(left, 10)]
    return nn.Sequential(*convolutions, *dense)


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    """Return a network with torch's initialization, seed 0; batch norms with the statistics of a trained one."""
    torch.manual_seed(0)
    return randomize_norms(make()).double().eval()


def train(make: Callable[[], nn.Module], x: Tensor, y: Tensor, epochs: int) -> nn.Module:
    """Return the network trained by Adam, the same on every call; float64."""
    torch.manual_seed(0)
    net = make().train()
    optimizer = torch.optim.Adam(net.parameters(), 3e-3, weight_decay=1e-4)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(128):
            optimizer.zero_grad()
            F.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
    return net.double().eval()


def digits_data() -> tuple[Tensor, Tensor]:
    """8x8 digits of scikit-learn in [0, 1], as rows."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    return torch.from_numpy(raw.data / 16).float(), torch.from_numpy(raw.target).long()


def mnist_data() -> tuple[Tensor, Tensor, Tensor]:
    """MNIST in [0, 1]: images and labels to train on, images to test on."""
    path = os.environ.get(MNIST)
    if not path or not Path(path).is_file():
        raise FileNotFoundError(f"no MNIST: set {MNIST} to an .npz with x_train, y_train, x_test")
    raw = np.load(path)
    x, test = (torch.from_numpy(raw[key]).float()[:, None] / 255 for key in ("x_train", "x_test"))
    return x, torch.from_numpy(raw["y_train"]).long(), test


def unrolled(net: nn.Sequential, shape: tuple[int, ...]) -> Layers:
    """Return the affine layers of a chain with ReLU between them, as dense matrices."""
    layers: Layers = []
    with torch.no_grad():
        for module in net:
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                size = int(np.prod(shape))
                eye = torch.eye(size, dtype=torch.float64).reshape(size, *shape)
                zero = module(torch.zeros(1, *shape, dtype=torch.float64))
                layers.append(((module(eye) - zero).reshape(size, -1).T, zero.reshape(-1)))
                shape = tuple(zero.shape[1:])
            elif isinstance(module, nn.Flatten):
                shape = (int(np.prod(shape)),)
    return layers


def _dense(name: str) -> Case:
    widths = [int(w) for part in name.split("-") for w in _repeated(part)]
    net = mlp(*widths)
    return Case(name, net, (widths[0],), linears(net), None)


def _repeated(part: str) -> list[str]:
    width, _, times = part.partition("x")
    return [width] * int(times or 1)


def _digits_mlp(name: str) -> Case:
    x, y = digits_data()
    net = train(lambda: nn.Sequential(*mlp(64, 64, 64, 10)).float(), x, y, 40)
    return Case(name, net, (64,), linears(net), x[:32].double())


def _digits_strided(name: str) -> Case:
    x, y = digits_data()
    net = train(lambda: strided(8, 3), x.reshape(-1, 1, 8, 8), y, 25)
    assert isinstance(net, nn.Sequential)
    return Case(name, net, (1, 8, 8), unrolled(net, (1, 8, 8)), x[:32].reshape(-1, 1, 8, 8).double())


def _mnist_mlp(name: str) -> Case:
    x, y, test = mnist_data()
    net = train(lambda: nn.Sequential(*mlp(784, 100, 100, 10)).float(), x.flatten(1), y, 1)
    return Case(name, net, (784,), linears(net), test[:32].flatten(1).double())


def _mnist_strided(name: str) -> Case:
    x, y, test = mnist_data()
    net = train(lambda: strided(28, 4, hidden=64), x[:20000], y[:20000], 1)
    assert isinstance(net, nn.Sequential)
    return Case(name, net, (1, 28, 28), unrolled(net, (1, 28, 28)), test[:32].double())


def _example(name: str, module: str) -> Case:
    x, _ = digits_data()
    net = copy.deepcopy(importlib.import_module(f"examples.{module}").model).double().eval()
    return Case(name, net, (1, 8, 8), None, x[:32].reshape(-1, 1, 8, 8).double())


NAMED: dict[str, Callable[[str], Case]] = {
    "digits MLP": _digits_mlp,
    "digits strided CNN": _digits_strided,
    "MNIST MLP": _mnist_mlp,
    "MNIST strided CNN": _mnist_strided,
    "conv, max pool": lambda name: Case(name, seeded(pooling), (1, 8, 8), None, None),
    "batch norm, skip": lambda name: Case(name, seeded(Skipping), (1, 8, 8), None, None),
    "digits CNN": lambda name: _example(name, "digits_cnn"),
    "digits ResNet": lambda name: _example(name, "digits_resnet"),
    "digits RNN": lambda name: _example(name, "digits_rnn"),
}

GLOBAL = (
    "2-16-16-1", "10-20-15-10-3", "784-50-10", "784-100-100-10", "digits MLP", "conv, max pool", "batch norm, skip",
    "digits CNN", "digits ResNet", "digits RNN",
)  # fmt: skip
"""Networks of the table of global constants."""

DATA = ("digits MLP", "digits strided CNN", "MNIST MLP", "MNIST strided CNN")
"""Networks of the table of bounds around data."""


def case(name: str) -> Case:
    """Return the network of a name: one of `NAMED`, or dense such as 2-16-16-1 or 10-64x3-10, seed 0."""
    if name in NAMED:
        return NAMED[name](name)
    if not re.fullmatch(r"\d+(x\d+)?(-\d+(x\d+)?)+", name):
        raise ValueError(f"no network {name!r}: there are {', '.join(NAMED)}, and dense ones such as 2-16-16-1")
    return _dense(name)
