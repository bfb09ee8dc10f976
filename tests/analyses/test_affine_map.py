"""Local affine maps: against the model itself, autograd at generic points, and by hand at kinks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from splinegraph.analyses.affine_map import AffineMap, affine_map
from splinegraph.analyses.codes import codes
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import ShapeError, UnsupportedOperatorError
from splinegraph.tracers.tracing import trace
from tests import zoo
from tests.zoo import ZOO, Apply, Stack

TIGHT = 1e-10
"""Relative error allowed to a chain of float64 products."""


def gap(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference relative to the largest entry expected."""
    assert found.shape == expected.shape
    return float((found - expected).detach().abs().max() / expected.detach().abs().max().clamp(min=1e-300))


def times(matrix: Tensor, v: Tensor, axes: int) -> Tensor:
    """Return A v for A of shape (B, *out, *in) and v of shape (B, *in), where `axes` = len(in)."""
    out = matrix.shape[1 : matrix.dim() - axes]
    flat = matrix.reshape(len(matrix), out.numel(), -1) @ v.reshape(len(v), -1, 1)
    return flat.reshape(len(matrix), *out)


def value_of(local: AffineMap, xs: tuple[Tensor, ...]) -> Tensor:
    """Return A x + b from the dense matrices."""
    dense = local.dense()
    blocks = dense.A if isinstance(dense.A, tuple) else (dense.A,)
    return sum((times(A, x, x.dim() - 1) for A, x in zip(blocks, xs, strict=True)), dense.b)


def traced(function: Callable[[Tensor], Tensor], n: int) -> SplineGraph:
    return trace(Apply(function).eval(), torch.zeros(1, n))


def point(*x: float) -> Tensor:
    return torch.tensor([x], dtype=torch.float64)


SINGLE = [name for name in ZOO if name != "two"]


# the map is the function


@pytest.mark.parametrize("name", SINGLE)
def test_the_function_is_its_map(name: str) -> None:
    """f(x) = A[x] x + b[x] (paper Thm 1): exact on a whole cell, or the tangent plane at x."""
    xs = zoo.inputs(name, 6, scale=2.0)
    local = affine_map(zoo.graph(name), *xs)
    (expected,) = zoo.eager(name, *xs)
    assert local.kind == ("exact" if ZOO[name].exact else "tangent")
    assert gap(local.value, expected) < TIGHT
    assert gap(value_of(local, xs), expected) < TIGHT
    assert local.verify() < TIGHT


@pytest.mark.parametrize("name", SINGLE)
def test_the_matrix_is_the_jacobian_at_generic_points(name: str) -> None:
    xs = zoo.inputs(name, 5, seed=2)
    local = affine_map(zoo.graph(name), *xs)
    (expected,) = zoo.jacobian(name, *xs)
    assert not local.boundary.any()
    assert (local.dense().A - expected).abs().max() < TIGHT * max(1.0, float(expected.abs().max()))


@pytest.mark.parametrize("name", zoo.EXACT)
def test_the_map_holds_on_the_whole_cell(name: str) -> None:
    """Go as far as the code stays the same: A and b stay, and so does f = A x + b."""
    graph = zoo.graph(name) if name != "two" else zoo.graph(name).output(0)
    xs, away = zoo.inputs(name, 3), zoo.inputs(name, 3, seed=1)
    steps = 0.9 ** torch.arange(80, dtype=torch.float64)
    for i in range(3):
        here = tuple(x[i : i + 1] for x in xs)
        line = tuple(x + steps.reshape(-1, *(1,) * (x.dim() - 1)) * v[i] for x, v in zip(here, away, strict=True))
        equal = (codes(graph, *line).packed == codes(graph, *here).packed).all(1)
        assert equal[-1], "the point lies on a boundary: choose another seed"
        there = tuple(x[int(np.argmax(equal))][None] for x in line)
        a, b = affine_map(graph, *here).dense(), affine_map(graph, *there).dense()
        for mine, theirs in zip(*(m.A if isinstance(m.A, tuple) else (m.A,) for m in (a, b)), strict=True):
            assert (mine - theirs).abs().max() <= 1e-12 * mine.abs().max()
        assert gap(b.b, a.b) < 1e-12
        assert gap(value_of(affine_map(graph, *here), there), graph(*there)) < TIGHT


def test_the_code_alone_chooses_the_map(generator: torch.Generator) -> None:
    """Paper Eq 29-30: f is the sum over cells of their maps times their indicators."""
    graph = zoo.graph("plane")
    x = 2 * torch.randn(400, 2, generator=generator, dtype=torch.float64)
    local, unique = affine_map(graph, x).dense(), codes(graph, x).unique()
    first = torch.tensor([int(np.flatnonzero(unique.inverse == r)[0]) for r in unique.inverse])
    assert len(first.unique()) > 20
    assert gap(times(local.A[first], x, 1) + local.b[first], graph(x)) < TIGHT


# at kinks, where autograd has no answer or a wrong one

KINKS: list[tuple[str, Callable[[Tensor], Tensor], list[float], list[list[float]], bool]] = [
    # a tie goes to the left piece of a breakpoint ...
    ("relu", torch.relu, [0.0], [[0.0]], True),
    ("abs", torch.abs, [0.0], [[-1.0]], True),
    ("leaky", lambda x: F.leaky_relu(x, 0.1), [0.0], [[0.1]], True),
    ("hardtanh", F.hardtanh, [1.0, -1.0], [[1.0, 0], [0, 0]], True),
    ("clamp", lambda x: x.clamp(min=2.0), [2.0], [[0.0]], True),
    ("softshrink", lambda x: F.softshrink(x, 0.5), [0.5, -0.5], [[0.0, 0], [0, 1]], True),
    # ... and to the first entry of a window
    ("maximum", lambda x: torch.maximum(x[:, :1], x[:, 1:]), [2.0, 2.0], [[1.0, 0.0]], True),
    ("amax", lambda x: x.amax(-1, True), [1.0, 2.0, 2.0], [[0.0, 1.0, 0.0]], True),
    ("pool", lambda x: F.max_pool1d(x[:, None], 2, 1)[:, 0], [1.0, 1.0, 0.0], [[1.0, 0, 0], [0, 1, 0]], True),
    ("sort", lambda x: x.sort(-1).values, [1.0, 1.0], [[1.0, 0], [0, 1]], True),
    ("topk", lambda x: x.topk(1, -1).values, [0.0, 3.0, 3.0], [[0.0, 1.0, 0.0]], True),
    # a slope that does not change is no boundary
    ("leaky with slope 1", lambda x: F.leaky_relu(x, 1.0), [0.0], [[1.0]], False),
    ("losers tie", lambda x: x.amax(-1, True), [1.0, 1.0, 2.0], [[0.0, 0.0, 1.0]], False),
    ("losers tie in a pool", lambda x: F.max_pool1d(x[:, None], 3)[:, 0], [1.0, 1.0, 2.0], [[0.0, 0, 1]], False),
]


@pytest.mark.parametrize(("function", "x", "A", "boundary"), [k[1:] for k in KINKS], ids=[k[0] for k in KINKS])
def test_kinks_follow_the_tie_rule(
    function: Callable[[Tensor], Tensor], x: list[float], A: list[list[float]], boundary: bool
) -> None:
    local = affine_map(traced(function, len(x)), point(*x))
    assert local.dense().A[0].tolist() == A
    assert local.boundary.tolist() == [boundary]
    assert local.verify() == 0


@pytest.mark.parametrize(
    "function", [torch.abs, lambda x: x.amax(-1, True), lambda x: torch.maximum(x[:, :1], x[:, 1:])]
)
def test_autograd_is_not_asked_at_kinks(function: Callable[[Tensor], Tensor]) -> None:
    """The slopes of torch there (0, halves) belong to no piece; ours belong to a neighboring cell."""
    x = torch.zeros(1, 2, dtype=torch.float64)
    theirs = torch.autograd.functional.jacobian(function, x)[0, :, 0]
    local = affine_map(traced(function, 2), x)
    mine = local.dense().A[0]
    nearby = affine_map(traced(function, 2), zoo.inputs("plane", 40)[0]).dense().A
    assert bool(local.boundary)
    assert any(torch.equal(mine, a) for a in nearby)
    assert not any(torch.equal(theirs, a) for a in nearby)


def test_kinks_that_cancel_are_still_flagged() -> None:
    """x = relu(x) - relu(-x): both units are off at 0, on a cell that is the point 0; the map says boundary."""
    graph = traced(lambda x: torch.relu(x) - torch.relu(-x), 1)
    x = torch.tensor([[0.0], [1e-9], [-1e-9]], dtype=torch.float64)
    local = affine_map(graph, x)
    assert local.boundary.tolist() == [True, False, False]
    assert local.dense().A.flatten().tolist()[1:] == [1.0, 1.0]
    assert torch.equal(value_of(local, (x,)), x)


def linear(rows: list[list[float]], bias: list[float] | None = None) -> nn.Linear:
    module = nn.Linear(len(rows[0]), len(rows)).double()
    module.weight = nn.Parameter(torch.tensor(rows, dtype=torch.float64))
    module.bias = nn.Parameter(torch.tensor(bias or [0.0] * len(rows), dtype=torch.float64))
    return module


def pool(x: Tensor) -> Tensor:
    return F.max_pool1d(x[:, None], 2)[:, 0]


BOUNDARIES: list[tuple[str, nn.Module, list[list[float]], list[bool]]] = [
    ("on a hyperplane", Stack(linear([[1, -1], [1, 1]]), torch.relu), [[1, 1], [1, 2], [2, -2]], [True, False, True]),
    ("only one layer down", Stack(linear([[1, 0], [0, 1]]), torch.relu, linear([[1, -1]], [-1]), torch.relu),
     [[2, 1], [2, 1.5], [1, -5]], [True, False, True]),
    ("a dead unit above ties with nothing", Stack(linear([[1, 0]], [-5]), torch.relu, linear([[-2]]), torch.relu),
     [[0, 0], [1, 3]], [False, False]),
    ("a unit that is 0 everywhere", Stack(linear([[0, 0], [1, 0]]), torch.relu), [[1, 1], [0, 1]], [False, True]),
    ("duplicated units in a window", Stack(linear([[1, 2], [1, 2]]), pool), [[1, 1], [-3, 1]], [False, False]),
    ("dead zeros in a window", Stack(linear([[1, 0], [0, 1]]), torch.relu, pool),
     [[-1, -1], [-1, 2], [3, 3], [-1, 0]], [False, False, True, True]),
    ("different units in a window", Stack(linear([[1, 0], [0, 1]]), pool), [[1, 1], [1, 2]], [True, False]),
]  # fmt: skip


@pytest.mark.parametrize(("module", "x", "expected"), [b[1:] for b in BOUNDARIES], ids=[b[0] for b in BOUNDARIES])
def test_boundaries_are_where_tied_candidates_differ(
    module: nn.Module, x: list[list[float]], expected: list[bool]
) -> None:
    graph = trace(module.eval(), torch.zeros(1, 2, dtype=torch.float64))
    points = torch.tensor(x, dtype=torch.float64)
    assert affine_map(graph, points).boundary.tolist() == expected
    assert affine_map(graph, points, batch_size=1).boundary.tolist() == expected


@pytest.mark.parametrize("name", ["heads", "single", "two", "rnn"])
def test_boundaries_are_told_per_sample_in_every_layout(name: str) -> None:
    """Sample 1 is put on a hyperplane of the first layer, exactly up to rounding."""
    graph, xs, module = zoo.graph(name), zoo.inputs(name, 3), zoo.model(name)
    row, bias = {
        "heads": lambda: (module.inside.weight[1], module.inside.bias[1]),
        "single": lambda: (module.inside.weight[1], module.inside.bias[1]),
        "two": lambda: (module.b.weight[1], module.b.bias[1]),
        "rnn": lambda: (
            module.inside.weight_ih_l0[1], module.inside.bias_ih_l0[1] + module.inside.bias_hh_l0[1]
        ),
    }[name]()  # fmt: skip
    x = xs[-1]
    v = x[1] if x.dim() == 2 else x[1, 0]  # the first token or step
    v -= ((v @ row + bias) / (row @ row) * row).detach()
    assert affine_map(graph, *xs).boundary.tolist() == [False, True, False]


# ways to ask for it


@pytest.mark.parametrize("name", SINGLE)
def test_products_agree_with_the_dense_matrix(name: str) -> None:
    xs = zoo.inputs(name, 4)
    local = affine_map(zoo.graph(name), *xs)
    (v,), (u,) = zoo.inputs(name, 4, seed=3), (torch.randn_like(local.value),)
    dense = local.dense().A
    small = 1e-12 * max(1.0, float(dense.detach().abs().max()))
    assert (local.matvec(v) - times(dense, v, v.dim() - 1)).abs().max() < small
    flat = dense.reshape(4, u[0].numel(), -1)
    back = (u.reshape(4, 1, -1) @ flat).reshape(v.shape)
    assert (local.rmatvec(u) - back).abs().max() < small
    assert torch.allclose((local.matvec(v) * u).sum(), (v * local.rmatvec(u)).sum(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["widening", "mlp", "cnn", "rnn", "heads", "single"])
def test_adjoint_and_tangent_passes_agree_in_every_chunk(name: str) -> None:
    """`widening` has fewer inputs than outputs, so its matrix is made by columns."""
    local = affine_map(zoo.graph(name), *zoo.inputs(name, 4))
    size = local.value[0].numel()
    by_rows = local.rows(range(size))
    dense = local.dense().A
    assert gap(dense.reshape(by_rows.shape), by_rows) < 1e-12
    columns = torch.cat([local._columns(part, 2) for part in local.parts])
    assert gap(columns, dense) < 1e-12
    for chunk in (1, 3, 1000):
        assert gap(local.dense(chunk=chunk).A, dense) < 1e-12
        assert gap(local.rows(range(size), chunk=chunk), by_rows) < 1e-12


def test_rows_are_chosen_for_all_or_per_sample() -> None:
    local = affine_map(zoo.graph("cnn"), *zoo.inputs("cnn", 3))
    dense = local.dense().A
    assert torch.equal(local.rows([1]), dense[:, 1:])
    assert torch.equal(local.rows([1, 0, -1]), dense[:, [1, 0, 1]])
    mine = torch.tensor([[0, 0], [1, 0], [-2, 1]])
    expected = torch.stack([dense[i][row] for i, row in enumerate(mine % 2)])
    assert torch.equal(local.rows(mine), expected)
    parts = affine_map(zoo.graph("cnn"), *zoo.inputs("cnn", 3), batch_size=2)
    assert gap(parts.rows(mine), expected) < 1e-12
    assert local.rows([]).shape == (3, 0, 2, 6, 6)
    for shape in ((), (2, 1), (1, 2), (3, 1, 1)):
        with pytest.raises(ShapeError, match=r"give shape \(K,\) or \(3, K\)"):
            local.rows(torch.zeros(shape, dtype=torch.int64))
    for wrong in ([2], [0, -3]):
        with pytest.raises(ShapeError, match="out of range: the output has 2 entries"):
            local.rows(wrong)


@pytest.mark.parametrize("name", ["mlp", "cnn", "heads", "rnn", "single", "transformer"])
def test_parts_and_single_samples_are_rows_of_the_batch(name: str) -> None:
    graph, xs = zoo.graph(name), zoo.inputs(name, 5)
    whole, parts = affine_map(graph, *xs), affine_map(graph, *xs, batch_size=2)
    assert len(whole) == len(parts) == 5
    u, (v,) = torch.randn_like(whole.value), zoo.inputs(name, 5, seed=1)
    for mine, theirs in [
        (parts.dense().A, whole.dense().A), (parts.bias, whole.bias), (parts.value, whole.value),
        (parts.matvec(v), whole.matvec(v)), (parts.rmatvec(u), whole.rmatvec(u)),
    ]:  # fmt: skip
        assert gap(mine, theirs) < 1e-12
    for i in range(5):
        alone = affine_map(graph, *(x[i : i + 1] for x in xs)).dense()
        assert gap(alone.A[0], whole.dense().A[i]) < 1e-12
        assert gap(alone.b[0], whole.bias[i]) < 1e-12


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual", "rnn", "gelu"])
def test_other_types_come_close(name: str) -> None:
    (x,) = zoo.inputs(name, 4)
    single = affine_map(zoo.graph(name), x.float(), dtype=None)
    double = affine_map(zoo.graph(name), x.float())
    assert single.dense().A.dtype == single.bias.dtype == single.value.dtype == torch.float32
    assert double.bias.dtype == torch.float64
    assert gap(single.dense().A.double(), double.dense().A) < 1e-5
    assert gap(single.bias.double(), double.bias) < 1e-5


# several inputs and outputs


def test_several_inputs_and_outputs() -> None:
    graph, xs = zoo.graph("two"), zoo.inputs("two", 4)
    expected = zoo.eager("two", *xs)
    for i, y in enumerate(expected):
        part = affine_map(graph.output(i), *xs)
        dense = part.dense()
        assert gap(part.value, y) < TIGHT
        assert gap(value_of(part, xs), y) < TIGHT
        for mine, theirs in zip(dense.A, zoo.jacobian("two", *xs, output=i), strict=True):
            assert torch.allclose(mine, theirs, rtol=TIGHT, atol=TIGHT)
    assert bool((affine_map(graph.output(1), *xs).dense().A[0] == 0).all())


def test_all_outputs_at_once() -> None:
    graph, xs = zoo.graph("two"), zoo.inputs("two", 4)
    local = affine_map(graph, *xs, batch_size=3)
    vs, us = zoo.inputs("two", 4, seed=1), tuple(torch.randn_like(y) for y in local.value)
    forward, back = local.matvec(*vs), local.rmatvec(*us)
    left = sum((a * u).sum() for a, u in zip(forward, us, strict=True))
    right = sum((g * v).sum() for g, v in zip(back, vs, strict=True))
    assert gap(torch.as_tensor(left), torch.as_tensor(right)) < 1e-12
    for i in range(2):
        assert gap(forward[i], affine_map(graph.output(i), *xs).matvec(*vs)) < 1e-12
    for method in (local.dense, lambda: local.rows([0])):
        with pytest.raises(ShapeError, match=r"needs a graph with one output; choose one with graph.output\(i\)"):
            method()


def test_wrong_shapes_are_refused() -> None:
    local = affine_map(zoo.graph("mlp"), *zoo.inputs("mlp", 4))
    with pytest.raises(ShapeError, match=r"expected shapes \[\(4, 3\)\], one per input"):
        local.matvec(torch.zeros(3))
    with pytest.raises(ShapeError, match=r"expected shapes \[\(4, 2\)\], one per output"):
        local.rmatvec(torch.zeros(1, 2))
    for method in (local.dense, lambda chunk: local.rows([0], chunk=chunk)):
        with pytest.raises(ShapeError, match="chunk is -1; give at least 1"):
            method(chunk=-1)
    with pytest.raises(ShapeError, match="the batch is empty"):
        affine_map(zoo.graph("mlp"), torch.zeros(0, 3))


def test_an_operator_without_tangent_is_named() -> None:
    graph = traced(lambda x: torch.special.bessel_j0(torch.relu(x)), 2)
    with pytest.raises(UnsupportedOperatorError, match=r"node '\w*bessel_j0\w*'.*zoo\.py:\d+"):
        affine_map(graph, point(1.0, 2.0))


def test_repr_says_what_it_is() -> None:
    exact = affine_map(zoo.graph("mlp"), *zoo.inputs("mlp", 4))
    assert repr(exact) == "<AffineMap: 4 samples, ((3,),) -> ((2,),), exact>"
    assert repr(affine_map(zoo.graph("gelu"), *zoo.inputs("gelu", 1))).endswith("tangent>")
