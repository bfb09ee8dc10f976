"""`splinegraph.separation_sweep`: how depth and width change where classes separate (paper A.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from splinegraph.analyses.separation.separation import separation
from splinegraph.core.graph import SplineGraph
from splinegraph.core.notebook import card
from splinegraph.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SeparationSweep", "SweepRow", "separation_sweep"]


@dataclass(frozen=True)
class SweepRow:
    """One network.

    Parameters
    ----------
    depth, width, seed : int
    layers : tuple of str
        Switching nodes.
    purity, order : tuple of float or None
        Of each layer, see `ClassStatistics`.
    separated : int or None
        First layer, from 0, whose purity is at least the share asked for.
    """

    depth: int
    width: int
    seed: int
    layers: tuple[str, ...]
    purity: tuple[float | None, ...]
    order: tuple[float | None, ...]
    separated: int | None


@dataclass(frozen=True, eq=False)
class SeparationSweep:
    """A table of networks; made by `splinegraph.separation_sweep`.

    Parameters
    ----------
    rows : tuple of SweepRow
    share : float
    samples : int
    """

    rows: tuple[SweepRow, ...]
    share: float
    samples: int

    def __repr__(self) -> str:
        reached = sum(row.separated is not None for row in self.rows)
        return (
            f"<SeparationSweep of {len(self.rows)} networks, {self.samples} samples: "
            f"{reached} reach {100 * self.share:.3g} % of nearest neighbors of the same class>"
        )

    def _repr_html_(self) -> str:
        return card(self)

    def table(self) -> dict[tuple[int, int], tuple[int | None, ...]]:
        """Return by (depth, width) where the classes separate, for each seed."""
        found: dict[tuple[int, int], tuple[int | None, ...]] = {}
        for row in self.rows:
            key = (row.depth, row.width)
            found[key] = (*found.get(key, ()), row.separated)
        return dict(sorted(found.items()))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "kind": "estimate",
            "share": self.share,
            "samples": self.samples,
            "rows": [{k: list(v) if isinstance(v, tuple) else v for k, v in vars(row).items()} for row in self.rows],
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the last layer's purity by depth and width, with the layer where classes separate; return the axes."""
        from splinegraph.analyses.separation.figures import plot_sweep

        return plot_sweep(self, ax)


def separation_sweep(
    makers: Mapping[tuple[int, int], Callable[[int], SplineGraph]],
    X: Tensor,
    y: Any,
    *,
    seeds: Sequence[int] = (0,),
    share: float = 0.9,
    dtype: torch.dtype | None = torch.float64,
) -> SeparationSweep:
    """Return where classes separate in networks of several depths and widths.

    Parameters
    ----------
    makers : mapping from (depth, width) to callable
        Each takes a seed and returns a traced network, trained or not.
    X : Tensor of shape (N, *in)
        Samples on which it is measured: others than those trained on, to say something of generalization.
    y : integers of shape (N,)
    seeds : sequence of int
    share : float
        Purity from which classes count as separate.
    dtype : torch.dtype or None
        See `separation`.

    Returns
    -------
    SeparationSweep

    Raises
    ------
    DataError
        If there is nothing to make, or the labels are missing.
    TypeError
        If a maker returns something else than a graph.

    Notes
    -----
    One `separation` for each network and seed, on codes: nothing is kept but the table. One seed says little: the
    differences between seeds are often as large as those between widths.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, A.5.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> def maker(width):
    ...     def make(seed):
    ...         torch.manual_seed(seed)
    ...         model = torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.ReLU()).eval()
    ...         return sg.trace(model, torch.zeros(1, 2))
    ...     return make
    >>> X = torch.tensor([[5.0, 0.0], [5.1, 0.0], [-5.0, 0.0], [-5.1, 0.0]])
    >>> sg.separation_sweep({(1, 8): maker(8), (1, 16): maker(16)}, X, [0, 0, 1, 1]).table()
    {(1, 8): (0,), (1, 16): (0,)}
    """
    if not makers or not seeds:
        raise DataError("there are no networks to make", remedy="give makers and at least one seed")
    if not 0 < share <= 1:
        raise DataError(f"share is {share}", remedy="give a number above 0, at most 1")
    if y is None:
        raise DataError("there are no labels", remedy="give one integer per sample as `y`")
    rows = []
    for (depth, width), make in makers.items():
        for seed in seeds:
            found = separation(make(seed), X, y, dtype=dtype)
            known = [layer.classes for layer in found]
            rows.append(
                SweepRow(
                    depth,
                    width,
                    seed,
                    tuple(layer.name for layer in found),
                    tuple(None if c is None else c.purity for c in known),
                    tuple(None if c is None else c.order for c in known),
                    found.depth(share),
                )
            )
    return SeparationSweep(tuple(rows), share, len(X))
