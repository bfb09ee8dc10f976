"""Networks that are convex in their input."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from splinegraph.errors import ShapeError, SplineGraphError, require_whole
from splinegraph.nn.layers import ConvexLinear, _ConvexLayer
from splinegraph.nn.weights import Positive

__all__ = ["ConvexSequential", "icnn"]


class ConvexSequential(nn.Sequential):
    """Modules one after the other; convex layers with a passthrough are given the network's input as well.

    Raises
    ------
    SplineGraphError
        If a linear layer or convolution with free weights comes after a convex layer.

    Notes
    -----
    Convex if all layers before the first activation are affine, those after it are convex layers (or pooling and
    reshaping), and the activations are convex and nondecreasing; the first one need not be nondecreasing. Activations
    are not looked at here: `splinegraph.convexity` proves it for the network as it is.

    Examples
    --------
    >>> import torch
    >>> from splinegraph.nn import ConvexLinear
    >>> net = ConvexSequential(nn.Linear(2, 8), nn.ReLU(), ConvexLinear(8, 1, passthrough=2))
    >>> net(torch.zeros(3, 2)).shape
    torch.Size([3, 1])
    """

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__(*modules)
        convex = False
        for name, module in self.named_children():
            if convex and isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
                raise SplineGraphError(
                    f"{type(module).__name__} after a convex layer", where=f"module {name!r}",
                    why="its weights may be negative", remedy="use splinegraph.nn.ConvexLinear or ConvexConv2d",
                )  # fmt: skip
            convex = convex or isinstance(module, _ConvexLayer)

    def forward(self, x: Tensor) -> Tensor:
        """Return the network's value."""
        z = x
        for module in self:
            beside = isinstance(module, _ConvexLayer) and module.passthrough is not None
            z = module(z, x) if beside else module(z)
        return z


def icnn(
    features: int,
    hidden: Sequence[int],
    outputs: int = 1,
    *,
    activation: Callable[[], nn.Module] = nn.ReLU,
    passthrough: bool = True,
    positive: Positive = "softplus",
) -> ConvexSequential:
    """Return a fully connected input-convex network.

    Parameters
    ----------
    features : int
        Entries of the input.
    hidden : sequence of int
        Widths of the hidden layers, at least one.
    outputs : int
    activation : callable
        Returns a module: convex and nondecreasing (ReLU, LeakyReLU with a slope in [0, 1], Softplus, ...).
    passthrough : bool
        Whether layers after the first one read the input too.
    positive : {'softplus', 'square', 'exp', 'relu'}
        How weights are made nonnegative.

    References
    ----------
    .. [1] B. Amos, L. Xu and J. Z. Kolter, "Input Convex Neural Networks", ICML 2017, arXiv:1609.07152.

    Examples
    --------
    >>> import torch
    >>> net = icnn(2, [16, 16])
    >>> x, y = torch.randn(2, 100, 2)
    >>> bool((net((x + y) / 2) <= (net(x) + net(y)) / 2 + 1e-5).all())
    True
    """
    if not isinstance(hidden, Sequence) or isinstance(hidden, str):
        raise ShapeError(f"hidden is {hidden!r}", remedy="give a sequence of widths, such as [16, 16]")
    if not hidden:
        raise ShapeError("an input-convex network needs a hidden layer", remedy="give one width or more")
    for name, width in (("features", features), *(("a width of hidden", width) for width in hidden)):
        require_whole(name, width)
    require_whole("outputs", outputs)
    if not callable(activation):
        raise SplineGraphError(f"activation is {activation!r}", remedy="give what makes a module, such as nn.ReLU")
    layers: list[nn.Module] = [_first(features, hidden[0])]
    beside = features if passthrough else 0
    for before, after in itertools.pairwise([*hidden, outputs]):
        layers += [activation(), ConvexLinear(before, after, passthrough=beside, positive=positive)]
    return ConvexSequential(*layers)


def _first(features: int, width: int) -> nn.Linear:
    """Return a first layer as `weights.initial` wants it: values of variance 1 and correlation 1/2."""
    layer = nn.Linear(features, width)
    with torch.no_grad():
        shared = torch.randn(1, features)
        layer.weight.copy_((shared + torch.randn(width, features)) / math.sqrt(2 * features))
        layer.bias.zero_()
    return layer
