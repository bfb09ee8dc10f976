"""Codes with one atom per sample: the best direction, and the nearest point."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from splinegraph.analyses.encoding.frameworks.coding import Coding, coded, dictionary, number, samples
from splinegraph.errors import require_seed

__all__ = ["best_atom", "nearest_atom"]


def best_atom(X: Tensor, W: Tensor) -> Coding:
    """Return the code of the one direction that leaves the least loss: winner takes all.

    Parameters
    ----------
    X : Tensor of shape (B, *in)
    W : Tensor of shape (K, *in)

    Returns
    -------
    Coding
        The coefficient of atom i is <x, W_i> / |W_i|^2.

    Notes
    -----
    The paper's 'best basis' takes argmax <x, W_i> / |W_i|^2 and the coefficient <x, W_i>: right only if all |W_i| = 1,
    and without negative coefficients. The loss is |x|^2 - (<x, W_i> / |W_i|)^2, so that |<x, W_i>| / |W_i| decides.
    It is the first step of matching pursuit; Coifman and Wickerhauser's best basis chooses among whole bases.

    Examples
    --------
    >>> best_atom(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.1, 0.0], [0.0, 4.0]])).code.tolist()
    [[0.0, 0.5]]
    """
    rows = samples(X)
    W = dictionary(W, rows)
    norms = W.norm(dim=1)
    products = rows @ W.T
    return coded("best atom", rows, _only(products / norms.square(), (products / norms).abs().argmax(1)), W)


def nearest_atom(X: Tensor, atoms: int | Tensor, *, seed: int = 0) -> Coding:
    """Return the code 1 of the nearest atom: vector quantization, or one nearest neighbour.

    Parameters
    ----------
    X : Tensor of shape (B, *in)
    atoms : int or Tensor of shape (K, *in)
        W, which may hold zeros; or how many to learn, by k-means: fewer if no more samples are distinct.
    seed : int
        Of k-means.

    Returns
    -------
    Coding
        With learned atoms a local minimum: `gap` is infinite.

    Notes
    -----
    The paper's 'k-NN' reads argmax over <x, W_i> > -|W_i|^2 / 2; nearest is argmax <x, W_i> - |W_i|^2 / 2, a maximum
    of affine functions, and its reconstruction is W_i with the coefficient 1.

    Examples
    --------
    >>> nearest_atom(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0], [1.0, 1.0]])).loss.tolist()
    [1.0]
    """
    rows = samples(X)
    learned = not isinstance(atoms, Tensor)
    W = (
        _means(rows, number(atoms, rows, len(rows)), seed)
        if isinstance(atoms, int)
        else dictionary(atoms, rows, zeros=True)
    )
    score = rows @ W.T - W.square().sum(1) / 2
    return coded(
        "nearest atom", rows, _only(torch.ones_like(score), score.argmax(1)), W, gap=float("inf") * learned or 0.0
    )


def _only(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the chosen column of each row, zeros elsewhere."""
    place = chosen[:, None]
    return torch.zeros_like(values).scatter_(1, place, values.gather(1, place))


def _means(X: Tensor, count: int, seed: int) -> Tensor:
    from scipy.cluster.vq import kmeans2

    seed = require_seed(seed)
    distinct: Tensor = X.unique(dim=0)
    if len(distinct) <= count:
        return distinct
    with warnings.catch_warnings():  # a mean that no sample is nearest to stays where it is
        warnings.simplefilter("ignore", UserWarning)
        found, _ = kmeans2(X.cpu().numpy(), count, iter=30, minit="++", seed=seed)
    means: Tensor = torch.from_numpy(found).to(X)
    return means
