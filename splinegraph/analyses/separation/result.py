"""What `splinegraph.separation` returns."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from splinegraph.analyses.provenance import Provenance
from splinegraph.analyses.separation.frobenius import Floats, Pairs
from splinegraph.analyses.separation.statistics import ClassStatistics, class_statistics
from splinegraph.analyses.separation.values import ValueDistances
from splinegraph.core.notebook import card
from splinegraph.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Separation", "SeparationComparison", "SeparationLayer"]


@dataclass(frozen=True, eq=False)
class SeparationLayer:
    """One switching operator and N samples.

    Parameters
    ----------
    name, operator, module : str
    units : int
    hamming : array of int32, shape (N, N)
        On how many units two samples are on different pieces.
    similarity : array of float64, shape (N, N), or None
        <A1, A2>_F of the operator's linear parts: units active for both (ReLU), windows with the same winner (pooling).
        None where the code does not name A.
    distance : array of float64, shape (N, N), or None
        ||A1 - A2||_F^2: `hamming` for ReLU, (1 - eta)^2 times it for LeakyReLU, twice it for pooling.
    largest : float
        The largest that `distance` can be; the number of units where there is none.
    values : ValueDistances or None
        Squared distances of the values, where asked for.
    labels : array of int64, shape (N,), or None
    """

    name: str
    operator: str
    module: str
    units: int
    hamming: Pairs
    similarity: Floats | None
    distance: Floats | None
    largest: float
    values: ValueDistances | None
    labels: NDArray[np.int64] | None

    @property
    def relative(self) -> Floats:
        """The distance as a share of the largest possible, in [0, 1], shape (N, N).

        Of the codes where A does not tell them apart (all slopes equal, or unknown).
        """
        if self.distance is None or self.largest == 0:
            return self.hamming / self.units
        return np.minimum(self.distance / self.largest, 1.0)

    @functools.cached_property
    def mean(self) -> float | None:
        """Mean of `relative` over pairs of samples; None for one sample."""
        n = len(self.hamming)
        return float(self.relative.sum() / (n * (n - 1))) if n > 1 else None

    @functools.cached_property
    def classes(self) -> ClassStatistics | None:
        """How classes lie in `relative`; None without labels."""
        return None if self.labels is None else class_statistics(self.relative, self.labels)

    @functools.cached_property
    def value_classes(self) -> ClassStatistics | None:
        """How classes lie in the distances of the values, not squared; None without labels or values."""
        if self.labels is None or self.values is None:
            return None
        return class_statistics(np.sqrt(self.values.total), self.labels)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, without the matrices."""
        return {
            "name": self.name,
            "operator": self.operator,
            "module": self.module,
            "units": self.units,
            "mean": self.mean,
            "classes": None if self.classes is None else dict(vars(self.classes)),
            "value_classes": None if self.value_classes is None else dict(vars(self.value_classes)),
        }


@dataclass(frozen=True, eq=False)
class Separation:
    """Distances between samples, layer by layer; made by `splinegraph.separation`.

    Parameters
    ----------
    layers : tuple of SeparationLayer
        In topological order.
    labels : array of int64, shape (N,), or None
    samples : int
    provenance : Provenance
    """

    layers: tuple[SeparationLayer, ...]
    labels: NDArray[np.int64] | None
    samples: int
    provenance: Provenance

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[SeparationLayer]:
        return iter(self.layers)

    def __getitem__(self, layer: int | str) -> SeparationLayer:
        """Return a layer by number or by the name of its node."""
        if isinstance(layer, int):
            return self.layers[layer]
        for found in self.layers:
            if found.name == layer:
                return found
        raise DataError(f"there is no layer {layer!r}", remedy=f"choose of {', '.join(x.name for x in self.layers)}")

    def __repr__(self) -> str:
        told = f"<Separation of {self.samples} samples in {len(self)} layers"
        known = [(x.name, x.classes.purity) for x in self.layers if x.classes and x.classes.purity is not None]
        if not known:
            return told + ">"
        return told + f"; nearest neighbors of the same class: {', '.join(f'{n} {100 * p:.0f} %' for n, p in known)}>"

    def _repr_html_(self) -> str:
        return card(self)

    def depth(self, share: float = 0.9) -> int | None:
        """Return the first layer whose `purity` is at least `share`; None if there is none.

        An estimate from these samples. It says nothing of linear separability, see `splinegraph.linear_separable`.
        """
        if self.labels is None:
            raise DataError("there are no labels", remedy="give one integer per sample as `y`")
        purity = [layer.classes.purity if layer.classes else None for layer in self.layers]
        return next((i for i, found in enumerate(purity) if found is not None and found >= share), None)

    def compare(self, other: Separation, names: tuple[str, str] = ("before", "after")) -> SeparationComparison:
        """Put another result on the same samples and layers beside this one."""
        if [x.name for x in self.layers] != [x.name for x in other.layers] or self.samples != other.samples:
            raise DataError(
                "the two results are on different layers or samples",
                why=f"{len(self)} layers and {self.samples} samples beside {len(other)} and {other.samples}",
                remedy="give both the same data and layers",
            )
        mine, theirs = ([] if found is None else found.tolist() for found in (self.labels, other.labels))
        if mine != theirs:
            raise DataError("the two results have different labels", remedy="give both the same labels")
        return SeparationComparison(self, other, names)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, without the matrices."""
        return {
            "kind": "estimate",
            "samples": self.samples,
            "layers": [layer.to_dict() for layer in self.layers],
            "provenance": self.provenance.to_dict(),
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how classes lie, layer by layer; return the axes."""
        from splinegraph.analyses.separation.figures import plot_curves

        return plot_curves([("", self)], ax)

    def plot_matrices(self) -> Figure:
        """Draw the distances of each layer, samples sorted by class; return the figure."""
        from splinegraph.analyses.separation.figures import plot_matrices

        return plot_matrices([("", self)])


@dataclass(frozen=True, eq=False)
class SeparationComparison:
    """Two networks with the same layers on the same samples: at initialization and after training, say.

    Parameters
    ----------
    before, after : Separation
    names : tuple of two str
    """

    before: Separation
    after: Separation
    names: tuple[str, str]

    def __repr__(self) -> str:
        gains = [
            f"{old.name} {100 * (new.classes.purity - old.classes.purity):+.0f}"
            for old, new in zip(self.before, self.after, strict=True)
            if old.classes and new.classes and old.classes.purity is not None and new.classes.purity is not None
        ]
        told = f"<SeparationComparison, {self.names[0]} and {self.names[1]}, of {len(self.before)} layers"
        return told + (f"; purity {', '.join(gains)} points>" if gains else ">")

    def _repr_html_(self) -> str:
        return card(self)

    def to_dict(self) -> dict[str, Any]:
        """Return both results under their names' places."""
        return {"names": list(self.names), "before": self.before.to_dict(), "after": self.after.to_dict()}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves of both; return the axes."""
        from splinegraph.analyses.separation.figures import plot_curves

        return plot_curves(list(zip(self.names, (self.before, self.after), strict=True)), ax)

    def plot_matrices(self) -> Figure:
        """Draw the distances of both, one row each, as in Fig. 16-18 of the paper; return the figure."""
        from splinegraph.analyses.separation.figures import plot_matrices

        return plot_matrices(list(zip(self.names, (self.before, self.after), strict=True)))
