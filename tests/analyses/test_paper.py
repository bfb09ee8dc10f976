"""The paper's formulas, written out from factors; where it is wrong, the right one and a counterexample.

R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017: Eq 31-50, Thm 1, Def 4.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from splinegraph.analyses.affine_map import affine_map
from splinegraph.analyses.factors import Factors, factors
from splinegraph.core.graph import SplineGraph
from splinegraph.tracers.tracing import trace
from tests import zoo
from tests.zoo import Apply, Stack

Matrix = NDArray[np.float64]
TIGHT = 1e-12
WRONG = 1e-2
"""Beyond any rounding: a formula that is off by so much is false."""


def product(matrices: Iterable[Matrix], size: int) -> Matrix:
    """Return the matrices multiplied in the order given (the paper's descending products); I if there is none."""
    return functools.reduce(np.matmul, matrices, np.eye(size))


def downward(table: dict[int, Matrix], top: int, bottom: int, size: int) -> Matrix:
    """Return table[top] @ ... @ table[bottom]; I if top < bottom."""
    return product((table[k] for k in range(top, bottom - 1, -1)), size)


def the_map(graph: SplineGraph, x: Tensor) -> tuple[Matrix, Matrix]:
    """Return A[x] and b[x] at one sample, flat."""
    with torch.no_grad():
        A, b = affine_map(graph, x).dense()
    return A.reshape(b.numel(), -1).numpy(), b.flatten().numpy()


def error(found: Matrix, expected: Matrix) -> float:
    return float(np.abs(found - expected).max())


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


# one step in time, Eq 48-50: recurrent networks

STEPS, WIDTH = 4, 3


class Recurrent(nn.Module):
    """The last state of the top layer of nn.RNN."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(2, WIDTH, layers, nonlinearity="relu", batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(x)[0][:, -1]


class Unrolled:
    """Weights of an RNN, and the slopes A_sigma[layer, step] at one input, from the factors of its graph."""

    def __init__(self, layers: int, seed: int) -> None:
        torch.manual_seed(seed)
        module = Recurrent(layers).double().eval()
        for p in module.parameters():
            torch.nn.init.normal_(p, 0.3, 0.8)  # more units on, so that slopes matter
        self.layers, self.x = layers, torch.randn(1, STEPS, 2, dtype=torch.float64)
        self.graph = trace(module, self.x)
        self.D, self.table = dict[tuple[int, int], Matrix](), factors(self.graph, self.x)
        for node in self.graph.operators:
            if node.op.label == "ReLU":
                assert node.module == "rnn"
                assert node.step is not None
                depth = sum(t == node.step + 1 for _, t in self.D) + 1
                self.D[depth, node.step + 1] = self.table[node.name].matrix.toarray()
        weights = {name: p.detach().numpy() for name, p in module.rnn.named_parameters()}
        self.rec = {k: weights[f"weight_hh_l{k - 1}"] for k in range(1, layers + 1)}
        self.up = {k: weights[f"weight_ih_l{k - 1}"] for k in range(1, layers + 1)}  # of layer 1: W_in
        self.bias = {k: weights[f"bias_ih_l{k - 1}"] + weights[f"bias_hh_l{k - 1}"] for k in range(1, layers + 1)}

    def run(self, layer: int, late: int, early: int, *, ascending: bool = False) -> Matrix:
        """Return prod over q = late .. early (descending) of A_sigma^(layer,q) W_rec."""
        steps = range(early, late + 1) if ascending else range(late, early - 1, -1)
        return product((self.D[layer, q] @ self.rec[layer] for q in steps), WIDTH)

    def paths(self, source: int, start: int) -> Matrix:
        """Return the sum over paths from (source, start), before its slope, to the top layer's last step."""
        return sum(
            (self.along(source, (start, *turns, STEPS)) for turns in self.turns(source, start)), np.zeros((WIDTH,) * 2)
        )

    def turns(self, source: int, start: int) -> Iterable[tuple[int, ...]]:
        """Yield when a path goes up: steps start <= k_1 <= k_2 <= ... <= T."""
        return itertools.combinations_with_replacement(range(start, STEPS + 1), self.layers - source)

    def along(self, source: int, k: tuple[int, ...], printed: frozenset[int] = frozenset()) -> Matrix:
        """Return one path's product: in layer source + i it runs from step k[i] to k[i + 1].

        In the layers `printed` the factors are those of Eq 48-50 as printed.
        """
        total = np.eye(WIDTH)
        for layer in range(self.layers, source - 1, -1):
            first, last = k[layer - source], k[layer - source + 1]
            if layer < self.layers:
                total = total @ self.D[layer + 1, last] @ self.up[layer + 1]
            if layer not in printed:
                total = total @ self.run(layer, last, first + 1)
            elif layer == 1:  # q = t + 1 .. k_1 - 1, ascending
                total = total @ self.run(layer, last - 1, first + 1, ascending=True)
            elif layer == 2:  # q = k_1 .. k_2 - 1, ascending
                total = total @ self.run(layer, last - 1, first, ascending=True)
            else:  # q = T .. k_2 + 1
                total = total @ self.run(layer, STEPS, first + 1)
        return total @ self.D[source, k[0]]

    def matrix(self, printed: frozenset[int] = frozenset()) -> Matrix:
        """Return A by Eq 48-50, one block of columns per step."""
        return np.concatenate(
            [
                sum((self.along(1, (t, *k, STEPS), printed) for k in self.turns(1, t)), np.zeros((WIDTH,) * 2))
                @ self.up[1]
                for t in range(1, STEPS + 1)
            ],
            axis=1,
        )


@functools.cache
def unrolled(layers: int, seed: int = 0) -> Unrolled:
    return Unrolled(layers, seed)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_slopes_of_an_unrolled_network_are_found(layers: int) -> None:
    net = unrolled(layers)
    assert set(net.D) == {(k, t) for k in range(1, layers + 1) for t in range(1, STEPS + 1)}
    diagonals = [np.diag(d) for d in net.D.values()]
    assert {0.0, 1.0} == set(np.concatenate(diagonals))


@pytest.mark.parametrize("layers", [1, 2])
def test_one_step_in_time(layers: int) -> None:
    """z^(l,t) = A_sigma (W_in x^t or W_up z^(l-1,t) + W_rec z^(l,t-1) + b); z^(l,0) = 0."""
    net = unrolled(layers)
    below = {t: net.x[0, t - 1].numpy() for t in range(1, STEPS + 1)}
    for k in range(1, layers + 1):
        state, values = np.zeros(WIDTH), {}
        for t in range(1, STEPS + 1):
            state = values[t] = net.D[k, t] @ (net.up[k] @ below[t] + net.rec[k] @ state + net.bias[k])
        below = values
    with torch.no_grad():
        assert error(below[STEPS], net.graph(net.x)[0].numpy()) < TIGHT


def test_one_layer_unrolled_in_time() -> None:
    """z^(1,T) = sum_t prod_k (A_sigma W_rec) [A_sigma^(t) W_in x^t + A_sigma^(t) b], the paper's second line."""
    net = unrolled(1)
    A, b = the_map(net.graph, net.x)
    carried = {t: net.run(1, STEPS, t + 1) @ net.D[1, t] for t in range(1, STEPS + 1)}
    assert error(np.concatenate([carried[t] @ net.up[1] for t in carried], 1), A) < TIGHT
    assert error(sum(carried[t] @ net.bias[1] for t in carried), b) < TIGHT


@pytest.mark.parametrize("layers", [2, 3, 4])
def test_path_sums(layers: int) -> None:
    """Eq 48-50 corrected: in every layer a path multiplies A_sigma W_rec in descending order of time."""
    net = unrolled(layers)
    A, b = the_map(net.graph, net.x)
    scale = max(1.0, np.abs(A).max())
    assert error(net.matrix(), A) < TIGHT * scale
    sources = itertools.product(range(1, layers + 1), range(1, STEPS + 1))
    bias = sum(net.paths(source, t) @ net.bias[source] for source, t in sources)
    assert error(bias, b) < TIGHT * max(1.0, np.abs(b).max())


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_paths_are_counted(layers: int) -> None:
    """C(T - t + L - l, L - l) from (l, t); C(T + L, L) - 1 in all."""
    net = unrolled(layers)
    total = 0
    for source, t in itertools.product(range(1, layers + 1), range(1, STEPS + 1)):
        count = len(list(net.turns(source, t)))
        assert count == math.comb(STEPS - t + layers - source, layers - source)
        total += count
    assert total == math.comb(STEPS + layers, layers) - 1


@pytest.mark.parametrize(("layers", "layer"), [(2, 1), (3, 2), (4, 3)])
def test_path_sums_as_printed_are_wrong(layers: int, layer: int) -> None:
    """Eq 48 ends layer 1 at k_1 - 1, Eq 49 runs layer 2 from k_1, Eq 50 runs layer 3 up to T."""
    net = unrolled(layers)
    expected, _ = the_map(net.graph, net.x)
    assert error(net.matrix(frozenset({layer})), expected) > WRONG
    assert error(net.matrix(frozenset(range(1, layers))), expected) > WRONG


class Leaky(nn.Module):
    """A recurrent network with a nonlinearity of negative slope."""

    def __init__(self, sigma: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.into, self.rec, self.sigma = nn.Linear(2, WIDTH), nn.Linear(WIDTH, WIDTH, bias=False), sigma

    def forward(self, x: Tensor) -> Tensor:
        state = self.sigma(self.into(x[:, 0]))
        for t in range(1, STEPS):
            state = self.sigma(self.into(x[:, t]) + self.rec(state))
        return state


@pytest.mark.parametrize(("sigma", "harmless"), [(torch.relu, True), (nn.LeakyReLU(0.4), False), (nn.Hardtanh(), False)])
def test_one_layer_unrolled_in_time_as_printed(sigma: Callable[[Tensor], Tensor], harmless: bool) -> None:
    """Its first line, A_sigma (W_in x + b_sigma + A_sigma b), has A_sigma once too often on both biases.

    That is harmless for ReLU only, whose slopes are their own squares and whose b_sigma is 0.
    """
    torch.manual_seed(1)
    module = Leaky(sigma).double().eval()
    x = 2 * torch.randn(1, STEPS, 2, dtype=torch.float64)
    graph = trace(module, x)
    _, b = the_map(graph, x)
    switches = [f for n, f in factors(graph, x).items() if getattr(graph[n].op, "family", "") == "spline"]
    assert len(switches) == STEPS
    D = {t: f.matrix.toarray() for t, f in enumerate(switches, start=1)}
    rec, bias = module.rec.weight.detach().numpy(), module.into.bias.detach().numpy()
    steps = {t: D[t] @ rec for t in D}
    right = printed = np.zeros(WIDTH)
    for t, factor in enumerate(switches, start=1):
        carried = downward(steps, STEPS, t + 1, WIDTH)
        right = right + carried @ (factor.bias + D[t] @ bias)
        printed = printed + carried @ D[t] @ (factor.bias + D[t] @ bias)
    assert error(right, b) < TIGHT
    assert (error(printed, b) < TIGHT) == harmless
    assert harmless or error(printed, b) > WRONG
