"""Penalties on the network itself: its Lipschitz constant, and the energy of its templates (Theorem 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from splinegraph.analyses.robustness.penalty import ContractionPenalty
from splinegraph.core.linearization import Linearization
from splinegraph.tracers.modes import evaluating
from splinegraph.tracers.tracing import trace

__all__ = ["Constraints"]


class Constraints:
    """What limits a model in evaluation mode: its Lipschitz product and its templates, with gradients.

    Parameters
    ----------
    model : Module
        In any mode; its parameters are read anew at every call.
    example : Tensor of shape (1, *n)
    norm : {1, 2, inf}
        Of the Lipschitz constants.
    """

    def __init__(self, model: nn.Module, example: Tensor, norm: float) -> None:
        self._held = _tensors(model)
        with evaluating(model):
            self.graph = trace(model, example)
        self._product = ContractionPenalty(self.graph, norm, steps=5)  # its vectors stay from step to step

    def hold(self, model: nn.Module) -> bool:
        """Return whether the model still has the tensors that were traced: `model.to` replaces buffers."""
        now = _tensors(model)
        return len(now) == len(self._held) and all(a is b for a, b in zip(now, self._held, strict=True))

    def product_excess(self, limit: float) -> Tensor:
        """Return by how much the product of Lipschitz constants passes a limit."""
        return (self._product() - limit).clamp_min(0)

    def template_excess(self, x: Tensor, limit: float) -> Tensor:
        r"""Return :math:`\max(0, \sum_c \|A[x]_c\|^2 - K)`, what passes the constraint of Theorem 5, on average.

        One forward pass, and one adjoint pass for each class.
        """
        batches = [x] if self.graph.batched else x.split(1)
        return torch.cat([self._energies(batch) for batch in batches]).sub(limit).clamp_min(0).mean()

    def _energies(self, x: Tensor) -> Tensor:
        """Return the squared Frobenius norms of A[x], shape (B,)."""
        local = Linearization(self.graph, (x,))
        logits = local.value[0]
        one = torch.eye(logits.shape[1], dtype=logits.dtype, device=logits.device)
        (templates,) = local.adjoint(one[:, None].expand(-1, *logits.shape))
        return templates.square().flatten(2).sum((0, 2))


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]
