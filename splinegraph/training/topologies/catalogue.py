"""`topology`: the networks of the paper by their names."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import cast

from torch import nn

from splinegraph.data.near import near
from splinegraph.errors import ShapeError, SplineGraphError
from splinegraph.training.topologies.cnn import LARGE, SMALL, cnn
from splinegraph.training.topologies.layers import Layers, Pooling
from splinegraph.training.topologies.resnet import resnet
from splinegraph.training.topologies.starting import standardize

__all__ = ["LEAST", "TOPOLOGIES", "topology"]

_MAKERS: dict[str, Callable[[int, int, Layers], nn.Sequential]] = {
    "small-cnn": partial(cnn, SMALL),
    "large-cnn": partial(cnn, LARGE),
    "resnet2-32": partial(resnet, 2, 32),
    "resnet3-16": partial(resnet, 3, 16),
    "resnet5-16": partial(resnet, 5, 16),
}

LEAST = {"small-cnn": 8, "large-cnn": 12, "resnet2-32": 6, "resnet3-16": 6, "resnet5-16": 6}
"""The smallest height and width of images that leave something to pool."""

_POOLINGS = ("mean", "max", "strided")

TOPOLOGIES: tuple[str, ...] = tuple(
    f"{base}-{pooling}{convex}" for convex, base, pooling in itertools.product(("", "-convex"), _MAKERS, _POOLINGS)
)
"""All names that `topology` knows."""


def topology(
    name: str, *, size: int | tuple[int, int] = 28, channels: int = 1, classes: int = 10, slope: float = 0.01
) -> nn.Sequential:
    """Return a network of the paper by its name, with new weights.

    Parameters
    ----------
    name : str
        ``BASE-POOLING`` or ``BASE-POOLING-convex``, one of `TOPOLOGIES`: small-cnn, large-cnn (Table 6), resnet2-32,
        resnet3-16 or resnet5-16 (Table 7: blocks per stage, then channels); mean, max, or strided.
    size : int or (height, width)
        Of the images. The paper has 28 and 32; others are ours, and the weights do not depend on it.
    channels : int
        Of the images.
    classes : int
    slope : float
        Of the leaky rectifiers, in [0, 1]: Lasagne's 0.01, since the paper does not say.

    Returns
    -------
    Sequential
        Images (B, channels, height, width) to logits (B, classes), in float32 and training mode.

    Raises
    ------
    SplineGraphError
        If there is no such name, or the slope is outside [0, 1].
    ShapeError
        If a number is no positive integer, or the images are too small.

    Notes
    -----
    Weights are drawn by torch's global generator. Strided networks are ours, where the paper has variants with
    inhibitor connections that it does not define (U): the convolution before each pooling has stride 2 instead. In
    convex networks the first convolution is free and all other weights are nonnegative (Appendix A.3 of the paper), so
    that all logits are convex functions of the image. With one channel and 10 classes small-cnn has 131 512 parameters
    and large-cnn 1 368 120.

    See Also
    --------
    splinegraph.convexity : proves that the logits of a convex one are convex.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Networks", ICML 2018, extended version.

    Examples
    --------
    >>> import torch
    >>> net = topology("small-cnn-mean", size=8)
    >>> net(torch.zeros(2, 1, 8, 8)).shape, sum(p.numel() for p in net.parameters())
    (torch.Size([2, 10]), 131512)
    """
    if name not in TOPOLOGIES:
        close = near(name, TOPOLOGIES)
        known = f"{', '.join(_MAKERS)}, each with -{', -'.join(_POOLINGS)} and perhaps -convex"
        remedy = f"did you mean {' or '.join(close)}?" if close else f"give one of {known}"
        raise SplineGraphError(f"there is no topology {name!r}", remedy=remedy)
    if not 0 <= slope <= 1:
        raise SplineGraphError(f"the slope of the leaky rectifiers is {slope}", remedy="give a number from 0 to 1")
    plain = name.removesuffix("-convex")
    base, _, pooling = plain.rpartition("-")
    height, width = (size, size) if isinstance(size, int) else size
    for what, number in (("height", height), ("width", width), ("channels", channels), ("classes", classes)):
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise ShapeError(f"{name} with {what} {number!r}", remedy="give a whole number, at least 1")
    if min(height, width) < LEAST[base]:
        raise ShapeError(
            f"{name} cannot take images of {height}x{width}", why=f"it needs {LEAST[base]}x{LEAST[base]} or more",
            remedy="give larger images or another topology",
        )  # fmt: skip
    convex = plain != name
    net = _MAKERS[base](channels, classes, Layers(cast(Pooling, pooling), slope, convex))
    if convex:
        standardize(net, channels, (height, width))
    return net
