"""Weights learned while training: hyper-gradients through one step (Eq 86-87 of the paper, corrected)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from splinegraph.errors import SplineGraphError

__all__ = ["WeightTuner", "hypergradient", "onto_simplex"]

Gradient = Sequence[Tensor | None]
"""Of one scalar, for each parameter; None for zero."""


def hypergradient(terms: Mapping[str, Gradient], held_out: Gradient, rate: float) -> dict[str, float]:
    r"""Return the derivatives of a held-out loss by the weights of the terms that a gradient step was made with.

    .. math:: \theta' = \theta - \lambda \sum_i w_i \nabla L_i(\theta), \qquad
              \frac{d L_{val}(\theta')}{d w_i} = -\lambda \langle \nabla L_{val}(\theta'), \nabla L_i(\theta) \rangle

    Parameters
    ----------
    terms : dict of str to sequence of Tensor or None
        The gradients of the terms at the parameters before the step.
    held_out : sequence of Tensor or None
        The gradient of the held-out loss at the parameters after it.
    rate : float
        The learning rate of the step.

    Returns
    -------
    dict of str to float

    Notes
    -----
    Eq 87 as printed differentiates the training loss itself. Its weights then also count directly, with the value
    of their term, which is never negative, so that the update drives every weight to minus infinity. A held-out
    loss has no weights in it.

    Exact for a step of plain gradient descent; for others (momentum, Adam) it says which terms the step should have
    followed more, not by how much.
    """
    return {name: -rate * float(_inner(held_out, gradient)) for name, gradient in terms.items()}


def onto_simplex(weights: Tensor, total: float = 1.0) -> Tensor:
    r"""Return the nearest point (in l2) of the simplex :math:`\{w \ge 0, \sum_i w_i = s\}`.

    Parameters
    ----------
    weights : Tensor of shape (n,)
    total : float
        s > 0.

    References
    ----------
    .. [1] J. Duchi et al., "Efficient Projections onto the l1-Ball for Learning in High Dimensions", ICML 2008.

    Examples
    --------
    >>> onto_simplex(torch.tensor([1.0, 0.5, -1.0])).tolist()
    [0.75, 0.25, 0.0]
    """
    if not (math.isfinite(total) and total > 0):
        raise SplineGraphError(f"a simplex of total {total}", remedy="give a positive number")
    falling = weights.sort(descending=True).values
    counts = torch.arange(1, len(weights) + 1, dtype=weights.dtype, device=weights.device)
    levels = (falling.cumsum(0) - total) / counts
    level = levels[int((falling > levels).sum()) - 1]
    return (weights - level).clamp_min(0)


class WeightTuner:
    """Weights of an objective that follow a held-out loss: two calls per step of anybody's loop.

    Parameters
    ----------
    parameters : iterable of Tensor
        What the optimizer steps.
    weights : mapping of str to float
        At the start, ``objective.at(0)`` say; their sum stays as it is.
    rate : float
        Of the weights' own projected gradient steps.

    Attributes
    ----------
    weights : dict of str to float
        For the next step.

    Raises
    ------
    SplineGraphError
        If weights are negative or all zero, or the rate is not positive.

    Notes
    -----
    Costs a backward pass for each term, and the terms' gradients in memory. For one process: others would find other
    weights. The held-out rows count as labels: take
    them from those that the user gave, never from the test set.

    Examples
    --------
    In a loop::

        tuner = WeightTuner(model.parameters(), loss.objective.at(0), rate=0.1)
        for step, (x, y, u) in enumerate(batches):
            losses = loss(x, y, u, step=step, weights=tuner.weights)
            tuner.before_step(losses.parts)
            optimizer.zero_grad()
            losses.total.backward()
            optimizer.step()
            tuner.after_step(cross_entropy(model(x_held_out), y_held_out), learning_rate)
    """

    def __init__(self, parameters: Iterable[Tensor], weights: Mapping[str, float], *, rate: float) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        self.weights = {name: float(weight) for name, weight in weights.items()}
        self.rate = rate
        self._gradients: dict[str, Gradient] = {}
        values = self.weights.values()
        if not (values and all(w >= 0 and math.isfinite(w) for w in values) and sum(values) > 0):
            raise SplineGraphError(f"weights {self.weights}", remedy="give some >= 0 that are not all zero")
        if not (math.isfinite(rate) and rate > 0):
            raise SplineGraphError(f"rate={rate!r}", remedy="give a positive number")
        self.total = sum(values)

    def before_step(self, parts: Mapping[str, Tensor]) -> None:
        """Keep the gradients of the terms; call it before ``total.backward()``.

        Parameters
        ----------
        parts : mapping of str to scalar Tensor
            `Losses.parts`.
        """
        self._gradients = {
            name: torch.autograd.grad(part, self.parameters, retain_graph=True, allow_unused=True)
            for name, part in parts.items()
            if name in self.weights
        }

    def after_step(self, held_out: Tensor, learning_rate: float) -> dict[str, float]:
        """Move the weights; call it after the optimizer's step.

        Parameters
        ----------
        held_out : Tensor, a scalar
            The loss of held-out rows at the new parameters.
        learning_rate : float
            Of the optimizer in this step.

        Returns
        -------
        dict of str to float
            The hyper-gradient. Weights of terms that were not part of the step stay, but for the projection.
        """
        if not self._gradients:
            raise SplineGraphError("no gradients of terms are kept", remedy="call before_step(losses.parts) first")
        gradient = torch.autograd.grad(held_out, self.parameters, allow_unused=True)
        found = hypergradient(self._gradients, gradient, learning_rate)
        self._gradients = {}
        moved = [weight - self.rate * found.get(name, 0.0) for name, weight in self.weights.items()]
        if not all(math.isfinite(w) for w in moved):
            raise SplineGraphError(
                f"the hyper-gradient is {found}", remedy="lower the learning rate or the rate of the weights"
            )
        projected = onto_simplex(torch.tensor(moved, dtype=torch.float64), self.total).tolist()
        self.weights = dict(zip(self.weights, projected, strict=True))
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint has to hold."""
        return {"weights": dict(self.weights), "total": self.total}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the weights of a checkpoint."""
        if state["weights"].keys() != self.weights.keys():
            raise SplineGraphError(
                f"saved weights of {sorted(state['weights'])} for the terms {sorted(self.weights)}",
                remedy="continue with the objective that the checkpoint was made with",
            )
        self.weights, self.total = dict(state["weights"]), state["total"]


def _inner(first: Gradient, second: Gradient) -> Tensor:
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    return sum(((a.double() * b.double()).sum() for a, b in pairs), torch.zeros((), dtype=torch.float64))
