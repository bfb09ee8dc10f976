"""Codes <x, W_i> with learned atoms: principal components, and nonnegative factors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.encoding.frameworks.coding import Coding, coded, dictionary, number, samples
from splinegraph.errors import DataError, ShapeError, require_seed

__all__ = ["nmf", "pca"]

ORTHONORMAL = 1e-8
"""How far W W^T may be from the identity."""


def pca(X: Tensor, atoms: int | Tensor) -> Coding:
    """Return the code by the leading right singular vectors: the least loss of all linear codes with so many atoms.

    Parameters
    ----------
    X : Tensor of shape (B, *in)
        Not centred, as in the paper's table: subtract the mean for principal components of the covariance.
    atoms : int or Tensor of shape (K, *in)
        How many to learn, or orthonormal ones.

    Returns
    -------
    Coding
        The loss of all samples is the sum of the squares of the singular values left out.

    Examples
    --------
    >>> pca(torch.tensor([[3.0, 0.0], [0.0, 2.0]]), 1).loss.tolist()
    [0.0, 4.0]
    """
    rows = samples(X)
    if isinstance(atoms, Tensor):
        W = dictionary(atoms, rows)
        if float((W @ W.T - torch.eye(len(W), dtype=W.dtype)).abs().max()) > ORTHONORMAL:
            raise ShapeError("the atoms are not orthonormal", remedy="orthonormalize them: torch.linalg.qr(W.T)")
    else:
        W = torch.linalg.svd(rows, full_matrices=False)[2][: number(atoms, rows, min(rows.shape))]
    return coded("pca", rows, rows @ W.T, W)


def nmf(X: Tensor, atoms: int | Tensor, *, steps: int = 200, seed: int = 0) -> Coding:
    """Return a nonnegative code by nonnegative atoms: X close to code @ atoms.

    Parameters
    ----------
    X : Tensor of shape (B, *in)
        Nonnegative.
    atoms : int or Tensor of shape (K, *in)
        How many to learn, or nonnegative ones: then the code is the least-squares one, exactly.
    steps : int
    seed : int
        Of the first atoms.

    Returns
    -------
    Coding
        With learned atoms a local minimum: `gap` is infinite.

    Raises
    ------
    DataError
        If an entry of the samples, or of the atoms, is negative.

    Notes
    -----
    The paper's table asks for J_f(x) >= 0 alone. A code <x, W_i> with W >= 0 is nonnegative only for nonnegative x,
    and the code that minimizes the loss is not <x, W_i>: without alpha >= 0 the problem is semi-NMF. Atoms are learned
    by hierarchical alternating least squares [1]_, where no step raises the loss.

    References
    ----------
    .. [1] A. Cichocki and A.-H. Phan, "Fast local algorithms for large scale nonnegative matrix and tensor
       factorizations", 2009.

    Examples
    --------
    >>> nmf(torch.tensor([[2.0, 0.0], [0.0, 3.0]]), torch.eye(2)).code.tolist()
    [[2.0, 0.0], [0.0, 3.0]]
    """
    rows = samples(X)
    if bool((rows < 0).any()):
        raise DataError("samples with negative entries have no nonnegative factors", remedy="shift or rectify them")
    if isinstance(atoms, Tensor):
        W = dictionary(atoms, rows)
        if bool((W < 0).any()):
            raise DataError("an atom has negative entries", remedy="give nonnegative ones")
        return coded("nmf", rows, _nonnegative(rows, W), W)
    generator = torch.Generator().manual_seed(require_seed(seed))
    W = torch.rand(number(atoms, rows), rows.shape[1], dtype=torch.float64, generator=generator)
    code = torch.rand(len(rows), len(W), dtype=torch.float64, generator=generator)
    for _ in range(steps):
        _improve(rows, code, W)
        _improve(rows.T, W.T, code.T)
    used = (W != 0).any(1)
    return coded("nmf", rows, code * used, W, gap=float("inf"))


def _improve(X: Tensor, code: Tensor, W: Tensor) -> None:
    """Write the best nonnegative column of the code in place of each, the others held, for X close to code @ W."""
    gram, right = W @ W.T, X @ W.T
    for k in range(len(W)):
        if gram[k, k] > 0:
            code[:, k] = (code[:, k] + (right[:, k] - code @ gram[:, k]) / gram[k, k]).clamp(min=0.0)


def _nonnegative(X: Tensor, W: Tensor) -> Tensor:
    """Return the nonnegative code of least loss (Lawson-Hanson)."""
    from scipy.optimize import nnls

    system = np.ascontiguousarray(W.T.cpu().numpy())
    return torch.from_numpy(np.stack([nnls(system, x)[0] for x in X.cpu().numpy()])).to(X)
