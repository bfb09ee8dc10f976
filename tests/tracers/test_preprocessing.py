"""A normalization put in front of a graph, and a softmax taken off its end."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import splinegraph as sg
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import ShapeError
from splinegraph.operators.preprocessing import Normalize
from splinegraph.tracers.loading import logits, normalized
from splinegraph.tracers.tracing import trace

MEAN, STD = (0.4, 0.5, -0.6), (0.1, 2.0, 0.3)


class Attention(nn.Module):
    """Softmax in the middle, at an end, and a value that is an output and read as well."""

    def forward(self, x):
        weights = torch.softmax(x @ x.mT, -1)
        return weights, torch.log_softmax(weights @ x, -1), torch.softmax(x.flatten(1), -1).reshape(x.shape)


def conv() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)).double().eval()


def graph_of(model: nn.Module, *shape: int) -> SplineGraph:
    torch.manual_seed(2)
    dtype = next((p.dtype for p in model.parameters()), torch.float32)
    return trace(model.eval(), torch.randn(1, *shape, dtype=dtype))


def test_the_graph_takes_raw_inputs() -> None:
    model, x = conv(), torch.rand(6, 3, 4, 4, dtype=torch.float64)
    plain = graph_of(model, 3, 4, 4)
    graph = normalized(plain, MEAN, STD)
    mean, std = (torch.tensor(v, dtype=torch.float64).reshape(3, 1, 1) for v in (MEAN, STD))
    torch.testing.assert_close(graph(x), model((x - mean) / std), rtol=0, atol=1e-13)
    torch.testing.assert_close(graph.module()(x), model((x - mean) / std), rtol=0, atol=1e-13)
    assert (graph.name, graph.inputs, graph.exact) == (plain.name, plain.inputs, True)
    assert [n.operator.label for n in graph.operators] == ["Normalize", *(n.operator.label for n in plain.operators)]
    assert [n.name for n in graph.operators][1:] == [n.name for n in plain.operators]


def test_local_maps_are_in_raw_units() -> None:
    """A[x] of the whole is that of the network divided by std, and both share their codes."""
    model, x = conv(), torch.rand(4, 3, 4, 4, dtype=torch.float64)
    mean, std = (torch.tensor(v, dtype=torch.float64).reshape(3, 1, 1) for v in (MEAN, STD))
    plain = graph_of(model, 3, 4, 4)
    whole, inner = sg.affine_map(normalized(plain, MEAN, STD), x), sg.affine_map(plain, (x - mean) / std)
    (a, b), (c, d) = whole.dense(), inner.dense()
    torch.testing.assert_close(a, c / std)
    torch.testing.assert_close(b, d - (c * (mean / std)).sum((-3, -2, -1)))


def test_mean_or_std_alone_and_one_number_for_all() -> None:
    plain, x = graph_of(nn.Linear(3, 2), 3), torch.randn(5, 3)
    torch.testing.assert_close(normalized(plain, mean=2.0)(x), plain(x - 2))
    torch.testing.assert_close(normalized(plain, std=(4.0,))(x), plain(x / 4))
    torch.testing.assert_close(
        normalized(plain, torch.tensor(MEAN), list(STD))(x), plain((x - torch.tensor(MEAN)) / torch.tensor(STD))
    )
    tokens = graph_of(nn.Linear(3, 2), 7, 3)  # channels are the first axis behind the batch, here of length 7
    with pytest.raises(ShapeError, match="mean has 3 numbers for 7 channels"):
        normalized(tokens, MEAN)
    assert normalized(tokens, range(7)).input_shapes == ((7, 3),)


def test_normalizing_twice_and_the_identity() -> None:
    plain, x = graph_of(nn.Identity(), 3), torch.randn(5, 3)
    twice = normalized(normalized(plain, 1.0, 2.0), 3.0, 4.0)
    torch.testing.assert_close(twice(x), ((x - 3) / 4 - 1) / 2)
    assert len({n.name for n in twice.nodes}) == len(twice.nodes)


def test_the_lipschitz_constant_is_that_of_the_smallest_std() -> None:
    operator = Normalize(torch.zeros(3), torch.tensor(STD))
    for norm in (1, 2, math.inf):
        assert operator.lipschitz(norm) == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("mean", "std", "said"),
    [
        (0.0, 0.0, "std holds 0"), (0.0, (1.0, -1.0, 1.0), "std holds -1"), (0.0, math.nan, "std holds NaN"),
        (math.inf, 1.0, "mean holds NaN or inf"), ((1.0, 2.0), 1.0, "mean has 2 numbers for 3 channels"),
        (0.0, (1.0,) * 4, "std has 4 numbers for 3 channels"),
    ],
)  # fmt: skip
def test_numbers_that_do_not_fit(mean: object, std: object, said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        normalized(graph_of(nn.Linear(3, 2), 3), mean, std)


def test_inputs_that_cannot_be_normalized() -> None:
    tokens = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 2)).eval()
    with pytest.raises(ShapeError, match="token ids"):
        normalized(trace(tokens, torch.zeros(1, 3, dtype=torch.int64)), 0.5)
    two = trace(nn.Bilinear(2, 3, 1).eval(), (torch.ones(1, 2), torch.ones(1, 3)))
    with pytest.raises(ShapeError, match="it has 2"):
        normalized(two, 0.5)


# a softmax at the end


@pytest.mark.parametrize("end", [nn.Softmax(-1), nn.LogSoftmax(-1), nn.Softmax(1)])
def test_a_trailing_softmax_is_split_off(end: nn.Module) -> None:
    body, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5)).eval(), torch.randn(6, 3)
    graph, notes = logits(graph_of(nn.Sequential(body, end), 3))
    torch.testing.assert_close(graph(x), body(x))
    assert graph.exact
    assert ("log-softmax" in notes[0]) == isinstance(end, nn.LogSoftmax)
    again, none = logits(graph)
    assert again is graph
    assert none == ()


def test_what_is_no_trailing_softmax_stays() -> None:
    x = torch.randn(4, 3, 3)
    plain = graph_of(Attention(), 3, 3)
    graph, notes = logits(plain)
    assert len(notes) == 1
    assert "output 1" in notes[0]
    first, second, third = graph(x)
    expected = Attention()(x)
    torch.testing.assert_close(first, expected[0])  # an output, but the next layer reads it too
    torch.testing.assert_close(F.log_softmax(second, -1), expected[1])
    assert not torch.allclose(second, expected[1])
    torch.testing.assert_close(third, expected[2])  # a reshape comes behind it
    for model in (nn.Sequential(nn.Linear(3, 2), nn.Sigmoid()), nn.Softmax(-1), nn.Linear(3, 2)):
        plain = graph_of(model, 3)
        assert logits(plain) == (plain, ())
