"""What a row of the tables of calls is: see `calls` and `calls_shapes`.

Every row has an input of two samples with the batch on axis 0 (see `Row.batch_axis`); `constants` become
parameters of the module that is traced. Functions that Python reaches only through other names are
called by their ATen overload, which `torch.export` keeps as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

aten = torch.ops.aten


@dataclass(frozen=True)
class Row:
    """A call, the lowerings that it must use, and what is special about it.

    Parameters
    ----------
    targets : tuple of str
        'relu' stands for 'aten.relu.default', 'add.Scalar' for 'aten.add.Scalar'.
    function : callable (*inputs, *constants)
    shapes : shapes of one sample of each input
    constants : shapes of parameters
    span : where the entries of inputs lie; None for normal ones
    opaque : why the graph holds an opaque node, if it does
    single : why it is traced for one sample, if it is
    jacobian : the same function with the derivative that autograd does not see
    """

    targets: tuple[str, ...]
    function: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...] = ((6,),)
    constants: tuple[tuple[int, ...], ...] = ()
    span: tuple[float, float] | None = None
    opaque: str = ""
    single: str = ""
    jacobian: Callable[..., Any] | None = None

    @property
    def id(self) -> str:
        return self.targets[0]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(full_name(t) for t in self.targets)

    def inputs(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return two random samples, in float64."""
        found = []
        for shape in self.shapes:
            x = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
            if self.span is not None:
                low, high = self.span
                x = low + (high - low) * torch.rand(2, *shape, generator=generator, dtype=torch.float64)
            found.append(x)
        return tuple(found)

    def module(self) -> Called:
        return Called(self.function, self.constants)


class Called(nn.Module):
    """A function with parameters."""

    def __init__(self, function: Callable[..., Any], shapes: Sequence[tuple[int, ...]]) -> None:
        super().__init__()
        self.function = function
        generator = torch.Generator().manual_seed(1)
        self.constants = nn.ParameterList([torch.randn(s, generator=generator) for s in shapes])
        self.eval()

    def forward(self, *xs: Tensor) -> Any:
        return self.function(*xs, *self.constants)


def full_name(target: str) -> str:
    return f"aten.{target}" if "." in target else f"aten.{target}.default"


def row(targets: str, function: Callable[..., Any], *shapes: tuple[int, ...], **more: Any) -> Row:
    """Return a row; targets are separated by blanks."""
    return Row(tuple(targets.split()), function, shapes or ((6,),), **more)


POSITIVE = {"span": (0.5, 2.0)}
IMAGE, VOLUME, SEQUENCE = (2, 6, 5), (2, 5, 4, 4), (2, 7)


def first(function: Callable[..., Any]) -> Callable[..., Tensor]:
    """Return the first result of a call with several."""
    return lambda *xs: function(*xs)[0]


def each(names: str, **more: Any) -> list[Row]:
    """Return rows for ATen calls of one argument."""
    return [row(name, getattr(aten, name).default, **more) for name in names.split()]
