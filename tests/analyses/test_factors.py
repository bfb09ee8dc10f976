"""The factors of A[x]: sparse matrices against basis images, and their products against the local map."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from splinegraph.analyses.affine_map import affine_map
from splinegraph.analyses.factors import Factors, conv_matrix, factors
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import ShapeError, SplineGraphError
from splinegraph.tracers.tracing import trace
from tests import zoo
from tests.zoo import Apply

CONVOLUTION = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def traced(module: nn.Module, *shape: int) -> SplineGraph:
    return trace(module.double().eval(), torch.zeros(1, *shape, dtype=torch.float64))


def of(module: nn.Module, x: Tensor) -> Factors:
    """Return the factors of a module at one unbatched input."""
    return factors(traced(module, *x.shape), x[None])


def point(*x: float) -> Tensor:
    return torch.tensor(x, dtype=torch.float64)


def columns(function: Callable[[Tensor], Tensor], *shape: int) -> NDArray[np.float64]:
    """Return the matrix of a linear function, from the images of the basis."""
    basis = torch.eye(math.prod(shape), dtype=torch.float64).reshape(-1, *shape)
    return function(basis).flatten(1).T.detach().numpy()


# convolutions (paper Eq 4-8)

CONVOLUTIONS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 1, 3), (1, 7), {}),
    ((2, 3, 2), (3, 6), {"stride": 2, "padding": 1}),
    ((4, 2, 3), (4, 9), {"dilation": 2, "groups": 2, "padding": 3}),
    ((3, 2, 3, 3), (2, 5, 4), {"padding": 1}),
    ((3, 2, 2, 3), (2, 5, 6), {"stride": (2, 1), "padding": (0, 2)}),
    ((4, 1, 3, 3), (4, 5, 5), {"groups": 4, "padding": 2, "dilation": 2}),
    ((4, 3, 1, 1), (6, 3, 3), {"groups": 2, "stride": 2}),
    ((1, 1, 3, 3), (1, 3, 3), {}),
    ((2, 2, 2, 1, 3), (2, 3, 2, 4), {"stride": (1, 2, 1), "padding": (1, 0, 1)}),
]


@pytest.mark.parametrize(("weight", "shape", "options"), CONVOLUTIONS)
def test_conv_matrix_is_the_images_of_the_basis(
    weight: tuple[int, ...], shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    w = nn.Parameter(torch.randn(weight, dtype=torch.float64))
    found = conv_matrix(w, shape, **options)
    expected = columns(lambda x: CONVOLUTION[len(shape) - 1](x, w, **options), *shape)
    assert found.shape == expected.shape
    assert np.abs(found.toarray() - expected).max() < 1e-12
    windows = expected.shape[0] // weight[0]
    assert found.nnz <= weight[0] * windows * math.prod(weight[1:])
    if not options.get("padding"):
        assert found.nnz == weight[0] * windows * math.prod(weight[1:])


def test_a_stride_takes_a_subset_of_rows() -> None:
    w = torch.randn(2, 3, 3, 3)
    rows = np.arange(2 * 5 * 5).reshape(2, 5, 5)[:, ::2, ::2].ravel()
    whole = conv_matrix(w, (3, 5, 5), padding=1).toarray()
    assert np.array_equal(conv_matrix(w, (3, 5, 5), padding=1, stride=2).toarray(), whole[rows])


def test_groups_are_blocks() -> None:
    found = conv_matrix(torch.randn(4, 1, 3), (2, 5), groups=2).toarray().reshape(4, 3, 2, 5)
    assert not found[:2, :, 1].any()
    assert not found[2:, :, 0].any()
    assert found[:2, :, 0].any(axis=(1, 2)).all()
    assert found[2:, :, 1].any(axis=(1, 2)).all()


def test_frameworks_compute_a_cross_correlation() -> None:
    """The paper's Eq 5 is a true convolution: the same with the kernel flipped."""
    w = torch.tensor([[[1.0, 2.0, 3.0]]])
    assert conv_matrix(w, (1, 4)).toarray().tolist() == [[1, 2, 3, 0], [0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("weight", "shape", "options", "words"),
    [
        ((2, 3, 3), (2, 5), {}, r"\(2, 3, 3\) in 1 group\(s\) does not fit \(2, 5\)"),
        ((2, 1, 3), (2, 5, 5), {"groups": 2}, "does not fit"),
        ((3, 1, 3), (2, 5), {"groups": 2}, "does not fit"),
        ((1, 1, 3), (1, 2), {}, r"kernel \(3,\) is larger than the padded input \(2,\)"),
        ((1, 1, 3), (1, 4), {"dilation": 2}, "larger"),
    ],
)
def test_bad_convolutions_are_refused(
    weight: tuple[int, ...], shape: tuple[int, ...], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ShapeError, match=words):
        conv_matrix(torch.zeros(weight), shape, **options)


@pytest.mark.parametrize(
    "module",
    [nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 4, 2, stride=2, groups=2), nn.Conv2d(2, 2, 2, dilation=2, bias=False)],
)
def test_the_factor_of_a_convolution_is_its_matrix_and_repeated_bias(module: nn.Conv2d) -> None:
    """Paper Eq 8: b_d = xi_c for d in IJ(c-1)+1, ..., IJ c (as printed the range is empty)."""
    factor = of(module, torch.randn(2, 5, 4, dtype=torch.float64))["conv2d"]
    expected = conv_matrix(module.weight, (2, 5, 4), stride=module.stride, padding=module.padding,
                           dilation=module.dilation, groups=module.groups)  # fmt: skip
    assert np.abs((factor.matrix - expected).toarray()).max() < 1e-12
    xi = np.zeros(module.out_channels) if module.bias is None else module.bias.detach().numpy()
    assert np.array_equal(factor.bias, np.repeat(xi, len(factor.bias) // module.out_channels))


def test_circular_padding_makes_a_block_circulant_matrix() -> None:
    """Paper Eq 4-7: at stride 1 it commutes with cyclic shifts, and the Fourier transform diagonalizes it."""
    module = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular", bias=False)
    table = of(module, torch.randn(1, 5, 4, dtype=torch.float64))
    matrix, bias = table.product()
    circulant = matrix.toarray()
    assert not bias.any()
    assert np.array_equal(circulant, (table["conv2d"].matrix @ table["pad"].matrix).toarray())
    for shifts in ((1, 0), (0, 1), (2, 3)):
        shift = columns(lambda x, s=shifts: x.roll(s, (1, 2)), 5, 4)  # type: ignore[misc]
        assert np.array_equal(circulant @ shift, shift @ circulant)
    kernel = circulant[:, 0].reshape(5, 4)
    image = np.random.default_rng(0).normal(size=(5, 4))
    through = np.fft.ifft2(np.fft.fft2(kernel) * np.fft.fft2(image)).real
    assert np.abs(circulant @ image.ravel() - through.ravel()).max() < 1e-12


def test_zero_padding_is_not_circulant() -> None:
    matrix = conv_matrix(torch.randn(1, 1, 3), (1, 5), padding=1).toarray()
    shift = columns(lambda x: x.roll(1, 1), 5)
    assert not np.allclose(matrix @ shift, shift @ matrix)


# activations and pooling (paper Tables 1 and 2)

ACTIVATIONS: list[tuple[nn.Module, list[float], list[float], list[float]]] = [
    (nn.ReLU(), [1.0, -2.0, 3.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]),
    (nn.LeakyReLU(0.25), [1.0, -2.0, 0.0], [1.0, 0.25, 0.25], [0.0, 0.0, 0.0]),
    (Apply(torch.abs), [1.0, -2.0, 0.0], [1.0, -1.0, -1.0], [0.0, 0.0, 0.0]),
    (nn.Hardtanh(-0.5, 2.0), [1.0, -2.0, 3.0], [1.0, 0.0, 0.0], [0.0, -0.5, 2.0]),
    (nn.Softshrink(0.5), [1.0, -2.0, 0.25], [1.0, 1.0, 0.0], [-0.5, 0.5, 0.0]),
]


@pytest.mark.parametrize(("module", "x", "slopes", "intercepts"), ACTIVATIONS)
def test_activations_are_diagonal(
    module: nn.Module, x: list[float], slopes: list[float], intercepts: list[float]
) -> None:
    ((_, factor),) = of(module, point(*x)).items()
    assert factor.exact
    assert factor.matrix.toarray().tolist() == np.diag(slopes).tolist()
    assert factor.bias.tolist() == intercepts
    assert np.array_equal(factor.matrix @ np.array(x) + factor.bias, module(point(*x)).numpy())


@pytest.mark.parametrize("x", [[1.0, 2, 3], [1.0, -2, 3], [-1.0, -2, -3]])
def test_the_papers_relu_examples(x: list[float]) -> None:
    factor = of(nn.ReLU(), point(*x))["relu"]
    assert factor.matrix.toarray().tolist() == np.diag([float(v > 0) for v in x]).tolist()


@pytest.mark.parametrize(
    ("x", "chosen"), [([1.0, 2, 3, 4], (1, 3)), ([1.0, -2, 3, 1], (0, 2)), ([-1.0, -2, -3, 0], (0, 3))]
)
def test_the_papers_pooling_examples(x: list[float], chosen: tuple[int, int]) -> None:
    ((_, factor),) = of(Apply(lambda v: F.max_pool1d(v, 2)), point(*x)[None]).items()
    assert factor.matrix.toarray().tolist() == np.eye(4)[list(chosen)].tolist()
    assert not factor.bias.any()


def test_max_pooling_selects_and_mean_pooling_averages() -> None:
    x = torch.randn(2, 6, 6, dtype=torch.float64)
    ((_, largest),) = of(nn.MaxPool2d(3, 2, 1), x).items()
    matrix = largest.matrix.toarray()
    assert set(np.unique(matrix)) == {0.0, 1.0}
    assert (matrix.sum(1) == 1).all()
    assert np.array_equal(matrix @ x.numpy().ravel(), F.max_pool2d(x, 3, 2, 1).numpy().ravel())
    ((_, mean),) = of(nn.AvgPool2d(2), x).items()
    assert (mean.matrix.data == 1 / 4).all()
    assert (np.diff(mean.matrix.indptr) == 4).all()
    ((_, padded),) = of(nn.AvgPool2d(3, 2, 1, count_include_pad=False), x).items()
    counts = np.diff(padded.matrix.indptr)
    assert set(counts) == {4, 6, 9}
    assert np.allclose(padded.matrix.data, np.repeat(1 / counts, counts))


def test_smooth_factors_are_tangents() -> None:
    x = point(0.3, -1.0)
    factor = of(nn.Tanh(), x)["tanh"]
    slope = 1 - np.tanh(x.numpy()) ** 2
    assert not factor.exact
    assert np.allclose(factor.matrix.toarray(), np.diag(slope), rtol=1e-12)
    assert np.allclose(factor.bias, np.tanh(x.numpy()) - slope * x.numpy(), rtol=1e-12)


# products (paper Eq 39)


@pytest.mark.parametrize("name", [name for name in zoo.ZOO if name != "two"])
def test_the_product_is_the_local_map(name: str) -> None:
    """Along all paths: chains, skips, concatenations, time steps, heads."""
    xs = zoo.inputs(name, 1)
    graph = zoo.graph(name)
    table = factors(graph, *xs)
    matrix, bias = table.product()
    with torch.no_grad():
        A, b = affine_map(graph, *xs).dense()
    expected = A.reshape(b[0].numel(), -1).numpy()
    assert list(table) == [node.name for node in graph.operators]
    assert matrix.shape == expected.shape
    assert np.abs(matrix.toarray() - expected).max() < 1e-12 * max(1.0, np.abs(expected).max())
    assert np.abs(bias - b.flatten().numpy()).max() < 1e-12 * max(1.0, float(b.abs().max()))


def test_a_product_may_start_and_end_anywhere() -> None:
    xs = zoo.inputs("cnn", 1)
    table = factors(zoo.graph("cnn"), *xs)
    head, c = table.product("max_pool2d")
    tail, d = table.product(start="max_pool2d")
    whole, bias = table.product()
    assert np.allclose((tail @ head).toarray(), whole.toarray(), rtol=0, atol=1e-13)
    assert np.allclose(tail @ c + d, bias, rtol=0, atol=1e-13)
    unit, zero = table.product("relu", "relu")
    assert (unit.toarray() == np.eye(108)).all()
    assert not zero.any()


def test_a_path_around_the_start_is_refused() -> None:
    table = factors(zoo.graph("concat"), *zoo.inputs("concat", 1))
    relu = next(name for name in table if name.startswith("relu"))
    with pytest.raises(SplineGraphError, match="leads around it; start at a node that every path passes"):
        table.product(start=relu)
    matrix, _ = table.product(end=relu)
    assert matrix.shape == (4, 3)


def test_several_inputs_and_outputs_are_named() -> None:
    graph = zoo.graph("two")
    table = factors(graph, *zoo.inputs("two", 1))
    with pytest.raises(ShapeError, match="2 inputs; name one of x, y"):
        table.product()
    with pytest.raises(ShapeError, match="2 outputs; name one of"):
        table.product(start="y")
    with pytest.raises(SplineGraphError, match="a path from 'x' leads around it"):
        table.product(graph.outputs[0], "y")
    matrix, bias = table.product(graph.outputs[1], "y")
    local = affine_map(graph.output(1), *zoo.inputs("two", 1))
    assert np.allclose(matrix.toarray(), local.dense().A[1].detach().numpy().reshape(4, 2))
    assert np.allclose(bias, local.bias.detach().numpy().ravel())


def test_factors_are_of_one_sample() -> None:
    with pytest.raises(ShapeError, match=r"one sample; give a batch of one, such as x\[:1\]"):
        factors(zoo.graph("mlp"), *zoo.inputs("mlp", 2))
    table = factors(zoo.graph("two"), *zoo.inputs("two", 1))
    add = next(name for name, factor in table.items() if len(factor.matrices) == 2)
    with pytest.raises(ShapeError, match=r"has 2 arguments; use \.matrices"):
        _ = table[add].matrix


def test_float32_inputs_are_analyzed_in_float64() -> None:
    table = factors(zoo.graph("mlp"), zoo.inputs("mlp", 1)[0].float())
    assert table["linear"].matrix.dtype == table["linear"].bias.dtype == np.float64
    assert repr(table).startswith("<Factors of Sequential: 5 nodes, ")
    assert len(table) == 5
