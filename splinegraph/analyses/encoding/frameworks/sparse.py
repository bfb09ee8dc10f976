"""Sparse coding: least squares with an l1 penalty, to a proved tolerance."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from splinegraph.analyses.encoding.frameworks.coding import Coding, coded, dictionary, number, samples
from splinegraph.analyses.encoding.frameworks.thresholding import shrink
from splinegraph.errors import SplineGraphError, require_seed

__all__ = ["sparse_coding"]

Floats = NDArray[np.float64]

ROUNDS = 12
"""Of learning atoms: codes, then atoms."""

SWEEPS = 10
"""Over the coefficients, for the codes on the way."""

STEPS = 10
"""Coefficients that may join, per atom."""

RIDGE = 1e-12
"""Relative to the trace of a singular system."""

ROUNDING = 1e-13
"""What a slope may miss, relative to the largest <x, d_i>."""


def sparse_coding(X: Tensor, atoms: int | Tensor, *, penalty: float, seed: int = 0) -> Coding:
    """Return the code that minimizes |x - sum_i alpha_i d_i|^2 + penalty |alpha|_1, d_i = W_i / |W_i|^2.

    Parameters
    ----------
    X : Tensor of shape (B, *in)
    atoms : int or Tensor of shape (K, *in)
        W, any number of rows that are not zero; or how many to learn, of norm one, starting from samples.
    penalty : float
        Positive.
    seed : int
        Of learned atoms.

    Returns
    -------
    Coding
        With the sum of the duality gaps reached, infinite for learned atoms: these are a local minimum.

    Notes
    -----
    d_i = df_i/dx of the paper's table, where f_i = <x, W_i> / |W_i|^2. An active set that follows the signs [1]_, one
    sample at a time, O(k^3) per step for k coefficients that are not zero; the number of steps is about theirs.
    nu = 2 (x - reconstruction), scaled so that |<nu, d_i>| <= penalty, proves that no code has less than
    <nu, x> - |nu|^2 / 4: `gap` is the sum of what is left.

    References
    ----------
    .. [1] H. Lee, A. Battle, R. Raina, A. Ng, "Efficient sparse coding algorithms", NIPS 2006.

    Examples
    --------
    >>> sparse_coding(torch.tensor([[3.0, 0.5]]), torch.eye(2), penalty=2.0).code.tolist()
    [[2.0, 0.0]]
    """
    rows = samples(X)
    if not 0 < penalty < float("inf"):
        raise SplineGraphError(f"penalty is {penalty!r}", remedy="give a positive number; 0 is least squares")
    if isinstance(atoms, Tensor):
        W = dictionary(atoms, rows)
        d = W / W.square().sum(1, keepdim=True)
        code, name = _codes(rows, d, penalty), "sparse coding"
        gap = float(_gaps(rows, code, d, penalty).sum())
        return coded(name, rows, code, d, penalty=penalty * float(code.abs().sum()), gap=gap)
    d = _learn(rows, number(atoms, rows), penalty, seed)
    code = _codes(rows, d, penalty)
    return coded("sparse coding", rows, code, d, penalty=penalty * float(code.abs().sum()), gap=float("inf"))


def _search(right: Floats, gram: Floats, penalty: float, rank: int) -> Floats:
    """Return the code of one sample: coefficients join one by one, and leave where they would change their sign.

    On the way the objective only falls, and no set of signs comes twice.
    """
    code, sign = np.zeros(len(right)), np.zeros(len(right))
    for _ in range(STEPS * len(right)):
        slope = 2 * (gram @ code - right)
        new = int(np.argmax(np.abs(slope) * (sign == 0)))
        if sign[new] or abs(slope[new]) <= penalty + ROUNDING * np.abs(right).max():
            break
        sign[new] = -np.sign(slope[new])
        while True:
            on = np.flatnonzero(sign)
            now, best = code[on], _solve(gram[np.ix_(on, on)], right[on] - penalty / 2 * sign[on], rank)
            wrong = best * sign[on] <= 0
            if not wrong.any():
                code[on] = best
                break
            reach = np.where(wrong, now / np.where(wrong, now - best, 1.0), np.inf)
            first = int(np.argmin(reach))
            code[on] = now + min(max(reach[first], 0.0), 1.0) * (best - now)
            code[on[first]] = sign[on[first]] = 0.0
            if on[first] == new and reach[first] <= 0:  # rounding alone let it join
                return code
    return code


def _solve(system: Floats, goal: Floats, rank: int) -> Floats:
    """Return where the objective is least; far away along it where the atoms are too many to be independent."""
    if len(goal) > rank:
        system = system + RIDGE * np.trace(system) * np.eye(len(goal))
    try:
        return np.asarray(np.linalg.solve(system, goal))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(system, goal)[0])


def _codes(X: Tensor, d: Tensor, penalty: float) -> Tensor:
    """Return the codes of all samples."""
    gram, right = (d @ d.T).cpu().numpy(), (X @ d.T).cpu().numpy()
    return torch.from_numpy(np.stack([_search(row, gram, penalty, X.shape[1]) for row in right])).to(X)


def _sweeps(X: Tensor, d: Tensor, penalty: float) -> Tensor:
    """Return codes that are nearly best, by sweeps over all coefficients, for all samples at once."""
    gram, right = d @ d.T, X @ d.T
    code, made = torch.zeros_like(right), torch.zeros_like(right)
    for _ in range(SWEEPS):
        for i in range(len(gram)):
            held = right[:, i] - made[:, i] + code[:, i] * gram[i, i]
            step = shrink(held, penalty / 2) / gram[i, i] - code[:, i]
            code[:, i] += step
            made += step[:, None] * gram[i]
    return code


def _gaps(X: Tensor, code: Tensor, d: Tensor, penalty: float) -> Tensor:
    rest = X - code @ d
    most = 2 * (rest @ d.T).abs().amax(1)
    nu = 2 * rest * (penalty / most.clamp(min=penalty))[:, None]
    value = rest.square().sum(1) + penalty * code.abs().sum(1)
    proved = (nu * X).sum(1) - nu.square().sum(1) / 4
    return (value - proved).clamp(min=0.0)


def _learn(X: Tensor, count: int, penalty: float, seed: int) -> Tensor:
    """Return atoms of norm one, by codes and least squares in turns."""
    generator = torch.Generator().manual_seed(require_seed(seed))
    alive = X[(X != 0).any(1)]
    if not len(alive):
        raise SplineGraphError("there is nothing to learn atoms from", why="all samples are zero")
    chosen = torch.randint(len(alive), (count,), generator=generator)
    noise = torch.randn(count, X.shape[1], dtype=X.dtype, generator=generator)
    d = alive[chosen] + 0.1 * noise * alive.std(unbiased=False)
    d = d / d.norm(dim=1, keepdim=True)
    for _ in range(ROUNDS):
        best = torch.linalg.pinv(_sweeps(X, d, penalty)) @ X
        norms = best.norm(dim=1, keepdim=True)
        d = torch.where(norms > 0, best / norms, d)
    return d
