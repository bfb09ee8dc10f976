"""The first samples and their labels, kept whole for sections that need to go through them more than once."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from splinegraph.analyses.report.study import Collector, Part, Study

__all__ = ["KEPT", "Kept"]

KEPT = 128
"""Most samples that are kept."""

ENTRIES = 2**23
"""Most numbers that are kept: 64 MiB in float64."""


class Kept(Collector):
    """The first samples, at most 128, and fewer of large ones."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        size = sum(math.prod(shape) for shape in study.graph.input_shapes)
        self._wanted = max(1, min(KEPT, ENTRIES // max(size, 1)))
        self._parts: tuple[tuple[tuple[Tensor, ...], Tensor | None], ...] = ()

    def add(self, part: Part) -> None:
        more = self._wanted - len(self)
        if more > 0:
            labels = None if part.labels is None else part.labels[:more].clone()
            self._parts = (*self._parts, (tuple(x[:more].clone() for x in part.inputs), labels))

    def __len__(self) -> int:
        """Return the number of samples kept so far."""
        return sum(len(inputs[0]) for inputs, _ in self._parts)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """One tensor per input of the graph."""
        return tuple(map(torch.cat, zip(*(inputs for inputs, _ in self._parts), strict=True)))

    @property
    def labels(self) -> Tensor | None:
        """Their labels, where the data have any."""
        found = [labels for _, labels in self._parts if labels is not None]
        return torch.cat(found) if found and len(found) == len(self._parts) else None
