"""`template_dynamics`: gradient descent on cross entropy by the templates of one input (paper Eq 58-62, Fig 11)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.templates.local import cosine
from splinegraph.core.notebook import card
from splinegraph.errors import DataError, ShapeError, require_seed, require_whole

__all__ = ["TemplateDynamics", "margin_flow", "template_dynamics"]

MOST_MARGIN = 700.0
"""Whose exponential is a float64."""


@dataclass(frozen=True, eq=False)
class TemplateDynamics:
    """Templates step by step; made by `splinegraph.template_dynamics`.

    Parameters
    ----------
    x : Tensor of shape (D,), float64
    label : int
    path : Tensor of shape (T + 1, C, D)
        Templates after each step, the start first.
    biases : Tensor of shape (T + 1, C)
    loss : Tensor of shape (T + 1,)
        With the penalty.
    rate, tikhonov : float
    """

    x: Tensor
    label: int
    path: Tensor
    biases: Tensor
    loss: Tensor
    rate: float
    tikhonov: float

    def __repr__(self) -> str:
        steps, classes = len(self.path) - 1, self.path.shape[1]
        own = float(self.cosines[-1, self.label])
        return f"<TemplateDynamics: {steps} steps, {classes} classes, loss {float(self.loss[-1]):.3g}, cos {own:.3f}>"

    def _repr_html_(self) -> str:
        return card(self)

    @property
    def cosines(self) -> Tensor:
        """Cosine of each template to x, shape (T + 1, C); NaN where a template is zero."""
        return cosine(self.path, self.x.expand_as(self.path))

    @property
    def margins(self) -> Tensor:
        """Score of the label minus the others', shape (T + 1, C)."""
        scores = self.path @ self.x + self.biases
        return scores[:, [self.label]] - scores

    @property
    def drift(self) -> float:
        """Largest l2 norm by which the sum of all templates moved: 0 without a penalty, up to rounding."""
        total = self.path.sum(1)
        return float((total - total[0]).norm(dim=1).max())

    @property
    def off_line(self) -> float:
        """Largest l2 norm of what moved across x: 0 without a penalty, where all motion has rank 1."""
        unit = self.x / self.x.norm()
        moved = self.path - self.path[0]
        return float((moved - (moved @ unit)[..., None] * unit).norm(dim=2).max())

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types: the start and the end."""
        return {
            "kind": "exact, up to rounding",
            "steps": len(self.path) - 1,
            "rate": self.rate,
            "tikhonov": self.tikhonov,
            "loss": [float(self.loss[0]), float(self.loss[-1])],
            "cosines": [[None if math.isnan(v) else v for v in self.cosines[at].tolist()] for at in (0, -1)],
            "drift": self.drift,
            "off_line": self.off_line,
        }

    def plot(self, ax: Any = None) -> Any:
        """Draw the paths, along x and across it; return the axes."""
        from splinegraph.analyses.templates.figures import plot_dynamics

        return plot_dynamics(self, ax)


def template_dynamics(
    x: Tensor, label: int, *, classes: int, steps: int = 1000, rate: float = 0.1, tikhonov: float = 0.0,
    bias: Sequence[float] | Tensor | None = None, learn_bias: bool = False, start: Tensor | None = None, seed: int = 0,
) -> TemplateDynamics:  # fmt: skip
    """Descend the cross entropy of one input, by its templates.

    Parameters
    ----------
    x : Tensor of shape (D,)
    label : int
    classes : int
        C, at least 2.
    steps : int
    rate : float
        Of plain gradient descent.
    tikhonov : float
        Weight of the sum of squared norms.
    bias : sequence of C floats, optional
        Default: 0.
    learn_bias : bool
        Whether biases descend too.
    start : Tensor of shape (C, D), optional
        Default: normal numbers of variance 1/D.
    seed : int

    Returns
    -------
    TemplateDynamics

    Raises
    ------
    ShapeError
        If numbers do not fit, or the rate is too large to descend.
    DataError
        If the label is no class.

    Notes
    -----
    A_c moves by ``rate * (1[c = label] - p_c) x``: along x alone, and the sum over classes stays (Eq 61-62). Without a
    penalty there is no optimal template: the loss has no minimum, templates grow like the logarithm of the number of
    steps, and what they had across x at the start stays. With one they turn to x, whatever the start. The paper says
    that biases do not interfere: they change p, and so every step.

    See Also
    --------
    splinegraph.optimal_templates : where it ends with a penalty.

    Examples
    --------
    >>> import torch
    >>> found = template_dynamics(torch.tensor([0.6, 0.8]), 0, classes=3, tikhonov=0.05)
    >>> [round(v, 3) for v in found.cosines[-1].tolist()]
    [1.0, -1.0, -1.0]
    """
    require_whole("classes", classes, 2)
    require_whole("steps", steps, 1)
    require_seed(seed)
    x = torch.as_tensor(x).detach().cpu().double()
    if x.dim() != 1 or not bool(x.isfinite().all()) or not bool(x.any()):
        raise ShapeError(f"x of shape {tuple(x.shape)}", remedy="give a finite vector that is not zero")
    if not 0 <= label < classes:
        raise DataError(f"label {label} of {classes} classes", remedy=f"give one from 0 to {classes - 1}")
    _check_rate(rate, tikhonov, float(x.square().sum()) + learn_bias)
    b = torch.zeros(classes, dtype=torch.float64) if bias is None else torch.as_tensor(bias).double().clone()
    if start is None:
        generator = torch.Generator().manual_seed(seed)
        start = torch.randn(classes, len(x), generator=generator, dtype=torch.float64) / math.sqrt(len(x))
    a = torch.as_tensor(start).detach().cpu().double().clone()
    if tuple(b.shape) != (classes,) or tuple(a.shape) != (classes, len(x)):
        raise ShapeError(
            f"start of shape {tuple(a.shape)}, bias of shape {tuple(b.shape)}",
            remedy=f"give shapes ({classes}, {len(x)}) and ({classes},)",
        )
    path, biases, losses = [a], [b], []
    own = torch.nn.functional.one_hot(torch.tensor(label), classes).double()
    for step in range(steps + 1):
        scores = a @ x + b
        losses.append(scores.logsumexp(0) - scores[label] + tikhonov * a.square().sum())
        if step == steps:
            break
        push = own - scores.softmax(0)
        a = a + rate * (push[:, None] * x - 2 * tikhonov * a)
        b = b + rate * push if learn_bias else b
        path.append(a)
        biases.append(b)
    return TemplateDynamics(x, label, torch.stack(path), torch.stack(biases), torch.stack(losses), rate, tikhonov)


def _check_rate(rate: float, tikhonov: float, square: float) -> None:
    """Refuse a rate that may climb: half of the squared norm and twice the penalty bound the curvature."""
    if not (math.isfinite(tikhonov) and tikhonov >= 0):
        raise ShapeError(f"tikhonov is {tikhonov}", remedy="give 0 or more")
    most = 2 / (square / 2 + 2 * tikhonov)
    if not 0 < rate < most:
        raise ShapeError(f"rate is {rate}", why="the loss may climb", remedy=f"give one between 0 and {most:.3g}")


def margin_flow(times: Sequence[float] | Tensor, classes: int, *, norm: float = 1.0, start: float = 0.0) -> Tensor:
    """Return the margin of gradient flow at some times, where all wrong classes begin alike and nothing is penalised.

    Parameters
    ----------
    times : sequence of float
        Number of steps times the rate, for small rates.
    classes : int
    norm : float
        l2 norm of the input.
    start : float
        Margin at time 0.

    Returns
    -------
    Tensor of the shape of `times`, float64
        m with ``(C - 1) m + e^m = C norm^2 t + (C - 1) start + e^start``, by Lambert's W.

    Examples
    --------
    >>> margin_flow([0.0, 1.0], 2).round(decimals=4).tolist()
    [0.0, 0.7921]
    """
    from scipy.special import wrightomega

    require_whole("classes", classes, 2)
    if not (math.isfinite(start) and start <= MOST_MARGIN):
        raise ShapeError(
            f"start is {start}", remedy=f"give a finite margin up to {MOST_MARGIN}: e^start is in the answer"
        )
    moved = classes * norm**2 * np.asarray(times, float)
    r = (moved + math.exp(start)) / (classes - 1) + start
    return torch.from_numpy(np.asarray(r - wrightomega(r - math.log(classes - 1))))
