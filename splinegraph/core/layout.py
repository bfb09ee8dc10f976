"""Where a node keeps its batch axis.

Models fold other axes into the batch (attention heads, windows, time) and move it around. A layout says
which axis holds it and what is multiplied into that axis before and after: the axis has size
outer * B * inner, in this order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

__all__ = ["BatchLayout"]


@dataclass(frozen=True)
class BatchLayout:
    """The batch is the middle factor of axis `axis`, which has size outer * B * inner.

    Examples
    --------
    >>> import torch
    >>> layout = BatchLayout(axis=1, outer=1, inner=2)        # heads folded in behind the batch
    >>> layout.samples_first(torch.zeros(5, 3 * 2, 7)).shape
    torch.Size([3, 5, 1, 2, 7])
    """

    axis: int = 0
    outer: int = 1
    inner: int = 1

    @property
    def factor(self) -> int:
        """By what the batch size is multiplied."""
        return self.outer * self.inner

    def samples_first(self, value: Tensor) -> Tensor:
        """Return the value with the samples on axis 0 (a view): shape (B, ...)."""
        if self.factor != 1:
            value = value.unflatten(self.axis, (self.outer, -1, self.inner))
            return value.movedim(self.axis + 1, 0)
        return value.movedim(self.axis, 0) if self.axis else value

    def samples_back(self, value: Tensor) -> Tensor:
        """Undo `samples_first`."""
        if self.factor != 1:
            return value.movedim(0, self.axis + 1).flatten(self.axis, self.axis + 2)
        return value.movedim(0, self.axis) if self.axis else value

    def after_view(self, before: Sequence[int], after: Sequence[int], axis: int) -> BatchLayout | None:
        """Return the layout after a reshape, or None if it cuts through the batch.

        `before` and `after` are the shapes at batch size 1, `axis` is the new batch axis. A reshape
        keeps the order of elements, so the batch keeps its stride.
        """
        stride = self.inner * math.prod(before[self.axis + 1 :])
        behind = math.prod(after[axis + 1 :])
        if behind == 0 or stride % behind or after[axis] % max(stride // behind, 1):
            return None
        inner = stride // behind
        return BatchLayout(axis, after[axis] // inner, inner) if inner else None
