"""One line of the list of models, and the ready model that it stands for."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Built", "Entry", "table", "wrapped"]

Built = tuple[nn.Module, tuple[Any, ...]]
"""A model and its positional arguments, the batch on axis 0."""


@dataclass(frozen=True)
class Entry:
    """A model with random weights.

    Parameters
    ----------
    name : str
        Unique, such as 'timm/resnet18'.
    build : callable
        Makes the model and an example of its arguments; imports what it needs.
    exact : bool or None
        Whether the model is piecewise affine in its floating point inputs (embeddings, for token ids), as
        its source code says; None where that was not worked out.
    packages : tuple of str
        What has to be importable besides torch.
    batch_dim : int
        Axis of the batch in the arguments.
    """

    name: str
    build: Callable[[], Built]
    exact: bool | None
    packages: tuple[str, ...] = ()
    batch_dim: int = 0

    @property
    def family(self) -> str:
        """The part of the name before the slash."""
        return self.name.partition("/")[0]

    def make(self) -> Built:
        """Build the model in eval mode, its weights a fixed random draw that hides nothing."""
        seed = zlib.crc32(self.name.encode())
        torch.manual_seed(seed)
        random.seed(seed)
        model, args = self.build()
        return stir(model.eval()), args


def stir(model: nn.Module) -> nn.Module:
    """Move parameters and statistics away from the zeros and ones that make layers vanish or the identity."""
    with torch.no_grad():
        for module in model.modules():
            for name, buffer in module.named_buffers(recurse=False):
                if name == "running_mean":
                    buffer.normal_(0, 0.1)
                elif name == "running_var":
                    buffer.uniform_(0.5, 1.5)
            for parameter in module.parameters(recurse=False):
                flat = parameter.is_floating_point() and parameter.numel() > 0 and parameter.max() == parameter.min()
                if flat:
                    parameter.add_(0.1 * torch.randn_like(parameter))
    return model


class _Call(nn.Module):
    """A model seen through a function of it, such as one that picks an output."""

    def __init__(self, inner: nn.Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.inner, self.function = inner, function

    def forward(self, *args: Tensor) -> Any:
        return self.function(self.inner, *args)


def wrapped(inner: nn.Module, function: Callable[..., Any]) -> nn.Module:
    """Return the module whose forward is ``function(inner, *args)``."""
    return _Call(inner, function)


def table(
    family: str, make: Callable[..., Built], rows: Iterable[tuple[Any, ...]], *packages: str
) -> tuple[Entry, ...]:
    """Return an entry per row (name, exact, *settings), built by ``make(name, *settings)``."""

    def entry(name: str, exact: bool | None, *settings: Any) -> Entry:
        return Entry(f"{family}/{name}", lambda: make(name, *settings), exact, packages)

    return tuple(entry(*row) for row in rows)
