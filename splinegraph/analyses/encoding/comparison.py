"""Table 3 of the paper, run: reconstruction error beside the number of coefficients, and the network's own inverse."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from splinegraph.analyses.encoding import frameworks
from splinegraph.analyses.encoding.frameworks.coding import samples
from splinegraph.analyses.encoding.inverse import Kind, invert
from splinegraph.analyses.encoding.spectra import MOST_DENSE
from splinegraph.core.graph import SplineGraph
from splinegraph.core.notebook import card
from splinegraph.errors import ShapeError, require_seed, require_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FrameworkRow", "FrameworkTable", "compare_frameworks"]

BUDGETS = (1, 2, 4, 8, 16, 32)
PENALTIES = (0.5, 0.2, 0.1, 0.05, 0.02)
"""Of sparse coding, relative to the largest that leaves a coefficient in any sample."""

LEARNING = 0.1
"""The same, while atoms are learned."""


@dataclass(frozen=True)
class FrameworkRow:
    """One code of the samples that were held out.

    Parameters
    ----------
    method : str
    atoms : int
    coefficients : float
        That are not zero, per sample on average.
    error : float
        Sum of |x - reconstruction|^2, relative to that of |x|^2.
    beside : str
        What the reconstruction takes besides the coefficients.
    """

    method: str
    atoms: int
    coefficients: float
    error: float
    beside: str


@dataclass(frozen=True, eq=False)
class FrameworkTable:
    """Codes of the same samples; made by `splinegraph.compare_frameworks`.

    Parameters
    ----------
    rows : tuple of FrameworkRow
    fitted, held_out : int
        Samples from which atoms were learned, and on which errors were measured.
    entries : int
        Of one sample.
    """

    rows: tuple[FrameworkRow, ...]
    fitted: int
    held_out: int
    entries: int

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[FrameworkRow]:
        return iter(self.rows)

    def __repr__(self) -> str:
        methods = len({row.method for row in self.rows})
        return f"<FrameworkTable: {methods} methods, {self.held_out} samples of {self.entries} entries held out>"

    def _repr_html_(self) -> str:
        return card(self)

    def __str__(self) -> str:
        wide = max(len(row.method) for row in self.rows)
        head = f"{'method'.ljust(wide)}  atoms  coefficients  relative error"
        lines = [f"{r.method.ljust(wide)}  {r.atoms:5d}  {r.coefficients:12.2f}  {r.error:14.4g}" for r in self.rows]
        return "\n".join([head, *lines])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw errors against coefficients, a line per method.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from splinegraph.analyses.encoding.figures import plot_frameworks

        return plot_frameworks(self, ax)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe summary."""
        keys = ("method", "atoms", "coefficients", "error", "beside")
        return {
            "fitted": self.fitted, "held_out": self.held_out, "entries": self.entries,
            "rows": [{key: getattr(row, key) for key in keys} for row in self.rows],
        }  # fmt: skip


def compare_frameworks(
    X: Tensor, graph: SplineGraph | None = None, *, budgets: Sequence[int] = BUDGETS, seed: int = 0
) -> FrameworkTable:
    """Reconstruct the same samples by every code of Table 3, and by the network.

    Parameters
    ----------
    X : Tensor of shape (B, *in)
        At least four samples. Every second one, in a random order, is held out; atoms are learned from the others.
    graph : SplineGraph, optional
        With one input and one output.
    budgets : sequence of int
        Coefficients to spend per sample; larger ones than a sample has entries, or than there are samples, are
        left out.
    seed : int
        Of the order, and of learned atoms.

    Returns
    -------
    FrameworkTable

    Raises
    ------
    ShapeError
        If there are too few samples, they are all zero or too large, or the squares of their entries are no numbers.

    Notes
    -----
    Nothing is centred, as in the paper's table. Coefficients alone do not tell the cost of a code: those that choose
    atoms by the sample also need the choice, and the network the pieces of all its units, which name its templates.
    Thresholds are those that leave the budget on average over the fitted samples.

    The network's templates are chosen by more than its C outputs say, and it is still no reconstruction: what it
    leaves out of least squares is what the templates do not span. Its training may have seen any of the samples.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Table 3.

    Examples
    --------
    >>> import torch
    >>> X = torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    >>> table = compare_frameworks(X, budgets=(1, 4))
    >>> sorted({row.method for row in table})[:3]
    ['best atom', 'hard thresholding', 'nearest atom']
    """
    rows = samples(X)
    energy = float(rows.square().sum())
    if len(rows) < 4 or not 0 < energy < math.inf:
        why = f"the sum of the squares of their entries is {energy:g}"
        raise ShapeError(f"{len(rows)} samples", why=why, remedy="give at least four, not all zero, nor huge")
    if rows.shape[1] ** 2 > MOST_DENSE:
        why = f"a basis of wavelets would have {rows.shape[1] ** 2:,}"
        raise ShapeError(
            f"samples of {rows.shape[1]:,} entries", why=why, remedy="give smaller images, or parts of them"
        )
    for budget in budgets:
        require_whole("a budget", budget)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(require_seed(seed)))
    fit, test = rows[order[::2]], rows[order[1::2]]
    spend = [k for k in budgets if k <= min(fit.shape)]
    found = [*_linear(fit, test, spend, seed), *_thresholds(fit, test, X.shape[1:], spend)]
    found += [*_chosen(fit, test, spend, seed)]
    if graph is not None:
        found += _network(graph, X[order[1::2]])
    return FrameworkTable(tuple(found), len(fit), len(test), rows.shape[1])


def _row(coding: frameworks.Coding, beside: str = "") -> FrameworkRow:
    return FrameworkRow(coding.name, len(coding.atoms), coding.coefficients, coding.relative, beside)


def _linear(fit: Tensor, test: Tensor, spend: Sequence[int], seed: int) -> Iterator[FrameworkRow]:
    """Yield principal components and nonnegative factors."""
    for k in spend:
        yield _row(frameworks.pca(test, frameworks.pca(fit, k).atoms))
    if bool((fit >= 0).all()) and bool((test >= 0).all()):
        for k in spend:
            atoms = frameworks.nmf(fit, k, seed=seed).atoms
            yield _row(frameworks.nmf(test, atoms[(atoms != 0).any(1)]))


def _thresholds(fit: Tensor, test: Tensor, shape: Sequence[int], spend: Sequence[int]) -> Iterator[FrameworkRow]:
    """Yield both thresholds, in the Haar wavelets of the last two axes, or of the only one."""
    axes = shape[-2:]
    inner = frameworks.haar_basis(axes).reshape(-1, math.prod(axes))
    W = torch.kron(torch.eye(math.prod(shape[:-2]), dtype=torch.float64), inner)
    sizes = (fit @ W.T).abs()
    for method in (frameworks.hard_thresholding, frameworks.soft_thresholding):
        for k in spend:
            level = float(sizes.flatten().kthvalue(max(sizes.numel() - k * len(fit), 1)).values)
            yield _row(method(test, W, threshold=level), "which Haar wavelets")


def _chosen(fit: Tensor, test: Tensor, spend: Sequence[int], seed: int) -> Iterator[FrameworkRow]:
    """Yield sparse codes, the best atom and the nearest one."""
    count = min(64, len(fit))
    largest = 2 * float(fit.norm(dim=1).max())
    W = frameworks.sparse_coding(fit, count, penalty=LEARNING * largest, seed=seed).atoms
    for share in PENALTIES:
        yield _row(frameworks.sparse_coding(test, W, penalty=share * largest), "which of the learned atoms")
    yield _row(frameworks.best_atom(test, W), "which of the learned atoms")
    means = frameworks.nearest_atom(fit, count, seed=seed).atoms
    yield _row(frameworks.nearest_atom(test, means), "which mean; its coefficient is 1")


KINDS: tuple[Kind, ...] = ("adjoint", "least_squares")


def _network(graph: SplineGraph, X: Tensor) -> list[FrameworkRow]:
    """Return the network's inverses."""
    found = []
    for kind in KINDS:
        inverse = invert(graph, X, kind=kind)
        outputs = inverse.values[0].numel()
        error = float(inverse.error.sum() / inverse.map.inputs[0].square().sum())
        name = "network: " + kind.replace("_", " ")
        found.append(FrameworkRow(name, outputs, float(outputs), error, "the pieces of all units"))
    return found
