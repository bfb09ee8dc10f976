"""Where the weights of convex networks start: so that each layer passes on how its inputs differ."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from splinegraph.nn import ConvexConv2d, ConvexLinear

__all__ = ["standardize"]

IMAGES = 32
"""How many random images the layers are standardised on."""

COARSE = 4
"""Height and width of the noise that these are scaled up from: neighbouring pixels of real images are alike."""


@torch.no_grad()
def standardize(net: nn.Module, channels: int, size: tuple[int, int]) -> None:
    """Scale and shift the nonnegative layers so that each of their channels has mean 0 and variance 1.

    Parameters
    ----------
    net : Module
        Its nonnegative layers are changed in place.
    channels : int
    size : (height, width)

    Notes
    -----
    Without it the values of deep convex networks hardly depend on the input at the start: nonnegative weights average.
    Means and variances are those on smooth random images, normalised as the paper does, in one forward pass, layer
    by layer.

    References
    ----------
    .. [1] D. Mishkin and J. Matas, "All you need is a good init", ICLR 2016, arXiv:1511.06422.
    """
    noise = torch.randn(IMAGES, channels, COARSE, COARSE)
    images = F.interpolate(noise, size=size, mode="bilinear", align_corners=False)
    images = images - images.mean((1, 2, 3), keepdim=True)
    layers = [module for module in net.modules() if isinstance(module, ConvexConv2d | ConvexLinear)]
    hooks = [layer.register_forward_hook(_standardized) for layer in layers]
    try:
        net(images / images.abs().amax((1, 2, 3), keepdim=True))
    finally:
        for hook in hooks:
            hook.remove()


def _standardized(layer: nn.Module, _: Any, value: Tensor) -> Tensor:
    """Standardise a layer and return its new value."""
    assert isinstance(layer, ConvexConv2d | ConvexLinear)
    assert layer.bias is not None
    every = [axis for axis in range(value.dim()) if axis != 1]
    mean, scale = value.mean(every), value.std(every).clamp(min=1e-6)
    layer.set_weight(layer.weight / scale.reshape(-1, *[1] * (layer.raw.dim() - 1)))
    layer.bias.copy_((layer.bias - mean) / scale)
    along = (1, -1, *[1] * (value.dim() - 2))
    return (value - mean.reshape(along)) / scale.reshape(along)
