"""Is a function piecewise affine? Answered from its values, without looking at how it is made.

The gradient of a piecewise affine function is locally constant: between two points at a distance h, it
differs by rounding only, unless a breakpoint lies between them. That of a smooth function differs in
proportion to h. Two distances, in float64, at several points tell one from the other.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

__all__ = ["piecewise_affine"]

STEP = 1e-7  # far above float64's rounding of a gradient, small beside the cells of a network
ROUNDING = 3e-12  # relative change of a gradient that is rounding of a deep network's backward pass
POINTS = 6


def piecewise_affine(model: nn.Module, args: tuple[Any, ...]) -> bool | None:
    """Return whether `model` looks piecewise affine around random points; None where float64 cannot tell.

    Token ids stay as they are; what is moved then is the outputs of the embeddings.
    """
    try:
        model = copy.deepcopy(model).double()
        probe = _Probe(model, args)
        found = [probe.change(seed) for seed in range(POINTS)]
    except Exception:  # noqa: BLE001  # a dtype written into the model, no gradient, no copy
        return None
    known = [(near, far) for near, far in found if near == near and far == far]
    if not known:
        return None
    # however small the change: one that grows in proportion to the step is no rounding
    curved = [near > 0 and 5 < far / near < 20 for near, far in known]
    flat = sum(near <= ROUNDING and not curve for (near, _), curve in zip(known, curved, strict=True))
    if 2 * flat > len(known):
        return True
    return False if 2 * sum(curved) > len(known) else None


class _Probe:
    """Gradients of a random combination of a model's outputs."""

    def __init__(self, model: nn.Module, args: tuple[Any, ...]) -> None:
        self.model = model
        self.leaves, self.spec = pytree.tree_flatten(args)
        self.float = [i for i, x in enumerate(self.leaves) if isinstance(x, Tensor) and x.is_floating_point()]
        self.shifts: list[Tensor] = []
        if not self.float:
            for module in model.modules():
                if isinstance(module, nn.Embedding | nn.EmbeddingBag):
                    module.register_forward_hook(self._shift)

    def _shift(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        self.calls += 1
        if len(self.shifts) < self.calls:
            self.shifts.append(torch.zeros_like(output))
        return output + self.shifts[self.calls - 1]

    def change(self, seed: int) -> tuple[float, float]:
        """Return the relative change of the gradient over one step and over ten, at a random point."""
        generator = torch.Generator().manual_seed(seed)

        def random(x: Tensor) -> Tensor:
            return torch.randn(x.shape, generator=generator, dtype=torch.float64)

        if not self.float:
            self.calls = 0
            with torch.no_grad():
                self.model(*pytree.tree_unflatten(self.leaves, self.spec))  # makes the shifts
        moved = [self.leaves[i] for i in self.float] or self.shifts
        base = [x.double() + 0.3 * random(x) for x in moved]
        along = [random(x) for x in base]
        weights: list[Tensor] = []
        start = self._gradient(base, weights, generator)
        size = start.norm()
        steps = [[b + h * d for b, d in zip(base, along, strict=True)] for h in (STEP, 10 * STEP)]
        near, far = (float((self._gradient(x, weights, generator) - start).norm() / size) for x in steps)
        return near, far

    def _gradient(self, xs: list[Tensor], weights: list[Tensor], generator: torch.Generator) -> Tensor:
        xs = [x.detach().clone().requires_grad_() for x in xs]
        leaves, self.calls = list(self.leaves), 0
        if self.float:
            for i, x in zip(self.float, xs, strict=True):
                leaves[i] = x
        else:
            self.shifts = xs
        # clones, because a model may write into its input
        args = pytree.tree_unflatten([x.clone() if isinstance(x, Tensor) else x for x in leaves], self.spec)
        outputs = [y for y in pytree.tree_leaves(self.model(*args)) if isinstance(y, Tensor) and y.requires_grad]
        if not weights:
            weights += [torch.randn(y.shape, generator=generator, dtype=torch.float64) for y in outputs]
        total = sum((w * y).sum() for w, y in zip(weights, outputs, strict=True))
        gradients = torch.autograd.grad(total, xs, allow_unused=True)  # type: ignore[arg-type]
        return torch.cat([g.flatten() for g in gradients if g is not None])
