"""`TrainingData`: images and classes to train and to test on, checked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from splinegraph.data.source import first_bad
from splinegraph.errors import DataError

__all__ = ["Raw", "TrainingData", "fingerprint"]


@dataclass(frozen=True)
class Raw:
    """Images and classes as they are stored.

    Parameters
    ----------
    x_train, x_test : Tensor of shape (N, C, H, W) or (N, n)
        Of one type.
    y_train, y_test : Tensor of shape (N,), int64
    names : tuple of str
        Of the classes, where they are known.
    notes : tuple of str
        What was chosen or left out.
    """

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Images and classes to train on, images and classes to test on."""
        return self.x_train, self.y_train, self.x_test, self.y_test


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Samples to train on and samples to test on, normalised.

    Parameters
    ----------
    x_train, x_test : Tensor of shape (N, C, H, W) or (N, n), float32
        Images, or vectors.
    y_train : Tensor of shape (N,), int64
        Classes from 0 on; -1 where the class is not known.
    y_test : Tensor of shape (N,), int64
        Classes from 0 on.
    classes : int
        How many there are.
    name : str
    checksum : str
        SHA-256 of the samples as they were stored, before normalisation, so of the data whatever the file.
    normalisation : str
        How they were normalised.
    names : tuple of str
        Of the classes: their numbers, where nothing better is known.
    notes : tuple of str
        What was chosen, cut off or left out.

    Raises
    ------
    DataError
        If numbers of samples, shapes, types or classes do not fit, or values are NaN or infinite.
    """

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    classes: int
    name: str
    checksum: str
    normalisation: str = "none"
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check(self.name, self.x_train, self.y_train, self.x_test, self.y_test)
        most = int(max(self.y_train.max(), self.y_test.max()))
        if most >= self.classes:
            raise DataError(f"{self.name} has a label {most}", why=f"there are {self.classes} classes, from 0 on")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.x_train.shape[1:])

    def __repr__(self) -> str:
        sizes = f"{len(self.x_train)} to train on, {len(self.x_test)} to test on"
        return f"<TrainingData: {self.name}, {sizes}, {self.shape}, {self.classes} classes, {self.normalisation}>"


def check(name: str, x_train: Tensor, y_train: Tensor, x_test: Tensor, y_test: Tensor) -> None:
    """Raise DataError unless samples and classes fit together and samples are finite."""
    for part, x, y in (("training", x_train, y_train), ("test", x_test, y_test)):
        where = f"the {part} set of {name}"
        if not len(x):
            raise DataError(f"{where} is empty", remedy="give at least one sample")
        if x.dim() not in (2, 4):
            remedy = "give images (N, channels, height, width) or vectors (N, n)"
            raise DataError(f"{where} has shape {tuple(x.shape)}", remedy=remedy)
        if y.shape != (len(x),) or y.is_floating_point() or y.is_complex():
            why = f"they are {str(y.dtype).removeprefix('torch.')} of shape {tuple(y.shape)} for {len(x)} samples"
            raise DataError(f"the labels of {where} cannot be used", why=why, remedy="give one integer per sample")
        least = -1 if part == "training" else 0
        if int(y.min()) < least:
            remedy = "number classes from 0 on" + ", and write -1 where it is not known" * (least < 0)
            raise DataError(f"{where} has a label {int(y.min())}", remedy=remedy)
        bad = first_bad(x)
        if bad is not None:
            raise DataError(f"sample {bad} of {where} holds NaN or infinite values", remedy="remove it or repair it")
    if x_train.shape[1:] != x_test.shape[1:]:
        raise DataError(
            f"the test samples of {name} are {tuple(x_test.shape[1:])}",
            why=f"the training samples are {tuple(x_train.shape[1:])}", remedy="give samples of one size",
        )  # fmt: skip


def fingerprint(tensors: Sequence[Tensor]) -> str:
    """Return the SHA-256 of tensors: of their shapes, types and values."""
    found = hashlib.sha256()
    for x in tensors:
        found.update(f"{tuple(x.shape)} {x.dtype}".encode())
        array: Any = x.detach().cpu().contiguous().numpy()
        found.update(array.data)
    return found.hexdigest()
