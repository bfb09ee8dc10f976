"""Both ends of Lipschitz constants: theorems, sampled norms, known values, planted faults."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.lipschitz.certificate import Certificate
from splinegraph.analyses.lipschitz.domain import Domain
from splinegraph.analyses.lipschitz.jacobians import matrices, norms
from splinegraph.analyses.lipschitz.sdp.inequality import Inequality
from splinegraph.analyses.lipschitz.sdp.interior import solve, start
from splinegraph.analyses.lipschitz.taking_apart import units
from splinegraph.errors import DomainError, SplineGraphError
from tests.analyses.regions.nets import mlp
from tests.marks import few

ACTIVATIONS: tuple[Callable[[], nn.Module], ...] = (
    nn.ReLU, lambda: nn.LeakyReLU(0.3), nn.Hardtanh, nn.Tanh, nn.GELU, lambda: nn.LeakyReLU(-1.5),
)  # fmt: skip


def traced(net: nn.Module, *shape: int) -> sg.SplineGraph:
    return sg.trace(net.double().eval(), torch.zeros(1, *shape, dtype=torch.float64))


def published(*widths: int) -> sg.SplineGraph:
    """Return a network with torch's own initialization in float32, seed 0, then cast."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for n, m in itertools.pairwise(widths):
        layers += [nn.Linear(n, m), nn.ReLU()]
    return traced(nn.Sequential(*layers[:-1]), widths[0])


def sampled(graph: sg.SplineGraph, norm: float, box: sg.Box | None, count: int = 2000) -> float:
    draw = torch.Generator().manual_seed(7)
    (shape,) = graph.input_shapes
    x = (
        5 * torch.randn(count, *shape, dtype=torch.float64, generator=draw)
        if box is None
        else box.sample(count, generator=draw)
    )
    A, boundary = matrices(graph, x.double())
    return float(norms(A, norm)[~boundary].max())


# known values


@pytest.mark.parametrize(
    ("widths", "product", "semidefinite"),
    [((2, 16, 16, 1), 1.0300, 0.34498), ((10, 20, 15, 10, 3), 0.8421, 0.31447), ((784, 50, 10), 0.5581, 0.45106)],
)
def test_published_values_of_product_and_semidefinite_bound(
    widths: tuple[int, ...], product: float, semidefinite: float
) -> None:
    graph = published(*widths)
    found = units(graph)
    assert found is not None
    inequality = Inequality(found.reduced())
    T = start(inequality)
    assert T is not None
    assert math.sqrt(inequality.certified(solve(inequality, T).T)) == pytest.approx(semidefinite, rel=3e-5)
    assert sg.lipschitz(graph, budget=0).upper == pytest.approx(product, rel=1e-4)


@pytest.mark.slow
def test_closes_a_small_network() -> None:
    found = sg.lipschitz(published(2, 16, 16, 1), budget=60)
    assert found.lower == pytest.approx(0.22062957, rel=1e-7)
    assert found.lower <= 0.22062957348 <= found.upper <= found.lower * (1 + 2e-6)


def test_a_product_is_not_the_constant() -> None:
    """Paper Eq 72: diag(1, 0) followed by [0, 1] has the product 1, and is zero."""
    first, second = nn.Linear(2, 2, bias=False), nn.Linear(2, 1, bias=False)
    first.weight.data = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    second.weight.data = torch.tensor([[0.0, 1.0]])
    graph = traced(nn.Sequential(first, nn.ReLU(), second), 2)
    found = sg.lipschitz(graph)
    assert found.product is not None
    assert found.product.upper == pytest.approx(1)
    assert found.upper < 1e-6


def test_a_contraction_is_below_its_square() -> None:
    """Paper Eq 67 has the square of the largest norm as an upper bound: of x / 2 that is 1/4, the truth 1/2."""
    half = nn.Linear(1, 1, bias=False)
    half.weight.data.fill_(0.5)
    found = sg.lipschitz(traced(half, 1))
    assert found.lower > 0.25
    assert found.upper == pytest.approx(0.5)


def test_kinks_are_no_witnesses() -> None:
    """10 x - 10 (relu(x) - relu(-x)) is zero; at 0 automatic differentiation says 10."""

    class Zero(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 10 * x - 10 * (torch.relu(x) - torch.relu(-x))

    found = sg.lipschitz(traced(Zero(), 1), starts=[torch.zeros(1, 1, dtype=torch.float64)])
    assert found.lower == 0
    assert found.upper < 1e-5


# soundness


@pytest.mark.parametrize("seed", few(range(3)))
@pytest.mark.parametrize("radius", [None, 0.2])
@pytest.mark.parametrize("norm", [1, 2, math.inf])
def test_lies_between_samples_and_the_upper_end(seed: int, radius: float | None, norm: float) -> None:
    torch.manual_seed(seed)
    activation = ACTIVATIONS[seed % len(ACTIVATIONS)]
    graph = traced(mlp(3, 7, 5, 2, activation=activation), 3)
    box = None if radius is None else sg.Box(torch.full((3,), -radius), torch.full((3,), radius))
    found = sg.lipschitz(graph, norm, box, budget=0.5)
    assert found.lower <= found.upper
    assert sampled(graph, norm, box) <= found.upper * (1 + 1e-9)
    assert found.witness is not None
    A, boundary = matrices(graph, *(x[None] for x in found.witness.inputs))
    assert not boundary.any()
    assert float(norms(A, norm)[0]) >= found.lower
    assert box is None or bool(box.contains(found.witness.inputs[0]))


@pytest.mark.parametrize("seed", range(4))
def test_branch_and_bound_meets_the_largest_norm_of_all_cells(seed: int) -> None:
    """On a box the constant is the largest norm of the cells' maps, listed by another algorithm."""
    torch.manual_seed(seed)
    graph = traced(mlp(3, 6, 5, 2), 3)
    box = sg.Box(torch.full((3,), -1.0), torch.full((3,), 1.0))
    cells = sg.enumerate_regions(graph, box)
    A, _ = matrices(graph, cells.inputs())
    exact = float(norms(A, 2).max())
    found = sg.lipschitz(graph, 2, box, budget=60)
    assert found.lower <= exact * (1 + 1e-9)
    assert exact <= found.upper * (1 + 1e-9)
    assert found.upper <= found.lower * (1 + 3e-6)


@pytest.mark.parametrize("net", ["dead", "duplicate", "zero", "no bias"])
def test_degenerate_networks(net: str) -> None:
    torch.manual_seed(0)
    model = mlp(2, 5, 4, 1)
    first = model[0]
    assert isinstance(first, nn.Linear)
    with torch.no_grad():
        if net == "dead":
            first.bias[:2] = -100
        elif net == "duplicate":
            first.weight[1], first.bias[1] = first.weight[0], first.bias[0]
            first.weight[2], first.bias[2] = -first.weight[0], -first.bias[0]
        elif net == "zero":
            first.weight.zero_()
        else:
            for layer in model:
                if isinstance(layer, nn.Linear):
                    layer.bias.zero_()
    graph = traced(model, 2)
    found = sg.lipschitz(graph, budget=20)
    assert sampled(graph, 2, None) <= found.upper * (1 + 1e-9) + 1e-9
    assert found.lower <= found.upper


def test_fixed_entries_do_not_count() -> None:
    line = nn.Linear(2, 1, bias=False)
    line.weight.data = torch.tensor([[3.0, 4.0]])
    found = sg.lipschitz(traced(line, 2), 2, sg.Box(torch.tensor([-1.0, 0.5]), torch.tensor([1.0, 0.5])))
    assert found.lower == pytest.approx(3)
    assert 3 <= found.upper < 3.001


# certificates


def test_certificates_verify_and_refuse_less() -> None:
    graph = published(10, 20, 15, 10, 3)
    product = sg.lipschitz(graph, budget=0).certificate
    assert product.verify()
    assert not dataclasses.replace(product, upper=0.84).verify()
    found = units(graph)
    assert found is not None
    inequality = Inequality(found.reduced())
    T = start(inequality)
    assert T is not None
    T = solve(inequality, T).T
    proof = Certificate(graph, Domain(), 2, math.sqrt(inequality.certified(T)), "semidefinite", {"T": T})
    assert proof.verify()
    assert not dataclasses.replace(proof, upper=0.3144).verify()  # below what any multipliers prove
    assert not dataclasses.replace(proof, arrays={"T": 0.01 * T}).verify()


# what is refused


@pytest.mark.parametrize("norm", [0, 3, "2", math.nan])
def test_refuses_other_norms(norm: float) -> None:
    with pytest.raises(SplineGraphError, match="norm"):
        sg.lipschitz(published(2, 3, 1), norm)


def test_refuses_domains_that_do_not_fit() -> None:
    with pytest.raises(SplineGraphError):
        sg.lipschitz(published(2, 3, 1), on=sg.Box(torch.zeros(3), torch.ones(3)))
    with pytest.raises(DomainError, match="Box"):
        sg.lipschitz(published(2, 3, 1), on=sg.Segment(torch.zeros(2), torch.ones(2)))


def test_jumps_make_the_upper_end_infinite_and_are_named() -> None:
    class Step(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sign(x)

    found = sg.lipschitz(traced(Step(), 2), budget=1)
    assert found.upper == math.inf
    assert found.product is not None
    assert [node.op.label for node in found.product.unbounded] == ["Sign"]
