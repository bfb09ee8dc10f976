"""Normalisations of images: the paper's, and others."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from splinegraph.errors import DataError

__all__ = ["NORMALISATIONS", "normalise"]


def paper(x: Tensor) -> Tensor:
    """Return samples with mean 0 and largest absolute value 1, each by itself; constant ones become 0."""
    flat = x.flatten(1)
    # rounding of the mean would make something of a constant sample: compare before it is subtracted
    constant = flat.amin(1) == flat.amax(1)
    centered = flat - flat.mean(1, keepdim=True)
    largest = centered.abs().amax(1)
    flat = centered / torch.where(constant, 1, largest)[:, None]
    return torch.where(constant[:, None], 0, flat).reshape(x.shape)


def _unit(train: Tensor) -> Callable[[Tensor], Tensor]:
    least, most = train.min(), train.max()
    width = torch.where(most > least, most - least, 1)
    return lambda x: (x - least) / width


def _standard(train: Tensor) -> Callable[[Tensor], Tensor]:
    axes = [axis for axis in range(train.dim()) if axis != 1]
    deviation, mean = torch.std_mean(train, axes, correction=0, keepdim=True)
    deviation = torch.where(deviation > 0, deviation, 1)
    return lambda x: (x - mean) / deviation


_MAKERS: dict[str, Callable[[Tensor], Callable[[Tensor], Tensor]]] = {
    "paper": lambda _: paper,
    "none": lambda _: lambda x: x,
    "unit": _unit,
    "standard": _standard,
}

NORMALISATIONS = tuple(_MAKERS)
"""Names that `normalise` knows."""


def normalise(x_train: Tensor, x_test: Tensor, how: str) -> tuple[Tensor, Tensor]:
    """Normalise training and test samples alike.

    Parameters
    ----------
    x_train, x_test : Tensor of shape (N, C, H, W) or (N, n)
    how : {'paper', 'none', 'unit', 'standard'}
        'paper': each sample gets mean 0 (over all channels together) and largest absolute value 1; constant ones
        become 0. 'unit': the least and the largest value of the training samples become 0 and 1. 'standard': each
        channel gets mean 0 and variance 1 over the training samples. 'none': values as stored.

    Returns
    -------
    x_train, x_test : Tensor, float32

    Raises
    ------
    DataError
        If there is no such normalisation.
    """
    if how not in _MAKERS:
        raise DataError(f"there is no normalisation {how!r}", remedy=f"give one of {', '.join(_MAKERS)}")
    train = x_train.float()
    apply = _MAKERS[how](train)
    return apply(train), apply(x_test.float())
