"""Codes by thresholds on <x, W_i>, as in wavelet denoising."""

from __future__ import annotations

import torch
from torch import Tensor

from splinegraph.analyses.encoding.frameworks.coding import Coding, coded, dictionary, samples
from splinegraph.errors import ShapeError

__all__ = ["hard_thresholding", "shrink", "soft_thresholding"]


def shrink(values: Tensor, threshold: float | Tensor) -> Tensor:
    """Return sign(v) max(|v| - threshold, 0)."""
    return values.sign() * (values.abs() - threshold).clamp(min=0.0)


def soft_thresholding(X: Tensor, W: Tensor, *, threshold: float | Tensor) -> Coding:
    """Return the code sign(c) max(|c| - threshold, 0), c = <x, W_i>.

    Parameters
    ----------
    X : Tensor of shape (B, *in)
    W : Tensor of shape (K, *in)
        Orthonormal for the code to be that of sparse coding with penalty 2 threshold.
    threshold : float or Tensor of shape (K,)
        Not negative.

    Returns
    -------
    Coding

    Notes
    -----
    The paper prints max(<x, W_i> - b, 0) sign(<x, W_i>), which drops all negative coefficients; a ReLU with bias does
    that. With W orthonormal the code here is the LASSO's, that one is not.

    References
    ----------
    .. [1] D. Donoho and I. Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81, 1994.

    Examples
    --------
    >>> soft_thresholding(torch.tensor([[3.0, -2.0]]), torch.eye(2), threshold=1.0).code.tolist()
    [[2.0, -1.0]]
    """
    rows = samples(X)
    W = dictionary(W, rows)
    return coded("soft thresholding", rows, shrink(rows @ W.T, _nonnegative(threshold, len(W))), W)


def hard_thresholding(X: Tensor, W: Tensor, *, threshold: float | Tensor) -> Coding:
    """Return the code that keeps c = <x, W_i> where |c| > threshold.

    Parameters
    ----------
    X : Tensor of shape (B, *in)
    W : Tensor of shape (K, *in)
        Orthonormal for the code to have the least loss of all codes with so many coefficients.
    threshold : float or Tensor of shape (K,)
        Not negative.

    Returns
    -------
    Coding

    Examples
    --------
    >>> hard_thresholding(torch.tensor([[3.0, -2.0]]), torch.eye(2), threshold=2.0).code.tolist()
    [[3.0, 0.0]]
    """
    rows = samples(X)
    W = dictionary(W, rows)
    c = rows @ W.T
    return coded("hard thresholding", rows, torch.where(c.abs() > _nonnegative(threshold, len(W)), c, 0.0), W)


def _nonnegative(threshold: float | Tensor, count: int) -> Tensor:
    found = torch.as_tensor(threshold, dtype=torch.float64)
    if found.shape not in ((), (count,)) or not bool((found >= 0).all()):
        raise ShapeError(f"threshold {threshold}", remedy=f"give a number >= 0, or {count} of them")
    return found
