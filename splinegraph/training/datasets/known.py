"""Image sets that are known by name: what they are, and how to tell that they are whole."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from splinegraph.errors import DataError
from splinegraph.training.datasets.bundles import IDX, write_idx
from splinegraph.training.datasets.data import Raw

__all__ = ["DIGITS", "KNOWN", "Known", "verify"]


@dataclass(frozen=True)
class Known:
    """An image set.

    Parameters
    ----------
    name : str
    shape : (channels, height, width)
    counts : (int, int)
        Samples to train on and to test on.
    names : tuple of str
        Of the classes.
    folders : tuple of str
        Where its files lie in a folder of data sets, besides one with its own name.
    md5 : dict from name to str
        Of its files, unpacked.
    openml : str
        Its name at OpenML, version 1, with the test samples last; empty if its order there is another.
    torchvision : str
        Its class in torchvision.datasets.
    """

    name: str
    shape: tuple[int, int, int]
    counts: tuple[int, int]
    names: tuple[str, ...]
    folders: tuple[str, ...] = ()
    md5: Mapping[str, str] = field(default_factory=dict)
    openml: str = ""
    torchvision: str = ""


DIGITS = tuple("0123456789")
"""Names of the classes of MNIST and of the digits."""

KNOWN = {
    known.name: known
    for known in (
        Known(
            "mnist", (1, 28, 28), (60000, 10000), DIGITS, ("MNIST/raw",),
            dict(zip(IDX, (
                "6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624",
                "2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637",
            ), strict=True)),
            openml="mnist_784", torchvision="MNIST",
        ),
        Known(
            "fashion-mnist", (1, 28, 28), (60000, 10000),
            ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
            ("FashionMNIST/raw", "/usr/share/datasets/fashion-mnist"),
            dict(zip(IDX, (
                "f4a8712d7a061bf5bd6d2ca38dc4d50a", "9018921c3c673c538a1fc5bad174d6f9",
                "8181f5470baa50b63fa0f6fddb340f0a", "15d484375f8d13e6eb1aabb0c3f46965",
            ), strict=True)),
            openml="Fashion-MNIST", torchvision="FashionMNIST",
        ),
        Known(
            "cifar10", (3, 32, 32), (50000, 10000),
            ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
            ("cifar-10-batches-py",),
            {
                "data_batch_1": "c99cafc152244af753f735de768cd75f", "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
                "data_batch_3": "54ebc095f3ab1f0389bbae665268c751", "data_batch_4": "634d18415352ddfa80567beed471001a",
                "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb", "test_batch": "40351d587109b95175f43aff81a1287e",
            },
            torchvision="CIFAR10",
        ),
    )
}  # fmt: skip
"""By name."""


_OTHERWISE = "get it anew if it is damaged, or give its path in place of the name if it is data of your own"


def verify(known: Known, raw: Raw, where: Path | str) -> None:
    """Raise DataError if samples are not those of a known set, as far as that can be told."""
    counts, shapes = (len(raw.x_train), len(raw.x_test)), (raw.x_train.shape[1:], raw.x_test.shape[1:])
    if counts != known.counts or any(tuple(shape) != known.shape for shape in shapes):
        why = f"it holds {counts[0]} samples to train on and {counts[1]} to test on, {tuple(shapes[0])}"
        why += f", and {known.name} {known.counts[0]} and {known.counts[1]}, {known.shape}"
        raise DataError(f"{where} is not {known.name}", why=why, remedy=_OTHERWISE)
    if not known.md5.keys() >= set(IDX):
        return  # only its files have checksums, not its samples
    for name, x in zip(IDX, (raw.x_train, raw.y_train, raw.x_test, raw.y_test), strict=True):
        array = (x[:, 0] if x.dim() == 4 else x).cpu().numpy()
        if hashlib.md5(write_idx(array), usedforsecurity=False).hexdigest() != known.md5[name]:
            why = f"its {name} has another md5"
            raise DataError(f"{where} is not {known.name} as published", why=why, remedy=_OTHERWISE)
