"""Networks with residual branches that the tests of paths share."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.core.graph import SplineGraph

__all__ = ["NETS", "Attention", "Branched", "Dense", "Stack", "graph_of", "net"]


class Branched(nn.Module):
    """z -> relu(S z + s (W' relu(W z + b) + b')) for each block, with a scale s on each branch; then a linear map."""

    def __init__(self, blocks: int, width: int = 4, *, projected: int | None = None) -> None:
        super().__init__()
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.second = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.skip = nn.ModuleList(nn.Linear(width, width) if i == projected else nn.Identity() for i in range(blocks))
        self.head = nn.Linear(width, 3)
        self.scales: tuple[float | Tensor, ...] = (1.0,) * blocks

    def forward(self, x: Tensor) -> Tensor:
        for first, second, skip, scale in zip(self.first, self.second, self.skip, self.scales, strict=True):
            x = torch.relu(skip(x) + scale * second(torch.relu(first(x))))
        return self.head(x)


class Stack(nn.Module):
    """Convolutions with identities around them, in image size."""

    def __init__(self, blocks: int, channels: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(blocks))
        self.head = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for conv in self.convs:
            x = x + conv(torch.relu(x))
        return self.head(x.mean((2, 3)))


class Dense(nn.Module):
    """Each layer reads all that is before it, and is appended."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3 + 2 * i, 2) for i in range(3))
        self.head = nn.Linear(9, 2)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, torch.relu(layer(x))], 1)
        return self.head(x)


class Attention(nn.Module):
    """Two transformer layers and the mean over the tokens."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x).mean(1))


def graph_of(model: nn.Module, *shape: int, seed: int = 0, batch: int = 3) -> tuple[SplineGraph, Tensor]:
    """Return the graph of a model in float64, its weights drawn with a seed, and a batch of inputs."""
    torch.manual_seed(seed)
    for p in model.parameters():
        torch.nn.init.normal_(p, 0.1, 0.6 if p.dim() < 3 else 0.2)
    x = torch.randn(batch, *shape, dtype=torch.float64)
    return sg.trace(model.double().eval(), x, check=False), x


NETS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "row": (Branched(4), (4,)),
    "projected": (Branched(3, projected=1), (4,)),
    "images": (Stack(3), (1, 6, 6)),
    "dense": (Dense(), (3,)),
    "attention": (Attention(), (5, 8)),
}


@functools.cache
def net(name: str) -> tuple[SplineGraph, Tensor]:
    """Return one of `NETS` and three inputs; nothing may change it."""
    model, shape = NETS[name]
    return graph_of(model, *shape)
