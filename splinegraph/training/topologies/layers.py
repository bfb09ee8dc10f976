"""What all topologies are built of: convolutions, leaky rectifiers, pooling and a linear layer, free or convex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from splinegraph.nn import ConvexConv2d, ConvexLinear
from splinegraph.nn.weights import Positive

__all__ = ["Layers", "Pooling"]

Pooling = Literal["mean", "max", "strided"]
"""How images are halved: the mean or the maximum of 2x2 entries, or a stride of the convolution before."""

POSITIVE: Positive = "square"
"""How weights are made nonnegative: squares of small numbers move faster than their exponentials."""


@dataclass(frozen=True)
class Layers:
    """Makes the layers of one network.

    Parameters
    ----------
    pooling : {'mean', 'max', 'strided'}
    slope : float
        Of the leaky rectifiers, for negative values.
    convex : bool
        Whether weights are nonnegative, except those of layers made with ``free=True``.

    Notes
    -----
    Free weights start as in Lasagne, which the paper used: uniform after Glorot and Bengio, biases 0. Nonnegative
    ones start as `ConvexConv2d` and `ConvexLinear` do, until `starting.standardize` scales them.
    """

    pooling: Pooling
    slope: float
    convex: bool

    def conv(
        self, before: int, after: int, kernel: int, *, padding: int = 0, stride: int = 1, free: bool = False
    ) -> nn.Module:
        """Return a convolution with a square kernel."""
        if self.convex and not free:
            return ConvexConv2d(before, after, kernel, padding=padding, stride=stride, positive=POSITIVE)
        layer = nn.Conv2d(before, after, kernel, padding=padding, stride=stride)
        _glorot(layer)
        return layer

    def dense(self, before: int, after: int) -> nn.Module:
        """Return a linear layer."""
        if self.convex:
            return ConvexLinear(before, after, positive=POSITIVE)
        layer = nn.Linear(before, after)
        _glorot(layer)
        return layer

    def rectifier(self) -> nn.Module:
        """Return a leaky rectifier."""
        return nn.LeakyReLU(self.slope)

    @property
    def stride(self) -> int:
        """The stride of a convolution that halves the image, if that is how it is done, else 1."""
        return 2 if self.pooling == "strided" else 1

    def pool(self) -> list[nn.Module]:
        """Return what halves the image after a convolution with `stride`: at most one module."""
        if self.pooling == "strided":
            return []
        return [nn.AvgPool2d(2) if self.pooling == "mean" else nn.MaxPool2d(2)]

    def head(self, channels: int, classes: int) -> list[nn.Module]:
        """Return what makes logits of an image: the mean of each channel, and a linear layer."""
        return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), self.dense(channels, classes)]


def _glorot(layer: nn.Conv2d | nn.Linear) -> None:
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
