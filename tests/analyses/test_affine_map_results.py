"""Local affine maps as results: gradients by the parameters, staleness, refusals."""

from __future__ import annotations

import json

import pytest
import torch

from splinegraph.analyses.affine_map import affine_map
from splinegraph.errors import ShapeError
from splinegraph.tracers.tracing import trace
from tests import zoo

TRAINED = ["mlp", "leaky", "hardtanh", "cnn", "prelu", "residual", "means", "grouped", "upsample", "rnn", "heads",
           "maxout", "groupsort", "gelu", "mixed", "single"]  # fmt: skip


@pytest.mark.parametrize("name", TRAINED)
def test_gradients_flow_through_the_map(name: str) -> None:
    """Differentiate |A[x]^T u|^2 by the weights: the same as autograd's double backward, off kinks."""
    (x,), module = zoo.inputs(name, 3), zoo.model(name)
    local = affine_map(zoo.graph(name), x, differentiable=True)
    u = torch.randn_like(local.value)
    weights = [p for p in module.parameters() if p.requires_grad]
    mine = torch.autograd.grad(local.rmatvec(u).square().sum(), weights, allow_unused=True)

    leaf = x.clone().requires_grad_()
    back = torch.autograd.grad(zoo.eager(name, leaf)[0], leaf, u, create_graph=True)[0]
    theirs = torch.autograd.grad(back.square().sum(), weights, allow_unused=True)
    scale = max(float(g.abs().max()) for g in theirs if g is not None)
    for a, b, p in zip(mine, theirs, weights, strict=True):
        zero = torch.zeros_like(p)
        assert ((zero if a is None else a) - (zero if b is None else b)).abs().max() < 1e-8 * scale
    assert scale > 0


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual", "rnn", "clamp"])
def test_gradients_flow_through_the_bias(name: str) -> None:
    """b = f - A x, so its gradient is that of f minus that of A x."""
    (x,), module = zoo.inputs(name, 3), zoo.model(name)
    local = affine_map(zoo.graph(name), x, differentiable=True)
    u, weights = torch.randn_like(local.value), list(module.parameters())
    mine = torch.autograd.grad((local.bias * u).sum(), weights, allow_unused=True)
    leaf = x.clone().requires_grad_()
    value = zoo.eager(name, leaf)[0]
    back = torch.autograd.grad(value, leaf, u, create_graph=True)[0]
    theirs = torch.autograd.grad((value * u).sum() - (back * x).sum(), weights, allow_unused=True)
    scale = max(float(g.abs().max()) for g in theirs if g is not None)
    for a, b, p in zip(mine, theirs, weights, strict=True):
        zero = torch.zeros_like(p)
        assert ((zero if a is None else a) - (zero if b is None else b)).abs().max() < 1e-8 * scale


def test_results_are_plain_unless_asked() -> None:
    (x,) = zoo.inputs("cnn", 2)
    local = affine_map(zoo.graph("cnn"), x)
    assert not any(t.requires_grad for t in (*local.dense(), local.value, local.bias, local.matvec(x)))


def test_a_map_says_when_it_is_stale() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1)).eval()
    graph = trace(net, torch.zeros(1, 2))
    local = affine_map(graph, torch.randn(4, 2))
    assert not local.stale
    with torch.no_grad():
        net[0].weight.mul_(2)
    assert local.stale
    assert json.loads(json.dumps(local.to_dict()))["stale"]


def test_nan_inputs_are_refused() -> None:
    (x,) = zoo.inputs("cnn", 2)
    x[1, 0, 0, 0] = torch.nan
    with pytest.raises(ShapeError, match="NaN or infinite"):
        affine_map(zoo.graph("cnn"), x)
