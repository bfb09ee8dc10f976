"""The hyperplanes of convex networks: theorems, brute force in exact rationals, refusals with witnesses."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn

from splinegraph.core.domains.plane import Plane
from splinegraph.core.domains.segment import Segment
from splinegraph.core.exact import evaluate_exact
from splinegraph.core.values import Box
from splinegraph.errors import DomainError, NotConvexError, SplineGraphError
from splinegraph.nn import MaxAffine, icnn
from splinegraph.tracers.tracing import trace
from splinegraph.transforms.max_affine import MaxAffineForm, max_affine

SQUARE = Box(-torch.ones(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64))


def traced(net: nn.Module, size: int = 2):
    return trace(net.double().eval(), torch.zeros(1, size, dtype=torch.float64))


def exact_error(form: MaxAffineForm, x: torch.Tensor, output: int = 0) -> Fraction:
    """Return |max_k <a_k, x> + b_k - f(x)| in exact rationals."""
    point = [Fraction(v) for v in x.tolist()]
    values = [
        sum((Fraction(s) * p for s, p in zip(row, point, strict=True)), Fraction(b))
        for row, b in zip(form.A[output].tolist(), form.b[output].tolist(), strict=True)
    ]
    best = min(values) if form.concave else max(values)
    return abs(best - evaluate_exact(form.graph, x)[output])


def test_a_maximum_of_planes_gives_back_those_that_win_somewhere() -> None:
    A = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [0.1, 0.1]], dtype=torch.float64)
    b = torch.tensor([0.0, 0.0, 0.0, 0.0, -0.5], dtype=torch.float64)
    form = max_affine(traced(MaxAffine.from_planes(A, b)), SQUARE)
    found = {(*a, c) for a, c in zip(form.A[0].tolist(), form.b[0].tolist(), strict=True)}
    assert found == {(*a, c) for a, c in zip(A[:4].tolist(), b[:4].tolist(), strict=True)}
    assert form.agreement.kind == "exact"
    assert form.cells == 4


@pytest.mark.parametrize("sign", [pytest.param(1.0, marks=pytest.mark.slow), -1.0])
def test_icnn_within_the_certified_agreement(sign: float) -> None:
    graph = traced(icnn(2, [5, 4], 2)) * sign
    form = max_affine(graph, SQUARE)
    assert form.concave == (sign < 0)
    assert form.agreement.upper < 1e-14
    for x in SQUARE.sample(4):
        assert max(exact_error(form, x, output) for output in (0, 1)) <= form.agreement.upper
    # a plane that is moved by a hundredth is noticed: the check has teeth
    form.b[0][:] += 0.01
    assert exact_error(form, x) > form.agreement.upper
    form.b[0][:] -= 0.01
    x = SQUARE.sample(100)
    assert torch.allclose(form.module()(x), graph(x), atol=1e-12)
    assert torch.allclose(form(x), graph(x), atol=1e-12)


def test_rounded_slopes_are_in_the_agreement() -> None:
    net = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 1, bias=False)).double()
    net[0].weight.data.normal_()  # in float64, so that products are rounded
    net[2].weight.data.uniform_()
    form = max_affine(traced(net), SQUARE)
    assert not np.concatenate(form.b).any()
    assert 0 < max(float(exact_error(form, x)) for x in SQUARE.sample(4)) <= form.agreement.upper < 1e-14


def test_no_plane_is_redundant_and_cells_with_one_map_have_one_plane() -> None:
    class Twice(nn.Module):
        """|x0| + |x1| + relu(u) + relu(-u) - |u|: the last three cancel, and cut cells in two."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            u = x[:, :1] + 0.5 * x[:, 1:] - 0.25
            return x.abs().sum(1, keepdim=True) + torch.relu(u) + torch.relu(-u) - u.abs()

    form = max_affine(traced(Twice()), SQUARE)
    assert form.cells > 4
    assert form.pieces == (4,)
    x = SQUARE.sample(2000)
    values = x.numpy() @ form.A[0].T + form.b[0]
    assert set(values.argmax(1).tolist()) == {0, 1, 2, 3}


def test_affine_networks_have_one_plane() -> None:
    net = nn.Linear(2, 3)
    form = max_affine(traced(net), SQUARE)
    assert form.pieces == (1, 1, 1)
    assert np.array_equal(np.concatenate(form.A), net.weight.detach().numpy())
    assert form.agreement.upper == 0.0


def test_planes_segments_and_fixed_coordinates() -> None:
    graph = traced(icnn(3, [5], 1), 3)
    origin, one, two = torch.randn(3, 3, dtype=torch.float64)
    fixed = Box(torch.tensor([-1.0, 0.25, -1.0]).double(), torch.tensor([1.0, 0.25, 1.0]).double())
    for domain in (Plane.through(origin, one, two), Segment(origin, one), fixed):
        form = max_affine(graph, domain)
        for x in domain.sample(5):
            # the point itself is rounded off the plane
            assert float(exact_error(form, x)) <= form.agreement.upper + 1e-13


def test_refusals_carry_witnesses() -> None:
    torch.manual_seed(1)
    graph = traced(nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)))
    with pytest.raises(NotConvexError, match=r"output \[0\] is no maximum.*neither convex nor concave") as caught:
        max_affine(graph, SQUARE)
    assert {w.against for w in caught.value.witnesses} == {"convex", "concave"}
    assert all(w.verify() for w in caught.value.witnesses)


def test_a_small_dent_is_found_by_facets() -> None:
    """Convex but for a dent of depth 1e-6 in a tiny corner, which random chords miss."""
    dent = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        dent[0].weight.copy_(torch.tensor([[1.0, 1.0], [1.0, 1.0]]))
        dent[0].bias.copy_(torch.tensor([0.0, -1.9999]))
        dent[2].weight.copy_(torch.tensor([[1.0, -1e-2]]))
    with pytest.raises(NotConvexError) as caught:
        max_affine(traced(dent), SQUARE)
    assert all(w.verify() for w in caught.value.witnesses)


def test_errors_say_what_to_do() -> None:
    graph = traced(icnn(2, [6], 1))
    with pytest.raises(SplineGraphError, match=r"not all known.*raise them, or give a smaller domain"):
        max_affine(graph, SQUARE, limit=2)
    with pytest.raises(DomainError, match="unbounded"):
        max_affine(graph, Box.everything((2,)))

    class Mixed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x.abs(), -x.abs()], 1)

    with pytest.raises(NotConvexError, match=r"output \[2\] is concave and output \[0\] is convex; choose one"):
        max_affine(traced(Mixed()), SQUARE)


def test_summaries() -> None:
    form = max_affine(traced(icnn(2, [3], 1)), SQUARE)
    assert f"maximum of {form.pieces[0]} affine functions, from {form.cells} cells" in repr(form)
    assert form.to_dict()["pieces"] == list(form.pieces)
