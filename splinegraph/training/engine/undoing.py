"""A step that fails in the middle, taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from splinegraph.training.engine.randomness import random_state, restore_random_state

if TYPE_CHECKING:
    from splinegraph.training.engine.run import Run

__all__ = ["Before"]


class Before:
    """What a step of a run changes, as it is now.

    Parameters
    ----------
    run : Run
    weights : bool
        Whether to keep parameters, optimizer, average and tuner too, in the memory of the CPU, since that of a GPU may
        be what is short. Without them only what moves before the optimizer's step is kept: batch statistics, random
        state, place in the data. That costs well below a millisecond.
    """

    def __init__(self, run: Run, *, weights: bool) -> None:
        self.run = run
        self._random, self._batches = random_state(), run.batches.state_dict()
        tables: list[dict[str, Any]] = [
            table for m in run.model.modules() for table in ((m._parameters, m._buffers) if weights else (m._buffers,))
        ]
        held = [(table, name, tensor) for table in tables for name, tensor in table.items() if tensor is not None]
        self._tensors = [(*where, _copied(where[-1]) if weights else where[-1].detach().clone()) for where in held]
        self._optimizer = _copied(run.optimizer.state_dict()) if weights else None
        self._average = _copied(run.average.state_dict()) if weights and run.average is not None else None
        self._tuner = _copied(run.tuner.state_dict()) if weights and run.tuner is not None else None
        self._fresh = not run.optimizer.state
        self._rates = [group["lr"] for group in run.optimizer.param_groups]

    @torch.no_grad()
    def restore(self) -> None:
        """Go back to there; gradients are dropped."""
        run = self.run
        for table, name, tensor, value in self._tensors:
            tensor.copy_(value)
            table[name] = tensor  # a model may have put another one there
        run.optimizer.zero_grad(set_to_none=True)
        if self._optimizer is not None:
            run.optimizer.load_state_dict(self._optimizer)
        elif self._fresh:  # it may have made some of its moments before memory ran out
            run.optimizer.state.clear()
        for group, rate in zip(run.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate
        if self._average is not None and run.average is not None:
            run.average.load_state_dict(self._average)
        if self._tuner is not None and run.tuner is not None:
            run.tuner.load_state_dict(self._tuner)
        run.batches.load_state_dict(self._batches)
        restore_random_state(self._random)


def _copied(held: Any) -> Any:
    """Return a copy in the memory of the CPU."""
    if isinstance(held, Tensor):
        return held.detach().to("cpu", copy=True)
    if isinstance(held, dict):
        return {name: _copied(value) for name, value in held.items()}
    return [_copied(value) for value in held] if isinstance(held, list) else held
