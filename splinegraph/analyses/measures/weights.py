"""A network at other weights, without touching the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from splinegraph.analyses.templates.local import checked_labels
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.parameters import Context
from splinegraph.core.walk import walk
from splinegraph.errors import DataError, ParameterError, ShapeError

__all__ = ["Loss", "LossOfWeights", "scores_per_sample"]

Loss = Callable[[Tensor, Tensor], Tensor]
"""Scores of shape (B, classes) and classes (B,) -> a number."""


class _Replaced(Context):
    """A context in which other tensors stand for the network's own."""

    def __init__(self, dtype: torch.dtype, device: torch.device, batch: int, by: Mapping[int, Tensor]) -> None:
        super().__init__(dtype, device, batch)
        self._by = by

    def _cast(self, value: Any) -> Any:
        return self._by[id(value)] if id(value) in self._by else super()._cast(value)


class LossOfWeights:
    """The loss on some samples as a function of the weights, in float64.

    Parameters
    ----------
    graph : SplineGraph
    X : Tensor of shape (B, *in)
    y : Tensor of shape (B,)
    loss : callable, optional
        Default: cross entropy.
    batch : int
        Samples of one pass.

    Raises
    ------
    ShapeError, DataError
        If inputs or labels do not fit.
    ParameterError
        If the network has no parameters that are trained.
    """

    def __init__(self, graph: SplineGraph, X: Tensor, y: Tensor, loss: Loss | None = None, batch: int = 512) -> None:
        require_graph(graph)
        graph.check_inputs((X,))
        if loss is None:
            y = _classes(graph, X, y)
        y = torch.as_tensor(y, device=X.device)
        if len(y) != len(X):
            raise DataError(f"{len(y)} labels for {len(X)} samples", remedy="give one per sample")
        self.graph, self.loss = graph, F.cross_entropy if loss is None else loss
        self.X, self.y, self.batch = X.detach().double(), y, batch if graph.batched else 1
        self.own = tuple(p for p in graph.parameters() if isinstance(p, nn.Parameter) and p.is_floating_point())
        if not self.own:
            why = "its tensors are constants, as those of an ONNX file or an exported program may be"
            raise ParameterError(f"{graph.name} has no parameters", why=why, remedy="trace the torch.nn.Module itself")
        self.start = [p.detach().double() for p in self.own]

    def __call__(self, weights: Sequence[Tensor]) -> Tensor:
        """Return the mean loss at these weights, one tensor per parameter."""
        parts = [self._part(weights, at) * len(self.y[at : at + self.batch]) for at in self._starts]
        return torch.stack(parts).sum() / len(self.y)

    @torch.enable_grad()
    def gradient(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """Return the gradient there."""
        leaves = [w.detach().requires_grad_(True) for w in weights]
        total = [torch.zeros_like(w) for w in weights]
        for at in self._starts:
            share = len(self.y[at : at + self.batch]) / len(self.y)
            found = torch.autograd.grad(self._part(leaves, at) * share, leaves, allow_unused=True)
            total = [t if g is None else t + g for t, g in zip(total, found, strict=True)]
        return total

    @torch.enable_grad()
    def curvature(self, direction: Sequence[Tensor]) -> list[Tensor]:
        """Return the Hessian at the network's own weights times a direction, by a double backward pass."""
        total = [torch.zeros_like(w) for w in self.start]
        for at in self._starts:
            share = len(self.y[at : at + self.batch]) / len(self.y)
            leaves = [w.clone().requires_grad_(True) for w in self.start]
            first = torch.autograd.grad(self._part(leaves, at) * share, leaves, create_graph=True, allow_unused=True)
            along = [(g * v).sum() for g, v in zip(first, direction, strict=True) if g is not None and g.requires_grad]
            if not along:
                continue
            second = torch.autograd.grad(torch.stack(along).sum(), leaves, allow_unused=True)
            total = [t if h is None else t + h for t, h in zip(total, second, strict=True)]
        return total

    @property
    def _starts(self) -> range:
        return range(0, len(self.y), self.batch)

    def _part(self, weights: Sequence[Tensor], at: int) -> Tensor:
        x, y = self.X[at : at + self.batch], self.y[at : at + self.batch]
        by = {id(own): weight for own, weight in zip(self.own, weights, strict=True)}
        context = _Replaced(torch.float64, x.device, len(x), by)
        operators = {node.name: context.resolve(node.op) for node in self.graph.operators}
        (scores,), _ = walk(self.graph, (x,), lambda _, op, xs: op.forward(*xs), operators=operators)
        return self.loss(scores, y)


def _classes(graph: SplineGraph, X: Tensor, y: Any) -> Tensor:
    """Return labels of a network with one score per class, or refuse them."""
    classes = scores_per_sample(graph, "give a network with one score per class, or a loss of your own")
    found = checked_labels(y, len(X), classes)
    if found is None:
        raise DataError("there are no labels", remedy="give one integer per sample")
    return found


def scores_per_sample(graph: SplineGraph, remedy: str = "give a network with one score per class") -> int:
    """Return the number of classes of a classifier; refuse other networks."""
    shapes = graph.output_shapes
    if len(shapes) != 1 or len(shapes[0]) != 1 or shapes[0][0] < 2:
        raise ShapeError(f"outputs of shape {', '.join(map(str, shapes))}", remedy=remedy)
    return shapes[0][0]
