"""Matrices of `splinegraph.separation` against the operators' own matrices A, and the laws they obey."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.separation.frobenius import differing
from splinegraph.core.walk import walk


class _Folded(nn.Module):
    """PReLU with a slope per channel, where the batch is not the first axis."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act = nn.Linear(3, 8), nn.PReLU(4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x).reshape(-1, 4, 2).permute(2, 1, 0)
        return self.act(y).amax(0).transpose(0, 1).relu()


def _net(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), *layers)


SHAPE = (1, 6, 6)
NETS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "relu": (lambda: _net(nn.ReLU()), SHAPE),
    "leaky": (lambda: _net(nn.LeakyReLU(0.1)), SHAPE),
    "prelu": (lambda: _net(nn.PReLU(4), nn.Flatten(), nn.Linear(144, 6), nn.PReLU(1)), SHAPE),
    "hardtanh": (lambda: _net(nn.Hardtanh(-0.3, 0.4)), SHAPE),
    "pooling": (lambda: _net(nn.MaxPool2d(3, stride=2, padding=1)), SHAPE),
    "folded": (_Folded, (3,)),
}


def _made(name: str, count: int = 7) -> tuple[sg.SplineGraph, Tensor]:
    torch.manual_seed(len(name))
    make, shape = NETS[name]
    model = make().double().eval()
    for module in model.modules():
        if isinstance(module, nn.PReLU):
            module.weight.data.uniform_(-0.5, 0.5)
    return sg.trace(model, torch.zeros(1, *shape, dtype=torch.float64)), torch.randn(count, *shape).double()


def _matrices(graph: sg.SplineGraph, x: Tensor, name: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return the operator's A as a matrix, its value and its code, for one sample."""
    found: list[Tensor] = []

    def rule(node: sg.Node, op: Any, xs: tuple[Tensor, ...]) -> Tensor:
        if node.name == name:
            (arg,), code = xs, op.code(*xs)
            basis = torch.eye(arg.numel(), dtype=arg.dtype).reshape(-1, *arg.shape)
            A = op.piece(code, [arg.shape]).tangent(basis).reshape(arg.numel(), -1)
            found.extend((A, op.forward(*xs).flatten(), code.flatten()))
        value: Tensor = op.forward(*xs)
        return value

    with torch.no_grad():
        walk(graph, (x,), rule, operators=graph.resolved(x.dtype, x.device, 1))
    return found[0], found[1], found[2]


@pytest.mark.parametrize("name", NETS)
def test_matrices_are_those_of_the_explicit_operators(name: str) -> None:
    graph, X = _made(name)
    result = sg.separation(graph, X, values=True)
    assert len(result) >= 1
    for layer in result:
        A, z, code = (torch.stack(t) for t in zip(*(_matrices(graph, x[None], layer.name) for x in X), strict=True))
        apart = code[:, None] != code
        square = (z[:, None] - z) ** 2
        expected = {
            "similarity": torch.einsum("iab,jab->ij", A, A),
            "distance": ((A[:, None] - A) ** 2).sum((2, 3)),
            "hamming": apart.sum(2),
            "same": (square * ~apart).sum(2),
            "other": (square * apart).sum(2),
        }
        assert layer.values is not None
        for key, matrix in expected.items():
            found = getattr(layer.values if key in ("same", "other") else layer, key)
            np.testing.assert_allclose(found, matrix.numpy(), atol=1e-12, rtol=1e-12, err_msg=f"{layer.name} {key}")


@pytest.mark.parametrize("name", NETS)
def test_laws(name: str) -> None:
    graph, X = _made(name, 10)
    X[3] = X[7]
    for layer in sg.separation(graph, X, values=True):
        assert layer.distance is not None
        assert layer.similarity is not None
        assert layer.values is not None
        for matrix in (layer.hamming, layer.distance, layer.values.same, layer.values.other):
            assert (matrix == matrix.T).all()
            assert (np.diag(matrix) == 0).all()
            assert (matrix >= 0).all()
        assert layer.distance[3, 7] == layer.hamming[3, 7] == 0
        assert layer.hamming.max() <= layer.units
        assert layer.distance.max() <= layer.largest * (1 + 1e-12)
        squares = np.diag(layer.similarity)
        np.testing.assert_allclose(layer.distance, squares[:, None] + squares - 2 * layer.similarity, atol=1e-9)


def test_the_papers_factors_of_hamming() -> None:
    eta = NETS["leaky"]
    assert eta is not None
    for name, factor in (("relu", 1.0), ("leaky", 0.81), ("pooling", 2.0)):
        graph, X = _made(name)
        (layer,) = sg.separation(graph, X)
        np.testing.assert_allclose(layer.distance, factor * layer.hamming, rtol=1e-12)
        assert layer.largest == pytest.approx(factor * layer.units)
    graph, X = _made("pooling")
    (layer,) = sg.separation(graph, X)  # the paper's norm of A1^T A2 would be constant here
    assert (layer.similarity == layer.units - layer.hamming).all()
    graph, X = _made("relu")
    (layer,) = sg.separation(graph, X)
    on = sg.codes(graph, X).unpack("relu").flatten(1).double()
    assert (layer.similarity == (on @ on.T).numpy()).all()


def test_more_common_units_do_not_bring_values_nearer() -> None:
    """The paper's (135) by its counterexample."""
    graph = sg.trace(nn.Sequential(nn.ReLU()).eval(), torch.zeros(1, 2))
    (layer,) = sg.separation(graph, torch.tensor([[1.0, 1.0], [100.0, 100.0], [1.0, -1.0], [-1.0, 1.0]]), values=True)
    assert layer.similarity is not None
    assert layer.values is not None
    assert (layer.similarity[0, 1], layer.similarity[2, 3]) == (2, 0)
    assert layer.values.total[0, 1] == pytest.approx(2 * 99.0**2)
    assert layer.values.total[2, 3] == pytest.approx(2.0)
    assert layer.values.other[2, 3] == pytest.approx(2.0)  # of units active for one alone
    assert layer.values.same[0, 1] == pytest.approx(2 * 99.0**2)


@pytest.mark.parametrize("count", [1, 2, 4, 9])
@pytest.mark.parametrize("units", [1, 7, 64, 200])
def test_counting_agrees_with_bytes(count: int, units: int) -> None:
    torch.manual_seed(units)
    graph = sg.trace(nn.Sequential(nn.Hardtanh()).eval(), torch.zeros(1, units))
    found = sg.codes(graph, 2 * torch.randn(count, units))
    assert (differing(found, found.layers[0]) == found.hamming()).all()


def test_codes_that_name_no_matrix_are_compared_as_codes() -> None:
    class Steps(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.where(x[:, :2] > 0, x[:, 2:], x[:, :2])

    graph = sg.trace(Steps().eval(), torch.zeros(1, 4))
    found = sg.separation(graph, torch.tensor([[1.0, -1, 0, 0], [1, 1, 0, 0], [-1, -1, 0, 0]]))
    chosen = [layer for layer in found if layer.distance is None]
    assert chosen
    for layer in chosen:
        assert layer.similarity is None
        assert (layer.relative == layer.hamming / layer.units).all()


def test_unbatched_graph_gives_the_same() -> None:
    class Whole(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.prelu(x.reshape(1, 5), torch.tensor([0.1, -0.2, 0.3, 0.4, 0.5]))

    class Batched(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.prelu(x, torch.tensor([0.1, -0.2, 0.3, 0.4, 0.5]))

    whole, batched = (sg.trace(net.eval(), torch.zeros(1, 5)) for net in (Whole(), Batched()))
    assert not whole.batched
    assert batched.batched
    X = torch.randn(6, 5)
    (layer,), (same,) = (sg.separation(graph, X, values=True) for graph in (whole, batched))
    assert layer.distance is not None
    assert layer.values is not None
    assert same.values is not None
    np.testing.assert_allclose(layer.distance, same.distance, atol=1e-12)
    np.testing.assert_allclose(layer.values.total, same.values.total, atol=1e-12)


def test_bad_input_is_refused_in_one_line() -> None:
    graph, X = _made("relu")
    for y in ([0, 1], [0.5] * 7, "labels", [[0]] * 7):
        with pytest.raises(sg.SplineGraphError, match="give one integer per sample"):
            sg.separation(graph, X, y)
    with pytest.raises(sg.SplineGraphError, match="node 'conv2d' has no codes; choose of relu"):
        sg.separation(graph, X, layers=["conv2d"])
    with pytest.raises(sg.SplineGraphError, match="there is no layer 'nothing'"):
        sg.separation(graph, X)["nothing"]
    with pytest.raises(sg.SplineGraphError, match="there are no labels"):
        sg.separation(graph, X).depth()
    with pytest.raises(sg.SplineGraphError, match="different labels"):
        sg.separation(graph, X, [0] * 7).compare(sg.separation(graph, X))
    with pytest.raises(sg.SplineGraphError, match="different layers or samples"):
        sg.separation(graph, X).compare(sg.separation(graph, X[:3]))


def test_no_units_one_sample_and_one_class() -> None:
    smooth = sg.trace(nn.Sequential(nn.Linear(2, 2), nn.Tanh()).eval(), torch.zeros(1, 2))
    assert len(sg.separation(smooth, torch.zeros(3, 2), [0, 1, 1])) == 0
    graph, X = _made("relu")
    alone = sg.separation(graph, X[:1], [0])
    assert alone[0].mean is None
    single = sg.separation(graph, X, [3] * 7)
    assert single[0].classes is not None
    assert single[0].classes.within == pytest.approx(single[0].mean)
    assert single[0].classes.order is single[0].classes.purity is single[0].classes.between is None
    assert single.depth() is None
    assert json.dumps([alone.to_dict(), single.to_dict()], allow_nan=False)
