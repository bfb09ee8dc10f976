"""The search on every kind of network: its codes are the network's own, and those of random points are among them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.analyses.regions.search.nets import cells_of, mlp


class Residual(nn.Module):
    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(dim, width), nn.Linear(width, width)
        self.c = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x).relu()
        return torch.nn.functional.leaky_relu(x + self.c(self.b(x).relu()), 0.1)


class Concat(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(3, 3), nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.c(torch.cat([self.a(x).relu(), self.b(x).abs(), x], dim=-1)).clamp(-0.3, 0.4)


class Pooled(nn.Module):
    """Overlapping windows over shared entries."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 9), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.nn.functional.max_pool1d(self.a(x)[:, None], 3, stride=2)[:, 0]
        return self.b(y).relu()


class Apply(nn.Module):
    def __init__(self, width: int, function: object) -> None:
        super().__init__()
        self.a, self.b, self.function = nn.Linear(3, width), nn.Linear(width, 3), function

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.function(self.a(x))).relu()  # type: ignore[operator]


CASES = {
    "leaky": mlp(3, 6, 5, 1, act=nn.LeakyReLU),
    "hardtanh": mlp(3, 5, 5, 1, act=lambda: nn.Hardtanh(-0.2, 0.3)),
    "prelu": mlp(3, 6, 6, 1, act=lambda: nn.PReLU(1, 0.3)),
    "softshrink": mlp(3, 5, 5, 1, act=lambda: nn.Softshrink(0.2)),
    "zero bias": mlp(3, 6, 6, 1, bias=False),
    "residual": Residual(3, 5),
    "concat": Concat(),
    "pooled": Pooled(),
    "sort": Apply(4, lambda y: y.sort(dim=-1).values),
    "sort down": Apply(4, lambda y: y.sort(dim=-1, descending=True).values),
    "top-k": Apply(5, lambda y: torch.cat([y.topk(2, dim=-1).values, y[:, :3]], dim=-1)),
    "largest and smallest": Apply(4, lambda y: torch.cat([y.amax(-1, keepdim=True), y.amin(-1, keepdim=True)] * 2, -1)),
    "two arguments": Apply(4, lambda y: torch.maximum(y, torch.minimum(y.flip(-1), 0.3 * y))),
    "affine": nn.Linear(3, 2),
}


@pytest.mark.parametrize("name", CASES)
def test_codes_are_those_of_the_network(name: str) -> None:
    assert len(cells_of(CASES[name], 3)) >= 1
