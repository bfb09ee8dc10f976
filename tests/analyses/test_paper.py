"""The paper's formulas, written out from factors; where it is wrong, the right one and a counterexample.

R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017: Eq 31-47, Thm 1, Def 4.
Recurrent networks are in test_paper_recurrent.py.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from splinegraph.analyses.affine_map import affine_map
from splinegraph.analyses.factors import Factors, factors
from splinegraph.core.graph import SplineGraph
from splinegraph.tracers.tracing import trace
from tests import zoo
from tests.analyses.paper import TIGHT, WRONG, Matrix, downward, error, product, the_map
from tests.zoo import Apply, Stack

# Thm 1: compositions, sums and concatenations of linear spline operators are linear spline operators


def test_the_map_of_a_composition_is_the_product_of_maps() -> None:
    """A[x] = A2[f1(x)] A1[x] and b[x] = A2[f1(x)] b1[x] + b2[f1(x)] (Eq 35-37)."""
    inner, outer = zoo.graph("leaky"), zoo.graph("plane")
    x = zoo.inputs("leaky", 20)[0]
    whole = outer.compose(inner)
    assert whole.exact
    with torch.no_grad():
        y = inner(x)
        (A1, b1), (A2, b2) = affine_map(inner, x).dense(), affine_map(outer, y).dense()
        A, b = affine_map(whole, x).dense()
        assert torch.allclose(A, A2 @ A1, rtol=TIGHT, atol=TIGHT)
        assert torch.allclose(b, (A2 @ b1[..., None])[..., 0] + b2, rtol=TIGHT, atol=TIGHT)
        assert torch.allclose(whole(x), (A @ x[..., None])[..., 0] + b, rtol=TIGHT, atol=TIGHT)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_map_of_a_sum_is_the_sum_of_maps(sign: int) -> None:
    first, second, x = zoo.graph("mlp"), zoo.graph("hardtanh"), zoo.inputs("mlp", 20)[0]
    both = first + second if sign > 0 else first - second
    assert both.exact
    with torch.no_grad():
        one, two, found = (affine_map(graph, x).dense() for graph in (first, second, both))
    for i in range(2):
        assert torch.allclose(found[i], one[i] + sign * two[i], rtol=TIGHT, atol=TIGHT)


def test_a_layer_applies_its_slopes_to_its_input() -> None:
    """Eq 31 as printed, A_sigma[z] + b[z], lacks the z."""
    z = torch.tensor([[0.5, -2.0, 3.0]], dtype=torch.float64)
    module = nn.Hardtanh()
    factor = factors(trace(module.eval(), z), z)["hardtanh"]
    right = factor.matrix @ z[0].numpy() + factor.bias
    printed = factor.matrix.sum(1) + factor.bias
    assert error(right, module(z)[0].numpy()) == 0
    assert error(printed, module(z)[0].numpy()) > WRONG


def test_templates_match_the_input() -> None:
    """Def 4: f(x)_c = <A[x]_c, x> + b[x]_c, row by row."""
    graph, x = zoo.graph("cnn"), zoo.inputs("cnn", 5)[0]
    with torch.no_grad():
        local = affine_map(graph, x)
        for c in range(2):
            template = local.rows([c])[:, 0]
            scores = (template * x).sum((1, 2, 3)) + local.bias[:, c]
            assert torch.allclose(scores, graph(x)[:, c], rtol=1e-10, atol=1e-10)


# Eq 38-43: deep convolutional networks


class Convolutional(nn.Module):
    """L - 1 = 3 blocks of convolution, nonlinearity and pooling; then W."""

    def __init__(self, *, biased: bool) -> None:
        super().__init__()
        self.C = nn.ModuleList([nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 3, 2)])
        self.sigma = nn.ModuleList(
            [nn.Hardtanh(-0.2, 0.3), nn.LeakyReLU(-0.5), nn.Softshrink(0.05)]
            if biased
            else [nn.ReLU(), Apply(torch.abs), nn.LeakyReLU(0.1)]
        )
        self.rho = nn.ModuleList([nn.MaxPool2d(2), nn.MaxPool2d(3, 1, 1), nn.AvgPool2d(2)])
        self.W = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        for C, sigma, rho in zip(self.C, self.sigma, self.rho, strict=True):
            x = rho(sigma(C(x)))
        return self.W(x.flatten(1))


def by_module(graph: SplineGraph, table: Factors) -> dict[str, tuple[Matrix, Matrix]]:
    """Return matrix and bias of the one operator of each module."""
    return {graph[n].module: (f.matrix.toarray(), f.bias) for n, f in table.items() if len(f.matrices) == 1}


@pytest.mark.parametrize("biased", [True, False])
def test_deep_convolutional_networks(biased: bool) -> None:
    """Eq 38-42: blocks A_rho A_sigma C, biases carried through the blocks above; Eq 43 without b_sigma, b_rho."""
    graph = trace(Convolutional(biased=biased).double().eval(), torch.zeros(1, 1, 6, 6, dtype=torch.float64))
    for x in torch.randn(5, 1, 1, 6, 6, dtype=torch.float64):
        part = by_module(graph, factors(graph, x))
        A: dict[int, Matrix] = {}
        b: dict[int, Matrix] = {}
        for block in (1, 2, 3):
            (C, xi), (A_sigma, b_sigma), (A_rho, b_rho) = (part[f"{k}.{block - 1}"] for k in ("C", "sigma", "rho"))
            A[block] = A_rho @ A_sigma @ C  # Eq 41
            b[block] = A_rho @ A_sigma @ xi  # Eq 43
            if biased:
                b[block] = b[block] + A_rho @ b_sigma + b_rho  # Eq 42
        W, last = part["W"]
        template = W @ downward(A, 3, 1, 3)  # Eq 39
        bias = W @ sum(downward(A, 3, block + 1, 3) @ b[block] for block in b) + last
        expected = the_map(graph, x)
        assert error(template, expected[0]) < TIGHT
        assert error(bias, expected[1]) < TIGHT
        with torch.no_grad():
            assert error(template @ x.flatten().numpy() + bias, graph(x).flatten().numpy()) < TIGHT


def test_conditions_of_activation_and_pooling() -> None:
    """Eq 40: A_sigma depends on C z + b, not on z as printed, and A_rho on what the activation returns."""
    module = nn.Sequential(nn.Conv1d(1, 1, 1), nn.LeakyReLU(-1.0), nn.MaxPool1d(2)).double().eval()
    conv, sigma, rho = module
    nn.init.constant_(conv.weight, 1.0)
    nn.init.constant_(conv.bias, -2.0)
    z = torch.tensor([[[-1.0, 1.0]]], dtype=torch.float64)
    graph = trace(module, z)
    part = by_module(graph, factors(graph, z))
    with torch.no_grad():
        u = conv(z)
    assert np.array_equal(part["1"][0], factors(trace(sigma, u), u).product()[0].toarray())
    assert not np.array_equal(part["1"][0], factors(trace(sigma, z), z).product()[0].toarray())
    assert np.array_equal(part["2"][0], factors(trace(rho, u), sigma(u)).product()[0].toarray())
    assert not np.array_equal(part["2"][0], factors(trace(rho, u), u).product()[0].toarray())


# Eq 44-47: residual networks


class Block(nn.Module):
    """A_rho (A_sigma (C_in z + b_in) + C_out z + b_out), with as many entries out as in."""

    def __init__(self, sigma: nn.Module, rho: nn.Module) -> None:
        super().__init__()
        self.C_in, self.C_out = nn.Conv1d(1, 1, 3, padding=1), nn.Conv1d(1, 1, 1)
        self.sigma, self.rho = sigma, rho

    def forward(self, z: Tensor) -> Tensor:
        return self.rho(self.sigma(self.C_in(z)) + self.C_out(z))


@functools.cache
def residual() -> tuple[SplineGraph, Tensor]:
    """Return a residual network of three blocks and one input."""
    torch.manual_seed(3)
    blocks = [
        Block(nn.LeakyReLU(0.3), nn.MaxPool1d(3, 1, 1)),
        Block(nn.Hardtanh(-0.3, 0.2), nn.AvgPool1d(3, 1, 1)),
        Block(nn.ReLU(), nn.MaxPool1d(3, 1, 1)),
    ]
    module = Stack(*blocks, nn.Flatten(), nn.Linear(6, 6)).double().eval()
    x = torch.randn(1, 1, 6, dtype=torch.float64)
    return trace(module, x), x


def residual_parts() -> tuple[dict[str, tuple[Matrix, Matrix]], list[Any], tuple[Matrix, Matrix]]:
    graph, x = residual()
    part = by_module(graph, factors(graph, x))
    names = ("C_in", "sigma", "C_out", "rho")
    return part, [[part[f"{block}.{name}"] for name in names] for block in range(3)], part["4"]


def residual_map(*, parentheses: bool = True, weight_on_bias: bool = True) -> tuple[Matrix, Matrix]:
    """Return A and b by Eq 44-47; as printed, both options are False."""
    _, blocks, (W, last) = residual_parts()
    A: dict[int, Matrix] = {}
    b: dict[int, Matrix] = {}
    for i, ((C_in, b_in), (A_sigma, b_sigma), (C_out, b_out), (A_rho, b_rho)) in enumerate(blocks, start=1):
        inside = A_sigma @ C_in
        A[i] = A_rho @ (inside + C_out) if parentheses else A_rho @ inside + C_out  # Eq 45
        b[i] = A_rho @ (A_sigma @ b_in + b_sigma + b_out) + b_rho  # Eq 46
    carried = sum(downward(A, 3, i + 1, 6) @ b[i] for i in b)
    return W @ downward(A, 3, 1, 6), (W @ carried if weight_on_bias else carried) + last  # Eq 47


def test_residual_networks() -> None:
    """Eq 44-47 with the parentheses of Eq 44 kept in Eq 45, and W on the sum of the biases."""
    expected = the_map(*residual())
    for found, wanted in zip(residual_map(), expected, strict=True):
        assert error(found, wanted) < TIGHT


def test_residual_blocks_as_printed_are_wrong() -> None:
    """Eq 45, A_rho A_sigma C_in + C_out, pools the inner branch only."""
    assert error(residual_map(parentheses=False)[0], the_map(*residual())[0]) > WRONG


def test_residual_biases_as_printed_are_wrong() -> None:
    """Eq 47, 75 and the line before leave the biases in the coordinates of layer L - 1."""
    assert error(residual_map(weight_on_bias=False)[1], the_map(*residual())[1]) > WRONG


def test_residual_networks_have_all_paths_not_only_prefixes() -> None:
    """prod (S + M) is the sum over all 2^L subsets; the paper's 'ensemble' keeps L of them and drops W."""
    _, blocks, (W, _) = residual_parts()
    skip = {i: rho[0] @ out[0] for i, (_, _, out, rho) in enumerate(blocks)}
    inner = {i: rho[0] @ sigma[0] @ into[0] for i, (into, sigma, _, rho) in enumerate(blocks)}
    paths = [
        (sum(branch), product((inner[i] if branch[i] else skip[i] for i in (2, 1, 0)), 6))
        for branch in itertools.product((0, 1), repeat=3)
    ]
    expected = the_map(*residual())[0]
    assert error(W @ sum(matrix for _, matrix in paths), expected) < TIGHT
    assert [sum(length == j for length, _ in paths) for j in range(4)] == [math.comb(3, j) for j in range(4)]
    prefixes = np.eye(6) + sum(downward(inner, k, 0, 6) for k in range(3))
    for weight in (W, np.eye(6)):
        assert error(weight @ prefixes, expected) > WRONG
