"""What a model may give: logits, or a tuple that begins with them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from splinegraph.errors import ShapeError, SplineGraphError
from splinegraph.training import SplineNetwork
from splinegraph.training.engine.processes import device_for


class Model(nn.Module):
    def __init__(self, kind: type) -> None:
        super().__init__()
        self.linear, self.kind = nn.Linear(4, 3), kind

    def forward(self, x: Tensor) -> object:
        y = self.linear(x).relu()
        return {"logits": y} if self.kind is dict else (y, x)


def test_the_first_of_several_are_the_logits() -> None:
    network = SplineNetwork(Model(tuple), torch.zeros(1, 4))
    x = torch.randn(2, 4)
    assert torch.equal(network(x).logits, network.logits(x))


def test_a_dict_is_refused() -> None:
    with pytest.raises(ShapeError, match="the model gives a dict where logits are expected"):
        SplineNetwork(Model(dict), torch.zeros(1, 4)).logits(torch.zeros(2, 4))


@pytest.mark.parametrize("device", ["meta", "mps"])
def test_devices_that_do_not_train(device: str) -> None:
    with pytest.raises(SplineGraphError, match="no training on"):
        device_for(device)
