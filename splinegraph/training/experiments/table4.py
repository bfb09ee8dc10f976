"""Table 4 of the paper: accuracy on MNIST with 50 labels, and with 1000 labels without the others.

The paper heads it "Test Error", but its figures are accuracies; its column of 100 labels is empty for its own networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from splinegraph.errors import TargetError

__all__ = ["OTHERS", "TABLE4", "Row", "rows"]


@dataclass(frozen=True)
class Row:
    """One network of the table.

    Parameters
    ----------
    topology : str
        Our name of it.
    printed : str
        The paper's name.
    accuracy : float
        In percent, 50 labels.
    alpha, beta : float
        The weights printed beside it.
    supervised : float
        In percent, 1000 labels and cross entropy alone.
    """

    topology: str
    printed: str
    accuracy: float
    alpha: float
    beta: float
    supervised: float


TABLE4 = (
    Row("small-cnn-mean", "SmallCNNmean", 99.07, 0.7, 0.2, 94.9),
    Row("small-cnn-max", "SmallCNNmax", 98.63, 0.7, 0.2, 95.0),
    Row("small-cnn-strided", "SmallUCNN", 98.85, 0.5, 0.2, 96.0),
    Row("large-cnn-mean", "LargeCNNmean", 98.63, 0.6, 0.5, 94.7),
    Row("large-cnn-max", "LargeCNNmax", 98.79, 0.7, 0.5, 94.8),
    Row("large-cnn-strided", "LargeUCNN", 98.23, 0.5, 0.5, 96.1),
    Row("resnet2-32-mean", "Resnet2-32mean", 99.11, 0.7, 0.2, 95.5),
    Row("resnet2-32-max", "Resnet2-32max", 99.14, 0.7, 0.2, 94.9),
    Row("resnet2-32-strided", "UResnet2-32", 98.84, 0.7, 0.2, 95.6),
    Row("resnet3-16-mean", "Resnet3-16mean", 98.67, 0.7, 0.2, 95.4),
    Row("resnet3-16-max", "Resnet3-16max", 98.56, 0.5, 0.5, 94.8),
    Row("resnet3-16-strided", "UResnet3-16", 98.7, 0.7, 0.2, 95.5),
)
"""Every network of the paper in the table's order."""

OTHERS = (("Improved GAN", 97.79, 1.36), ("DRMM+KL+NN", 99.09, None), ("DRMM+KL", 97.54, None), ("DRMM", 78.27, None))
"""Other methods with 50 labels, as the paper cites them: name, accuracy in percent, deviation if given."""


def rows(topologies: Sequence[str] = ()) -> tuple[Row, ...]:
    """Return the rows of some topologies, or all.

    Raises
    ------
    TargetError
        If the table has no such network.
    """
    known = {row.topology: row for row in TABLE4}
    missing = [name for name in topologies if name not in known]
    if missing:
        raise TargetError(f"Table 4 has no {missing[0]!r}", remedy=f"choose from {', '.join(known)}")
    return tuple(known[name] for name in topologies) if topologies else TABLE4
