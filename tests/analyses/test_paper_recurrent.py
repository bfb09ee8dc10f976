"""The paper's formulas for recurrent networks, Eq 48-50 and the lines before, written out from factors.

R. Balestriero and R. Baraniuk, "A Spline Theory of Deep Learning", 2017. Where a formula is wrong as printed,
the right one is tested, and that the printed one fails.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from splinegraph.analyses.factors import factors
from splinegraph.tracers.tracing import trace
from tests.analyses.paper import TIGHT, WRONG, Matrix, downward, error, product, the_map

STEPS, WIDTH = 3, 3


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


@pytest.mark.parametrize(
    ("sigma", "harmless"), [(torch.relu, True), (nn.LeakyReLU(0.4), False), (nn.Hardtanh(), False)]
)
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
