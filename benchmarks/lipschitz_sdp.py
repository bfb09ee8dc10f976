"""LipSDP-neuron of chains of linear layers and ReLU: by cvxpy and its solvers, and by ours, on the same inequality.

Both start from the layers with the first one reduced to as many inputs as it tells apart, which the l2 constant does
not see. What cvxpy's solvers report need not hold: the bound that their multipliers prove is worked out besides.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.lipschitz_nets import Case, Layers
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.sdp.bounded import bounded
from splinegraph.analyses.lipschitz.sdp.inequality import Inequality
from splinegraph.analyses.lipschitz.taking_apart import units

__all__ = ["SOLVERS", "best_solver", "certified", "ours", "size", "with_cvxpy"]

Floats = NDArray[np.float64]
Row = dict[str, Any]

SOLVERS: dict[str, dict[str, Any]] = {"CLARABEL": {}, "SCS": {"eps": 1e-5, "max_iters": 100_000}}
"""Open solvers of matrix inequalities that cvxpy calls, with their settings."""


MOST_CLARABEL = 120
"""Size of the inequality up to which Clarabel, the accurate one, ends within a minute or two."""


def reduced(layers: Layers) -> list[Floats]:
    """Return the weights, the first as a square or flat matrix with the same singular values."""
    weights = [w.numpy() for w, _ in layers]
    if weights[0].shape[1] > weights[0].shape[0]:
        weights[0] = np.linalg.qr(weights[0].T)[1].T
    return weights


def size(case: Case) -> int:
    """Return N, the rows of the matrix inequality."""
    assert case.weights is not None
    return sum(w.shape[1] for w in reduced(case.weights))


def best_solver(case: Case) -> str:
    """Return the solver for the table of bounds, where accuracy counts."""
    return "CLARABEL" if size(case) <= MOST_CLARABEL else "SCS"


def with_cvxpy(case: Case, solver: str) -> Row:
    """Return the bound of a solver, CPU seconds in all and those of the solver alone."""
    import cvxpy as cp
    from scipy import sparse

    assert case.weights is not None
    begun = time.process_time()
    weights = reduced(case.weights)
    starts = np.cumsum([0, *(w.shape[1] for w in weights)])
    n0, N = int(starts[1]), int(starts[-1])
    rows, columns, values = [], [], []
    for k, weight in enumerate(weights[:-1]):  # unit i: 2 e e' - e u' - u e', as a column of N^2 entries
        units_, seen = starts[k + 1] + np.arange(len(weight)), starts[k] + np.arange(weight.shape[1])
        e, u = np.repeat(units_, len(seen)), np.tile(seen, len(units_))
        rows += [units_ * (N + 1), e * N + u, u * N + e]
        columns += [units_ - n0, e - n0, e - n0]
        values += [np.full(len(units_), 2.0), -weight.reshape(-1), -weight.reshape(-1)]
    K = sparse.csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (N * N, N - n0))
    C = np.zeros((N, len(weights[-1])))
    C[starts[-2] :] = weights[-1].T
    E0 = np.diag((np.arange(N) < n0).astype(float))
    rho, T = cp.Variable(), cp.Variable(N - n0, nonneg=True)
    M = rho * E0 + cp.reshape(K @ T, (N, N), order="F") - C @ C.T
    problem = cp.Problem(cp.Minimize(rho), [M >> 0])
    problem.solve(solver=solver, **SOLVERS[solver])
    seconds = time.process_time() - begun
    if T.value is None:
        return {"note": f"{problem.status}", "seconds": seconds}
    return {
        "value": math.sqrt(max(float(rho.value), 0.0)), "upper": certified(case, np.maximum(T.value, 0.0)),
        "seconds": seconds, "status": problem.status,
        "solver_seconds": min(problem.solver_stats.solve_time, seconds),  # solvers measure wall time
    }  # fmt: skip


def certified(case: Case, T: Floats) -> float:
    """Return the bound that multipliers prove, infinite if none."""
    return math.sqrt(_inequality(case).certified(T))


def _inequality(case: Case) -> Inequality:
    found = units(case.graph())
    assert found is not None
    return Inequality(Domain().reduced(found))


def ours(case: Case) -> Row:
    """Return our bound, proved from its multipliers, and CPU seconds of all but tracing."""
    graph = case.graph()
    begun = time.process_time()
    found = units(graph)
    assert found is not None
    inequality = Inequality(Domain().reduced(found))
    solved = bounded(inequality)
    if solved is None:
        return {"note": "no multipliers to start from", "seconds": time.process_time() - begun}
    upper = math.sqrt(inequality.certified(solved.T))
    return {"value": math.sqrt(solved.rho), "upper": upper, "seconds": time.process_time() - begun}
