"""Input-convex modules: nonnegative weights by construction, and the rules certify what is made of them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from splinegraph.analyses.convexity.curvature import propagate
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Curvature
from splinegraph.errors import ShapeError, SplineGraphError
from splinegraph.nn import ConvexConv2d, ConvexLinear, ConvexSequential, icnn
from splinegraph.nn.weights import initial, nonnegative, raw_of
from splinegraph.tracers.tracing import trace

KINDS = ("softplus", "square", "exp", "relu")


def certified(graph: SplineGraph) -> bool:
    flags = propagate(graph)
    return all(bool(Curvature.CONVEX.held_by(flags[name]).all()) for name in graph.outputs)


def image_net() -> ConvexSequential:
    return ConvexSequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.LeakyReLU(0.1),
        ConvexConv2d(4, 4, 3, padding=1, passthrough=1), nn.ReLU(), nn.MaxPool2d(2),
        ConvexConv2d(4, 2, 2, stride=2, groups=2), nn.ReLU(), nn.Flatten(), ConvexLinear(8, 3),
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_nonnegative_whatever_the_parameters(kind: str) -> None:
    raw = 5 * torch.randn(1000, dtype=torch.float64)
    assert bool((nonnegative(raw, kind) >= 0).all())
    weight = torch.rand(1000, dtype=torch.float64) + 1e-3
    assert torch.allclose(nonnegative(raw_of(weight, kind), kind), weight, rtol=1e-12)


def test_initial_weights_have_the_moments_that_are_declared() -> None:
    n = 4  # with more, a heavy tail makes the variance of a sample vary too much
    drawn, bias = initial(torch.empty(100_000, n, dtype=torch.float64), n)
    assert float(drawn.min()) > 0
    assert float(drawn.var()) == pytest.approx(1 / n, rel=0.05)
    # the mean of a pre-activation of ReLUs of standard normals is zero
    assert n * float(drawn.mean()) / math.sqrt(2 * math.pi) == pytest.approx(-bias, rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_icnn_is_certified_convex_and_its_parameters_are_the_users_own(kind: str) -> None:
    net = icnn(3, [6, 6], 2, positive=kind, passthrough=kind != "exp").eval()
    graph = trace(net, torch.zeros(1, 3))
    assert graph.exact
    assert certified(graph)
    own = {id(p) for p in net.parameters()}
    assert {id(p) for p in graph.parameters()} == own


def test_the_certificate_follows_the_weights_through_training() -> None:
    net = icnn(2, [8, 8]).double()
    x, y = torch.randn(64, 2, dtype=torch.float64), torch.randn(64, 1, dtype=torch.float64)
    graph = trace(net.eval(), x[:1])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.3)
    before = ((net(x) - y) ** 2).mean().item()
    for _ in range(20):
        optimizer.zero_grad()
        ((net(x) - y) ** 2).mean().backward()
        optimizer.step()
    assert ((net(x) - y) ** 2).mean().item() < before
    assert certified(graph)
    assert torch.equal(graph(x), net(x))


def test_images_are_certified_too_and_midpoints_agree() -> None:
    net = image_net().double().eval()
    graph = trace(net, torch.zeros(1, 1, 8, 8, dtype=torch.float64))
    assert graph.exact
    assert certified(graph)
    x, y = torch.randn(2, 200, 1, 8, 8, dtype=torch.float64)
    assert bool((net((x + y) / 2) <= (net(x) + net(y)) / 2 + 1e-12).all())


def test_a_free_weight_after_the_first_activation_is_not_certified() -> None:
    """The planted fault: what `ConvexSequential` refuses would not be convex."""
    net = nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 1)).eval()
    assert not certified(trace(net, torch.zeros(1, 3)))
    with pytest.raises(SplineGraphError, match=r"Linear after a convex layer at module '3': its weights may be neg"):
        ConvexSequential(nn.Linear(3, 6), nn.ReLU(), ConvexLinear(6, 6), nn.Linear(6, 1))


def test_set_weight() -> None:
    layer = ConvexLinear(3, 2, positive="square").double()
    weight = torch.tensor([[0.0, 1.0, 2.0], [3.0, 0.5, 0.25]], dtype=torch.float64)
    layer.set_weight(weight)
    assert torch.allclose(layer.weight, weight, atol=1e-7)
    with pytest.raises(ShapeError, match="all >= 0"):
        layer.set_weight(-weight)


def test_bad_input_is_one_clear_line() -> None:
    with pytest.raises(SplineGraphError, match=r"made nonnegative by 'abs'; give one of softplus, square, exp, relu"):
        ConvexLinear(2, 2, positive="abs")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"was given no input of the network; call it with \(z, x\)"):
        ConvexLinear(2, 2, passthrough=3)(torch.zeros(1, 2))
    with pytest.raises(ShapeError, match="make it with passthrough="):
        ConvexLinear(2, 2)(torch.zeros(1, 2), torch.zeros(1, 2))
    with pytest.raises(ShapeError, match="3 groups do not divide 4"):
        ConvexConv2d(4, 6, 3, groups=3)
    with pytest.raises(ShapeError, match="needs a hidden layer"):
        icnn(2, [])


def test_printing() -> None:
    assert "passthrough=4" in repr(ConvexLinear(2, 3, passthrough=4))
    assert "kernel_size=3" in repr(ConvexConv2d(2, 3, 3))


def test_sizes_and_weights_that_make_no_layer() -> None:
    for make in (
        lambda: ConvexLinear(0, 2),
        lambda: ConvexLinear(2, -1),
        lambda: ConvexLinear(2, 2, passthrough=-1),
        lambda: ConvexConv2d(2, 2, 0),
        lambda: ConvexConv2d(2, 2, (3, 3)),  # type: ignore[arg-type]
    ):
        with pytest.raises(ShapeError, match="give whole numbers, at least 1"):
            make()
    with pytest.raises(ShapeError, match="all >= 0"):
        ConvexLinear(1, 1).set_weight(torch.tensor([[math.nan]]))
