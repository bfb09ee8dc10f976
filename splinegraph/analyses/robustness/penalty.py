"""A product of norms that can be trained: what keeps a network's Lipschitz constant small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from splinegraph.analyses.robustness.classes import check_norm
from splinegraph.core.affine import AffineOperator
from splinegraph.core.graph import Node, SplineGraph, require_graph
from splinegraph.core.operator import Operator
from splinegraph.core.walk import walk
from splinegraph.errors import SplineGraphError, UnsupportedOperatorError

__all__ = ["ContractionPenalty", "contraction_penalty"]

MOST_DENSE = 2**20
"""Entries of an operator's matrix up to which its largest singular value is worked out exactly."""


def contraction_penalty(graph: SplineGraph, norm: float = 2, *, steps: int = 30) -> Tensor:
    """Return the product bound of a network's Lipschitz constant, with gradients of the parameters.

    Parameters
    ----------
    graph : SplineGraph
        It reads the model's own parameters, so that training sees them: trace once, then call this at every step.
    norm : {1, 2, inf}
    steps : int
        Of power iteration, for l2 norms of operators whose matrix has more than 2^20 entries.

    Returns
    -------
    Tensor, a scalar, float64
        Add ``weight * penalty`` to a loss, or ``weight * relu(penalty - 1)`` to ask for a contraction and no more.

    Raises
    ------
    UnsupportedOperatorError
        If an operator has no finite constant, or no gradient of it; it is named.
    SplineGraphError
        If the norm is not one of those or `steps` is not positive.

    Notes
    -----
    In l1 and linf, and in l2 where matrices are small, it equals ``lipschitz(...).product`` but for rounding and for
    operators (convolutions) whose constant that bounds from above. Power iteration estimates an operator's norm
    *from below*: certify the trained network with `splinegraph.lipschitz`, never with this number. Start vectors
    are random with a fixed seed; `ContractionPenalty` keeps them from step to step, so that few steps are enough.

    Constants of operators that are not affine do not depend on parameters, but for those of learned slopes (PReLU),
    which count with their value and without a gradient.

    Cost: dense matrices by one pass of the identity and a singular value decomposition each; 2 `steps` passes of
    larger operators.

    References
    ----------
    .. [1] T. Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018.
    .. [2] R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017, Eq 72.

    Examples
    --------
    >>> import torch, splinegraph as sg
    >>> net = torch.nn.Linear(2, 1, bias=False).eval()
    >>> _ = net.weight.data.copy_(torch.tensor([[3.0, 4.0]]))
    >>> penalty = sg.contraction_penalty(sg.trace(net, torch.zeros(1, 2)))
    >>> penalty.backward()
    >>> round(float(penalty.detach()), 6), [round(g, 6) for g in net.weight.grad.flatten().tolist()]
    (5.0, [0.6, 0.8])
    """
    return ContractionPenalty(graph, norm, steps=steps)()


@dataclass(eq=False)
class ContractionPenalty:
    """The same as an object that keeps the vectors of power iterations: `penalty()` at every step of a training.

    Parameters
    ----------
    graph : SplineGraph
    norm : {1, 2, inf}
    steps : int
        Of power iteration per call.
    """

    graph: SplineGraph
    norm: float = 2
    steps: int = 30
    vectors: dict[tuple[str, int], Tensor] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        require_graph(self.graph)
        check_norm(self.norm, (1, 2, math.inf))
        if self.steps < 1:
            raise SplineGraphError(f"steps={self.steps!r}", remedy="give at least 1")

    def __call__(self) -> Tensor:
        """Return the product; see `contraction_penalty`."""
        operators = self.graph.resolved(torch.float64, self._device(), 1)
        start = torch.ones((), dtype=torch.float64, device=self._device())
        outputs, _ = walk(self.graph, [start] * len(self.graph.inputs), self._total, operators=operators)
        if len(outputs) == 1:
            return outputs[0]
        found: Tensor = torch.linalg.vector_norm(torch.stack(outputs), self.norm)
        return found

    def _device(self) -> torch.device:
        return next((p.device for p in self.graph.parameters()), torch.device("cpu"))

    def _total(self, node: Node, operator: Operator, totals: tuple[Tensor, ...]) -> Tensor:
        shapes = [self.graph[name].shape for name in node.args]
        moved = []
        for i, total in enumerate(totals):
            own = self._own(node, operator, i, shapes)
            if isinstance(own, float) and not math.isfinite(own):
                raise UnsupportedOperatorError(
                    f"{operator.label} has no Lipschitz constant in l{self.norm:g}", where=node.where,
                    remedy="penalize a part of the network: graph.between(...)",
                )  # fmt: skip
            moved.append(total * own)
        return moved[0] if len(moved) == 1 else _joined(operator, moved, self.norm)

    def _own(self, node: Node, operator: Operator, arg: int, shapes: Sequence[Sequence[int]]) -> Tensor | float:
        """Return the operator's constant in one argument."""
        if not isinstance(operator, AffineOperator):
            return operator.lipschitz(self.norm, arg, None, shapes)
        if self.norm != 2:
            return self._sums(operator, arg, shapes)
        size = math.prod(shapes[arg])
        out = self.graph[node.name].shape
        if size * math.prod(out) > MOST_DENSE:
            return self._power(node, operator, arg, shapes)
        zeros = [torch.zeros(size, *shape, dtype=torch.float64, device=self._device()) for shape in shapes]
        zeros[arg] = torch.eye(size, dtype=torch.float64, device=self._device()).reshape(size, *shapes[arg])
        matrix = operator.linear(*zeros).reshape(size, -1)
        return torch.linalg.matrix_norm(matrix, 2) if bool((matrix != 0).any()) else 0.0 * matrix.sum()

    def _power(self, node: Node, operator: AffineOperator, arg: int, shapes: Sequence[Sequence[int]]) -> Tensor:
        """Return an estimate of the largest singular value, from below, with its gradient."""
        zeros = [torch.zeros(tuple(shape), dtype=torch.float64, device=self._device()) for shape in shapes]

        def image(v: Tensor) -> Tensor:
            return operator.linear(*zeros[:arg], v, *zeros[arg + 1 :])

        v = self.vectors.get((node.name, arg))
        if v is None:
            draw = torch.Generator().manual_seed(0)
            v = torch.randn(zeros[arg].shape, dtype=torch.float64, generator=draw).to(self._device())
        with torch.no_grad():
            for _ in range(self.steps):
                pulled = operator.adjoint(image(v), shapes)[arg]
                length = pulled.norm()
                v = pulled / length if float(length) > 0 else v
        self.vectors[node.name, arg] = v
        found: Tensor = torch.linalg.vector_norm(image(v / v.norm()))
        return found

    def _sums(self, operator: AffineOperator, arg: int, shapes: Sequence[Sequence[int]]) -> Tensor | float:
        """Return the largest absolute row sum (linf) or column sum (l1)."""
        parts = [part for part in operator.split() if part is not None]
        if not parts:
            return 0.0
        inputs = [torch.zeros(tuple(shape), dtype=torch.float64, device=self._device()) for shape in shapes]
        inputs[arg] = torch.ones_like(inputs[arg])
        rows = torch.stack([part.linear(*inputs) for part in parts]).sum(0)
        if self.norm == math.inf:
            return rows.max()
        return torch.stack([part.adjoint(torch.ones_like(rows), shapes)[arg] for part in parts]).sum(0).max()


def _joined(operator: Operator, moved: list[Tensor], norm: float) -> Tensor:
    """Return what the operator's `join` makes of its arguments' moves, with the gradient: operators add or stack."""
    values = [float(m.detach()) for m in moved]
    value = operator.join(values, norm)
    stacked = torch.stack(moved)
    candidates = (stacked.sum(), torch.linalg.vector_norm(stacked, norm))
    closest: Tensor = min(candidates, key=lambda c: abs(float(c.detach()) - value))
    return closest
