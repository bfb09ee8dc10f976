"""An exponential moving average of the weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

__all__ = ["MovingAverage"]


class MovingAverage:
    """The average w' <- d w' + (1 - d) w of a model's floating point parameters and buffers.

    The decay of the t-th update is min(d, (1 + t) / (10 + t)), so that the initial weights are soon forgotten. Whole
    numbers (counts of batches) are copied.

    Parameters
    ----------
    model : nn.Module
    decay : float in [0, 1)
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay, self.updates = model, decay, 0
        self.shadow = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the present weights; one pass over them."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.shadow[name].lerp_(value, 1 - decay)
            else:
                self.shadow[name].copy_(value)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average in the model for the time of a block; its own weights come back after it."""
        own = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        _copy(self.shadow, self.model)
        try:
            yield
        finally:
            _copy(own, self.model)

    def state_dict(self) -> dict[str, object]:
        """Return what to save."""
        return {"updates": self.updates, "shadow": self.shadow}

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Take what was saved."""
        updates, shadow = state["updates"], state["shadow"]
        assert isinstance(updates, int)
        assert isinstance(shadow, dict)
        self.updates = updates
        for name, value in self.shadow.items():
            value.copy_(shadow[name])


@torch.no_grad()
def _copy(values: dict[str, Tensor], model: nn.Module) -> None:
    """Write values into a model's own tensors, which a traced graph shares."""
    for name, own in model.state_dict().items():
        own.copy_(values[name])
