"""SmallCNN and LargeCNN: Table 6 of the paper."""

from __future__ import annotations

from torch import nn

from splinegraph.training.topologies.layers import Layers

__all__ = ["LARGE", "SMALL", "cnn"]

Row = tuple[int, int, int, bool]
"""Channels (0: as many as classes), kernel, padding, whether the image is halved after it."""

SMALL: tuple[Row, ...] = (
    (32, 5, 4, True),  # full
    (64, 3, 0, False),  # valid
    (64, 3, 2, True),  # full
    (128, 3, 0, False),  # valid
    (0, 1, 0, False),
)

LARGE: tuple[Row, ...] = (
    (96, 3, 1, False),  # same
    (96, 3, 2, False),  # full
    (96, 3, 2, True),  # full
    (192, 3, 0, False),  # valid
    (192, 3, 2, False),  # full
    (192, 3, 0, True),  # valid
    (192, 3, 0, False),  # valid
    (192, 1, 0, False),
    (0, 1, 0, False),
)


def cnn(rows: tuple[Row, ...], channels: int, classes: int, layers: Layers) -> nn.Sequential:
    """Return convolutions with leaky rectifiers between them, the mean over the image and a linear layer.

    Parameters
    ----------
    rows : tuple of Row
        `SMALL` or `LARGE`.
    channels, classes : int
    layers : Layers
        The first convolution is free, convex or not.

    Notes
    -----
    The 131 512 parameters that the paper states for SmallCNN are those of the convolutions listed and of a linear
    layer with 10 inputs and outputs before the softmax, which it does not list: LargeCNN is given one too. The last
    convolution has no rectifier: with one, on so few channels, training starts far more slowly. The mean
    over 6x6 entries, which the paper prints, is taken over the whole image, since that is 5x5 in LargeCNN on MNIST
    and 7x7 in SmallCNN on CIFAR-10.
    """
    modules: list[nn.Module] = []
    before = channels
    for width, kernel, padding, halved in rows:
        after, stride = width or classes, layers.stride if halved else 1
        modules.append(layers.conv(before, after, kernel, padding=padding, stride=stride, free=not modules))
        modules += [layers.rectifier()] * bool(width)
        modules += layers.pool() if halved else []
        before = after
    return nn.Sequential(*modules, *layers.head(classes, classes))
