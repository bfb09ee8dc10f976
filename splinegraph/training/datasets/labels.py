"""Which of the training samples have labels: stratified draws."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from splinegraph.errors import DataError

__all__ = ["LabelDraw", "draw_labels", "spread"]


@dataclass(frozen=True, eq=False)
class LabelDraw:
    """The training samples by what may be known of them.

    Parameters
    ----------
    labelled : Tensor of shape (L,), int64
        Indices of those whose class is trained on, in ascending order.
    validation : Tensor of shape (V,), int64
        Of those whose class is used for choosing among models, and which are not trained on.
    unlabelled : Tensor of shape (U,), int64
        Of all others: their classes must not be looked at.
    seed : int
        Of the draw.
    """

    labelled: Tensor
    validation: Tensor
    unlabelled: Tensor
    seed: int

    @property
    def count(self) -> int:
        """How many labels are used."""
        return len(self.labelled) + len(self.validation)


def draw_labels(y: Tensor, count: int, seed: int, *, validation: int = 0, classes: int | None = None) -> LabelDraw:
    """Draw which samples have labels, as many of each class as far as that is possible.

    Parameters
    ----------
    y : Tensor of shape (N,), int64
        Classes from 0 on; samples with -1 are never drawn, and belong to the unlabelled ones.
    count : int
        Labels in all, those of validation included.
    seed : int
    validation : int
        How many of them are for validation.
    classes : int, optional
        How many classes there are. Default: one more than the largest in `y`.

    Returns
    -------
    LabelDraw
        The same for the same arguments. Numbers of two classes differ by at most one unless a class runs out; which
        classes have one more is drawn. With the same seed a smaller draw without validation is part of a larger one.

    Raises
    ------
    DataError
        If there are not so many labels, or a class would have no labelled example.

    Examples
    --------
    >>> import torch
    >>> y = torch.arange(100) % 10
    >>> draw = draw_labels(y, 20, seed=0)
    >>> torch.bincount(y[draw.labelled]).tolist(), len(draw.unlabelled)
    ([2, 2, 2, 2, 2, 2, 2, 2, 2, 2], 80)
    """
    if y.is_floating_point() or y.is_complex() or y.dim() != 1:
        kind = str(y.dtype).removeprefix("torch.")
        raise DataError(f"the labels are {kind} of shape {tuple(y.shape)}", remedy="give one integer per sample")
    y = y.cpu()
    known = int((y >= 0).sum())
    if count < 1 or count > known:
        raise DataError(f"{count} labels are asked for", why=f"the training set has {known}", remedy=f"1 to {known}")
    if validation < 0 or validation >= count:
        why = f"{count} labels are asked for in all, and those of validation count"
        raise DataError(f"{validation} labels are asked for validation", why=why, remedy="leave some to train on")
    classes = int(y.max()) + 1 if classes is None else classes
    generator = torch.Generator().manual_seed(seed)
    drawn = spread(y, count, generator)
    held = drawn[spread(y[drawn], validation, generator)] if validation else drawn[:0]
    labelled = drawn[~torch.isin(drawn, held)]
    absent = torch.bincount(y[labelled], minlength=classes) == 0
    if bool(absent.any()):
        first = int(absent.nonzero()[0])
        available = int((y == first).sum())
        why = f"{len(labelled)} labels to train on for {classes} classes" if available else "the training set has none"
        raise DataError(
            f"class {first} has no labelled example", why=why,
            remedy=f"ask for at least {classes} labels besides those of validation" if available
            else "add samples of it, or number the classes from 0 on without gaps",
        )  # fmt: skip
    rest = torch.ones(len(y), dtype=torch.bool)
    rest[drawn] = False
    return LabelDraw(labelled, held, rest.nonzero().flatten(), seed)


def spread(y: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return the indices, ascending, of `count` samples, as equally many of each class as there are.

    Parameters
    ----------
    y : Tensor of shape (N,), int64
        Samples with negative ones are not taken.
    count : int
        At most as many as there are others.
    generator : torch.Generator
    """
    groups = [found for c in range(int(y.max()) + 1) if len(found := (y == c).nonzero().flatten())]
    # level by level: each class gives its next sample, in an order of the classes that is drawn once
    groups = [groups[place] for place in torch.randperm(len(groups), generator=generator)]
    ranked = [found[torch.randperm(len(found), generator=generator)] for found in groups]
    level = torch.cat([torch.arange(len(found)) for found in ranked])
    chosen = torch.cat(ranked)[level.argsort(stable=True)[:count]]
    return chosen.sort().values
