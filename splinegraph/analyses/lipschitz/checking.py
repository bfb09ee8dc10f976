"""Independent checks of upper bounds, one per kind of certificate: from the network, in float64, with margins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.linalg import LinAlgError
from numpy.typing import NDArray

from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.drawing import drawn
from splinegraph.analyses.lipschitz.product import product
from splinegraph.analyses.lipschitz.relaxing.tightening import jacobian_on, tightened
from splinegraph.analyses.lipschitz.taking_apart import units
from splinegraph.analyses.lipschitz.tree import check_tree
from splinegraph.analyses.lipschitz.units import Units
from splinegraph.analyses.regions.enumerate import enumerate_regions
from splinegraph.core.graph import SplineGraph

__all__ = ["CHECKS"]

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]
Check = Callable[[SplineGraph, Domain, float, float, Arrays], bool]

UNIT = float(np.finfo(np.float64).eps) / 2
"""Largest relative error of one operation."""

AGAIN = 1e-12
"""Relative difference of the same computation on another machine; its own margins for rounding are larger."""

LOOKED_AT = 16
"""Points at which units have to give the network's values."""


def _product(graph: SplineGraph, domain: Domain, norm: float, upper: float, arrays: Arrays) -> bool:
    """Return whether the constants of all operators, worked out anew, give the bound."""
    return product(graph, norm, domain.intervals(graph)).upper <= upper * (1 + AGAIN)


def _semidefinite(graph: SplineGraph, domain: Domain, norm: float, upper: float, arrays: Arrays) -> bool:
    """Return whether the matrix inequality holds for multipliers, by a Cholesky factorization with a margin.

    There is one of each unit or, on a domain, of each that linear relaxation leaves there.
    """
    T = arrays.get("T")
    found = units(graph, domain.intervals(graph))
    if found is None or norm != 2 or T is None or T.dtype != np.float64 or not _same(graph, found, domain):
        return False
    if not (np.isfinite(T).all() and (T >= 0).all()):
        return False
    ways = [tightened(found, domain).units, found] if domain.bounded else [found]
    rho = upper * upper * (1 - 4 * UNIT)
    return any(T.shape == (way.count,) and _positive(domain.reduced(way), rho, T) for way in ways)


def _jacobian(graph: SplineGraph, domain: Domain, norm: float, upper: float, arrays: Arrays) -> bool:
    """Return whether bounds of the entries of all Jacobians, worked out anew, give the bound."""
    found = units(graph, domain.intervals(graph))
    if found is None or not _same(graph, found, domain):
        return False
    return jacobian_on(found, domain, norm).norm(norm) <= upper * (1 + AGAIN)


def _tree(graph: SplineGraph, domain: Domain, norm: float, upper: float, arrays: Arrays) -> bool:
    """Return whether every branch of a tree is below the bound or has no inputs, and the branches are all there are."""
    found = units(graph, domain.intervals(graph))
    if found is None or not _same(graph, found, domain):
        return False
    try:
        return check_tree(found, domain, norm, arrays, upper)
    except (IndexError, OverflowError, TypeError, ValueError):  # arrays that are no tree
        return False


def _regions(graph: SplineGraph, domain: Domain, norm: float, upper: float, arrays: Arrays) -> bool:
    """Return whether no cell of the domain, all listed and checked anew, has a map of a larger norm."""
    if not (domain.bounded and graph.exact and graph.continuous):
        return False
    cells = enumerate_regions(graph, domain.boxes)
    if not cells.complete or cells.verified is None or not cells.verified.ok:
        return False
    largest = float(cells.map_norms(norm).max(initial=0.0))
    return largest * (1 + AGAIN) <= upper


def _same(graph: SplineGraph, found: Units, domain: Domain) -> bool:
    """Return whether units give the network's own values, up to a constant, at random points of the domain."""
    inputs = drawn(graph, domain, LOOKED_AT, seed=0)
    X = torch.cat([x.reshape(LOOKED_AT, -1) for x in inputs], dim=1).numpy()
    with torch.no_grad():
        values = graph(*inputs, dtype=torch.float64)
    together = values if isinstance(values, tuple) else (values,)
    Y = torch.cat([y.reshape(LOOKED_AT, -1) for y in together], dim=1).numpy()
    seen, slope = found.levels(X)
    e = slope * seen
    for block in found.blocks:
        if block.function is not None:
            e[:, block.part] = block.function.values(seen[:, block.part])
    Z = np.concatenate([X, e], axis=1) @ found.outputs
    off = (Y - Y[0]) - (Z - Z[0])
    return bool(np.abs(off).max(initial=0.0) <= 1e-7 * (1 + np.abs(Y).max(initial=0.0)))


def _positive(found: Units, rho: float, T: Floats) -> bool:
    """Return whether M(rho, T) = rho E0 + P diag(T) Q' + Q diag(T) P' - C C' is positive semidefinite.

    P and Q are differences of units' values and slopes times their functionals; the matrix is written out from
    these, scaled to a unit diagonal and factorized less a multiple of the identity that covers all rounding.
    """
    n0, n = found.inputs, found.count
    E = np.zeros((n0 + n, n))
    E[n0 + np.arange(n), np.arange(n)] = 1.0
    P, Q, C = E - found.forms * found.low, E - found.forms * found.high, found.outputs
    half = (P * T) @ Q.T
    M = half + half.T - C @ C.T
    half = (np.abs(P) * T) @ np.abs(Q).T
    size = half + half.T + np.abs(C) @ np.abs(C).T
    M[np.arange(n0), np.arange(n0)] += rho
    size[np.arange(n0), np.arange(n0)] += rho
    diagonal = np.diag(M)
    idle = ~size.any(axis=1)  # what nothing depends on
    if (diagonal[~idle] <= 0).any():
        return False
    scale = np.where(idle, 1.0, 1 / np.sqrt(np.where(idle, 1.0, diagonal)))
    terms = n + C.shape[1] + 8
    order = len(M)
    shift = 1.01 * UNIT * (2 * terms * float((scale * (size @ scale)).max(initial=0.0)) + (order + 2) * order)
    S = scale[:, None] * M * scale
    S[np.arange(order), np.arange(order)] = 1 - shift
    try:
        np.linalg.cholesky(S)
    except LinAlgError:
        return False
    return True


CHECKS: dict[str, Check] = {
    "product": _product, "semidefinite": _semidefinite, "jacobian": _jacobian, "tree": _tree,
    "regions": _regions,
}  # fmt: skip
"""Whether a bound of each kind holds."""
