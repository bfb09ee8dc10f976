"""Convex piecewise linear regression: a maximum of affine functions fitted to data by least squares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from splinegraph.core.notebook import card
from splinegraph.errors import DataError, SplineGraphError, require_seed

if TYPE_CHECKING:
    from splinegraph.nn.max_affine import MaxAffine

__all__ = ["MaxAffineFit", "max_affine_fit"]

Floats = NDArray[np.float64]

Method = Literal["adaptive", "partition"]

KNOTS = 10
"""Places per direction where a piece is tried to be cut."""

RIDGE = 1e-12
"""What keeps normal equations solvable, relative to their trace."""

ROUNDS = 50
"""Most rounds of assigning points to pieces and fitting these anew."""


@dataclass(frozen=True, eq=False, repr=False)
class MaxAffineFit:
    """A fitted maximum (or minimum) of affine functions; made by `max_affine_fit`.

    Parameters
    ----------
    module : MaxAffine
        From (B, n) to (B, m), float64.
    error : float
        Mean squared error on the data that it was fitted to, over all outputs: an estimate of nothing but that.
    history : tuple of float
        The error after each improvement of the first output's pieces, decreasing.
    method : str
    """

    module: MaxAffine
    error: float
    history: tuple[float, ...]
    method: str

    def __repr__(self) -> str:
        m, K, n = self.module.weight.shape
        kind = "minimum" if self.module.concave else "maximum"
        return f"<{kind} of {K} affine functions, {n} -> {m}: mean squared error {self.error:.4g} on its data>"

    def _repr_html_(self) -> str:
        return card(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "method": self.method, "concave": self.module.concave, "training_error": self.error,
            "history": list(self.history), "A": self.module.weight.tolist(), "b": self.module.bias.tolist(),
        }  # fmt: skip


def max_affine_fit(
    X: Any,
    y: Any,
    pieces: int,
    *,
    method: Method = "adaptive",
    concave: bool = False,
    starts: int = 10,
    seed: int = 0,
) -> MaxAffineFit:
    r"""Fit a convex (or concave) piecewise affine function to data by least squares.

    Looks for A, b that minimise :math:`\sum_i (y_i - \max_k \langle a_k, x_i \rangle - b_k)^2`, a problem with many
    local minima.

    Parameters
    ----------
    X : array of shape (N, n)
    y : array of shape (N,) or (N, m)
        Several outputs are fitted one by one.
    pieces : int
        K, most affine functions per output.
    method : {'adaptive', 'partition'}
        ``'adaptive'`` cuts one piece in two as long as that helps, each time where the error falls most: convex
        adaptive partitioning [2]_; then it goes on as 'partition' from there and from random starts.
        ``'partition'`` assigns points to the pieces that are largest there and fits these anew, in turn, from random
        starts [1]_.
    concave : bool
        Fit a minimum.
    starts : int
        Random starts.
    seed : int

    Returns
    -------
    MaxAffineFit

    Raises
    ------
    DataError
        If the data do not fit together, or hold NaN or infinite values.
    SplineGraphError
        If an argument is not one of those above.

    Notes
    -----
    Cost of cutting: K n times 10 least squares of N points per piece. No guarantee of a global optimum.

    References
    ----------
    .. [1] A. Magnani and S. Boyd, "Convex piecewise-linear fitting", Optimization and Engineering 10, 2009,
       doi:10.1007/s11081-008-9045-3.
    .. [2] L. Hannah and D. Dunson, "Multivariate Convex Regression with Adaptive Partitioning", JMLR 14, 2013.

    Examples
    --------
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> max_affine_fit(X, np.abs(X[:, 0]), 2).error < 1e-20
    True
    """
    from splinegraph.nn.max_affine import MaxAffine

    X, Y = _data(X, y)
    whole = all(isinstance(number, Integral) for number in (pieces, starts))
    if (
        not whole
        or method not in ("adaptive", "partition")
        or pieces < 1
        or starts < 0
        or (method == "partition" and not starts)
    ):
        raise SplineGraphError(
            f"cannot fit {pieces} pieces by {method!r} from {starts} starts",
            remedy="give whole pieces >= 1, method 'adaptive' or 'partition', starts >= 1 (0 for 'adaptive' alone)",
        )
    seed = require_seed(seed)
    rng = np.random.default_rng(seed)
    sign = -1.0 if concave else 1.0
    found = [_Fit(X, sign * column, pieces, rng).run(method, starts) for column in Y.T]
    rows = [np.r_[: len(fit.planes), np.zeros(pieces - len(fit.planes), dtype=np.int64)] for fit in found]
    planes = sign * np.stack([fit.planes[r] for fit, r in zip(found, rows, strict=True)])
    module = MaxAffine.from_planes(
        torch.from_numpy(planes[..., :-1].copy()), torch.from_numpy(planes[..., -1].copy()), concave=concave
    )
    return MaxAffineFit(module.eval(), float(np.mean([f.error for f in found])), tuple(found[0].history), method)


def _data(X: Any, y: Any) -> tuple[Floats, Floats]:
    X, Y = (_numbers(v, name) for v, name in ((X, "X"), (y, "y")))
    Y = Y[:, None] if Y.ndim == 1 else Y
    if X.ndim != 2 or Y.ndim != 2 or len(X) != len(Y) or not X.size or not Y.size:
        raise DataError(f"X of shape {X.shape} and y of shape {Y.shape}", remedy="give (N, n) and (N,) or (N, m)")
    if not (np.isfinite(X).all() and np.isfinite(Y).all()):
        raise DataError("the data hold NaN or infinite values", remedy="drop those rows")
    return X, Y


def _numbers(values: Any, name: str) -> Floats:
    try:
        found = np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values)
        return found.astype(np.float64, casting="same_kind" if found.dtype.kind == "c" else "unsafe")
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} is no array of real numbers", why=str(error), remedy="give (N, n) and (N,)") from error


class _Fit:
    """The best maximum of affine functions so far, as planes (slopes, constant)."""

    def __init__(self, X: Floats, y: Floats, pieces: int, rng: np.random.Generator) -> None:
        self.Z, self.y, self.pieces, self.rng = np.column_stack([X, np.ones(len(X))]), y, pieces, rng
        self.least = 2 * self.Z.shape[1]
        self.planes = self._solved(slice(None))[None]
        self.error = self._error(self.planes @ self.Z.T)
        self.history = [self.error]

    def run(self, method: str, starts: int) -> _Fit:
        """Improve as `method` says."""
        if method == "adaptive":
            while len(self.planes) < self.pieces and self._cut():
                self._polish(self.planes)
        for _ in range(starts):
            middle = self.rng.choice(len(self.y), min(self.pieces, len(self.y)), replace=False)
            away = ((self.Z[:, None] - self.Z[middle]) ** 2).sum(axis=2)
            self._polish(self._fitted(away.argmin(axis=1), len(middle)))
        return self

    def _cut(self) -> bool:
        """Cut one piece in two where the error falls most; return whether it fell."""
        values = self.planes @ self.Z.T  # one row per plane: maxima over rows are many times faster
        owner = values.argmax(axis=0)
        best, chosen = self.error, None
        for k in range(len(self.planes)):
            others = np.delete(values, k, axis=0).max(axis=0, initial=-np.inf)
            for first, second in self._halves(np.flatnonzero(owner == k)):
                two = np.stack([self._nearly_solved(first), self._nearly_solved(second)])
                left = np.maximum(others, np.maximum(self.Z @ two[0], self.Z @ two[1])) - self.y
                error = float(left @ left) / len(left)
                if error < best:
                    best, chosen = error, np.concatenate([np.delete(self.planes, k, axis=0), two])
        return chosen is not None and self._take(chosen, best)

    def _halves(self, rows: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield the ways to cut a piece's points along one input, with enough points on both sides."""
        for column in self.Z[rows, :-1].T:
            for knot in np.unique(np.quantile(column, np.linspace(0, 1, KNOTS + 2)[1:-1])) if len(rows) else ():
                left = column <= knot
                if min(left.sum(), (~left).sum()) >= self.least:
                    yield rows[left], rows[~left]

    def _polish(self, planes: Floats) -> None:
        """Assign points to planes and fit these anew, in turn; keep the best of all rounds."""
        before = None
        for _ in range(ROUNDS):
            values = planes @ self.Z.T
            owner = values.argmax(axis=0)
            self._take(planes, self._error(values))
            if before is not None and np.array_equal(owner, before):
                return
            before, planes = owner, self._fitted(owner, len(planes))

    def _fitted(self, owner: NDArray[np.int64], count: int) -> Floats:
        """Return the least squares planes of groups of points, those without points left out."""
        groups = [np.flatnonzero(owner == k) for k in range(count)]
        return np.stack([self._solved(group) for group in groups if len(group)])

    def _solved(self, rows: Any) -> Floats:
        return np.asarray(np.linalg.lstsq(self.Z[rows], self.y[rows], rcond=None)[0])

    def _nearly_solved(self, rows: NDArray[np.int64]) -> Floats:
        """Return a least squares plane by normal equations, several times faster: to choose a cut by."""
        Z = self.Z[rows]
        square = Z.T @ Z
        square[np.diag_indices_from(square)] += RIDGE * square.trace()
        return np.asarray(np.linalg.solve(square, Z.T @ self.y[rows]))

    def _error(self, values: Floats) -> float:
        """Return the mean squared error of planes with these values, one row each."""
        return float(np.mean((values.max(axis=0) - self.y) ** 2))

    def _take(self, planes: Floats, error: float) -> bool:
        """Keep planes if they are better than the best; return whether they are."""
        if error >= self.error:
            return False
        self.planes, self.error = planes, error
        self.history.append(error)
        return True
