"""What a model may give: logits, or a tuple that begins with them."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from splinegraph.errors import ShapeError, SplineGraphError, TraceError
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


@pytest.mark.parametrize(("shape", "said"), [((2, 5), r"expected \(B, 4\); give shape"), ((4,), "add a batch axis")])
def test_logits_refuse_what_a_call_refuses(shape: tuple[int, ...], said: str) -> None:
    network = SplineNetwork(nn.Linear(4, 3), torch.zeros(1, 4))
    for way in (network, network.logits):
        with pytest.raises(ShapeError, match=said):
            way(torch.zeros(shape))
    with pytest.raises(ShapeError, match=r"torch.float64 on cpu, the model torch.float32"):
        network.logits(torch.zeros(2, 4, dtype=torch.float64))


def test_the_graph_is_that_of_evaluation_and_follows_the_weights() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.ReLU(), nn.Linear(5, 3))
    network, x = SplineNetwork(model, torch.zeros(2, 4)), torch.randn(6, 4)
    graph = network.graph
    assert model.training
    assert not network.divisible
    with torch.no_grad():
        model[0].weight.mul_(2)
    assert network.graph is graph
    assert torch.allclose(graph(x), model.eval()(x), atol=1e-6)
    assert SplineNetwork(nn.Linear(4, 3), torch.zeros(1, 4)).divisible
    tracking = nn.Sequential(nn.InstanceNorm1d(2, track_running_stats=True), nn.Flatten(), nn.Linear(8, 3))
    moving = SplineNetwork(tracking, torch.randn(2, 2, 4))
    assert (moving.divisible, moving.eval().divisible) == (False, True)


class Rows(nn.Module):
    """A model that takes its batch apart."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.second(self.first(row).relu()) for row in x])


@pytest.mark.parametrize("training", [True, False])
def test_a_model_that_takes_its_batch_apart_is_inverted_by_autograd(training: bool) -> None:
    model, x = Rows().train(training), torch.randn(3, 4)
    with pytest.warns(UserWarning, match=r"comes from autograd.*for one sample"):
        network = SplineNetwork(model, torch.zeros(1, 4))
    leaf = x.clone().requires_grad_()
    logits = model(leaf)
    (expected,) = torch.autograd.grad(logits, leaf, logits)
    assert torch.allclose(network(x).reconstruction, expected, atol=1e-6)
    assert not network.divisible  # for all that is known
    with pytest.warns(UserWarning, match="autograd") if training else nullcontext():
        with pytest.raises(TraceError, match="no graph that takes batches"):
            _ = network.graph


@pytest.mark.slow
def test_compiled_calls_and_logits_are_those_of_eager() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    network, x = SplineNetwork(model, torch.zeros(1, 4)), torch.randn(6, 4)
    expected, logits = network(x), network.logits(x)
    frames = torch._dynamo.utils.counters["frames"]
    network.compile(backend="aot_eager")
    before = frames["ok"]
    assert torch.allclose(network.logits(x), logits, atol=1e-6)
    assert frames["ok"] > before, "logits ran eagerly"
    found = network(x)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(found[:2], expected[:2], strict=True))
    network.logits(x[:5])
    before = frames["ok"]
    for rows in (2, 3, 4):  # the second size made it dynamic
        assert torch.allclose(network.logits(x[:rows]), logits[:rows], atol=1e-6)
    assert frames["ok"] == before, "compiled again for another number of rows"
