"""Points of a cell within an affine subspace; the cell's conditions are written out only as they are needed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.regions.local.rows import CellRows
from splinegraph.analyses.regions.neighborhood.distance import nearest
from splinegraph.core.bound import Bound

__all__ = ["Nearest", "inner_direction", "nearest_inside", "range_along"]

Floats = NDArray[np.float64]

JOINED = 128
"""Most violated conditions that join in one round."""

ROUNDS = 100

INSIDE = 1e-9
"""How far a point may miss a condition, relative to what the way there from x changes at most of its node."""


class Nearest(NamedTuple):
    """The nearest point of a preimage.

    Parameters
    ----------
    point : Tensor of shape (*in)
    distance : Bound
        From the point given: the lower end is proved by multipliers of the conditions, to rounding, the upper one is
        reached at `point`; infinite where no point was found.
    rounds : int
        How often conditions joined.
    """

    point: Tensor
    distance: Bound
    rounds: int


def nearest_inside(cell: CellRows, rows: Tensor, y: Tensor) -> Nearest:
    """Return the point nearest to y of {u : conditions of the cell hold, rows (u - x) = 0}.

    Parameters
    ----------
    cell : CellRows
        Of x.
    rows : Tensor of shape (r, in)
        Orthonormal.
    y : Tensor of shape (in,)

    Notes
    -----
    The projection to the affine subspace comes first. Conditions that it violates join, the projection to all that
    joined is made anew (nonnegative least squares), and so on until none is violated: one tangent pass a round, and an
    adjoint pass per condition; those that do not hold the point back leave again. Fewer conditions have more points, so
    every round's lower bound holds.
    """
    x = cell.inputs[0].reshape(-1)
    start = y - rows.T @ (rows @ (y - x))
    across = float((y - start).norm())
    taken = torch.zeros(0, dtype=torch.int64)
    forms = torch.zeros(0, len(x), dtype=torch.float64)
    lower, point = 0.0, start
    for turn in range(ROUNDS):
        violated = _violated(cell, point, taken)
        if not len(violated):
            upper = float((point - y).norm())
            lower = min(float(np.hypot(across, lower)), upper)
            close = upper - lower <= INSIDE * upper
            return Nearest(point, Bound(upper, upper, "exact") if close else Bound(lower, upper, "bracket"), turn)
        new = cell.forms(violated)[0].reshape(len(violated), -1)
        taken, forms = torch.cat([taken, violated]), torch.cat([forms, new - (new @ rows.T) @ rows])
        room = cell.slack[taken] - forms @ (start - x)
        try:
            low, _, move = nearest(forms.numpy(), room.numpy(), 2)
        except RuntimeError:  # the least squares did not come to an end
            break
        if not np.isfinite(move).all():
            break
        lower, point = max(lower, low), start + torch.from_numpy(move)
        tight = room - forms @ (point - start) <= INSIDE * forms.norm(dim=1) * (point - start).norm()
        taken, forms = taken[tight], forms[tight]
    return Nearest(x.clone(), Bound(float(np.hypot(across, lower)), float((x - y).norm()), "bracket"), ROUNDS)


def _violated(cell: CellRows, point: Tensor, taken: Tensor) -> Tensor:
    """Return the conditions that a point misses most, without those that were taken."""
    x = cell.inputs[0]
    step = point - x.reshape(-1)
    if not len(cell) or not bool(step.any()):
        return torch.zeros(0, dtype=torch.int64)
    moved = cell.products([step.reshape(x.shape)])[0]
    scale = torch.zeros_like(moved)
    for origin in cell.origins:
        part = slice(origin.start, origin.stop)
        if len(origin.conditions):
            scale[part] = moved[part].abs().max()
    excess = moved - cell.slack
    excess[taken] = 0.0
    worst = excess.topk(min(JOINED, len(excess)))
    return worst.indices[worst.values > INSIDE * scale[worst.indices]]


def inner_direction(active: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return a t in the relative interior of the cone {active t <= 0}, and which rows are zero on all of it.

    One linear program (HiGHS): as many rows as can be are made strict together. Rows have norm one.
    """
    from scipy.optimize import linprog

    count, dim = active.shape
    cost = np.concatenate([np.zeros(dim), -np.ones(count)])
    bounds = [(None, None)] * dim + [(0.0, 1.0)] * count
    found = linprog(cost, A_ub=np.hstack([active, np.eye(count)]), b_ub=np.zeros(count), bounds=bounds, method="highs")
    if found.status != 0:
        return np.zeros(dim), np.ones(count, dtype=np.bool_)
    return np.asarray(found.x[:dim]), np.asarray(found.x[dim:] < 0.5)


def range_along(G: Floats, h: Floats, direction: Floats) -> tuple[float, float]:
    """Return least and greatest direction . t over G t <= h (HiGHS), infinite where there is none."""
    from scipy.optimize import linprog

    ends = []
    for sign in (1.0, -1.0):
        found = linprog(sign * direction, A_ub=G, b_ub=h, bounds=(None, None), method="highs")
        ends.append(sign * float(found.fun) if found.status == 0 else -sign * np.inf)
    return ends[0], ends[1]
