"""Activation patterns: against hooks on the eager model, brute force over tuples, and counting theorems."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from splinegraph.analyses import packing
from splinegraph.analyses.codes import ActivationPattern, codes
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import ShapeError
from splinegraph.tracers.tracing import trace
from tests import zoo
from tests.zoo import ZOO, Apply, Stack


def as_tuples(pattern: ActivationPattern) -> list[tuple[int, ...]]:
    """Return every sample's codes as one tuple."""
    layers = [pattern.unpack(layer.name).flatten(1).long() for layer in pattern.layers]
    return [tuple(row.tolist()) for row in torch.cat(layers, 1)]


def same(a: ActivationPattern, b: ActivationPattern) -> bool:
    """Return whether two patterns are equal to the byte."""
    return a.layers == b.layers and np.array_equal(a.packed, b.packed)


def one_layer(weight: Tensor, bias: Tensor, act: nn.Module | Callable[[Tensor], Tensor] = torch.relu) -> SplineGraph:
    linear = nn.Linear(weight.shape[1], weight.shape[0]).double()
    linear.weight, linear.bias = nn.Parameter(weight), nn.Parameter(bias)
    return trace(Stack(linear, act).eval(), torch.zeros(1, weight.shape[1], dtype=torch.float64))


def grid(steps: int, low: float, high: float) -> Tensor:
    """Return the centers of steps x steps squares; none has a round coordinate."""
    axis = low + (high - low) * (torch.arange(steps, dtype=torch.float64) + 0.4142135) / steps
    return torch.cartesian_prod(axis, axis)


# what a code says


def windows(u: Tensor, size: int, stride: int, padding: int) -> Tensor:
    """Return the place of the first largest entry in every padded window, row by row."""
    padded = F.pad(u, (padding,) * 4, value=-torch.inf).unfold(2, size, stride).unfold(3, size, stride)
    return torch.from_numpy(padded.flatten(4).detach().numpy().argmax(-1))


HOOKS: list[tuple[str, str, str, Callable[[Tensor], Tensor]]] = [
    ("mlp", "relu", "1", lambda u: u > 0),
    ("mlp", "relu_1", "3", lambda u: u > 0),
    ("leaky", "leaky_relu", "1", lambda u: u > 0),
    ("hardtanh", "hardtanh_1", "3", lambda u: (u > -0.2).long() + (u > 0.3)),
    ("relu6", "hardtanh", "2", lambda u: (u > 0).long() + (u > 6)),
    ("softshrink", "softshrink", "1", lambda u: (u > -0.3).long() + (u > 0.3)),
    ("abs", "abs_2", "3", lambda u: u > 0),
    ("clamp", "clamp", "1", lambda u: u > -0.1),
    ("clamp", "clamp_1", "2", lambda u: u > 0.2),
    ("prelu", "prelu", "1", lambda u: u > 0),
    ("cnn", "leaky_relu", "4", lambda u: u > 0),
    ("cnn", "max_pool2d", "2", lambda u: windows(u, 3, 2, 1)),
    ("residual", "relu", "inside.2", lambda u: u > 0),
    ("maxout", "amax", "1", lambda u: u.reshape(-1, 4, 3).argmax(-1)),
    ("groupsort", "sort", "1", lambda u: u.reshape(-1, 2, 3).argsort(-1)),
    ("topk", "topk", "1", lambda u: u.argsort(-1, descending=True)[:, :2]),
    ("sign", "sign", "1", lambda u: u.sign() + 1),
    ("round", "round_1", "1", lambda u: (9 * u).round()),
    ("heads", "relu", "act", lambda u: u > 0),
]


@pytest.mark.parametrize(("name", "node", "module", "brute"), HOOKS, ids=lambda v: v if isinstance(v, str) else "")
def test_codes_are_those_of_the_eager_model(
    name: str, node: str, module: str, brute: Callable[[Tensor], Tensor]
) -> None:
    seen: list[Tensor] = []
    hook = zoo.model(name).get_submodule(module).register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    xs = zoo.inputs(name, 40)
    zoo.eager(name, *xs)
    hook.remove()
    expected = torch.stack([brute(u).squeeze(0) if len(u) == 1 else brute(u) for u in seen])
    found = codes(zoo.graph(name), *xs).unpack(node)
    assert torch.equal(found.long().flatten(1), expected.long().flatten(1))
    assert len(found.unique()) > 1


def test_codes_of_two_arguments() -> None:
    a, b = (m for m in zoo.model("maximum").get_submodule("modules_"))
    (x,) = zoo.inputs("maximum", 40)
    u, v, w = a(x), b(x), a(x).abs()
    found = codes(zoo.graph("maximum"), x)
    by_label = {zoo.graph("maximum")[layer.name].target: layer.name for layer in found.layers}
    assert torch.equal(found.unpack(by_label["aten.minimum.default"]).long(), (w < v).long())
    assert torch.equal(found.unpack(by_label["aten.maximum.default"]).long(), (torch.minimum(v, w) > u).long())


TIES: list[tuple[Callable[[Tensor], Tensor], list[float], list[int]]] = [
    (torch.relu, [0.0, -0.0, 1e-300], [0, 0, 1]),
    (torch.abs, [0.0, -1.0, 1.0], [0, 0, 1]),
    (F.hardtanh, [-1.0, 1.0, 0.0], [0, 1, 1]),
    (F.relu6, [0.0, 6.0, 6.5], [0, 1, 2]),
    (lambda x: F.softshrink(x, 0.5), [-0.5, 0.5, 0.6], [0, 1, 2]),
    (lambda x: x.clamp(min=2), [2.0, 2.5, 1.0], [0, 1, 0]),
    (lambda x: x.amax(-1), [2.0, 3.0, 3.0], [1]),
    (lambda x: x.sort(-1).values, [2.0, 1.0, 1.0], [1, 2, 0]),
    (lambda x: x.topk(2, -1).values, [3.0, 3.0, 3.0], [0, 1]),
    (lambda x: F.max_pool1d(x[:, None], 2, 1)[:, 0], [3.0, 3.0, 4.0], [0, 1]),
    (lambda x: torch.maximum(x[:, :2], x[:, 1:]), [1.0, 1.0, 2.0], [0, 1]),
    (lambda x: torch.minimum(x[:, :2], x[:, 1:]), [1.0, 1.0, 2.0], [0, 0]),
]


@pytest.mark.parametrize(("function", "x", "expected"), TIES)
def test_ties_go_left_or_to_the_first(
    function: Callable[[Tensor], Tensor], x: list[float], expected: list[int]
) -> None:
    graph = trace(Apply(function).eval(), torch.zeros(1, 3))
    found = codes(graph, torch.tensor([x], dtype=torch.float64))
    assert [int(c) for layer in found.layers for c in found.unpack(layer.name).flatten()] == expected


@pytest.mark.parametrize("name", ZOO)
def test_layers_are_the_operators_that_switch(name: str) -> None:
    graph, xs = zoo.graph(name), zoo.inputs(name, 3)
    found = codes(graph, *xs)
    assert len(found.layers) == ZOO[name].switches
    order = [node.name for node in graph.operators]
    assert [layer.name for layer in found.layers] == sorted((x.name for x in found.layers), key=order.index)
    assert found.units == sum(math.prod(layer.shape) for layer in found.layers)
    for layer in found.layers:
        unpacked = found.unpack(layer.name)
        assert unpacked.shape == (3, *layer.shape)
        assert unpacked.dtype == layer.dtype
        assert layer.alphabet == 0 or bool(((unpacked >= 0) & (unpacked < layer.alphabet)).all())


# batches


@pytest.mark.parametrize("name", ZOO)
def test_a_batch_is_its_samples_one_by_one(name: str) -> None:
    """Also where the batch axis is not the first, or heads are folded into it."""
    graph, xs = zoo.graph(name), zoo.inputs(name, 5)
    together = codes(graph, *xs)
    for i in range(5):
        assert same(together[i], codes(graph, *(x[i : i + 1] for x in xs)))


@pytest.mark.parametrize("name", ["mlp", "cnn", "heads", "rnn", "single", "affine", "two"])
def test_parts_of_a_batch_make_the_same_bytes(name: str) -> None:
    graph, xs = zoo.graph(name), zoo.inputs(name, 7)
    assert same(codes(graph, *xs), codes(graph, *xs, batch_size=3))
    assert same(codes(graph, *xs), codes(graph, *xs, batch_size=1))


def test_codes_are_decided_in_float64_unless_asked() -> None:
    """A pre-activation of 1e-9 beside 1 is rounded away in float32."""
    graph = one_layer(torch.tensor([[1.0, 1.0]]).double(), torch.tensor([-1.0]).double())
    x = torch.tensor([[1.0, 1e-9]])
    assert codes(graph, x).unpack("relu").item() == 1
    assert codes(graph, x, dtype=None).unpack("relu").item() == 0


def test_inputs_that_do_not_fit_are_refused() -> None:
    graph = zoo.graph("mlp")
    with pytest.raises(ShapeError, match="batch is empty"):
        codes(graph, torch.zeros(0, 3))
    with pytest.raises(ShapeError, match="add a batch axis"):
        codes(graph, torch.zeros(3))
    for batch_size in (0, -1):
        with pytest.raises(ShapeError, match=f"batch_size is {batch_size}; give at least 1"):
            codes(graph, torch.zeros(2, 3), batch_size=batch_size)


# packing


@pytest.mark.parametrize("units", [1, 7, 8, 9, 20])
@pytest.mark.parametrize("alphabet", [2, 3, 4, 5, 127, 1000])
def test_bits_hold_every_code(alphabet: int, units: int, generator: torch.Generator) -> None:
    dtype = torch.int8 if alphabet <= 128 else torch.int16
    code = torch.randint(alphabet, (6, units), generator=generator).to(dtype)
    code[0, 0], code[1, -1] = alphabet - 1, alphabet - 1
    bits = packing.bits_for(alphabet, dtype)
    assert 2 ** (bits - 1) < alphabet <= 2**bits
    packed = packing.pack(code, bits)
    assert packed.shape == (6, bits * math.ceil(units / 8))
    assert packed.dtype == np.uint8
    assert torch.equal(packing.unpack(packed, units, bits, dtype), code)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32])
def test_unbounded_codes_keep_their_sign(dtype: torch.dtype) -> None:
    limits = torch.iinfo(dtype)
    code = torch.tensor([[limits.min, limits.max, -1, 0, 1], [0, 2, -3, 100, -100]]).to(dtype)
    bits = packing.bits_for(0, dtype)
    assert bits == limits.bits
    assert torch.equal(packing.unpack(packing.pack(code, bits), 5, bits, dtype), code)


def test_packing_takes_views_and_bools(generator: torch.Generator) -> None:
    code = torch.rand(9, 5, generator=generator) > 0.5
    packed = packing.pack(code.T, 1)
    assert torch.equal(packing.unpack(packed, 9, 1, torch.bool), code.T)
    assert np.array_equal(packed, packing.pack(code.T.long(), 1))


@pytest.mark.parametrize("alphabet", [2, 3, 9, 0])
def test_differing_counts_units_not_bits(alphabet: int, generator: torch.Generator) -> None:
    code = torch.randint(-40 if alphabet == 0 else 0, alphabet or 40, (8, 11), generator=generator).to(torch.int8)
    bits = packing.bits_for(alphabet, torch.int8)
    packed = packing.pack(code, bits)
    found = packing.differing(packed[:, None], packed[None], 11, bits)
    assert np.array_equal(found, (code[:, None] != code[None]).sum(-1).numpy())


# what one asks of a pattern

SETS = ["mlp", "hardtanh", "cnn", "groupsort", "round", "heads", "rnn", "affine"]


@pytest.mark.parametrize("name", SETS)
def test_unique_is_a_set_of_tuples(name: str) -> None:
    xs = zoo.inputs(name, 60, scale=0.4)
    pattern = codes(zoo.graph(name), *(torch.cat([x, x[:20]]) for x in xs))
    rows, unique = as_tuples(pattern) if pattern.layers else [()] * 80, pattern.unique()
    distinct = as_tuples(unique.patterns) if pattern.layers else [()]
    assert len(distinct) == len(set(distinct)) == pattern.count
    assert set(distinct) == set(rows)
    assert [distinct[i] for i in unique.inverse] == rows
    assert dict(zip(distinct, unique.counts.tolist(), strict=True)) == Counter(rows)


@pytest.mark.parametrize("name", SETS)
def test_hamming_is_the_number_of_units_that_differ(name: str) -> None:
    pattern = codes(zoo.graph(name), *zoo.inputs(name, 12, scale=0.5))
    rows = as_tuples(pattern) if pattern.layers else [()] * 12
    brute = [[sum(a != b for a, b in zip(p, q, strict=True)) for q in rows] for p in rows]
    assert pattern.hamming().tolist() == brute
    assert pattern[:5].hamming(pattern[3:]).tolist() == [row[3:] for row in brute[:5]]


def test_patterns_of_different_graphs_have_no_distance() -> None:
    with pytest.raises(ValueError, match="different graphs"):
        codes(zoo.graph("mlp"), *zoo.inputs("mlp", 1)).hamming(codes(zoo.graph("leaky"), *zoo.inputs("leaky", 1)))


@pytest.mark.parametrize(("name", "node"), [("cnn", "max_pool2d"), ("hardtanh", "hardtanh"), ("topk", "topk")])
def test_usage_counts_the_pieces_of_each_unit(name: str, node: str) -> None:
    pattern = codes(zoo.graph(name), *zoo.inputs(name, 30))
    usage, unpacked = pattern.usage(node), pattern.unpack(node)
    assert usage.shape == (pattern.layer(node).alphabet, *pattern.layer(node).shape)
    assert bool((usage.sum(0) == 30).all())
    for i in np.ndindex(*usage.shape):
        assert int(usage[i]) == int((unpacked[(slice(None), *i[1:])] == i[0]).sum())


def test_unbounded_pieces_cannot_be_counted() -> None:
    with pytest.raises(ValueError, match="pieces of node 'round_1' are unbounded"):
        codes(zoo.graph("round"), *zoo.inputs("round", 3)).usage("round_1")


def test_only_keeps_some_operators_in_the_order_asked() -> None:
    pattern = codes(zoo.graph("cnn"), *zoo.inputs("cnn", 9))
    part = pattern.only("leaky_relu", "max_pool2d")
    assert [layer.name for layer in part.layers] == ["leaky_relu", "max_pool2d"]
    for name in ("leaky_relu", "max_pool2d"):
        assert torch.equal(part.unpack(name), pattern.unpack(name))
    assert part.packed.shape[1] == part.layers[-1].stop
    assert pattern.only().packed.shape == (9, 0)
    with pytest.raises(KeyError, match="switching nodes: relu, max_pool2d, leaky_relu"):
        pattern.only("conv2d")


def test_rows_can_be_picked() -> None:
    pattern = codes(zoo.graph("mlp"), *zoo.inputs("mlp", 6))
    rows = as_tuples(pattern)
    assert as_tuples(pattern[2]) == rows[2:3]
    assert as_tuples(pattern[1:4]) == rows[1:4]
    assert as_tuples(pattern[[5, 0]]) == [rows[5], rows[0]]
    assert as_tuples(pattern[np.array([True, False] * 3)]) == rows[::2]


def test_a_pattern_describes_itself() -> None:
    pattern = codes(zoo.graph("cnn"), *zoo.inputs("cnn", 4))
    assert repr(pattern) == "<ActivationPattern: 4 samples, 3 operators, 143 units>"
    summary = pattern.to_dict()
    assert summary["distinct"] == pattern.count
    assert summary["operators"][1] == {"name": "max_pool2d", "units": 27, "pieces": 9}


def test_bits_per_sample_are_few() -> None:
    pattern = codes(zoo.graph("cnn"), *zoo.inputs("cnn", 4))
    assert pattern.packed.nbytes == 4 * (math.ceil(108 / 8) + 4 * math.ceil(27 / 8) + 1)


# counting theorems


def spread(n: int) -> tuple[Tensor, Tensor]:
    """Return n <= 5 lines in general position that leave no small cell."""
    angle = (torch.arange(n, dtype=torch.float64) + 0.1) * torch.pi / n
    return torch.stack([angle.cos(), angle.sin()], 1), torch.tensor([-1.3, 2.0, -1.2, 2.0, -1.9]).double()[:n]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_generic_lines_cut_the_plane_into_as_many_cells_as_zaslavsky_says(n: int) -> None:
    graph = one_layer(*spread(n))
    assert codes(graph, grid(250, -10.0, 10.0)).count == sum(math.comb(n, i) for i in range(3))


@pytest.mark.parametrize("seed", range(5))
def test_no_layer_in_the_plane_has_more_cells(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for n in (6, 9):
        weight = torch.randn(n, 2, generator=generator, dtype=torch.float64)
        graph = one_layer(weight, torch.randn(n, generator=generator, dtype=torch.float64))
        assert 2 * n <= codes(graph, grid(120, -6.0, 6.0)).count <= sum(math.comb(n, i) for i in range(3))


def test_lines_through_the_origin_make_sectors() -> None:
    """Cover: n central lines in the plane have 2 n cells; duplicates and multiples add none."""
    weight, _ = spread(5)
    weight = torch.cat([weight, 2 * weight[:2], -weight[2:3]])
    assert codes(one_layer(weight, torch.zeros(8).double()), grid(100, -1.0, 1.0)).count == 10


def test_parallel_lines_make_a_grid() -> None:
    """Distinct knots on each axis, not units, are counted: (3 + 1) (2 + 1) cells."""
    weight = torch.tensor([[1.0, 0], [1, 0], [-2, 0], [0, 1], [0, 1], [1, 0]]).double()
    bias = torch.tensor([0.5, -0.5, 1.0, 0.0, 0.7, 0.0]).double()
    assert codes(one_layer(weight, bias), grid(60, -2.0, 2.0)).count == 12


def test_relu_leaky_and_abs_have_the_same_cells() -> None:
    x = grid(50, -10.0, 10.0)
    first, *rest = (codes(one_layer(*spread(5), act), x) for act in (nn.ReLU(), nn.LeakyReLU(0.2), torch.abs))
    assert first.count > 10
    for other in rest:
        assert np.array_equal(first.packed, other.packed)


@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_a_sawtooth_has_exponentially_many_pieces(depth: int) -> None:
    """The tent map 2 relu(x) - 4 relu(x - 1/2), composed with itself, has 2^depth pieces on [0, 1]."""
    tent = Stack(*[lambda x: 2 * torch.relu(x) - 4 * torch.relu(x - 0.5)] * depth)
    x = (torch.arange(2**12, dtype=torch.float64)[:, None] + 0.5) / 2**12
    pattern = codes(trace(tent.eval(), torch.zeros(1, 1)), x)
    assert pattern.count == 2**depth
    changes = (pattern.packed[1:] != pattern.packed[:-1]).any(1)
    assert int(changes.sum()) == 2**depth - 1


@pytest.mark.parametrize(("n", "cells"), [(3, 6), (4, 14), (5, 30)])
def test_overlapping_windows_do_not_realize_all_choices(n: int, cells: int) -> None:
    """Cyclic windows {1,2}, {2,3}, ..., {n,1}: acyclic orientations of a cycle, 2^n - 2."""
    graph = trace(Apply(lambda x: torch.maximum(x, x.roll(-1, 1))).eval(), torch.zeros(1, n))
    orders = torch.tensor(list(itertools.permutations(range(n)))).double()
    assert codes(graph, orders).count == cells


def test_disjoint_windows_realize_all_choices(generator: torch.Generator) -> None:
    graph = trace(nn.MaxPool1d(3).eval(), torch.zeros(1, 1, 9))
    assert codes(graph, torch.randn(2000, 1, 9, generator=generator)).count == 27


def test_the_pattern_of_all_layers_refines_that_of_each(generator: torch.Generator) -> None:
    """Paper Eq 26-28: every joint cell lies in one cell of each operator."""
    pattern = codes(zoo.graph("plane"), 4 * torch.randn(3000, 2, generator=generator, dtype=torch.float64))
    parts = [pattern.only(layer.name).unique().inverse for layer in pattern.layers]
    joint = pattern.unique().inverse
    pairs = set(zip(joint.tolist(), *(p.tolist() for p in parts), strict=True))
    assert len(pairs) == pattern.count
    assert max(len(set(p.tolist())) for p in parts) <= pattern.count <= math.prod(len(set(p.tolist())) for p in parts)
    assert len({p[1:] for p in pairs}) == pattern.count


@pytest.mark.parametrize("name", zoo.CONTINUOUS)
def test_cells_are_convex(name: str) -> None:
    """The midpoint of two points of one cell has their code."""
    graph, xs = zoo.graph(name), zoo.inputs(name, 12)
    ys = tuple(x + 0.05 * d for x, d in zip(xs, zoo.inputs(name, 12, seed=1), strict=True))
    a, b = codes(graph, *xs), codes(graph, *ys)
    equal = torch.from_numpy((a.packed == b.packed).all(1))
    middle = codes(graph, *((x + y)[equal] / 2 for x, y in zip(xs, ys, strict=True)))
    assert bool(equal.any())
    assert np.array_equal(middle.packed, a[equal.numpy()].packed)
