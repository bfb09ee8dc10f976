"""Reconstructions: K x at the paper's optimal templates, projections, least squares by two ways."""

from __future__ import annotations

import json
import math

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.encoding import inverse
from splinegraph.analyses.encoding.figures import plot_reconstructions
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import ShapeError, SplineGraphError
from tests import zoo

ONE = zoo.SINGLE


def affine(weight: Tensor, bias: Tensor | None = None) -> SplineGraph:
    layer = nn.Linear(weight.shape[1], len(weight), bias=bias is not None, dtype=torch.float64)
    layer.weight.data = weight
    if bias is not None:
        layer.bias.data = bias
    return sg.trace(nn.Sequential(layer).eval(), torch.zeros(1, weight.shape[1], dtype=torch.float64))


@pytest.mark.parametrize("K", [1.0, 2.5, 0.3])
@pytest.mark.parametrize("norm", [1.0, 3.0])
def test_optimal_templates_reconstruct_the_input_times_their_energy(K: float, norm: float) -> None:
    classes, label = 7, 2
    x = torch.randn(5, dtype=torch.float64)
    x *= norm / x.norm()
    scale = torch.full((classes,), -math.sqrt(K / (classes * (classes - 1))), dtype=torch.float64)
    scale[label] = math.sqrt((classes - 1) * K / classes)
    graph = affine(scale[:, None] * x / x.norm(), torch.full((classes,), 0.7, dtype=torch.float64))
    found = sg.invert(graph, x[None])
    torch.testing.assert_close(found.reconstruction[0], K * x)  # Theorem 8 of the paper has x
    torch.testing.assert_close(found.cosine, torch.ones(1, dtype=torch.float64))
    torch.testing.assert_close(found.relative, torch.tensor([(1 - K) ** 2], dtype=torch.float64))
    assert float(sg.invert(graph, x[None], kind="least_squares").relative) < 1e-24


@pytest.mark.parametrize("name", ONE)
def test_both_kinds_by_dense_matrices(name: str) -> None:
    graph, (x,) = zoo.graph(name), zoo.inputs(name, 3)
    adjoint, solved = sg.invert(graph, x), sg.invert(graph, x, kind="least_squares")
    A, b = sg.affine_map(graph, x).dense()
    A, b, f = A.reshape(3, -1, x[0].numel()), b.reshape(3, -1, 1), graph(x).reshape(3, -1, 1)
    torch.testing.assert_close(adjoint.reconstruction.reshape(3, -1, 1), A.mT @ f)
    tol = 1e-5 if name == "transformer" else 1e-10  # its smallest singular value is 1e-9
    projection = torch.linalg.pinv(A, rtol=1e-12) @ (f - b)
    torch.testing.assert_close(solved.reconstruction.reshape(3, -1, 1), projection, atol=tol, rtol=tol)
    assert bool((solved.residual <= tol * (1 + f.norm())).all())
    assert bool((solved.error <= adjoint.error * (1 + 1e-9) + tol).all())
    assert adjoint.map.kind == ("exact" if graph.exact else "tangent")


@pytest.mark.parametrize("name", ["mlp", "cnn", "rnn", "grouped"])
def test_decomposition_and_iteration_agree(name: str) -> None:
    graph, (x,) = zoo.graph(name), zoo.inputs(name, 2)
    one, other = (sg.invert(graph, x, kind="least_squares", method=m) for m in ("svd", "lsqr"))
    torch.testing.assert_close(one.reconstruction, other.reconstruction, atol=1e-9, rtol=1e-9)
    assert bool(other.converged.all())
    assert bool((one.rank >= 0).all())
    assert bool((other.rank == -1).all())


def test_values_that_no_input_has_leave_an_orthogonal_residual() -> None:
    graph, (x,) = zoo.graph("widening"), zoo.inputs("widening", 3)
    y = torch.randn(3, 7, dtype=torch.float64)
    found = sg.invert(graph, x, kind="least_squares", values=y)
    rest = found.map.matvec(found.reconstruction) + found.map.bias - y
    torch.testing.assert_close(rest.norm(dim=1), found.residual)
    assert float(found.residual.min()) > 0.1
    assert float(found.map.rmatvec(rest).abs().max()) < 1e-12


def test_reconstructions_may_leave_the_cell() -> None:
    found = sg.invert(affine(torch.tensor([[2.0, 0.0]], dtype=torch.float64)), torch.ones(1, 2))
    assert bool(found.own_code.all())  # there is one cell
    graph = sg.trace(nn.Sequential(nn.Hardtanh()).eval(), torch.zeros(1, 1))
    found = sg.invert(graph, torch.tensor([[0.5], [3.0]]), kind="least_squares")
    assert found.reconstruction.tolist() == [[0.5], [0.0]]
    assert found.own_code.tolist() == [True, False]


def test_an_iteration_that_ends_early_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.diag(torch.logspace(0, -8, 40, dtype=torch.float64))
    monkeypatch.setattr(inverse, "MOST_STEPS", 0)
    found = sg.invert(affine(weight), torch.ones(1, 40), kind="least_squares", method="lsqr")
    assert not bool(found.converged.any())
    assert found.to_dict()["converged"] is False


def test_batches_dtypes_and_zeros() -> None:
    graph, (x,) = zoo.graph("mlp"), zoo.inputs("mlp", 5)
    whole, parts = (sg.invert(graph, x, kind="least_squares", batch_size=b) for b in (None, 2))
    torch.testing.assert_close(whole.reconstruction, parts.reconstruction)
    zero = sg.invert(graph, torch.zeros(1, 3))
    assert zero.relative.tolist() == [math.inf]
    assert zero.cosine.tolist() == [0.0]
    assert json.dumps(zero.to_dict(), allow_nan=False)
    assert repr(whole).startswith("<Inverse by least_squares: 5 samples")
    assert sg.invert(affine(torch.eye(2, dtype=torch.float64)), torch.zeros(1, 2)).relative.tolist() == [0.0]


def test_figures() -> None:
    found = sg.invert(zoo.graph("cnn"), *zoo.inputs("cnn", 3))
    assert found.plot().get_yscale() == "log"
    with pytest.raises(ShapeError, match="are no images"):
        plot_reconstructions(found)


def test_refusals() -> None:
    graph, (x,) = zoo.graph("mlp"), zoo.inputs("mlp", 2)
    with pytest.raises(SplineGraphError, match="no kind 'transpose'; choose one of adjoint, least_squares"):
        sg.invert(graph, x, kind="transpose")  # type: ignore[arg-type]
    with pytest.raises(SplineGraphError, match="no method 'qr'"):
        sg.invert(graph, x, method="qr")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"values of shape \(2, 3\)"):
        sg.invert(graph, x, values=torch.zeros(2, 3))
    with pytest.raises(ShapeError, match="one input and one output"):
        sg.invert(zoo.graph("two"), x)
    with pytest.raises(ShapeError, match="NaN"):
        sg.invert(graph, x * math.nan)
