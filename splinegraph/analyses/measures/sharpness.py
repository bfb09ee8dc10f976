"""How sharp the minimum is that a network was trained to: perturbed weights, and the curvature of the loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.measures.weights import Loss, LossOfWeights
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.notebook import card
from splinegraph.errors import DataError, ShapeError, require_seed, require_whole

__all__ = ["Sharpness", "sharpness"]


@dataclass(frozen=True)
class Sharpness:
    """How the loss changes around the weights; made by `splinegraph.sharpness`.

    Parameters
    ----------
    loss : float
        At the weights.
    radius : float
        Length of the perturbation, relative to each filter.
    rises : tuple of float
        By how much the loss rises along each random direction.
    gradient : float
        Euclidean norm of the gradient: far from zero the weights are at no minimum, and curvature alone says little.
    curvature : float or None
        A lower bound of the largest eigenvalue of the Hessian: the curvature along a direction, up to rounding. None if
        not asked for.
    residual : float or None
        Some eigenvalue lies this close to it.
    samples : int
    seed : int
    """

    loss: float
    radius: float
    rises: tuple[float, ...]
    gradient: float
    curvature: float | None
    residual: float | None
    samples: int
    seed: int

    @property
    def mean(self) -> float:
        """Mean rise; NaN without draws."""
        return math.fsum(self.rises) / len(self.rises) if self.rises else math.nan

    @property
    def largest(self) -> float:
        """Largest rise that was seen: a lower bound of the largest there is."""
        return max(self.rises, default=math.nan)

    def __repr__(self) -> str:
        told = f"<Sharpness: loss {self.loss:.4g}"
        if self.rises:
            told += f", +{self.mean:.4g} at {self.radius:g} of each filter"
        return told + ("" if self.curvature is None else f", curvature {self.curvature:.4g}") + ">"

    def _repr_html_(self) -> str:
        return card(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        plain = {name: None if math.isnan(value) else value for name, value in
                 (("mean_rise", self.mean), ("largest_rise", self.largest))}  # fmt: skip
        return {
            "kind": "estimate", "loss": self.loss, "radius": self.radius, "rises": list(self.rises), **plain,
            "gradient": self.gradient, "curvature": self.curvature, "curvature_kind": "lower",
            "residual": self.residual, "samples": self.samples, "seed": self.seed,
        }  # fmt: skip

    def plot(self, ax: Any = None) -> Any:
        """Draw the rises, direction by direction; return the axes."""
        from splinegraph.analyses.measures.figures import plot_sharpness

        return plot_sharpness(self, ax)


def sharpness(
    graph: SplineGraph, X: Tensor, y: Tensor, *, radius: float = 0.1, draws: int = 10, steps: int = 20,
    loss: Loss | None = None, seed: int = 0,
) -> Sharpness:  # fmt: skip
    """Return how much the loss rises around the weights, and how strongly it curves.

    Parameters
    ----------
    graph : SplineGraph
        Traced from a module: its parameters are perturbed. The user's own tensors are only read.
    X : Tensor of shape (B, *in)
    y : Tensor of shape (B,), integers
    radius : float, default 0.1
        Length of the random perturbation of each filter, relative to the filter.
    draws : int, default 10
        Random directions; 0 for none.
    steps : int, default 20
        Of Lanczos' method; 0 leaves the curvature out.
    loss : callable, optional
        (scores, y) -> number; default: cross entropy.
    seed : int, default 0

    Returns
    -------
    Sharpness
        Rises are estimates (of these directions); the curvature is a lower bound of the largest eigenvalue.

    Raises
    ------
    ShapeError, DataError
        If inputs or labels do not fit.
    ParameterError
        If the network has no parameters.

    Notes
    -----
    A direction is normal noise, scaled filter by filter to the filter's norm, so that a network and the same one with
    rescaled layers (a rectifier does not notice) are perturbed alike; biases and other vectors stay [1]_. The Hessian's
    eigenvalues do depend on that scale: compare them between networks with care [2]_.

    Batch statistics are those of evaluation. Costs `draws` forward passes and `steps` double backward passes over all
    samples, in float64.

    References
    ----------
    .. [1] H. Li et al., "Visualizing the loss landscape of neural nets", NeurIPS 2018, arXiv:1712.09913.
    .. [2] L. Dinh et al., "Sharp minima can generalize for deep nets", ICML 2017, arXiv:1703.04933.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> model = torch.nn.Linear(2, 2).eval()
    >>> graph = sg.trace(model, torch.zeros(1, 2))
    >>> found = sg.sharpness(graph, torch.randn(8, 2), torch.zeros(8, dtype=torch.int64))
    >>> found.curvature > 0
    True
    """
    require_graph(graph)
    for name, number, least in (("draws", draws, 0), ("steps", steps, 0)):
        require_whole(name, number, least)
    if not (math.isfinite(radius) and radius > 0):
        raise ShapeError(f"radius is {radius}", remedy="give a positive number, such as 0.1")
    seed = require_seed(seed)
    at = LossOfWeights(graph, X, y, loss)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        here = float(at(at.start))
        if not math.isfinite(here):
            raise DataError(f"the loss is {here}", remedy="check the samples and the weights for huge numbers and NaN")
        rises = [
            float(at([w + radius * d for w, d in zip(at.start, _filters(at.start, generator), strict=True)])) - here
            for _ in range(draws)
        ]
    slope = math.sqrt(sum(float(g.square().sum()) for g in at.gradient(at.start)))
    curvature, residual = _largest_eigenvalue(at, steps, generator) if steps else (None, None)
    return Sharpness(here, radius, tuple(rises), slope, curvature, residual, len(at.y), seed)


def _filters(weights: Sequence[Tensor], generator: torch.Generator) -> list[Tensor]:
    """Return noise with the norm of each filter (Li et al.); zero for vectors."""
    found = []
    for weight in weights:
        noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64).to(weight.device)
        if weight.dim() < 2:
            found.append(torch.zeros_like(weight))
            continue
        axes = tuple(range(1, weight.dim()))
        norms = [torch.linalg.vector_norm(t, dim=axes, keepdim=True) for t in (weight, noise)]
        found.append(noise * norms[0] / norms[1].clamp(min=torch.finfo(torch.float64).tiny))
    return found


def _largest_eigenvalue(at: LossOfWeights, steps: int, generator: torch.Generator) -> tuple[float, float]:
    """Return the largest Ritz value of the Hessian and its residual: Lanczos, wholly orthogonalised.

    The value is the quotient v^T H v / v^T v of the Ritz vector itself, whatever was lost on the way to it.
    """
    start = torch.cat([torch.randn(w.shape, generator=generator, dtype=torch.float64).flatten() for w in at.start])
    basis = [(start / start.norm()).to(at.X.device)]
    images: list[Tensor] = []
    for _ in range(min(steps, len(start))):
        images.append(_flat(at.curvature(_like(basis[-1], at.start))))
        rest = images[-1].clone()
        for _ in range(2):
            for v in basis:
                rest -= (v @ rest) * v
        norm = float(rest.norm())
        if norm <= 1e-12 * max(float(images[-1].norm()), 1e-300):
            break
        basis.append(rest / norm)
    V, HV = torch.stack(basis[: len(images)]), torch.stack(images)
    small = V @ HV.T
    vector = torch.linalg.eigh((small + small.T) / 2).eigenvectors[:, -1]
    ritz, image = vector @ V, vector @ HV
    value = float(ritz @ image) / float(ritz @ ritz)
    return value, float((image - value * ritz).norm() / ritz.norm())


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([t.flatten() for t in tensors])


def _like(flat: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    parts = flat.split([t.numel() for t in tensors])
    return [part.reshape(t.shape) for part, t in zip(parts, tensors, strict=True)]
