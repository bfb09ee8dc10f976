"""`optimal_templates`: the templates of least cross entropy, of bounded or of penalised energy (paper Thm 5, 7, 9)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from splinegraph.analyses.templates.local import checked_labels
from splinegraph.core.notebook import card
from splinegraph.errors import DataError, ShapeError, require_whole

__all__ = ["OptimalTemplates", "optimal_templates"]

HALVINGS = 200
"""Of the bracket of a root: more than a float64 can tell apart."""

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class OptimalTemplates:
    """Templates that no others beat, one set per input; made by `splinegraph.optimal_templates`.

    Parameters
    ----------
    X : Tensor of shape (B, *in), float64
    y : Tensor of shape (B,), int64
    coefficients : Tensor of shape (B, C)
        The template of class c is ``coefficients[:, c] * x / ||x||``, l2.
    bias : Tensor of shape (B, C)
    loss : Tensor of shape (B,)
        Cross entropy at the optimum, without the penalty.
    tikhonov : float or None
        Weight of the penalty; None where the energy is bounded.
    """

    X: Tensor
    y: Tensor
    coefficients: Tensor
    bias: Tensor
    loss: Tensor
    tikhonov: float | None

    def __repr__(self) -> str:
        how = "bounded energy" if self.tikhonov is None else f"penalty {self.tikhonov:g}"
        samples, classes = self.coefficients.shape
        return (
            f"<OptimalTemplates: {samples} inputs, {classes} classes, {how}, mean loss {float(self.loss.mean()):.3g}>"
        )

    def _repr_html_(self) -> str:
        return card(self)

    @property
    def rows(self) -> Tensor:
        """The templates, shape (B, C, *in)."""
        flat = self.X.reshape(len(self.X), 1, -1)
        unit: Tensor = flat / flat.norm(dim=2, keepdim=True)
        return (self.coefficients[:, :, None] * unit).reshape(*self.coefficients.shape, *self.X.shape[1:])

    @property
    def energy(self) -> Tensor:
        """Sum of the squared l2 norms of the templates of each input, shape (B,).

        It is also the k of A^T A x = k x: reconstruction (Thm 8) is exact only where it is 1.
        """
        return self.coefficients.square().sum(1)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, without the templates themselves."""
        return {
            "kind": "exact, up to rounding",
            "samples": len(self.X),
            "classes": self.coefficients.shape[1],
            "tikhonov": self.tikhonov,
            "mean_energy": float(self.energy.mean()),
            "mean_loss": float(self.loss.mean()),
        }

    def plot(self, ax: Any = None) -> Any:
        """Draw the coefficients of the first inputs as an image; return the axes."""
        from splinegraph.analyses.templates.figures import plot_coefficients

        return plot_coefficients(self, ax)


def optimal_templates(
    X: Tensor, y: Tensor | Sequence[int], classes: int, *, energy: float | None = None, tikhonov: float | None = None,
    bias: Tensor | Sequence[float] | None = None,
) -> OptimalTemplates:  # fmt: skip
    r"""Return the unique templates of least cross entropy for each input, free of those of the others.

    Minimises :math:`-z_y + \log\sum_c e^{z_c}`, :math:`z_c = \langle A_c, x\rangle + b_c`, over all A with
    :math:`\sum_c \|A_c\|_2^2 \le K`, or with :math:`\lambda \sum_c \|A_c\|_2^2` added.

    Parameters
    ----------
    X : Tensor of shape (B, *in)
        Of any norm but 0.
    y : Tensor of shape (B,), integers
    classes : int
        C, at least 2.
    energy : float
        K, positive; or
    tikhonov : float
        lambda, positive. One of the two.
    bias : Tensor of shape (C,) or (B, C), optional
        Fixed biases; default: 0.

    Returns
    -------
    OptimalTemplates
        Exact up to rounding.

    Raises
    ------
    ShapeError
        If numbers do not fit, or not exactly one of `energy` and `tikhonov` is given.
    DataError
        If labels are no classes, or an input is zero or not finite: all templates are then as good.

    Notes
    -----
    With equal biases :math:`A_y = \sqrt{(C-1)K/C}\, x/\|x\|` and :math:`A_c = -\sqrt{K/(C(C-1))}\, x/\|x\|`. The paper
    has K outside the first root, which violates its own constraint unless K = 1 (an energy of 5.31 for K = 2.5 and two
    classes), and assumes equal biases and inputs of norm 1.

    In general A_c is a multiple of x, the sum of all is 0, and with :math:`w_c = -\|x\| a_c` for the wrong classes
    stationarity reads :math:`w_c + \log w_c = b_c + r` with one unknown r: both kinds are a root of an increasing
    function of r, found by bisection in float64 (Wright's omega function).

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Thm 5, Eq 63, and Fig 11.

    Examples
    --------
    >>> import torch
    >>> found = optimal_templates(torch.tensor([[3.0, 4.0]]), [0], 2, energy=2.5)
    >>> found.rows.round(decimals=3).tolist(), round(float(found.energy), 6)
    ([[[0.671, 0.894], [-0.671, -0.894]]], 2.5)
    """
    require_whole("classes", classes, 2)
    limit = _limit(energy, tikhonov)
    X = torch.as_tensor(X).detach().cpu().double()
    if X.dim() < 2 or not len(X):
        raise ShapeError(f"X of shape {tuple(X.shape)}", remedy="give shape (B, *in), at least one input")
    labels = checked_labels(y, len(X), classes)
    assert labels is not None
    norms = X.reshape(len(X), -1).norm(dim=1)
    bad = (~(norms.isfinite() & (norms > 0))).nonzero()[:, 0].tolist()
    if bad:
        raise DataError(f"input {bad[0]} has norm {float(norms[bad[0]])}", remedy="leave it out")
    biases = _biases(bias, len(X), classes)
    wrong = ~torch.nn.functional.one_hot(labels, classes).bool().numpy()
    rho, of_wrong = norms.numpy(), biases.numpy()[wrong].reshape(len(X), -1)
    own = biases.numpy()[~wrong]
    w = _bounded(of_wrong, rho, limit) if tikhonov is None else _penalised(of_wrong, own, rho, limit)
    total = w.sum(1)
    coefficients = np.empty((len(X), classes))
    coefficients[wrong], coefficients[~wrong] = (-w / rho[:, None]).reshape(-1), total / rho
    margins = total[:, None] + w + own[:, None] - of_wrong
    loss = np.logaddexp(0.0, np.logaddexp.reduce(-margins, axis=1))
    return OptimalTemplates(X, labels, torch.from_numpy(coefficients), biases, torch.from_numpy(loss), tikhonov)


def _limit(energy: float | None, tikhonov: float | None) -> float:
    if (energy is None) == (tikhonov is None):
        raise ShapeError("optimal templates need a bound or a penalty", remedy="give either energy= or tikhonov=")
    name, value = ("energy", energy) if tikhonov is None else ("tikhonov", tikhonov)
    if value is None or not (math.isfinite(value) and value > 0):
        raise ShapeError(f"{name} is {value}", remedy="give a positive number: without it there is no optimum")
    return float(value)


def _biases(bias: Tensor | Sequence[float] | None, samples: int, classes: int) -> Tensor:
    given = torch.zeros(classes) if bias is None else torch.as_tensor(bias).detach().cpu()
    if tuple(given.shape) not in ((classes,), (samples, classes)) or not bool(given.isfinite().all()):
        raise ShapeError(
            f"bias of shape {tuple(given.shape)}", remedy=f"give finite numbers, ({classes},) or ({samples}, {classes})"
        )
    return given.double().expand(samples, classes).clone()


def _bounded(bias: Array, rho: Array, energy: float) -> Array:
    """Return w of the wrong classes, (B, C - 1), where all of the energy is used."""
    from scipy.special import wrightomega

    most = rho * math.sqrt(energy)  # sum of w; at least this over sqrt(2)
    least = most / math.sqrt(2) / bias.shape[1]
    top = bias.max(1)

    def spent(r: Array) -> Array:
        w = wrightomega(bias + r[:, None])
        found: Array = np.sqrt((w**2).sum(1) + w.sum(1) ** 2) - most
        return found

    r = _root(spent, least + np.log(least) - top, most + np.log(most) - top)
    w: Array = wrightomega(bias + r[:, None])
    # what rounding of r leaves open goes into the scale: the energy is K
    w = w * (most / np.sqrt((w**2).sum(1) + w.sum(1) ** 2))[:, None]
    return w


def _penalised(bias: Array, own: Array, rho: Array, tikhonov: float) -> Array:
    """Return w of the wrong classes, (B, C - 1), for a penalty."""
    from scipy.special import wrightomega

    ratio = rho**2 / (2 * tikhonov)
    small = np.minimum(ratio / 2, 1) / bias.shape[1]
    top = bias.max(1)
    low = np.minimum(small + np.log(small) - top, np.log(ratio / 2) - own - 1)
    high = np.minimum(np.log(ratio) - own, ratio + np.log(ratio) - top)

    def excess(r: Array) -> Array:
        total = wrightomega(bias + r[:, None]).sum(1)
        with np.errstate(divide="ignore"):  # a sum that vanishes has log -inf, and adds nothing
            found: Array = np.logaddexp(np.log(total), r + own + total) - np.log(ratio)
        return found

    found: Array = wrightomega(bias + _root(excess, low, high)[:, None])
    return found


def _root(function: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Return where an increasing function is zero, for all rows at once, by bisection."""
    low, high = np.minimum(low, high), np.maximum(low, high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = function(middle) > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return (low + high) / 2
