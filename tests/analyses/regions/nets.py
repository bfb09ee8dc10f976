"""Small networks for tests of regions: every kind of switching operator, generic and degenerate weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["DEGENERATE", "FAMILIES", "degenerate", "family", "mlp"]


def mlp(*widths: int, seed: int | None = None, activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    """Return Linear / activation layers with torch's own initialization, in float64."""
    if seed is not None:
        torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for n, m in itertools.pairwise(widths):
        layers += [nn.Linear(n, m), activation()]
    return nn.Sequential(*layers[:-1]).double().eval()


class Residual(nn.Module):
    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.first, self.inner, self.outer = nn.Linear(dim, width), nn.Linear(width, width), nn.Linear(width, width)
        self.head = nn.Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.relu(self.first(x))
        z = torch.relu(z + self.outer(torch.relu(self.inner(z))))
        head: Tensor = self.head(z)
        return head


class SeesTheInputAgain(nn.Module):
    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(dim, width), nn.Linear(dim + width, width)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.relu(self.first(x))
        return torch.relu(self.second(torch.cat([z, x], 1)))


class Pooled(nn.Module):
    """Overlapping max pooling behind a convolution, as in most image networks."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.spread = nn.Linear(dim, 16)
        self.conv, self.pool = nn.Conv2d(1, 2, 2), nn.MaxPool2d(2, 1)
        self.head = nn.Linear(8, width)

    def forward(self, x: Tensor) -> Tensor:
        z = self.pool(torch.relu(self.conv(self.spread(x).reshape(-1, 1, 4, 4))))
        return torch.relu(self.head(z.flatten(1)))


class Maxout(nn.Module):
    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(dim, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        z = self.first(x).unflatten(1, (-1, 3)).amax(-1)
        return torch.minimum(torch.relu(self.second(z)), z)


class Sorted(nn.Module):
    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(dim, width), nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        z = self.first(x)
        ordered = z[:, :4].sort(1).values
        return torch.relu(self.second(torch.cat([ordered, z[:, 4:]], 1))) + z.topk(2, 1).values.sum(1, keepdim=True)


FAMILIES: dict[str, Callable[[int, int], nn.Module]] = {
    "relu": lambda d, n: mlp(d, n, n, 1),
    "leaky": lambda d, n: mlp(d, n, n, 2, activation=lambda: nn.LeakyReLU(0.3)),
    "prelu": lambda d, n: mlp(d, n, n, 1, activation=lambda: nn.PReLU(n, init=-0.5)),
    "hardtanh": lambda d, n: mlp(d, n, n, 1, activation=lambda: nn.Hardtanh(-0.4, 0.3)),
    "residual": Residual,
    "concat": SeesTheInputAgain,
    "pooled": Pooled,
    "maxout": Maxout,
    "sorted": Sorted,
}
"""By name: input dimension and width give a network."""


def _zero_bias(weights: Tensor, seed: torch.Generator) -> Tensor:
    return weights if weights.dim() > 1 else torch.zeros_like(weights)


def _integer(weights: Tensor, seed: torch.Generator) -> Tensor:
    return torch.randint(-1, 2, weights.shape, generator=seed).to(weights)


def _quantized(weights: Tensor, seed: torch.Generator) -> Tensor:
    return (weights * 4).round() / 4


def _twins(weights: Tensor, seed: torch.Generator) -> Tensor:
    """Make unit 1 a copy of unit 0, unit 2 its negative, unit 3 dead."""
    weights = weights.clone()
    if len(weights) > 1:
        weights[1] = weights[0]
    if len(weights) > 2:
        weights[2] = -2 * weights[0]
    if len(weights) > 3:
        weights[3] = 0
    return weights


def _rounded(weights: Tensor, seed: torch.Generator) -> Tensor:
    return weights.float().to(weights)


DEGENERATE: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "zero bias": _zero_bias,
    "integer": _integer,
    "quantized": _quantized,
    "twins": _twins,
    "float32": _rounded,
}
"""By name: how weights and biases are spoiled."""


def degenerate(net: nn.Module, kind: str, seed: int = 0) -> nn.Module:
    """Spoil all weights of a network, in place, and return it."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(DEGENERATE[kind](parameter, generator))
    return net


def family(name: str, dim: int, width: int, seed: int = 0) -> nn.Module:
    """Return a network of a family with random weights, in float64."""
    torch.manual_seed(seed)
    return FAMILIES[name](dim, width).double().eval()
