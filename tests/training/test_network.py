"""`SplineNetwork` against the model itself and against autograd, which differentiates twice."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from splinegraph.tracers.tracing import trace_training
from splinegraph.training.network import Encoded, SplineNetwork
from splinegraph.training.network.encoding import encode, encode_by_autograd
from tests import zoo

EXACT = 1e-10
"""Largest difference, relative to the largest expected entry."""


class Block(nn.Module):
    """A residual block with batch norm and dropout."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.inside = nn.Sequential(
            nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(), nn.Dropout(0.3),
            nn.Conv2d(after, after, 3, 1, 1), nn.BatchNorm2d(after, momentum=None),
        )  # fmt: skip
        self.skip = nn.Conv2d(before, after, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.skip(x) + self.inside(x), 0.1)


class Recurrent(nn.Module):
    """Two recurrent layers, unrolled, with dropout between them, and dropout called as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = nn.RNN(3, 5, 2, nonlinearity="relu", batch_first=True, dropout=0.4)
        self.out = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        last = self.inside(x)[0][:, -1]
        return self.out(F.dropout(last, 0.2, self.training))


def _cnn(pool: nn.Module, act: Callable[[], nn.Module]) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=2), nn.BatchNorm2d(4), act(), nn.Dropout2d(0.3), pool,
        nn.Conv2d(4, 5, 3, stride=2), act(), nn.Flatten(), nn.Linear(45, 6), nn.BatchNorm1d(6, affine=False),
        act(), nn.Dropout(0.5), nn.Linear(6, 3),
    )  # fmt: skip


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "cnn, mean": (lambda: _cnn(nn.AvgPool2d(2), functools.partial(nn.LeakyReLU, 0.1)), (1, 12, 12)),
    "cnn, max": (lambda: _cnn(nn.MaxPool2d(2), nn.ReLU), (1, 12, 12)),
    "cnn, smooth": (lambda: _cnn(nn.AvgPool2d(2), nn.SiLU), (1, 12, 12)),
    "resnet": (lambda: nn.Sequential(
        Block(2, 4), Block(4, 6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3)), (2, 9, 9)),
    "rnn": (Recurrent, (4, 3)),
    "selu": (lambda: nn.Sequential(
        nn.Conv1d(2, 3, 2), nn.SELU(), nn.AlphaDropout(0.3), nn.FeatureAlphaDropout(0.4), nn.Flatten(),
        nn.Linear(12, 3)), (2, 5)),
    "transformer": (lambda: nn.Sequential(
        nn.TransformerEncoderLayer(4, 2, 6, batch_first=True, dropout=0.3), nn.Flatten(), nn.Linear(12, 2)), (3, 4)),
}  # fmt: skip


def _make(name: str) -> tuple[nn.Module, Tensor]:
    make, shape = NETS[name]
    model = make().double()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.3)
            nn.init.normal_(module.bias)
    return model, torch.randn(5, *shape, dtype=torch.float64)


@contextmanager
def _statistics_held(model: nn.Module, x: Tensor) -> Iterator[None]:
    """Give every batch norm in training mode the statistics of x, which carry the gradient of the parameters only."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    found: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def normalize(module: nn.Module, args: tuple[Tensor, ...], value: Tensor) -> Tensor:
        axes = [0, *range(2, value.dim())]
        if module not in found:
            found[module] = (args[0].mean(axes, keepdim=True), args[0].var(axes, keepdim=True, correction=0))
        mean, var = found[module]
        z = (args[0] - mean) / (var + module.eps).sqrt()
        if module.weight is None:
            return z
        shape = (-1, *(1,) * (value.dim() - 2))
        return z * module.weight.reshape(shape) + module.bias.reshape(shape)

    hooks = [m.register_forward_hook(normalize) for m in norms]
    with torch.random.fork_rng():
        model(x)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _by_autograd(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits and reconstruction by two derivatives of the model's own forward pass."""
    with _statistics_held(model, x):
        leaf = x.clone().requires_grad_()
        logits = model(leaf)
        (back,) = torch.autograd.grad(logits, leaf, logits, create_graph=True)
    return logits, back


def _loss(logits: Tensor, back: Tensor, x: Tensor) -> Tensor:
    return (back - x).square().mean() + logits.logsumexp(-1).mean()


def _gradients(loss: Tensor, model: nn.Module) -> list[Tensor]:
    given = list(model.parameters())
    found = torch.autograd.grad(loss, given, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for g, p in zip(found, given, strict=True)]


def _gap(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Return the largest difference relative to the largest entry of all."""
    scale = max(float(e.detach().abs().max()) for e in expected)
    pairs = zip(found, expected, strict=True)
    return max(float((f.detach() - e.detach()).abs().max()) for f, e in pairs) / scale


def _marked(names: Iterable[str], *slow: str) -> list[Any]:
    return [pytest.param(name, marks=[pytest.mark.slow] if name in slow else []) for name in names]


@pytest.mark.parametrize("name", _marked([n for n in zoo.ZOO if n not in ("two", "single")], "gru", "transformer"))
def test_values_and_gradients_are_those_of_autograd_on_every_network(name: str) -> None:
    model, (x,) = zoo.model(name), zoo.inputs(name, 3)
    leaf = x.clone().requires_grad_()
    with sdpa_kernel(SDPBackend.MATH):  # the fused one can be differentiated once only
        logits = model(leaf)
    (back,) = torch.autograd.grad(logits, leaf, logits, create_graph=True)
    expected = _gradients(_loss(logits, back, x), model)
    for way in (encode, encode_by_autograd):
        found = way(zoo.graph(name), x, ())
        assert _gap(found[:2], (logits, back)) < EXACT
        assert _gap(_gradients(_loss(*found[:2], x), model), expected) < EXACT


@pytest.mark.parametrize("name", _marked(NETS, "cnn, smooth", "selu", "transformer"))
def test_training_mode_equals_autograd_with_the_same_masks_and_statistics(name: str) -> None:
    model, x = _make(name)
    torch.manual_seed(3)
    logits, back = _by_autograd(model, x)
    expected = _gradients(_loss(logits, back, x), model)
    before = copy.deepcopy(model.state_dict())
    graph = trace_training(model, x)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    for way in (encode, encode_by_autograd):
        torch.manual_seed(3)
        found = way(graph, x, ())
        assert _gap(found[:2], (logits, back)) < EXACT
        assert _gap(_gradients(_loss(*found[:2], x), model), expected) < EXACT


@pytest.mark.parametrize("name", _marked(["cnn, max", "resnet", "rnn"], "rnn"))
def test_a_step_leaves_logits_buffers_and_random_state_as_the_model_does(name: str) -> None:
    model, x = _make(name)
    twin = copy.deepcopy(model)
    network = SplineNetwork(model, x)
    torch.manual_seed(1)
    expected = [twin(x), twin(x), twin(x)]
    drawn = torch.get_rng_state()
    torch.manual_seed(1)
    found = [network(x).logits, network(x).logits, network.logits(x)]
    assert _gap(found, expected) < 1e-13
    assert torch.equal(torch.get_rng_state(), drawn)
    for key, value in twin.state_dict().items():
        assert torch.allclose(model.state_dict()[key], value, rtol=1e-13, atol=0), key
    assert [id(p) for p in network.parameters()] == [id(p) for p in model.parameters()]


def test_the_gradient_runs_through_the_statistics_within_the_inverse() -> None:
    model, x = _make("cnn, smooth")
    for module in model.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0
    network = SplineNetwork(model, x)
    direction = [torch.randn_like(p) for p in model.parameters()]

    def at(step: float) -> Tensor:
        with torch.no_grad():
            for p, d in zip(model.parameters(), direction, strict=True):
                p.add_(d, alpha=step)
        found = network(x)
        return (found.reconstruction - x).square().mean()

    slope = sum(float((g * d).sum()) for g, d in zip(_gradients(at(0.0), model), direction, strict=True))
    with torch.no_grad():
        ahead, behind = float(at(1e-6)), float(at(-2e-6))
    assert slope == pytest.approx((ahead - behind) / 2e-6, rel=1e-6)


def test_evaluation_is_the_model_in_evaluation_and_frozen_modules_stay_frozen() -> None:
    model, x = _make("resnet")
    network = SplineNetwork(model, x).eval()
    before = copy.deepcopy(model.state_dict())
    leaf = x.clone().requires_grad_()
    logits = model(leaf)
    (back,) = torch.autograd.grad(logits, leaf, logits)
    assert _gap(network(x)[:2], (logits, back)) < EXACT
    network.train()
    frozen = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d | nn.Dropout)]
    for module in frozen:
        module.eval()
    assert _gap(network(x)[:2], (logits, back)) < EXACT
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_layers_give_values_and_reconstructions_of_autograd() -> None:
    model, x = _make("resnet")
    model.eval()
    seen: dict[str, Tensor] = {}
    for path in ("0", "2"):
        model.get_submodule(path).register_forward_hook(
            lambda module, args, value, path=path: seen.__setitem__(path, value)
        )
    network = SplineNetwork(model, x, layers=("0", "2"))
    found = network(x)
    logits = network.logits(x.clone().requires_grad_())
    values = (seen["0"], seen["2"])
    expected = torch.autograd.grad(logits, values, logits, create_graph=True)
    assert _gap(found.values, values) < EXACT
    assert _gap(found.layer_reconstructions, expected) < EXACT

    def gamma(values: Sequence[Tensor], backs: Sequence[Tensor]) -> Tensor:
        return torch.stack([(b - z.detach()).square().mean() for z, b in zip(values, backs, strict=True)]).sum()

    (mode,) = network._modes.values()
    other = replace(mode, explicit=False).encode(x, ("0", "2"))
    ours = _gradients(gamma(found.values, found.layer_reconstructions), model)
    assert _gap(ours, _gradients(gamma(values, expected), model)) < EXACT
    assert _gap(ours, _gradients(gamma(other.values, other.layer_reconstructions), model)) < EXACT
    assert network(x, layers=["1"]).values[0].shape == (5, 6, 3, 3)
    assert network(x, layers=()).values == ()


def test_a_network_that_ignores_its_input_has_the_inverse_zero() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.ones(2))

        def forward(self, x: Tensor) -> Tensor:
            return self.w * 0.0 * x[:, :2].sign() + self.w

    x = torch.randn(3, 4)
    found = SplineNetwork(Flat(), x)(x)
    assert isinstance(found, Encoded)
    assert not found.reconstruction.any()


def test_copies_casts_and_new_buffers_are_traced_again() -> None:
    model, x = _make("cnn, mean")
    network = SplineNetwork(model, x).eval()
    first = network(x)
    twin = copy.deepcopy(network)
    assert _gap(twin(x)[:2], first[:2]) == 0.0
    with torch.no_grad():
        model[1].running_mean += 1.0
    assert _gap(network(x)[:2], first[:2]) > 1e-3
    assert _gap(twin(x)[:2], first[:2]) == 0.0
    model[1].running_mean = torch.zeros(4, dtype=torch.float64)
    assert _gap(network(x)[:1], (model(x),)) < EXACT
    network.float()
    assert network(x.float()).reconstruction.dtype == torch.float32
    assert _gap(network(x.float())[:1], (model(x.float()),)) < 1e-5
    assert all(key.startswith("model.") for key in network.state_dict())
