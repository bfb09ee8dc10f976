"""All inputs that share code and amplitude with one: what Proposition 1 of the paper calls a single input."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.affine_map import AffineMap, affine_map
from splinegraph.analyses.codes import ActivationPattern, codes
from splinegraph.analyses.encoding.slices import Nearest, inner_direction, nearest_inside, range_along
from splinegraph.analyses.encoding.spectra import MOST_DENSE, Spectrum, exact_rank, single_ports, spectrum_at
from splinegraph.analyses.provenance import Provenance
from splinegraph.analyses.regions.local.region import LocalRegion, local_region
from splinegraph.core.bound import Bound
from splinegraph.core.domains.polytope import Polytope
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.notebook import card
from splinegraph.errors import DomainError, ShapeError, UnsupportedOperatorError

__all__ = ["Preimage", "preimage"]

PROBES = 32
"""Passes that estimate the size of the cell's conditions, to tell those that do not depend on the input."""

MOST_ACTIVE = 512
"""Conditions that hold with equality at x, up to which a linear program looks for a way between them."""

SAME = 1e-9
"""Amplitudes agree if they differ by less than this, relative to |A| |u|."""


class _Answer(NamedTuple):
    """Whether x is the only point of its preimage, why, and another one."""

    unique: bool | None
    reason: str
    witness: Tensor | None


@dataclass(frozen=True, eq=False)
class Preimage:
    """The inputs u of one closed cell with A u = A x; made by `splinegraph.preimage`.

    Parameters
    ----------
    map : AffineMap
        A and b at x.
    cell : LocalRegion
        The cell of x, a polytope.
    spectrum : Spectrum
        Of A.
    rank : Bound
        Of A: 'exact' if rational arithmetic, or the count of singular values, decides it.
    unique : bool or None
        Whether x is the only such input; None where rounding hides it.
    reason : str
    witness : Tensor of shape (*in), or None
        Another such input, its code and amplitude compared with those of x by evaluation.
    provenance : Provenance
    """

    map: AffineMap
    cell: LocalRegion
    spectrum: Spectrum
    rank: Bound
    unique: bool | None
    reason: str
    witness: Tensor | None
    provenance: Provenance

    def __repr__(self) -> str:
        answer = {True: "one input", False: "more than one input", None: "not known whether one input"}[self.unique]
        ends = self.dimension
        size = f"{ends.lower}" if ends.kind == "exact" else f"{ends.lower} to {ends.upper}"
        return f"<Preimage: {answer}, A leaves {size} of {self.x.numel()} dimensions free>"

    def _repr_html_(self) -> str:
        return card(self)

    @property
    def x(self) -> Tensor:
        """The input, shape (*in)."""
        return self.map.inputs[0][0]

    @property
    def code(self) -> ActivationPattern:
        """The phase, of one sample."""
        return self.cell.code

    @property
    def amplitude(self) -> Tensor:
        """A[x] x, shape (*out)."""
        found: Tensor = self.map.matvec(*self.map.inputs)[0]
        return found

    @property
    def dimension(self) -> Bound:
        """D - rank A: the dimension of the preimage where x is inside of its cell, else the most it can be."""
        size = self.x.numel()
        kind = "exact" if self.rank.kind == "exact" else "bracket"
        return Bound(size - int(self.rank.upper), size - int(self.rank.lower), kind)  # type: ignore[arg-type]

    @property
    def numerical_rank(self) -> int | None:
        """The rank if singular values below the tolerance are zeros; None if one lies near the tolerance."""
        if self.rank.kind == "exact":
            return int(self.rank.lower)
        return self.spectrum.rank if self.spectrum.clear else None

    @property
    def rows(self) -> Tensor:
        """An orthonormal basis of what A sees, shape (r, in); r singular values are beyond rounding."""
        return self.spectrum.rows[: int(self.rank.lower)]

    @functools.cached_property
    def nullspace(self) -> Tensor:
        """An orthonormal basis of the directions that A does not see, shape (D - r, *in).

        Singular values within rounding of zero count as zero: `rank` says whether they are.

        Raises
        ------
        DomainError
            If it would be too large.
        """
        size = self.x.numel()
        if size * size > MOST_DENSE:
            raise DomainError(
                f"a basis of the free directions of {size} entries is too large", remedy="use .free(v), .nearest(y)"
            )
        q, _ = torch.linalg.qr(self.rows.T, mode="complete")
        basis: Tensor = q[:, len(self.rows) :].T.reshape(-1, *self.x.shape)
        return basis

    def free(self, v: Tensor) -> Tensor:
        """Return the part of directions, shape (..., *in), that A does not see."""
        flat = v.to(self.rows).reshape(-1, self.x.numel())
        return (flat - (flat @ self.rows.T) @ self.rows).reshape(v.shape)

    @functools.cached_property
    def polytope(self) -> Polytope:
        """The preimage in the coordinates t of x + sum_i t_i nullspace[i]: {t: G N t <= h}.

        Raises
        ------
        DomainError
            If the cell has too many conditions to write out, or nothing is free.
        """
        if not len(self.nullspace):
            raise DomainError("the preimage is a single point", why="A has full rank", remedy="it is .x")
        G, h = self.cell.conditions()
        flat = self.nullspace.reshape(len(self.nullspace), -1)
        return Polytope(G @ flat.T, (h - G @ self.x.reshape(-1)).clamp(min=0.0))

    def lift(self, t: Tensor) -> Tensor:
        """Return the inputs at coordinates of `polytope`, (..., D - r) to (..., *in)."""
        flat = self.nullspace.reshape(len(self.nullspace), -1)
        return self.x + (t.to(flat) @ flat).reshape(*t.shape[:-1], *self.x.shape)

    def contains(self, u: Tensor) -> Tensor:
        """Return which inputs of shape (B, *in) have the code of x, by evaluation, and, to rounding, its amplitude.

        On the boundary of the cell the code is that of the tie rule, which may be another.
        """
        graph = self.map.graph
        found = codes(graph, u)
        same = torch.from_numpy((found.packed == self.code.packed).all(1))
        rest = (u.to(self.x) - self.x).reshape(len(u), -1)
        seen = (rest @ self.rows.T).norm(dim=1)
        found_same: Tensor = same & (seen <= SAME * (u.to(self.x).reshape(len(u), -1).norm(dim=1) + self.x.norm()))
        return found_same

    def nearest(self, y: Tensor) -> Nearest:
        """Return the input of the preimage that is nearest to y, shape (*in), in l2, and proved bounds; see `Nearest`.

        For networks of any size: conditions of the cell join as they are violated.
        """
        if y.shape != self.x.shape or not bool(y.isfinite().all()):
            raise ShapeError(f"a point of shape {tuple(y.shape)}", remedy=f"give finite numbers {tuple(self.x.shape)}")
        with torch.no_grad():
            found = nearest_inside(self.cell.rows, self.rows, y.detach().to(self.x).reshape(-1))
        return found._replace(point=found.point.reshape(self.x.shape))

    def ranges(self, entries: Sequence[int] | None = None) -> Tensor:
        """Return between which values entries of the input (flat indices, default all) lie, shape (entries, 2).

        Two linear programs each (HiGHS), to its tolerances; the cell's conditions are written out.
        """
        wanted = range(self.x.numel()) if entries is None else entries
        at = self.x.reshape(-1)
        if not len(self.nullspace):
            return torch.stack([at, at], 1)[list(wanted)]
        flat = self.nullspace.reshape(len(self.nullspace), -1).numpy()
        G, h = self.polytope.G.numpy(), self.polytope.h.numpy()
        found = [[float(at[i]) + end for end in range_along(G, h, flat[:, i])] for i in wanted]
        return torch.tensor(found, dtype=torch.float64)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe summary."""
        return {
            "graph": self.map.graph.name,
            "rank": self.rank.to_dict(),
            "numerical_rank": self.numerical_rank,
            "tolerance": self.spectrum.tolerance,
            "smallest": float(self.spectrum.values[-1]) if len(self.spectrum.values) else None,
            "dimension": self.dimension.to_dict(),
            "unique": self.unique,
            "reason": self.reason,
            "tied": self.cell.tied,
            "provenance": self.provenance.to_dict(),
        }


def preimage(graph: SplineGraph, x: Tensor, *, exact: bool = False) -> Preimage:
    """Return all inputs with the code and the amplitude A[x] x of one: a polytope (paper Prop 1, corrected).

    Parameters
    ----------
    graph : SplineGraph
        Piecewise affine, with one input and one output.
    x : Tensor of shape (*in) or (1, *in)
    exact : bool, default False
        Find the rank of A, and whether x is on the boundary of its cell, in rational arithmetic; for A of at most
        10 000 entries.

    Returns
    -------
    Preimage

    Raises
    ------
    UnsupportedOperatorError
        If the network is not piecewise affine: then A differs within a cell.
    ShapeError, DomainError
        If x does not fit, or A is too large.

    Notes
    -----
    {u in the closed cell of x: A u = A x} is the cell cut by an affine subspace of dimension D - rank A. So x is
    determined by both if rank A = D. If x is inside of its cell that is the only way; on the boundary the conditions
    that hold with equality may leave nothing else (a linear program tells).

    The rank is at least the number of singular values that rounding cannot explain, and at most min(D, C). Rounding
    is estimated, as 8 units times the number of operators times the square root of the larger side, relative to the
    largest; and 8 times what products by rows and by columns of A differ in.

    A costs one adjoint pass per output and a singular value decomposition.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Prop 1.

    Examples
    --------
    The paper says that amplitude and code suffice to reconstruct x. They do not where A = [1, 0]:

    >>> import torch, splinegraph as sg
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> layer.weight.data = torch.tensor([[1.0, 0.0]])
    >>> graph = sg.trace(torch.nn.Sequential(layer, torch.nn.ReLU()).eval(), torch.zeros(1, 2))
    >>> found = sg.preimage(graph, torch.tensor([1.0, 0.0]))
    >>> found
    <Preimage: more than one input, A leaves 1 of 2 dimensions free>
    >>> found.contains(torch.tensor([[1.0, 5.0], [2.0, 0.0]])).tolist()
    [True, False]
    >>> found.nearest(torch.tensor([3.0, 7.0])).point.tolist()
    [1.0, 7.0]
    """
    require_graph(graph)
    single_ports(graph, "a preimage")
    if not graph.exact:
        node = graph.obstacles[0]
        raise UnsupportedOperatorError(
            f"{node.op.label} is not piecewise affine, so that A[x] differs within a cell", where=node.where,
            remedy="replace smooth operators by splines first: sg.spline(graph, on=..., tol=...)",
        )  # fmt: skip
    with torch.no_grad():
        cell = local_region(graph, x, norm=2, budget=PROBES)
        local = affine_map(graph, *cell.inputs)
        found = spectrum_at(local)
        rank, tied = found.bound(), cell.tied
        if exact:
            count = exact_rank(graph, local.inputs[0][0])
            rank, tied = Bound(count, count, "exact"), graph.exact_point(local.inputs[0][0]).boundary
        made = Preimage(local, cell, found, rank, None, "", None, Provenance.of(graph, dtype=torch.float64, seed=0))
        answer = _settle(made, tied, exact)
    return Preimage(local, cell, found, rank, *answer, made.provenance)


def _settle(found: Preimage, tied: bool, exact: bool) -> _Answer:
    """Say whether x is alone, and if not, with whom."""
    size = found.x.numel()
    if found.rank.lower == size:
        return _Answer(True, "rank A is the number of input entries", None)
    way, certain = _way_out(found, tied)
    witness = None if way is None else _step(found, way)
    if found.rank.upper == size:
        return _Answer(None, f"rank A is {found.rank.lower} or more, {size} would leave one input", witness)
    if witness is not None:
        return _Answer(False, "another input is known: .witness", witness)
    if not tied:
        inside = "x is inside of its cell" + ("" if exact else ", to rounding") + ", and A does not see all directions"
        return _Answer(False if exact else None, inside, None)
    if way is None and certain:
        why = "the conditions that hold with equality leave nothing else"
        return _Answer(True if exact else None, why + ("" if exact else ", to rounding: exact=True decides"), None)
    return _Answer(None, "x is on the boundary of its cell, and no other input was found", None)


def _way_out(found: Preimage, tied: bool) -> tuple[Tensor | None, bool]:
    """Return a direction that A does not see and that stays in the cell for a while; and whether None is an answer."""
    generator = torch.Generator().manual_seed(0)
    if not tied:
        return found.free(torch.randn(found.x.shape, dtype=torch.float64, generator=generator)), True
    cell = found.cell
    scale = cell.margins.scale * float(found.x.norm().clamp(min=1.0))
    active = (cell.rows.slack <= SAME * scale).nonzero()[:, 0]
    flat = found.nullspace.reshape(len(found.nullspace), -1)
    if len(active) > MOST_ACTIVE:
        return None, False
    forms = cell.rows.forms(active)[0].reshape(len(active), -1) @ flat.T
    norms = forms.norm(dim=1)
    forms = forms[norms > SAME * cell.margins.scale[active]]
    if not len(forms):
        return found.free(torch.randn(found.x.shape, dtype=torch.float64, generator=generator)), True
    t, _ = inner_direction((forms / forms.norm(dim=1, keepdim=True)).numpy())
    if np.abs(t).max(initial=0.0) <= SAME:
        return None, True
    return (torch.from_numpy(t) @ flat).reshape(found.x.shape), True


def _step(found: Preimage, way: Tensor) -> Tensor | None:
    """Return a point on the way, checked by evaluation; both ways are tried."""
    size = float(way.norm())
    for sign in (1.0, -1.0):
        far = found.cell.along(sign * way)
        reach = min(far / 2, (1.0 + float(found.x.norm())) / size) if size > 0 else 0.0
        for share in (1.0, 1e-2, 1e-4):
            u = found.x + sign * share * reach * way
            if math.isfinite(reach) and bool((u != found.x).any()) and bool(found.contains(u[None])[0]):
                return u
    return None
