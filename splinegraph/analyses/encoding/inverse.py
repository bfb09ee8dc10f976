"""Reconstructions of the input from the output: A[x]^T f(x) of the paper (Eq 77-79), and least squares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.affine_map import AffineMap, affine_map
from splinegraph.analyses.encoding.spectra import MOST_DENSE, single_ports, spectrum_at
from splinegraph.analyses.provenance import Provenance
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.notebook import card
from splinegraph.errors import ShapeError, SplineGraphError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Inverse", "Kind", "invert", "ratio"]

Kind = Literal["adjoint", "least_squares"]
Method = Literal["auto", "svd", "lsqr"]

SMALL_SIDE = 512
"""Outputs or inputs up to which A[x] is written out and decomposed by default."""

CLOSE = 1e-13
"""Where LSQR stops: relative to the norms of A and of the residual."""

MOST_STEPS = 4
"""Steps of LSQR, per output or input, whichever are fewer."""


class _Solved(NamedTuple):
    """Reconstructions of shape (B, in), the rank used and whether the solver came to its end, per sample."""

    found: Tensor
    rank: Tensor
    converged: Tensor


@dataclass(frozen=True, eq=False)
class Inverse:
    """Reconstructions of a batch of inputs; made by `splinegraph.invert`.

    Parameters
    ----------
    map : AffineMap
    kind : {'adjoint', 'least_squares'}
    values : Tensor of shape (B, *out)
        What was inverted: f(x) unless others were given.
    reconstruction : Tensor of shape (B, *in)
    error, relative : Tensor of shape (B,)
        |x - reconstruction|^2, and the same divided by |x|^2 (0 where both are zero, infinite where x alone is).
    residual : Tensor of shape (B,)
        |A u + b - values|, u the reconstruction: how far the cell's own map takes it from the values.
    rank : Tensor of shape (B,), int64
        Singular values used by least squares; -1 where none were computed.
    converged : Tensor of shape (B,), bool
        False where an iteration ended early: the reconstruction then is an estimate.
    provenance : Provenance
    """

    map: AffineMap
    kind: Kind
    values: Tensor
    reconstruction: Tensor
    error: Tensor
    relative: Tensor
    residual: Tensor
    rank: Tensor
    converged: Tensor
    provenance: Provenance

    def __len__(self) -> int:
        return len(self.error)

    def __repr__(self) -> str:
        middle = float(self.relative.median())
        return f"<Inverse by {self.kind}: {len(self)} samples, median |x - u|^2 / |x|^2 = {middle:.4g}>"

    def _repr_html_(self) -> str:
        return card(self)

    @property
    def cosine(self) -> Tensor:
        """Of x and u, shape (B,), 0 where one is zero: u at its best scale leaves 1 - cosine^2 of |x|^2."""
        x, u = (t.reshape(len(self), -1) for t in (self.map.inputs[0], self.reconstruction))
        sizes = x.norm(dim=1) * u.norm(dim=1)
        return torch.where(sizes > 0, (x * u).sum(1) / sizes, 0.0)

    @property
    def own_code(self) -> Tensor:
        """Which reconstructions have the code of their input, shape (B,), bool; two more passes.

        Only those are mapped to A u + b by the network itself.
        """
        from splinegraph.analyses.codes import codes

        graph = self.map.graph
        ours, theirs = (codes(graph, x).packed for x in (self.map.inputs[0], self.reconstruction))
        return torch.from_numpy((ours == theirs).all(1))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw |x - u|^2 / |x|^2 of the samples, in ascending order; `splinegraph.analyses.encoding.figures` has more.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from splinegraph.analyses.encoding.figures import plot_errors

        return plot_errors(self, ax)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe summary."""
        finite = self.relative[self.relative.isfinite()]
        return {
            "graph": self.map.graph.name,
            "kind": self.kind,
            "map": self.map.kind,
            "samples": len(self),
            "median_relative_error": float(finite.median()) if len(finite) else None,
            "worst_relative_error": float(finite.max()) if len(finite) else None,
            "largest_residual": float(self.residual.max()),
            "converged": bool(self.converged.all()),
            "provenance": self.provenance.to_dict(),
        }


def ratio(error: Tensor, size: Tensor) -> Tensor:
    """Return errors divided by sizes: 0 where both are zero, infinite where only the size is."""
    return torch.where(size > 0, error / size, torch.where(error > 0, math.inf, 0.0))


def invert(
    graph: SplineGraph,
    X: Tensor,
    *,
    kind: Kind = "adjoint",
    values: Tensor | None = None,
    method: Method = "auto",
    batch_size: int | None = None,
) -> Inverse:
    """Reconstruct inputs from the network's outputs and the pieces they took.

    Parameters
    ----------
    graph : SplineGraph
        With one input and one output.
    X : Tensor of shape (B, *in)
    kind : {'adjoint', 'least_squares'}
        'adjoint': A[x]^T f(x), the paper's f^{-1}. 'least_squares': A^+ (f(x) - b[x]), the shortest of the inputs
        that the cell's map takes nearest to f(x); it is the projection of x to the span of the templates.
    values : Tensor of shape (B, *out), optional
        What to invert in place of f(x).
    method : {'auto', 'svd', 'lsqr'}
        Of least squares: decompose A[x], or iterate with products by A and A^T alone. 'auto' decomposes where A has at
        most 512 rows or columns and fits in memory.
    batch_size : int, optional
        Samples per pass.

    Returns
    -------
    Inverse

    Raises
    ------
    SplineGraphError
        If there is no such kind or method.
    ShapeError
        If inputs or values do not fit.

    Notes
    -----
    The adjoint is no inverse: A^T f = x holds for special maps only. The paper's Theorem 8 claims it for the templates
    of its Theorem 7 with any energy K; it gives K x, and so x only for K = 1. Least squares leaves the least error of
    all reconstructions in the span of the templates, the adjoint among them. It takes singular values within rounding
    of zero for zeros (`rank` tells how many were not).

    The adjoint costs two passes, least squares one more per output, or two per step of LSQR. In float64.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Thm 8, Eq 77-79.
    .. [2] C. Paige and M. Saunders, "LSQR: an algorithm for sparse linear equations and sparse least squares", 1982.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> layer.weight.data = torch.tensor([[2.0, 0.0]])
    >>> graph = sg.trace(torch.nn.Sequential(layer).eval(), torch.zeros(1, 2))
    >>> x = torch.tensor([[1.0, 3.0]])
    >>> sg.invert(graph, x).reconstruction.tolist()
    [[4.0, 0.0]]
    >>> sg.invert(graph, x, kind="least_squares").reconstruction.tolist()
    [[1.0, 0.0]]
    """
    require_graph(graph)
    single_ports(graph, "an inverse")
    for name, given, known in (("kind", kind, ("adjoint", "least_squares")), ("method", method, _METHODS)):
        if given not in known:
            raise SplineGraphError(f"no {name} {given!r}", remedy="choose one of " + ", ".join(known))
    with torch.no_grad():
        local = affine_map(graph, X, batch_size=batch_size)
        x, bias = local.inputs[0].detach(), local.bias
        goal = local.value if values is None else _checked(values, local.value)
        rank, converged = torch.full((len(x),), -1), torch.ones(len(x), dtype=torch.bool)
        if kind == "adjoint":
            found = local.rmatvec(goal)
        else:
            solved = _least_squares(local, goal - bias, method)
            found, rank, converged = solved.found.reshape(x.shape), solved.rank, solved.converged
        error = (found - x).reshape(len(x), -1).square().sum(1)
        residual = (local.matvec(found) + bias - goal).reshape(len(x), -1).norm(dim=1)
    relative = ratio(error, x.reshape(len(x), -1).square().sum(1))
    provenance = Provenance.of(graph, dtype=torch.float64, seed=0, kind=kind, method=method)
    return Inverse(local, kind, goal, found, error, relative, residual, rank, converged, provenance)


_METHODS = ("auto", "svd", "lsqr")


def _checked(values: Tensor, like: Tensor) -> Tensor:
    if not isinstance(values, Tensor) or values.shape != like.shape or not bool(values.isfinite().all()):
        shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ShapeError(f"values of shape {shape}", remedy=f"give finite numbers of shape {tuple(like.shape)}")
    return values.detach().to(like)


def _least_squares(local: AffineMap, goal: Tensor, method: Method) -> _Solved:
    """Return A^+ goal for every sample."""
    size = math.prod(local.graph.output_shapes[0]), math.prod(local.graph.input_shapes[0])
    small = min(size) <= SMALL_SIDE and math.prod(size) <= MOST_DENSE
    if method == "lsqr" or (method == "auto" and not small):
        return _iterate(local, goal)
    parts = [_decompose(_alone(local, i), goal[i : i + 1]) for i in range(len(local))]
    return _Solved(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _alone(local: AffineMap, i: int) -> AffineMap:
    """Return the map of one sample."""
    return affine_map(local.graph, local.inputs[0][i : i + 1])


def _decompose(local: AffineMap, goal: Tensor) -> _Solved:
    found = spectrum_at(local)
    r = found.rank
    u = found.rows[:r].T @ ((found.left[:, :r].T @ goal.reshape(-1).cpu()) / found.values[:r])
    return _Solved(u[None].to(goal), torch.tensor([r]), torch.tensor([True]))


def _iterate(local: AffineMap, goal: Tensor) -> _Solved:
    """Solve by LSQR from zero, which ends at the shortest solution; one sample at a time."""
    from scipy.sparse.linalg import LinearOperator, lsqr

    found, converged = [], []
    for i in range(len(local)):
        alone = _alone(local, i)
        (x,), rows = alone.inputs, goal[i].numel()

        def forth(v: Any, alone: AffineMap = alone, x: Tensor = x) -> Any:
            return alone.matvec(torch.from_numpy(np.asarray(v)).reshape(x.shape)).reshape(-1).cpu().numpy()

        def back(u: Any, alone: AffineMap = alone) -> Any:
            shape = (1, *alone.graph.output_shapes[0])
            return alone.rmatvec(torch.from_numpy(np.asarray(u)).reshape(shape)).reshape(-1).cpu().numpy()

        operator = LinearOperator((rows, x.numel()), matvec=forth, rmatvec=back, dtype=np.float64)
        steps = MOST_STEPS * min(rows, x.numel()) + 10
        answer = lsqr(operator, goal[i].reshape(-1).cpu().numpy(), atol=CLOSE, btol=CLOSE, conlim=0, iter_lim=steps)
        found.append(torch.from_numpy(answer[0]))
        converged.append(answer[1] in (0, 1, 2, 4, 5))  # not: the condition number is too large, or out of steps
    at = local.inputs[0].device
    return _Solved(torch.stack(found).to(at), torch.full((len(local),), -1), torch.tensor(converged))
