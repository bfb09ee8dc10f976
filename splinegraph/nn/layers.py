"""Layers that keep convex functions convex: weights on what comes before are nonnegative."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from splinegraph.errors import ShapeError, require_whole
from splinegraph.nn.weights import Positive, checked, initial, nonnegative, raw_of

__all__ = ["ConvexConv2d", "ConvexLinear"]

PASSTHROUGH = 0.1
"""Standard deviation of what the network's input adds to a new layer, beside 1 by the layer before."""


class _ConvexLayer(nn.Module):
    """What both layers share: a nonnegative weight, a free one for the network's input, and a bias."""

    def __init__(self, shape: tuple[int, ...], free: tuple[int, ...] | None, bias: bool, positive: Positive) -> None:
        super().__init__()
        checked(positive)
        sizes = (*shape, *(free or ()))
        if not all(isinstance(size, int) and size >= 1 for size in sizes):
            named = ", ".join(map(str, sizes))
            raise ShapeError(f"{type(self).__name__} with sizes {named}", remedy="give whole numbers, at least 1")
        self.positive = positive
        self.raw = nn.Parameter(torch.empty(shape))
        self.passthrough = None if free is None else nn.Parameter(torch.empty(free))
        self.bias = nn.Parameter(torch.empty(shape[0])) if bias else None
        self.reset_parameters()

    @property
    def weight(self) -> Tensor:
        """The nonnegative weight."""
        return nonnegative(self.raw, self.positive)

    def reset_parameters(self) -> None:
        """Draw the weights anew; see `weights.initial`."""
        with torch.no_grad():
            weight, bias = initial(self.raw, math.prod(self.raw.shape[1:]))
            self.raw.copy_(raw_of(weight, self.positive))
            if self.bias is not None:
                self.bias.fill_(bias)
            if self.passthrough is not None:
                self.passthrough.normal_(std=PASSTHROUGH / math.sqrt(math.prod(self.passthrough.shape[1:])))

    @torch.no_grad()
    def set_weight(self, weight: Tensor) -> None:
        """Make the nonnegative weight this one (entries below 1e-8 become that, except with relu).

        Raises
        ------
        ShapeError
            If it has another shape or negative entries.
        """
        if weight.shape != self.raw.shape or not bool((weight >= 0).all()):
            raise ShapeError(f"weight of shape {tuple(weight.shape)}", why=f"needs {tuple(self.raw.shape)}, all >= 0")
        self.raw.copy_(raw_of(weight, self.positive))

    def _beside(self, x: Tensor | None) -> Tensor | None:
        """Return the network's input, if this layer reads it."""
        if (x is None) != (self.passthrough is None):
            raise ShapeError(
                f"{type(self).__name__} was given {'no' if x is None else 'an'} input of the network",
                remedy="make it with passthrough= and call it with (z, x)" if x is not None else "call it with (z, x)",
            )
        return x


class ConvexLinear(_ConvexLayer):
    r"""A linear layer with nonnegative weights, and free ones for the network's input.

    .. math:: (z, x) \mapsto W^+ z + V x + b, \qquad W^+ \ge 0

    If every entry of z is a convex function of x, so is every entry of the result.

    Parameters
    ----------
    in_features, out_features : int
    passthrough : int
        Features of the network's input x that the layer reads besides z; 0 for none.
    bias : bool
    positive : {'softplus', 'square', 'exp', 'relu'}
        How the free parameter `raw` becomes the weight.

    Notes
    -----
    z is (B, in_features), x is (B, passthrough). The first layer of a network, and whatever follows affine layers
    only, may be an ordinary `torch.nn.Linear`.

    References
    ----------
    .. [1] B. Amos, L. Xu and J. Z. Kolter, "Input Convex Neural Networks", ICML 2017, arXiv:1609.07152.

    Examples
    --------
    >>> layer = ConvexLinear(3, 2, passthrough=4)
    >>> bool((layer.weight >= 0).all()), layer(torch.rand(5, 3), torch.randn(5, 4)).shape
    (True, torch.Size([5, 2]))
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        passthrough: int = 0,
        bias: bool = True,
        positive: Positive = "softplus",
    ) -> None:
        free = (out_features, passthrough) if passthrough else None
        super().__init__((out_features, in_features), free, bias, positive)

    def forward(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        """Return the layer's value."""
        x = self._beside(x)
        value = F.linear(z, self.weight, self.bias)
        if x is None:
            return value
        assert self.passthrough is not None
        return value + F.linear(x, self.passthrough)

    def extra_repr(self) -> str:
        """Return the sizes, for printing."""
        beside = 0 if self.passthrough is None else self.passthrough.shape[1]
        return f"{self.raw.shape[1]}, {self.raw.shape[0]}, passthrough={beside}, positive={self.positive!r}"


class ConvexConv2d(_ConvexLayer):
    """A convolution with a nonnegative kernel, and a free one for the network's input.

    Parameters
    ----------
    in_channels, out_channels, kernel_size : int
    stride, padding, dilation, groups : int
        As in `torch.nn.Conv2d`.
    passthrough : int
        Channels of the image x that the layer reads besides z, with a kernel, stride, padding and dilation like
        that of z; 0 for none. Both images need the same height and width.
    bias : bool
    positive : {'softplus', 'square', 'exp', 'relu'}

    See Also
    --------
    ConvexLinear : The same for vectors, with the reference.

    Examples
    --------
    >>> layer = ConvexConv2d(2, 3, 3, padding=1, passthrough=1)
    >>> layer(torch.rand(5, 2, 8, 8), torch.randn(5, 1, 8, 8)).shape
    torch.Size([5, 3, 8, 8])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        passthrough: int = 0,
        bias: bool = True,
        positive: Positive = "softplus",
    ) -> None:
        for name, number in (("in_channels", in_channels), ("out_channels", out_channels), ("groups", groups)):
            require_whole(name, number)
        if in_channels % groups or out_channels % groups:
            raise ShapeError(f"{groups} groups do not divide {in_channels} and {out_channels} channels")
        square = (kernel_size, kernel_size)
        free = (out_channels, passthrough, *square) if passthrough else None
        super().__init__((out_channels, in_channels // groups, *square), free, bias, positive)
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups

    def forward(self, z: Tensor, x: Tensor | None = None) -> Tensor:
        """Return the layer's value."""
        x = self._beside(x)
        where = (self.stride, self.padding, self.dilation)
        value = F.conv2d(z, self.weight, self.bias, *where, self.groups)
        if x is None:
            return value
        assert self.passthrough is not None
        return value + F.conv2d(x, self.passthrough, None, *where)

    def extra_repr(self) -> str:
        """Return the sizes, for printing."""
        inner = self.raw.shape[1] * self.groups
        beside = 0 if self.passthrough is None else self.passthrough.shape[1]
        size = f"{inner}, {self.raw.shape[0]}, kernel_size={self.raw.shape[2]}, stride={self.stride}"
        return f"{size}, padding={self.padding}, passthrough={beside}, positive={self.positive!r}"
