"""The module `MaxAffine`: values, and what a trace makes of it."""

from __future__ import annotations

import pytest
import torch

from splinegraph.analyses.codes import codes
from splinegraph.analyses.convexity.curvature import propagate
from splinegraph.core.values import Curvature
from splinegraph.errors import ShapeError, SplineGraphError
from splinegraph.nn import MaxAffine
from splinegraph.tracers.tracing import trace


@pytest.mark.parametrize("concave", [False, True])
def test_values_trace_and_curvature(concave: bool) -> None:
    net = MaxAffine(3, 5, 2, concave=concave).double().eval()
    x = torch.randn(50, 3, dtype=torch.float64)
    rows = torch.stack([torch.stack([x @ a + b for a, b in zip(*planes, strict=True)], 1)
                        for planes in zip(net.weight, net.bias, strict=True)], 1)  # fmt: skip
    expected = rows.amin(-1) if concave else rows.amax(-1)
    assert torch.allclose(net(x), expected, rtol=1e-12)
    graph = trace(net, x[:1])
    assert graph.exact
    assert torch.equal(graph(x), net(x))
    flag = Curvature.CONCAVE if concave else Curvature.CONVEX
    assert bool((propagate(graph)[graph.outputs[0]] == int(flag)).all())
    if not concave:  # the code is the hyperplane that wins
        (layer,) = codes(graph, x).layers
        assert torch.equal(codes(graph, x).unpack(layer.name).long().reshape(50, 2), rows.argmax(-1))


def test_from_planes_takes_one_output_or_several_and_keeps_the_dtype() -> None:
    one = MaxAffine.from_planes([[1.0, 2.0], [0.0, -1.0]], [0.5, 0.0])
    assert one.weight.shape == (1, 2, 2)
    two = MaxAffine.from_planes(torch.randn(3, 4, 2, dtype=torch.float64), torch.zeros(3, 4), concave=True)
    assert two.weight.dtype == torch.float64
    assert two(torch.zeros(7, 2, dtype=torch.float64)).shape == (7, 3)
    assert "concave=True" in repr(two)


def test_bad_shapes() -> None:
    with pytest.raises(ShapeError, match=r"hyperplanes of shapes \(1, 2, 1\) and \(1, 3\); give A of shape"):
        MaxAffine.from_planes([[1.0], [2.0]], [0.0, 0.0, 0.0])
    with pytest.raises(SplineGraphError, match="pieces is 0; give a whole number, at least 1"):
        MaxAffine(2, 0)


def test_hyperplanes_of_whole_numbers() -> None:
    assert MaxAffine.from_planes([[1], [-1]], [0, 0])(torch.tensor([[-2.0]])).item() == 2
