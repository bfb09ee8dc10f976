"""Families of paths through residual branches: prod (S + s M) = sum s^j V_j, and what is cut out of it."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.factors import factors
from splinegraph.core.graph import SplineGraph
from splinegraph.core.linearization import Linearization
from splinegraph.core.walk import walk
from splinegraph.errors import SplineGraphError
from tests.analyses.paths.nets import NETS, Branched, Stack, graph_of, net

CLOSE = {"rtol": 1e-10, "atol": 1e-11}
"""Sums of a few hundred terms in float64."""


def scaled(graph: SplineGraph, x: Tensor, scales: dict[tuple[str, int], complex]) -> Tensor:
    """Return the network with all gates kept at x and arguments scaled: an independent walk, in complex numbers."""
    part = Linearization(graph, [x])

    def rule(node: object, _: object, args: tuple[Tensor, ...]) -> Tensor:
        name = node.name  # type: ignore[attr-defined]
        piece = part.pieces[name]
        moved = [arg * scales.get((name, i), 1) for i, arg in enumerate(args)]
        bias = piece.apply(*(torch.zeros_like(arg.real) for arg in args))
        return torch.complex(piece.tangent(*(m.real for m in moved)) + bias, piece.tangent(*(m.imag for m in moved)))

    return walk(graph, [x.to(torch.complex128)], rule)[0][0]


@pytest.mark.parametrize("name", NETS)
def test_families_add_up(name: str) -> None:
    graph, x = net(name)
    local = sg.affine_map(graph, x)
    for by in ("length", "subset"):
        found = sg.paths(graph, x, by=by)
        assert found.complete
        assert found.error is not None
        assert found.error < 1e-12
        torch.testing.assert_close(found.inputs.sum(0), local.matvec(x), **CLOSE)
        torch.testing.assert_close(found.biases.sum(0), local.bias, **CLOSE)
        torch.testing.assert_close(found.templates([0, 1]).sum(0), local.rows([0, 1]), **CLOSE)
        assert sum(c or 0 for c in found.counts) == 2 ** len(found.branches)


@pytest.mark.parametrize("name", NETS)
def test_lengths_are_the_coefficients_at_the_roots_of_unity(name: str) -> None:
    graph, x = net(name)
    found = sg.paths(graph, x)
    count = len(found)
    roots = [torch.exp(torch.tensor(2j * math.pi * k / count, dtype=torch.complex128)).item() for k in range(count)]
    edges = [edge for branch in found.branches for edge in branch.edges]
    values = torch.stack([scaled(graph, x, dict.fromkeys(edges, root)) for root in roots])
    coefficients = torch.fft.fft(values, dim=0) / count
    torch.testing.assert_close(found.contributions, coefficients.real, **CLOSE)


@pytest.mark.parametrize("name", NETS)
def test_blocks_are_derivatives_and_count_each_path_by_its_length(name: str) -> None:
    graph, x = net(name)
    blocks, lengths = sg.paths(graph, x, by="block"), sg.paths(graph, x)
    assert not blocks.complete
    assert blocks.error is None
    j = torch.arange(len(lengths), dtype=x.dtype).reshape(-1, 1, 1)
    torch.testing.assert_close(blocks.contributions.sum(0), (j * lengths.contributions).sum(0), **CLOSE)
    weighted = torch.tensordot(j.flatten(), lengths.templates([0]), 1)
    torch.testing.assert_close(blocks.templates([0]).sum(0), weighted, **CLOSE)
    for branch, without in zip(blocks.branches, blocks.without, strict=True):
        torch.testing.assert_close(without, scaled(graph, x, dict.fromkeys(branch.edges, 0)).real, **CLOSE)


def test_a_block_is_the_derivative_of_the_network_itself_by_its_scale() -> None:
    model = Branched(4, projected=2)
    graph, x = graph_of(model, 4)
    found = sg.paths(graph, x, by="block")
    model.scales = tuple(torch.ones((), dtype=x.dtype, requires_grad=True) for _ in range(4))
    for sample, output in itertools.product(range(3), range(3)):
        slopes = torch.autograd.grad(model(x)[sample, output], model.scales)
        torch.testing.assert_close(found.contributions[:, sample, output], torch.stack(slopes), **CLOSE)


@pytest.mark.parametrize("name", ["row", "projected", "images"])
def test_one_path_is_one_product(name: str) -> None:
    """Through exactly a set of branches, by inclusion and exclusion of what is left when others are cut."""
    graph, x = net(name)
    found = sg.paths(graph, x, by="subset")
    edges = {branch.name: branch.edges for branch in found.branches}

    def within(chosen: tuple[str, ...]) -> Tensor:
        cut = {edge: 0 for name, own in edges.items() if name not in chosen for edge in own}
        return scaled(graph, x, cut).real

    for (chosen, along), row in zip(found.subsets(), found.contributions, strict=True):
        below = itertools.chain(*(itertools.combinations(chosen, k) for k in range(len(chosen) + 1)))
        expected = sum((within(s) * (-1) ** (len(chosen) - len(s)) for s in below), torch.zeros_like(row))
        torch.testing.assert_close(along, expected, **CLOSE)
        torch.testing.assert_close(along, row, **CLOSE)


def test_norms_and_templates_are_of_the_same_rows() -> None:
    graph, x = net("row")
    found = sg.paths(graph, x, classes=[2, 0])
    assert found.templates().shape == (5, 3, 2, 4)
    torch.testing.assert_close(found.norms, found.templates().norm(dim=3))
    carried = torch.einsum("fbki,bi->fbk", found.templates(), x)
    torch.testing.assert_close(carried, found.inputs[:, :, [2, 0]], **CLOSE)
    torch.testing.assert_close(found.scores.sum(0), found.contributions[:, :, [2, 0]])


def test_twenty_blocks() -> None:
    graph, x = graph_of(Stack(20), 1, 8, 8, batch=1)
    found = sg.paths(graph, x)
    assert found.counts == tuple(math.comb(20, j) for j in range(21))
    assert found.error is not None
    assert found.error < 1e-10
    blocks = sg.paths(graph, x, by="block")
    assert blocks.counts == (2**19,) * 20
    with pytest.raises(SplineGraphError, match="20 branches have 1,048,576 subsets"):
        sg.paths(graph, x, by="subset")
    few = sg.paths(graph, x, by="subset", subsets=[(), ["convs.3"], ["convs.3", "convs.19"]])
    assert few.names == ("skips only", "convs.3", "convs.3 + convs.19")
    assert few.counts == (1, 1, 1)
    assert not few.complete
    torch.testing.assert_close(few.contributions[0], found.contributions[0], **CLOSE)


def test_paths_of_nested_and_parallel_branches_are_counted() -> None:
    class Nested(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = torch.abs(x)
            y = y + torch.relu(y - 1)
            return x + torch.abs(y - 2) + torch.relu(x)

    graph = sg.trace(Nested().eval(), torch.zeros(1, 2))
    found = sg.paths(graph, torch.tensor([[3.0, -1.0]]))
    assert found.counts == (1, 2, 1)  # the skip; one outer branch, or the other; the inner one within an outer one
    assert found.error == 0


def test_the_ensemble_of_models_leaves_out_most_paths() -> None:
    """The paper keeps x + sum_l prod_{k=l..1} M_k x: prefixes, L + 1 of the 2^L paths."""
    graph, x = net("row")
    found = sg.paths(graph, x[:1])
    names = [branch.name for branch in found.branches]
    prefixes = sg.paths(graph, x[:1], by="subset", subsets=[names[:length] for length in range(5)])
    assert (sum(c or 0 for c in prefixes.counts), sum(c or 0 for c in found.counts)) == (5, 16)
    gap = (prefixes.contributions.sum(0) - found.value).abs().max()
    assert gap > 0.1 * found.value.abs().max()


def test_the_polynomial_of_matrices() -> None:
    """V_j <- S V_j + M V_{j-1} with the blocks' matrices, and biases at the length of what follows them."""
    model = Branched(3)
    graph, x = graph_of(model, 4, batch=1)
    table = factors(graph, x)
    found = sg.paths(graph, x)
    fork, V, beta = "x", [torch.eye(4, dtype=x.dtype)], [torch.zeros(4, dtype=x.dtype)]
    for branch in found.branches:
        M, c = (torch.as_tensor(m.toarray() if hasattr(m, "toarray") else m) for m in table.product(branch.value, fork))
        relu = next(n.name for n in graph.operators if branch.edges[0][0] in n.args)
        D = torch.as_tensor(table[relu].matrix.toarray())
        more = [torch.zeros_like(v) for v in (V[0], beta[0])]
        V = [D @ (low + M @ high) for low, high in zip([*V, more[0]], [more[0], *V], strict=True)]
        beta = [D @ (low + M @ high) for low, high in zip([*beta, more[1]], [more[1], *beta], strict=True)]
        beta[1] = beta[1] + D @ c
        fork = relu
    W, b = model.head.weight.detach(), model.head.bias.detach()
    torch.testing.assert_close(found.templates([0, 1, 2])[:, 0], torch.stack([W @ v for v in V]), **CLOSE)
    expected = torch.stack([W @ v for v in beta])
    expected[0] += b
    torch.testing.assert_close(found.biases[:, 0], expected, **CLOSE)
