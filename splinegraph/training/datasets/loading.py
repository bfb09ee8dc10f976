"""`load_data`: data sets by name, or a user's own, ready to train on."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from splinegraph.data.near import near
from splinegraph.errors import DataError
from splinegraph.training.datasets.bundles import is_bundle, read_bundle
from splinegraph.training.datasets.data import Raw, TrainingData, check, fingerprint
from splinegraph.training.datasets.finding import read_known
from splinegraph.training.datasets.known import DIGITS, KNOWN
from splinegraph.training.datasets.normalising import normalise
from splinegraph.training.datasets.own import read_digits, read_own

__all__ = ["DATASETS", "load_data"]

DATASETS = (*KNOWN, "digits")
"""Names that `load_data` knows."""


def load_data(
    what: Any,
    *,
    root: str | os.PathLike[str] | None = None,
    download: bool = False,
    normalisation: str = "paper",
    classes: int | None = None,
    image_size: int | tuple[int, int] | None = None,
) -> TrainingData:
    """Load samples to train on and to test on.

    Parameters
    ----------
    what : str, path, Dataset, mapping, or a pair of them
        A name of `DATASETS` (mnist, fashion-mnist, cifar10, digits), or data of your own: an .npz file or a mapping
        with x_train, y_train, x_test and y_test, or x and y; a folder of images with a sub-folder per class, perhaps
        below train and test; a folder or archive of idx files or of CIFAR-10's batches; a Dataset, a pair of them
        (training, test), or a pair (x, y) of arrays. A class of -1 means that it is not known.
    root : path, optional
        Where the files of a name are: a file or folder. Default: the cache, which is the folder that the environment
        variable SPLINEGRAPH_DATA names, or splinegraph in the user's cache.
    download : bool
        Whether to download what is not found, through torchvision or scikit-learn, into that folder.
    normalisation : {'paper', 'none', 'unit', 'standard'}
        See `normalise`; nothing is learnt from the test samples.
    classes : int, optional
        Default: what is known, or one more than the largest class.
    image_size : int or (height, width), optional
        Scale the images of a folder. Default: they have to have one size.

    Returns
    -------
    TrainingData

    Raises
    ------
    DataError
        If there is no such name or file, it is damaged (md5), holds NaN or infinite values, or its samples, labels
        and classes do not fit together.
    MissingDependencyError
        If a package is needed that is not installed.

    Notes
    -----
    Everything is held in memory, in float32: 220 MB for MNIST, 740 MB for CIFAR-10. Where there are no test samples,
    one in five of those with labels is kept for them, the same ones each time; digits has none of its own. MNIST and
    Fashion-MNIST are compared with the md5 sums of their published files, whatever file they are in, CIFAR-10 with
    those of its batches; CIFAR-10 in another file has to stay what it was at its first use (checksums.json in the
    cache).

    Examples
    --------
    >>> load_data("digits")
    <TrainingData: digits, 1438 to train on, 359 to test on, (1, 8, 8), 10 classes, paper>
    """
    named = what.lower() if isinstance(what, str) else ""
    if named in KNOWN:
        raw, name = dataclasses.replace(read_known(KNOWN[named], root, download), names=KNOWN[named].names), named
    elif root is not None:
        raise DataError(f"a root was given for {_name(what)}", remedy=f"give it for {', '.join(KNOWN)} only")
    elif named == "digits":
        raw, name = dataclasses.replace(read_digits(), names=DIGITS), named
    else:
        raw, name = _own(what, image_size), _name(what)
    check(name, *raw.parts)
    found = 1 + int(max(raw.y_train.max(), raw.y_test.max()))
    classes = max(found, len(raw.names)) if classes is None else classes
    x_train, x_test = normalise(raw.x_train, raw.x_test, normalisation)
    return TrainingData(
        x_train.contiguous(), raw.y_train, x_test.contiguous(), raw.y_test, classes, name,
        fingerprint(raw.parts), normalisation,
        raw.names or tuple(map(str, range(classes))), raw.notes,
    )  # fmt: skip


def _name(what: Any) -> str:
    return Path(what).resolve().name if isinstance(what, (str, os.PathLike)) else f"the {type(what).__name__}"


def _own(what: Any, image_size: int | tuple[int, int] | None) -> Raw:
    if not isinstance(what, (str, os.PathLike)):
        return read_own(what)
    if not os.fspath(what):
        raise DataError("the name of the data is empty", remedy=f"give one of {', '.join(DATASETS)}, or a path")
    path = Path(what).expanduser()
    if not path.exists() and path.parent == Path() and not path.suffix:
        close = near(path.name, DATASETS)
        remedy = f"did you mean {' or '.join(close)}?" if close else f"give one of {', '.join(DATASETS)}, or a path"
        raise DataError(f"there are no data {path.name!r}", remedy=remedy)
    return read_bundle(path) if path.exists() and is_bundle(path) else read_own(path, image_size)
