"""Whether a file treats the samples of a batch one by one: found by running it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from splinegraph.errors import SplineGraphError
from splinegraph.tracers.onnx.module import OnnxModule
from splinegraph.tracers.onnx.node import OnnxNode

__all__ = ["settle_batching"]

_GUESS = {1: 16, 2: 16, 3: 64, 4: 16}
"""Sizes to try where the file leaves them open, per rank of a sample: a sequence, features, an image, a volume."""

_TOLERANCE = 1e-3
"""Largest difference between a sample alone and in a batch, relative to the largest output (float32 sums differ)."""


def settle_batching(module: OnnxModule, *, fixed: int | None) -> tuple[str, str]:
    """Return how a module takes batches, and a note to the reader ('' if there is nothing to say).

    Parameters
    ----------
    module : OnnxModule
    fixed : int or None
        The batch size that the file declares.

    Notes
    -----
    Two forward passes, on three samples; up to five where the file names a batch size.
    """
    if not any(module.has_batch):
        works = _works(module, _unbatched_samples(module))
        if works:
            return "any", "the file declares no batch axis; it treats a leading axis as one"
        return "none", "the file has no batch axis: one sample at a time"
    if fixed is not None:
        _record_shapes(module, fixed)
    samples = [_sample(module, seed) for seed in range(2)]
    if _works(module, samples) or (fixed is not None and _sequence_first(module) and _works(module, samples)):
        return "any", f"the file is written for batches of {fixed}; it treats any batch the same" if fixed else ""
    try:
        with torch.no_grad():
            module(*samples[0])
    except SplineGraphError as error:
        return "any", f"it cannot be run: {error}"
    except Exception:  # noqa: BLE001  # guessed sizes that do not fit, or a batch that has to be of the file's size
        return ("any", "") if fixed in (None, 1) else ("none", f"its first axis of size {fixed} is part of a sample")
    if fixed not in (None, 1):
        return "none", f"its first axis of size {fixed} is part of a sample"
    return "fixed", "the file works for batches of one only: one sample at a time"


def _reshapes(module: OnnxModule) -> list[OnnxNode]:
    return [m for m in module.modules() if isinstance(m, OnnxNode) and m.spec.op_type == "Reshape"]


def _sequence_first(module: OnnxModule) -> bool:
    """Take the batch for the second axis where a reshape leaves that open, as attention in torch does."""
    nodes = _reshapes(module)
    for node in nodes:
        node.spec = replace(node.spec, sequence_first=True)
    return bool(nodes)


def _record_shapes(module: OnnxModule, fixed: int) -> None:
    """Run the file at its own batch size, and let its reshapes remember what they were given."""

    def record(node: nn.Module, args: tuple[Any, ...]) -> None:
        if isinstance(node, OnnxNode) and 0 not in node.spec.constants and args and isinstance(args[0], Tensor):
            node.spec = replace(node.spec, shape=tuple(args[0].shape))

    hooks = [m.register_forward_pre_hook(record) for m in _reshapes(module)]
    try:
        with torch.no_grad():
            module(*module.example_inputs(fixed, unknown=_GUESS))
    except Exception:  # noqa: BLE001  # the shapes stay unknown
        pass
    finally:
        for hook in hooks:
            hook.remove()


def _sample(module: OnnxModule, seed: int) -> list[Tensor]:
    """Return random inputs for one sample; inputs without a batch are the same for every seed."""
    zeros = module.example_inputs(1, unknown=_GUESS)
    moving, still = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(100)
    pairs = zip(zeros, module.has_batch, strict=True)
    return [_noise(x, moving if batch else still) for x, batch in pairs]


def _unbatched_samples(module: OnnxModule) -> list[list[Tensor]]:
    """Return samples with a leading axis that the file does not declare."""
    zeros = module.example_inputs(1, unknown=_GUESS)
    if not zeros or not all(x.dim() == 1 for x in zeros):
        return []
    generators = [torch.Generator().manual_seed(seed) for seed in range(2)]
    return [[_noise(x[None], generator) for x in zeros] for generator in generators]


def _noise(x: Tensor, generator: torch.Generator) -> Tensor:
    if x.is_floating_point():
        return torch.randn(x.shape, generator=generator, dtype=torch.float32).to(x.dtype)
    if x.dtype == torch.bool:
        return torch.ones_like(x)
    return torch.randint(0, 2, x.shape, generator=generator).to(x.dtype)


def _works(module: OnnxModule, samples: Sequence[Sequence[Tensor]]) -> bool:
    """Return whether the outputs of a batch are those of its samples alone."""
    if not samples:
        return False
    batched = module.has_batch if any(module.has_batch) else [True] * len(samples[0])
    together = [torch.cat(xs) if b else xs[0] for b, *xs in zip(batched, *samples, strict=True)]
    run: Callable[..., object] = module
    try:
        with torch.no_grad():
            whole, alone = _flat(run(*together)), _flat(run(*samples[-1]))
    except Exception:  # noqa: BLE001  # whatever it is that fails, batches do not work
        return False
    for i, y in enumerate(whole):
        if not y.dim() or y.shape[0] != len(samples):
            return False
        if alone[i].shape != y[-1:].shape or not _close(alone[i], y[-1:]):
            return False
    return True


def _flat(outputs: object) -> list[Tensor]:
    return [y for y in (outputs if isinstance(outputs, tuple) else (outputs,)) if isinstance(y, Tensor)]


def _close(a: Tensor, b: Tensor) -> bool:
    a, b = a.double(), b.double()
    finite = a[a.isfinite()].abs()
    scale = float(finite.max()) if finite.numel() else 1.0
    return bool(torch.allclose(a, b, rtol=_TOLERANCE, atol=_TOLERANCE * scale, equal_nan=True))
