"""Residual networks: Table 7 of the paper."""

from __future__ import annotations

from torch import Tensor, nn

from splinegraph.training.topologies.layers import Layers

__all__ = ["Block", "resnet"]


class Block(nn.Module):
    """A residual block, Eq 44: z -> P(LReLU(C_in z + b_in) + C_out z + b_out).

    Parameters
    ----------
    before, after : int
        Channels. If they differ the block widens: C_out is a convolution with 1x1 kernels, and the image is halved,
        by the pooling P or by the strides of both convolutions. Otherwise C_out and P are the identity.
    layers : Layers
    """

    def __init__(self, before: int, after: int, layers: Layers) -> None:
        super().__init__()
        wider = before != after
        stride = layers.stride if wider else 1
        self.inner = nn.Sequential(layers.conv(before, after, 3, padding=1, stride=stride), layers.rectifier())
        self.outer = layers.conv(before, after, 1, stride=stride) if wider else nn.Identity()
        self.pool = nn.Sequential(*(layers.pool() if wider else []))

    def forward(self, z: Tensor) -> Tensor:
        """Return the value of the block."""
        pooled: Tensor = self.pool(self.inner(z) + self.outer(z))
        return pooled


def resnet(count: int, width: int, channels: int, classes: int, layers: Layers) -> nn.Sequential:
    """Return a residual network.

    Parameters
    ----------
    count : int
        n: there are n blocks, a widening one, n, a widening one, n - 1.
    width : int
        Channels of the first convolution; each widening block doubles them.
    channels, classes : int
    layers : Layers
        The first convolution is free, convex or not.

    Notes
    -----
    What the paper leaves open is ours: its figure of a block is missing, so the block is the one of its Eq 44 with
    one convolution. Table 7 prints 3, 1, 3, 1, 2 blocks for Resnet3 and 3, 1, 3, 1, 4 for Resnet5, while the text says
    that n is the number of blocks per stage; n, 1, n, 1, n - 1 agrees with the first and with the end of the second. A
    linear layer makes logits of the channels' means.
    """
    modules: list[nn.Module] = [layers.conv(channels, width, 3, free=True), layers.rectifier()]
    for blocks in (count, count):
        modules += [Block(width, width, layers) for _ in range(blocks)]
        modules.append(Block(width, 2 * width, layers))
        width *= 2
    modules += [Block(width, width, layers) for _ in range(count - 1)]
    return nn.Sequential(*modules, *layers.head(width, classes))
