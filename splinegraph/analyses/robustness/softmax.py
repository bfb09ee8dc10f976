"""Lipschitz constants of the softmax and of networks that end in one."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.lipschitz.intervals import intervals
from splinegraph.analyses.lipschitz.lipschitz import lipschitz
from splinegraph.analyses.robustness.classes import Classifier, check_norm
from splinegraph.core.bound import Bound
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from splinegraph.errors import ShapeError

__all__ = ["softmax_constant", "softmax_lipschitz"]


def softmax_constant(logits: Tensor | None = None, norm: float = 2) -> Tensor:
    """Return the Lipschitz constant of the softmax, or its local one at logits.

    Parameters
    ----------
    logits : Tensor of shape (*batch, C), optional
    norm : {1, 2, inf}

    Returns
    -------
    Tensor of shape (*batch,), float64
        Without logits 1/2. With logits the norm of the Jacobian diag(p) - p p^T there.

    Raises
    ------
    SplineGraphError
        If the norm is not one of those.

    Notes
    -----
    The Jacobian is symmetric with absolute row sums 2 p (1 - p) <= 1/2, which bounds its norm in every lp. The
    constant is 1/2 for every C >= 2; paper Thm 11 has (C - 1) / C^2, which fails for C >= 3: it is the squared
    Frobenius norm at the uniform p, which is no maximum there.

    References
    ----------
    .. [1] P. Nair, "Softmax is 1/2-Lipschitz: A tight bound across all lp norms", 2025, arXiv:2510.23012.

    Examples
    --------
    Two inputs whose images are .49998 times as far apart as they are, for C = 10; the paper's constants are
    .09, and .3 for the norm itself:

    >>> import torch, splinegraph as sg
    >>> x = torch.full((2, 10), -30.0, dtype=torch.float64)
    >>> x[0, :2], x[1, :2] = torch.tensor([0.01, -0.01]), torch.tensor([-0.01, 0.01])
    >>> p = torch.softmax(x, dim=1)
    >>> round(float((p[0] - p[1]).norm() / (x[0] - x[1]).norm()), 5)
    0.49998
    >>> float(sg.softmax_constant())
    0.5
    """
    check_norm(norm, (1, 2, math.inf))
    if logits is None:
        return torch.tensor(0.5, dtype=torch.float64)
    if logits.dim() == 0 or not bool(logits.isfinite().all()):
        raise ShapeError("logits need an axis of classes and finite values", remedy="give shape (*batch, C)")
    p = torch.softmax(logits.detach().double(), dim=-1)
    J = torch.diag_embed(p) - p[..., :, None] * p[..., None, :]
    found: Tensor = torch.linalg.matrix_norm(J, norm)
    return found


def softmax_lipschitz(
    graph: SplineGraph, norm: float = 2, on: Any = None, *, budget: float | None = 30.0, seed: int = 0
) -> Bound:
    """Return an upper bound of the Lipschitz constant of softmax(f), for a network f of logits.

    Parameters
    ----------
    graph : SplineGraph
        Of one output (B, C), with the softmax or without it.
    norm : {1, 2, inf}
    on : Box, Ball, or tuple of one Box per input, optional
        Default: all of space.
    budget : float, optional
        Seconds.
    seed : int

    Returns
    -------
    Bound
        kind 'upper': the constant of f times 1/2, or, on boxes where each p stays away from 1/2, times the largest
        2 p (1 - p).

    Raises
    ------
    ShapeError
        If there are fewer than two classes.

    Notes
    -----
    A trailing softmax is taken off first, so that f keeps all methods of `lipschitz`.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> net = torch.nn.Linear(2, 2, bias=False).eval()
    >>> _ = net.weight.data.copy_(torch.eye(2))
    >>> round(sg.softmax_lipschitz(sg.trace(net, torch.zeros(1, 2))).upper, 9)
    0.5
    """
    check_norm(norm, (1, 2, math.inf))
    logits = Classifier.of(graph).graph
    bound = lipschitz(logits, norm, on, budget=budget, seed=seed)
    return Bound(0.0, bound.upper * _most(logits, on) * (1 + 1e-12), "upper")


def _most(logits: SplineGraph, on: Any) -> float:
    """Return the largest 2 p (1 - p) that boxes of the logits allow; 1/2 if there are none."""
    domains = tuple(on) if isinstance(on, (tuple, list)) else (on,)
    if not all(isinstance(domain, Box) for domain in domains):
        return 0.5
    boxes = [d.broadcast(tuple(s)) for d, s in zip(domains, logits.input_shapes, strict=True)]
    low, high = (side[0].double() for side in intervals(logits, boxes)[logits.outputs[0]])
    if not bool((low.isfinite() & high.isfinite()).all()):
        return 0.5
    # p_k is least where its own logit is low and all others are high
    others = [torch.cat([side[:k], side[k + 1 :]]).logsumexp(0) for side in (high, low) for k in range(len(low))]
    least = torch.sigmoid(low - torch.stack(others[: len(low)]))
    most = torch.sigmoid(high - torch.stack(others[len(low) :]))
    p = torch.full_like(low, 0.5).clamp(min=least, max=most)
    return min(0.5, float((2 * p * (1 - p)).max()) * (1 + 1e-12))
