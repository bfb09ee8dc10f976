"""Steps along the gradient of an output, and how far outputs move for them (paper Eq 64-66)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from splinegraph.analyses.affine_map import affine_map
from splinegraph.analyses.robustness.classes import check_norm
from splinegraph.core.graph import SplineGraph, require_graph
from splinegraph.core.notebook import card
from splinegraph.errors import ShapeError, SplineGraphError

__all__ = ["Sensitivity", "adversarial_step", "sensitivity_ratio"]


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """How far outputs move beside how far inputs do; made by `sensitivity_ratio`.

    Parameters
    ----------
    ratio : Tensor of shape (B,), float64
        ||f(X') - f(X)|| / ||X' - X||: a lower bound of the Lipschitz constant in this norm, but for rounding.
    moved_in, moved_out : Tensor of shape (B,), float64
        Both lengths.
    norm : {1, 2, inf}
    """

    ratio: Tensor
    moved_in: Tensor
    moved_out: Tensor
    norm: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "norm": "inf" if self.norm == math.inf else int(self.norm),
            **{name: getattr(self, name).tolist() for name in ("ratio", "moved_in", "moved_out")},
        }

    def _repr_html_(self) -> str:
        return card(self)


def adversarial_step(graph: SplineGraph, x: Tensor, k: int | Sequence[int] | Tensor, alpha: float) -> Tensor:
    """Return X + alpha grad y_k(X): a step that raises output k (paper Eq 64).

    Parameters
    ----------
    graph : SplineGraph
        Of one input and one output (B, C).
    x : Tensor of shape (B, *in)
    k : int, or one per input
    alpha : float
        May be negative: a step that lowers it.

    Returns
    -------
    Tensor of shape (B, *in), float64

    Raises
    ------
    ShapeError
        If the graph has several inputs or outputs, or x or k do not fit.
    UnsupportedOperatorError
        If an operator has no local map; it is named.

    Notes
    -----
    The gradient is the row k of the local map, on kinks that of the code (automatic differentiation may give a
    slope of no cell there). For logits it is the template a_k. With a softmax behind them it is not, as the paper
    has it, but ``y_k (a_k - sum_c y_c a_c)``: the template against the average one. Where templates are optimal
    (Thm 5) those of wrong classes are multiples of -X, and their steps lead along -X.

    Cost: one forward and one adjoint pass.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Eq 64.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> net = torch.nn.Linear(2, 2, bias=False).eval()
    >>> _ = net.weight.data.copy_(torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    >>> sg.adversarial_step(sg.trace(net, torch.zeros(1, 2)), torch.zeros(1, 2), 0, alpha=0.5).tolist()
    [[1.5, 2.0]]
    """
    require_graph(graph)
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or len(graph.output_shapes[0]) != 1:
        raise ShapeError(f"{graph.name} is no map from one input to one vector", remedy="choose one: graph.output(i)")
    if not math.isfinite(alpha):
        raise SplineGraphError(f"alpha={alpha!r}", remedy="give a finite number")
    graph.check_inputs((x,))
    if not bool(x.isfinite().all()):
        raise ShapeError("x holds NaN or infinite values", remedy="give finite numbers")
    index = torch.as_tensor(k).reshape(-1)
    if len(index) not in (1, len(x)):
        raise ShapeError(f"{len(index)} outputs for {len(x)} inputs", remedy="give one, or one per input")
    rows: Tensor = affine_map(graph, x).rows(index.expand(len(x))[:, None])
    return x.detach().to(rows) + alpha * rows[:, 0]


def sensitivity_ratio(graph: SplineGraph, x: Tensor, other: Tensor, norm: float = 2) -> Sensitivity:
    """Return how far outputs are apart beside how far inputs are (paper Eq 65-66).

    Parameters
    ----------
    graph : SplineGraph
        Of one input and one output.
    x, other : Tensor of shape (B, *in)
        Inputs, and the ones that they are compared with: after an `adversarial_step`, say.
    norm : {1, 2, inf}
        Of inputs and outputs, flattened.

    Returns
    -------
    Sensitivity
        With ratio 0 where both inputs are the same.

    Raises
    ------
    ShapeError
        If the graph has several inputs or outputs, or the inputs do not fit.

    Notes
    -----
    The paper writes ``>>`` where ``||X - X'|| = |alpha| ||grad y_k||`` holds: a step is as long as it is, and what
    is large is the ratio. No ratio exceeds the Lipschitz constant.

    References
    ----------
    .. [1] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Eq 65-66.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> graph = sg.trace(torch.nn.ReLU().eval(), torch.zeros(1, 2))
    >>> sg.sensitivity_ratio(graph, torch.zeros(1, 2), torch.tensor([[3.0, -4.0]])).ratio.tolist()
    [0.6]
    """
    require_graph(graph)
    check_norm(norm, (1, 2, math.inf))
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ShapeError(f"{graph.name} has several inputs or outputs", remedy="choose one: graph.output(i)")
    if x.shape != other.shape:
        raise ShapeError(f"inputs of shapes {tuple(x.shape)} and {tuple(other.shape)}", remedy="give pairs")
    with torch.no_grad():
        a, b = x.detach().double(), other.detach().double()
        apart = (graph(b) - graph(a)).flatten(1)
    ends = torch.linalg.vector_norm((b - a).flatten(1), norm, dim=1)
    out = torch.linalg.vector_norm(apart, norm, dim=1)
    return Sensitivity(torch.where(ends > 0, out / ends.clamp(min=1e-300), 0.0), ends, out, norm)
