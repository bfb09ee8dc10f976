"""Batches of labelled and of unlabelled samples, whose order can be saved and restored exactly."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from splinegraph.errors import DataError
from splinegraph.training.datasets.labels import LabelDraw

__all__ = ["IndexBatches", "Loaders", "loaders"]


class IndexBatches:
    """Batches of indices without end: a new random order for each pass, every batch of the same size.

    Parameters
    ----------
    indices : Tensor of shape (N,), int64
        N at least 1.
    size : int
        Of a batch. If N is smaller, samples occur more than once in a batch.
    seed : int

    Notes
    -----
    A batch may begin in one pass and end in the next one.
    """

    def __init__(self, indices: Tensor, size: int, seed: int) -> None:
        if not len(indices):
            raise DataError("there are no samples to make batches of", remedy="give at least one")
        if size < 1:
            raise DataError(f"the batch size is {size}", remedy="give at least 1")
        self._indices, self.size = indices.cpu(), size
        self._generator = torch.Generator().manual_seed(seed)
        self._order, self._place = self._shuffled(), 0

    def _shuffled(self) -> Tensor:
        return self._indices[torch.randperm(len(self._indices), generator=self._generator)]

    @property
    def steps(self) -> int:
        """How many batches it takes to see every sample."""
        return math.ceil(len(self._indices) / self.size)

    def next(self) -> Tensor:
        """Return the next batch of indices, of shape (size,)."""
        parts, needed = [], self.size
        while needed:
            if self._place == len(self._order):
                self._order, self._place = self._shuffled(), 0
            part = self._order[self._place : self._place + needed]
            self._place, needed = self._place + len(part), needed - len(part)
            parts.append(part)
        return torch.cat(parts)

    def state_dict(self) -> dict[str, Any]:
        """Return what the coming batches depend on."""
        return {"generator": self._generator.get_state(), "order": self._order.clone(), "place": self._place}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a state was saved.

        Raises
        ------
        DataError
            If it is the state of other samples.
        """
        order = state["order"].cpu()
        if not torch.equal(order.sort().values, self._indices.sort().values):
            raise DataError("the saved order of samples is of other samples", remedy="use the same data and draw")
        self._generator.set_state(state["generator"].cpu())
        self._order, self._place = order.clone(), int(state["place"])


class Loaders:
    """Labelled and unlabelled batches, side by side.

    Parameters
    ----------
    labelled : IndexBatches
    unlabelled : IndexBatches or None
    """

    def __init__(self, labelled: IndexBatches, unlabelled: IndexBatches | None) -> None:
        self.labelled, self.unlabelled = labelled, unlabelled

    @property
    def steps(self) -> int:
        """Steps of an epoch: one pass over the unlabelled samples, or over the labelled ones where there are none."""
        return (self.unlabelled or self.labelled).steps

    def next(self) -> tuple[Tensor, Tensor | None]:
        """Return the indices of the next labelled batch and of the next unlabelled one."""
        return self.labelled.next(), None if self.unlabelled is None else self.unlabelled.next()

    def state_dict(self) -> dict[str, Any]:
        """Return what the coming batches depend on."""
        unlabelled = None if self.unlabelled is None else self.unlabelled.state_dict()
        return {"labelled": self.labelled.state_dict(), "unlabelled": unlabelled}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a state was saved.

        Raises
        ------
        DataError
            If it is the state of other samples, or of training with unlabelled samples where there are none, or
            the other way round.
        """
        if (state["unlabelled"] is None) != (self.unlabelled is None):
            raise DataError("only one of the saved state and the loaders has unlabelled samples")
        self.labelled.load_state_dict(state["labelled"])
        if self.unlabelled is not None:
            self.unlabelled.load_state_dict(state["unlabelled"])


def loaders(draw: LabelDraw, *, labelled_batch: int, unlabelled_batch: int, seed: int) -> Loaders:
    """Return batches of the labelled samples of a draw, gone through again and again, and of the unlabelled ones.

    Parameters
    ----------
    draw : LabelDraw
        Its samples for validation are in no batch.
    labelled_batch : int
        Labelled samples in a step; at most all of them are taken.
    unlabelled_batch : int
        Unlabelled samples in a step, 0 for none.
    seed : int
        Of the order.

    Raises
    ------
    DataError
        If there are no unlabelled samples where some are asked for, or a number is too small.

    Notes
    -----
    Classes of the unlabelled samples are never looked at. Both orders have a random generator of their own, so that
    the labelled batches are the same with and without unlabelled ones.

    Examples
    --------
    >>> import torch
    >>> from splinegraph.training.datasets import draw_labels
    >>> batches = loaders(draw_labels(torch.arange(100) % 10, 20, 0), labelled_batch=20, unlabelled_batch=16, seed=0)
    >>> labelled, unlabelled = batches.next()
    >>> len(labelled), len(unlabelled), batches.steps
    (20, 16, 5)
    """
    if unlabelled_batch < 0:
        raise DataError(f"the batch size is {unlabelled_batch}", remedy="give 0 for no unlabelled samples, or more")
    if unlabelled_batch and not len(draw.unlabelled):
        raise DataError(
            "there are no unlabelled samples", why=f"all of the training set has labels: {draw.count}",
            remedy="ask for fewer labels, or train with them alone: preset='supervised', or unlabelled_batch=0 here",
        )  # fmt: skip
    first, second = torch.randint(2**62, (2,), generator=torch.Generator().manual_seed(seed)).tolist()
    labelled = IndexBatches(draw.labelled, min(labelled_batch, len(draw.labelled)), first)
    unlabelled = min(unlabelled_batch, len(draw.unlabelled))
    return Loaders(labelled, IndexBatches(draw.unlabelled, unlabelled, second) if unlabelled else None)
