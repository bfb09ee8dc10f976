"""LaTeX of maps, layers and expressions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from splinegraph.analyses.affine_map import affine_map
from splinegraph.core.exact import latex
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import ShapeError, SplineGraphError
from splinegraph.tracers.tracing import trace
from tests import zoo


def small() -> SplineGraph:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1, bias=False)).double().eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, -0.5], [1 / 3, 0.0]]))
        net[0].bias.copy_(torch.tensor([0.25, -2e-7]))
        net[2].weight.copy_(torch.tensor([[1.0, -1.0]]))
    return trace(net, torch.zeros(1, 2, dtype=torch.float64))


@pytest.mark.parametrize("name", zoo.ZOO)
def test_every_network_can_be_written_down(name: str) -> None:
    graph = zoo.graph(name)
    text = latex(graph, most=3)
    assert len(text.splitlines()) == len(graph.operators) + 2
    assert text.count("{") == text.count("}")
    assert text.count(r"\begin") == text.count(r"\end")
    assert text.count(r"\left") == text.count(r"\right")


def test_a_layer_is_a_matrix_and_a_vector() -> None:
    graph = small()
    first, second, third = (node.name for node in graph.operators)
    assert latex(graph, first) == (
        r"h_{1} = \begin{pmatrix} 1 & -0.5 \\ 0.3333 & 0 \end{pmatrix} x"
        r" + \begin{pmatrix} 0.25 \\ -2 \cdot 10^{-7} \end{pmatrix}"
    )
    assert latex(graph, second) == r"h_{2} = \max\left(0, h_{1}\right)"
    assert latex(graph, third) == r"h_{3} = \begin{pmatrix} 1 & -1 \end{pmatrix} h_{2}"
    assert r"h_{3} &= " in latex(graph).splitlines()[3]


def test_a_local_map_in_digits_and_in_fractions() -> None:
    graph, x = small(), torch.tensor([[1.0, 1.0]], dtype=torch.float64)
    text = latex(affine_map(graph, x), digits=2)
    assert text == r"f(x) = \begin{pmatrix} 0.67 & -0.5 \end{pmatrix} x + \begin{pmatrix} 0.25 \end{pmatrix}"
    assert latex(graph.exact_point([1, 1]), digits=2) == text
    assert latex(graph.exact_point([1, 1]).affine_map(), digits=None).startswith(
        r"f(x) = \begin{pmatrix} \frac{22369621}{33554432} & -\frac{1}{2} \end{pmatrix} x + "
    )
    with pytest.raises(ShapeError, match="2 samples"):
        latex(affine_map(graph, x.expand(2, -1)))


def test_large_matrices_keep_their_corners() -> None:
    table = np.arange(100).reshape(10, 10)
    assert latex(table, most=3) == (
        r"\begin{pmatrix} 0 & \cdots & 9 \\ \vdots & \ddots & \vdots \\ 90 & \cdots & 99 \end{pmatrix}"
    )
    assert latex([1, 2, 3, 4], most=3) == r"\begin{pmatrix} 1 \\ \vdots \\ 4 \end{pmatrix}"


def test_expressions_keep_short_fractions() -> None:
    graph = trace(nn.Sequential(nn.GELU()).double().eval(), torch.zeros(1, 1, dtype=torch.float64))
    assert latex(graph.to_sympy()) == (
        r"\frac{x_{0} \left(\operatorname{erf}{\left(\frac{\sqrt{2} x_{0}}{2} \right)} + 1\right)}{2}"
    )
    leaky = trace(nn.LeakyReLU(0.01).double().eval(), torch.zeros(1, 1, dtype=torch.float64))
    assert latex(leaky.to_sympy()) == r"\max\left(0.01 x_{0}, x_{0}\right)"
    pair = trace(nn.ReLU().eval(), torch.zeros(1, 2))
    assert latex(pair.to_sympy()).startswith(r"\begin{pmatrix} \max\left(0, x_{0}\right) \\")


def test_what_has_no_latex_is_refused() -> None:
    with pytest.raises(SplineGraphError, match="a str has no LaTeX form"):
        latex("x")
    with pytest.raises(SplineGraphError, match="most=2"):
        latex([1.0], most=2)
