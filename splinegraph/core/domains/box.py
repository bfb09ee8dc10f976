"""A box in coordinates of its own: those in which it is not flat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from splinegraph.core.domains.chart import Chart
from splinegraph.errors import DomainError

if TYPE_CHECKING:
    from splinegraph.core.values import Box

__all__ = ["box_chart", "spread"]


def spread(box: Box, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the bounds of a box broadcast to the shape of an input; as they are if they do not fit."""
    try:
        return box.lower.expand(shape), box.upper.expand(shape)
    except RuntimeError:
        return box.lower, box.upper


def box_chart(box: Box) -> Chart:
    """Return the chart of a box: the coordinates with lower < upper are free, the others stay at their value."""
    lower, upper = (side.detach().reshape(-1).cpu().double() for side in box)
    free = lower < upper
    if bool(lower[~free].isinf().any()):
        raise DomainError("the box fixes a coordinate at infinity", remedy="give finite values where lower == upper")
    index = torch.nonzero(free)[:, 0]
    return Chart((tuple(box.shape),), lower.masked_fill(free, 0.0), lower[free], upper[free], index=index)
