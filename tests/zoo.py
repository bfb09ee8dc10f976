"""Tiny networks as data: a name, how to make it, the shapes of its inputs, and what is known of it by theorem.

Every network is made and traced once per session, in float64, with weights that depend on its name only.
Tests share them and must not change them.
"""

from __future__ import annotations

import functools
import itertools
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from splinegraph.core.graph import SplineGraph
from splinegraph.tracers.tracing import trace

__all__ = [
    "CONTINUOUS",
    "EXACT",
    "SINGLE",
    "SMOOTH",
    "ZOO",
    "Net",
    "Stack",
    "eager",
    "graph",
    "inputs",
    "jacobian",
    "model",
]


@dataclass(frozen=True)
class Net:
    """A network of the zoo.

    Parameters
    ----------
    make : callable
        Returns the module.
    shapes : tuple of int, ...
        Shape of one sample of each input.
    exact : bool
        Whether it is piecewise affine: f(x) = A[x] x + b[x] on whole cells.
    continuous : bool
    switches : int
        How many operators have codes.
    outputs : int
    """

    make: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...]
    exact: bool = True
    continuous: bool = True
    switches: int = 1
    outputs: int = 1


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any], *modules: nn.Module) -> None:
        super().__init__()
        self.function, self.modules_ = function, nn.ModuleList(modules)

    def forward(self, *xs: Tensor) -> Any:
        return self.function(*xs, *self.modules_)


class Stack(nn.Sequential):
    """nn.Sequential, with functions for modules."""

    def __init__(self, *parts: nn.Module | Callable[..., Any]) -> None:
        super().__init__(*(part if isinstance(part, nn.Module) else Apply(part) for part in parts))


class Residual(nn.Module):
    """A block with a projected, strided skip and batch norm, whose statistics are not the initial ones."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.Sequential(
            nn.Conv2d(2, 3, 3, 2, 1, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 3, 1, 1)
        )
        self.skip = nn.Conv2d(2, 3, 1, 2)
        self.norm = self.inside[1]
        self.norm.running_mean = torch.tensor([0.3, -0.2, 0.1])
        self.norm.running_var = torch.tensor([2.0, 0.5, 1.5])
        self.out = nn.Linear(27, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.skip(x) + self.inside(x)).flatten(1))


class Heads(nn.Module):
    """Like attention, heads are folded into the batch; inside there is a ReLU on each head."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.act, self.out = nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        b, t, e = x.shape
        heads = self.inside(x).reshape(b, t, 2, e // 2).transpose(1, 2).reshape(b * 2, t, e // 2)
        heads = self.act(heads).reshape(b, 2, t, e // 2).transpose(1, 2).reshape(b, t, e)
        return self.out(heads)


class Single(nn.Module):
    """It takes one sample at a time, so its graph holds no batch axis."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.out = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.inside(x.reshape(3)))).reshape(1, 2)


class Last(nn.Module):
    """The last step of a recurrent module."""

    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        return self.inside(x)[0][:, -1]


class TwoToTwo(nn.Module):
    """Two inputs, two outputs; the second one reads the second input only."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(2, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.b(y).abs()
        return self.c(torch.relu(self.a(x) + hidden)), hidden.reshape(-1, 2, 2)


def _chain(*sizes: int, between: Callable[[], nn.Module]) -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), between()]
    return nn.Sequential(*layers[:-1])


def _prelu() -> nn.PReLU:
    module = nn.PReLU(3)
    module.weight = nn.Parameter(torch.tensor([-0.5, 0.0, 1.7]))
    return module


ZOO: dict[str, Net] = {
    "mlp": Net(lambda: _chain(3, 8, 6, 2, between=nn.ReLU), ((3,),), switches=2),
    "plane": Net(lambda: _chain(2, 8, 6, 1, between=nn.ReLU), ((2,),), switches=2),
    "widening": Net(lambda: _chain(2, 4, 7, between=nn.LeakyReLU), ((2,),)),
    "affine": Net(lambda: nn.Linear(3, 2), ((3,),), switches=0),
    "leaky": Net(lambda: _chain(3, 5, 2, between=lambda: nn.LeakyReLU(-0.3)), ((3,),)),
    "hardtanh": Net(lambda: _chain(3, 8, 6, 2, between=lambda: nn.Hardtanh(-0.2, 0.3)), ((3,),), switches=2),
    "relu6": Net(lambda: Stack(nn.Linear(3, 6), lambda x: 20 * x, nn.ReLU6(), nn.Linear(6, 2)), ((3,),)),
    "abs": Net(lambda: Stack(nn.Linear(3, 5), torch.abs, nn.Linear(5, 5), torch.abs), ((3,),), switches=2),
    "softshrink": Net(lambda: _chain(3, 8, 2, between=lambda: nn.Softshrink(0.3)), ((3,),)),
    "clamp": Net(lambda: Stack(nn.Linear(3, 5), lambda x: x.clamp(min=-0.1), lambda x: x.clamp(max=0.2)), ((3,),),
                 switches=2),
    "cnn": Net(
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(3, 2, 2), nn.LeakyReLU(0.1),
            nn.Flatten(), nn.Linear(8, 2)
        ), ((2, 6, 6),), switches=3,
    ),
    "prelu": Net(lambda: nn.Sequential(nn.Conv2d(2, 3, 3), _prelu(), nn.Conv2d(3, 1, 2)), ((2, 4, 4),)),
    "residual": Net(Residual, ((2, 5, 5),), switches=2),
    "concat": Net(
        lambda: Apply(lambda x, a, b: b(torch.cat([x, torch.relu(a(x)), -x], 1)), nn.Linear(3, 4), nn.Linear(10, 2)),
        ((3,),),
    ),
    "means": Net(
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AvgPool2d(3, 2, 1, count_include_pad=False), nn.AdaptiveAvgPool2d((2, 1))
        ), ((1, 7, 7),),
    ),
    "grouped": Net(
        lambda: nn.Sequential(
            nn.Conv2d(4, 4, 3, 1, 2, 2, groups=2), nn.ReLU(), nn.ConvTranspose2d(4, 2, 3, 2, 1, 1, groups=2), nn.ReLU()
        ), ((4, 4, 4),), switches=2,
    ),
    "line": Net(
        lambda: nn.Sequential(nn.Conv1d(1, 2, 3, padding=1, padding_mode="circular"), nn.ReLU(), nn.MaxPool1d(2, 1)),
        ((1, 5),), switches=2,
    ),
    "upsample": Net(
        lambda: nn.Sequential(
            nn.Conv2d(1, 1, 2), nn.ReLU(), nn.Upsample(scale_factor=2, mode="bilinear"), nn.ReflectionPad2d(1)
        ), ((1, 3, 3),),
    ),
    "rnn": Net(lambda: Last(nn.RNN(2, 3, 2, nonlinearity="relu", batch_first=True)), ((3, 2),), switches=6),
    "heads": Net(Heads, ((4, 6),)),
    "maxout": Net(lambda: Stack(nn.Linear(3, 12), lambda x: x.reshape(-1, 4, 3).amax(-1)), ((3,),)),
    "maximum": Net(
        lambda: Apply(lambda x, a, b: torch.maximum(a(x), torch.minimum(b(x), a(x).abs())),
                      nn.Linear(3, 4), nn.Linear(3, 4)),
        ((3,),), switches=3,
    ),
    "groupsort": Net(lambda: Stack(nn.Linear(3, 6), lambda x: x.reshape(-1, 2, 3).sort(-1).values), ((3,),)),
    "topk": Net(lambda: Stack(nn.Linear(3, 6), lambda x: x.topk(2, -1).values), ((3,),)),
    "single": Net(Single, ((3,),)),
    "two": Net(TwoToTwo, ((3,), (2,)), switches=2, outputs=2),
    "sign": Net(lambda: Stack(nn.Linear(3, 5), torch.sign, nn.Linear(5, 2)), ((3,),), continuous=False),
    "round": Net(lambda: Stack(nn.Linear(3, 5), lambda x: torch.round(9 * x) + x), ((3,),), continuous=False),
    "hardshrink": Net(lambda: _chain(3, 5, 2, between=lambda: nn.Hardshrink(0.3)), ((3,),), continuous=False),
    "gelu": Net(lambda: _chain(3, 5, 2, between=nn.GELU), ((3,),), exact=False, switches=0),
    "gru": Net(lambda: Last(nn.GRU(2, 3, batch_first=True)), ((3, 2),), exact=False, switches=0),
    "mixed": Net(lambda: nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.Softmax(-1)), ((3,),),
                 exact=False),
    "transformer": Net(
        lambda: nn.TransformerEncoderLayer(4, 2, 6, batch_first=True, dropout=0.0), ((3, 4),), exact=False
    ),
}  # fmt: skip

EXACT = tuple(name for name, net in ZOO.items() if net.exact)
SMOOTH = tuple(name for name, net in ZOO.items() if not net.exact)
CONTINUOUS = tuple(name for name in EXACT if ZOO[name].continuous)
SINGLE = tuple(name for name, net in ZOO.items() if len(net.shapes) == net.outputs == 1)


@functools.cache
def model(name: str) -> nn.Module:
    """Return the module, in float64 and in eval mode."""
    with torch.random.fork_rng():
        torch.manual_seed(zlib.crc32(name.encode()))
        return ZOO[name].make().double().eval()


@functools.cache
def graph(name: str) -> SplineGraph:
    """Return its graph."""
    return trace(model(name), tuple(torch.zeros(1, *shape, dtype=torch.float64) for shape in ZOO[name].shapes))


def inputs(name: str, count: int, *, seed: int = 0, scale: float = 1.0) -> tuple[Tensor, ...]:
    """Return generic points, one tensor of shape (count, *in) per input."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        scale * torch.randn(count, *shape, generator=generator, dtype=torch.float64) for shape in ZOO[name].shapes
    )


def eager(name: str, *xs: Tensor) -> tuple[Tensor, ...]:
    """Return the outputs of the module itself, one sample at a time so that samples cannot mix."""
    rows = [model(name)(*(x[i : i + 1] for x in xs)) for i in range(len(xs[0]))]
    rows = [row if isinstance(row, tuple) else (row,) for row in rows]
    return tuple(torch.cat(column) for column in zip(*rows, strict=True))


def jacobian(name: str, *xs: Tensor, output: int = 0) -> tuple[Tensor, ...]:
    """Return the derivatives of one output by autograd, shape (B, *out, *in) per input."""
    leaves = tuple(x.clone().requires_grad_() for x in xs)
    value = eager(name, *leaves)[output]
    rows = [
        torch.autograd.grad(unit.sum(), leaves, retain_graph=True, allow_unused=True)
        for unit in value.flatten(1).unbind(1)
    ]
    found = (
        torch.stack([x.new_zeros(x.shape) if g is None else g for g in column], 1)
        for x, column in zip(leaves, zip(*rows, strict=True), strict=True)
    )
    return tuple(g.reshape(*value.shape, *g.shape[2:]) for g in found)
