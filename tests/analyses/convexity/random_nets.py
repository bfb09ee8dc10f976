"""Random small networks for the tests of convexity: generic and degenerate weights, convex ones among them."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor, nn

from splinegraph.core.graph import SplineGraph
from splinegraph.tracers.tracing import trace

__all__ = ["KINDS", "random_graph"]

KINDS = ("plain", "leaky", "abs", "residual", "maxout", "pooled")


class Abs(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.abs()


class Residual(nn.Module):
    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.first, self.inner = nn.Linear(dim, width), nn.Linear(width, width)
        self.outer, self.head = nn.Linear(width, width), nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.relu(self.first(x))
        head: Tensor = self.head(torch.relu(z + self.outer(torch.relu(self.inner(z)))))
        return head


class Maxout(nn.Module):
    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(dim, 3 * width), nn.Linear(width, 4), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        z = self.first(x).unflatten(1, (-1, 3)).amax(-1)
        head: Tensor = self.head(self.second(z).unflatten(1, (-1, 2)).amax(-1))
        return head


class Pooled(nn.Module):
    """A convolution with overlapping max pooling."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.spread, self.conv, self.pool = nn.Linear(dim, 9), nn.Conv2d(1, 2, 2), nn.MaxPool2d(2, 1)
        self.head = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        z = self.pool(torch.relu(self.conv(self.spread(x).reshape(-1, 1, 3, 3))))
        head: Tensor = self.head(z.flatten(1))
        return head


def _module(kind: str, dim: int, width: int) -> nn.Module:
    if kind == "residual":
        return Residual(dim, width)
    if kind == "maxout":
        return Maxout(dim, width - 1)
    if kind == "pooled":
        return Pooled(dim)
    make = {"plain": nn.ReLU, "leaky": lambda: nn.LeakyReLU(0.3), "abs": Abs}[kind]
    return nn.Sequential(nn.Linear(dim, width), make(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2))


@functools.cache
def _traced(kind: str, dim: int) -> tuple[nn.Module, SplineGraph]:
    """Return a network and its graph, which sees the parameters as they are when it is asked."""
    module = _module(kind, dim, 3 if dim == 3 else 4).double().eval()
    return module, trace(module, torch.zeros(1, dim, dtype=torch.float64))


def random_graph(seed: int) -> tuple[str, SplineGraph]:
    """Return a network of 1 to 3 inputs and 2 outputs, and what it is, until the next one is asked for.

    A third has weights and biases in {-1, 0, 1}; in some, the weights behind the first layer are positive,
    or all but one of them, or all but those of the last layer. Tracing takes longer than all else: graphs are shared.
    """
    random = np.random.default_rng(seed)
    kind, dim = KINDS[seed % len(KINDS)], int(random.choice([1, 2, 2, 3]))
    degenerate, positive = random.random() < 1 / 3, random.choice(["no", "no", "all", "all but one", "minus"])
    module, graph = _traced(kind, dim)
    last = [name for name, _ in module.named_parameters()][-2]
    for number, (name, value) in enumerate(module.named_parameters()):
        draw = random.integers(-1, 2, value.shape) if degenerate else random.standard_normal(value.shape)
        numbers = torch.as_tensor(draw, dtype=torch.float64)
        if positive != "no" and number > 1 and name.endswith("weight"):
            numbers = numbers.abs() * (-1 if positive == "minus" and name == last else 1)
            if positive == "all but one":
                numbers.view(-1)[int(random.integers(numbers.numel()))] *= -1
                positive = "all"
        value.data.copy_(numbers)
    words = f"{kind}, D = {dim}" + (", degenerate" if degenerate else "")
    return words, graph
