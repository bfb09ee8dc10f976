"""The methods, from the cheapest to the one that ends at the constant itself."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.lipschitz.branching import branch
from splinegraph.analyses.lipschitz.by_regions import by_regions, expected_cells
from splinegraph.analyses.lipschitz.certificate import Certificate, CertificateKind
from splinegraph.analyses.lipschitz.crossing import cross
from splinegraph.analyses.lipschitz.jacobians import local_norms
from splinegraph.analyses.lipschitz.ladder import Ladder
from splinegraph.analyses.lipschitz.lower import Witness, climb
from splinegraph.analyses.lipschitz.relaxing.levels import levels
from splinegraph.analyses.lipschitz.relaxing.tightening import jacobian_on, tightened
from splinegraph.analyses.lipschitz.sdp.bounded import bounded
from splinegraph.analyses.lipschitz.sdp.inequality import Inequality
from splinegraph.analyses.lipschitz.taking_apart import units
from splinegraph.analyses.lipschitz.units import Units

__all__ = ["rungs"]

Floats = NDArray[np.float64]

MOST_UNITS = 4500
"""Size of the matrix inequality beyond which it is not solved: 160 MB a matrix."""

UNDERFLOW = 1e-250
"""Squares of constants below which some of their parts may have been lost."""

PROBE = 400
"""Side of matrices whose product tells how fast this machine is."""

FEW_CELLS = 3000.0
"""A guess of a number of cells up to which all are looked at."""


def rungs(ladder: Ladder, starts: Sequence[Tensor] | None, seed: int) -> None:
    """Climb from the product of constants, which `ladder` has, until both ends meet or time is up."""
    _points(ladder, starts, seed)
    if ladder.done:
        return
    found = units(ladder.graph, ladder.boxes, deadline=ladder.share(0.7))
    if found is None:
        ladder.told("units", "an operator has no slopes, or the network is too large to be taken apart in the time")
        return
    if _cells(ladder):
        return
    _jacobian(ladder, found)
    if not found.count:
        return  # an affine map: that was its norm
    T = _semidefinite(ladder, found) if ladder.norm == 2 and not ladder.done else None
    if ladder.done or any(block.function is not None for block in found.blocks):
        return
    _cross(ladder, found, seed)
    if not ladder.done:
        _branch(ladder, found, T)


def _points(ladder: Ladder, starts: Sequence[Tensor] | None, seed: int) -> None:
    if not all(node.op.differentiable for node in ladder.graph.operators):
        return ladder.told("points", "an operator has no local map", side="lower")
    witness = climb(ladder.graph, ladder.norm, ladder.domain, starts=starts, deadline=ladder.share(0.15), seed=seed)
    ladder.above("points", witness)
    return None


def _cells(ladder: Ladder) -> bool:
    """Look at all cells if they are few; return whether that settled it."""
    if not ladder.domain.bounded or expected_cells(ladder.graph, ladder.domain) > FEW_CELLS:
        return False
    found = by_regions(ladder.graph, ladder.norm, ladder.domain, deadline=ladder.deadline)
    if found is None:
        return False
    ladder.above("regions", Witness(found.inputs, found.lower))
    ladder.below("regions", found.upper, _proof(ladder, found.upper, "regions"), found.note or f"{found.cells} cells")
    return ladder.met


def _jacobian(ladder: Ladder, found: Units) -> None:
    if ladder.norm == 2 and not ladder.domain.bounded and found.count:
        return  # the matrix inequality is better
    # in l2 the matrix inequality comes next
    deadline = ladder.share(0.4 if ladder.norm == 2 else 0.7)
    upper = jacobian_on(found, ladder.domain, ladder.norm, deadline=deadline).norm(ladder.norm)
    ladder.below("jacobian", upper, _proof(ladder, upper, "jacobian"))


def _semidefinite(ladder: Ladder, found: Units) -> Floats | None:
    """Return the multipliers of the units that the domain leaves."""
    left = found
    if ladder.domain.bounded:
        left = tightened(found, ladder.domain, levels(found, ladder.domain, deadline=ladder.deadline)).units
    if ladder.late:
        ladder.told("semidefinite", "time was up")
        return None
    reduced = ladder.domain.reduced(left)
    if reduced.size > MOST_UNITS:
        ladder.told("semidefinite", f"{reduced.size} inputs and units are too many for a matrix inequality")
        return None
    if ladder.deadline is not None and _seconds(reduced.size) > 1.5 * (ladder.deadline - time.monotonic()):
        ladder.told("semidefinite", f"the time is too short for {reduced.size} inputs and units")
        return None
    inequality = Inequality(reduced)
    solved = bounded(inequality, tol=min(ladder.tol, 1e-6), deadline=ladder.share(0.75))
    if solved is None:
        ladder.told("semidefinite", "no multipliers to start from")
        return None
    rho = inequality.certified(solved.T)
    if not rho > UNDERFLOW:
        ladder.told("semidefinite", "the squares of slopes underflow")
        return None
    upper = math.sqrt(rho)
    note = ", ".join(filter(None, (solved.method, solved.note)))
    ladder.below("semidefinite", upper, _proof(ladder, upper, "semidefinite", {"T": solved.T}), note)
    return solved.T


def _seconds(size: int) -> float:
    """Return about how long the first valid bound of a matrix inequality takes, by the time of a small product."""
    if size < PROBE:
        return 0.0
    A, least = np.ones((PROBE, PROBE)), math.inf
    for _ in range(3):
        begun = time.perf_counter()
        A @ A
        least = min(least, time.perf_counter() - begun)
    return 2.0 * (size / PROBE) ** 3 * least


def _cross(ladder: Ladder, found: Units, seed: int) -> None:
    domain = ladder.domain
    reduced = found.reduced() if _turned(ladder) else found
    draw = np.random.default_rng(seed)
    sides = domain.sides
    if sides is None:
        X = draw.standard_normal((128, reduced.inputs)) * 10 ** draw.uniform(-1, 2.5, (128, 1))
    else:
        X = domain.nearest(sides[0] + (sides[1] - sides[0]) * draw.random((128, reduced.inputs)))
    _, x = cross(reduced, X, norm=ladder.norm, domain=domain, deadline=ladder.share(0.3), seed=seed)
    ladder.above("facet crossing", _witness(ladder, found, x))


def _branch(ladder: Ladder, found: Units, T: Floats | None) -> None:
    done = branch(
        found, norm=ladder.norm, domain=ladder.domain, lower=ladder.lower, multipliers=T, tol=ladder.tol,
        deadline=ladder.deadline,
    )  # fmt: skip
    if done.witness is not None:
        ladder.above("branch and bound", _witness(ladder, found, done.witness))
    upper = max(done.upper, ladder.lower)
    note = f"{done.nodes} branches, {done.programs} linear programs"
    proof = None if done.tree is None else _proof(ladder, upper, "tree", done.tree.arrays())
    ladder.below("branch and bound", upper, proof, note if proof else f"{note}; too many to keep as a proof")
    if done.interrupted:
        raise KeyboardInterrupt


def _proof(
    ladder: Ladder, upper: float, kind: CertificateKind, arrays: Mapping[str, NDArray[Any]] | None = None
) -> Certificate:
    return Certificate(ladder.graph, ladder.domain, ladder.norm, upper, kind, arrays or {})


def _turned(ladder: Ladder) -> bool:
    """Return whether inputs are coordinates of those directions that units tell apart."""
    return ladder.norm == 2 and ladder.domain.boxes is None


def _witness(ladder: Ladder, found: Units, x: Floats) -> Witness | None:
    """Return a flattened input as a witness, with the norm that the network itself has there."""
    graph = ladder.graph
    sizes = [math.prod(shape) for shape in graph.input_shapes]
    parts = torch.from_numpy(found.lifted(x) if _turned(ladder) else x).split(sizes)
    inputs = tuple(p.reshape(s) for p, s in zip(parts, graph.input_shapes, strict=True))
    value = float(local_norms(graph, ladder.norm, tuple(p[None] for p in inputs), ladder.domain.free)[0])
    return None if value < 0 else Witness(inputs, value)
