"""Breakpoints along segments: against exact rational arithmetic, counting theorems and dense sampling."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from splinegraph.analyses.codes import codes
from splinegraph.analyses.regions.chords import Chords, chords, enumeration, segment_cells
from splinegraph.core.domains.chart import chart_of
from splinegraph.core.graph import SplineGraph
from splinegraph.core.values import Box
from splinegraph.errors import DomainError, ShapeError, UnsupportedOperatorError
from splinegraph.tracers.tracing import trace
from tests import zoo
from tests.zoo import Stack

FREE = [name for name, net in zoo.ZOO.items() if net.exact]


def linear(weight: Any, bias: Any) -> nn.Linear:
    weight, bias = (torch.tensor(v, dtype=torch.float64) for v in (weight, bias))
    layer = nn.Linear(weight.shape[1], weight.shape[0]).double()
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    return layer


def traced(*parts: nn.Module | Callable[[Tensor], Tensor], size: int = 1) -> SplineGraph:
    return trace(Stack(*parts).eval(), torch.zeros(1, size, dtype=torch.float64))


def unit(graph: SplineGraph) -> Chords:
    """Return the chord from 0 to 1 of a network of one number."""
    return chords(graph, torch.zeros(1, 1), torch.ones(1, 1))


def between(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Return the points at t of segments, or of one segment."""
    return torch.lerp(a, b, t.reshape(-1, *(1,) * (a.dim() - 1)))


def agrees(graph: SplineGraph, found: Chords) -> None:
    """Check that each piece's code is that of its middle."""
    assert np.array_equal(codes(graph, *found.midpoints()).packed, found.packed)


# exact arithmetic


def rational_net(seed: int) -> list[tuple[list[list[Fraction]], list[Fraction]]]:
    """Return random layers of small multiples of 1/8: floats hold them, and many conditions coincide."""
    rng = np.random.default_rng(seed)
    sizes = [2, *rng.integers(2, 7, size=rng.integers(1, 5)).tolist(), 2]
    span = 5 if seed % 2 else 17
    return [
        (
            [[Fraction(int(v), 8) for v in row] for row in rng.integers(-span, span + 1, (m, n))],
            [Fraction(int(v), 8) for v in rng.integers(-span, span + 1, m) * (seed % 3 > 0)],
        )
        for n, m in itertools.pairwise(sizes)
    ]


Line = tuple[Fraction, Fraction]


def rational_pieces(
    layers: list[tuple[list[list[Fraction]], list[Fraction]]], start: list[Fraction], end: list[Fraction]
) -> tuple[list[Fraction], list[tuple[bool, ...]], Fraction]:
    """Return breakpoints, codes of the pieces between, and the total variation of the first output."""
    lines: list[Line] = [(b - a, a) for a, b in zip(start, end, strict=True)]
    pieces: list[tuple[Fraction, Fraction, list[Line], tuple[bool, ...]]] = [(Fraction(0), Fraction(1), lines, ())]
    for depth, (weight, bias) in enumerate(layers):
        following = []
        for low, high, values, code in pieces:
            pre = [
                (
                    sum(w * s for w, (s, _) in zip(row, values, strict=True)),
                    sum(w * c for w, (_, c) in zip(row, values, strict=True)) + b,
                )
                for row, b in zip(weight, bias, strict=True)
            ]
            if depth == len(layers) - 1:
                following.append((low, high, pre, code))
                continue
            cuts = sorted({low, high, *(-c / s for s, c in pre if s and low < -c / s < high)})
            for a, b in itertools.pairwise(cuts):
                on = tuple(s * (a + b) / 2 + c > 0 for s, c in pre)
                kept = [line if up else (Fraction(0), Fraction(0)) for line, up in zip(pre, on, strict=True)]
                following.append((a, b, kept, code + on))
        pieces = following
    joined = [pieces[0]]
    for piece in pieces[1:]:
        if piece[3] == joined[-1][3]:
            joined[-1] = (joined[-1][0], piece[1], piece[2], piece[3])
        else:
            joined.append(piece)
    length = sum((abs(values[0][0]) * (b - a) for a, b, values, _ in joined), Fraction(0))
    return [Fraction(0), *(p[1] for p in joined)], [p[3] for p in joined], length


@pytest.mark.parametrize("seed", range(14))
def test_breakpoints_are_those_of_exact_arithmetic(seed: int) -> None:
    layers = rational_net(seed)
    rng = np.random.default_rng(100 + seed)
    ends = [[[Fraction(int(v), 4) for v in row] for row in rng.integers(-8, 9, (2, 2))] for _ in range(6)]
    ends = [pair for pair in ends if pair[0] != pair[1]]
    modules: list[nn.Module] = []
    for weight, bias in layers:
        modules += [linear([[float(v) for v in row] for row in weight], [float(v) for v in bias]), nn.ReLU()]
    graph = traced(*modules[:-1], size=2)
    a, b = (torch.tensor([[float(v) for v in pair[i]] for pair in ends]).double() for i in (0, 1))
    found = chords(graph, a, b)
    lengths = chords(graph.output(0), a, b).lengths
    for i, (start, end) in enumerate(ends):
        places, patterns, length = rational_pieces(layers, start, end)
        assert np.allclose(found.of(i), [float(t) for t in places], rtol=0, atol=1e-12)
        unpacked = [found.codes(i).unpack(layer.name) for layer in found.layers]
        assert torch.cat(unpacked, 1).bool().tolist() == [list(p) for p in patterns]
        assert lengths[i] == pytest.approx(float(length), rel=1e-12, abs=1e-12)


# theorems


@pytest.mark.parametrize("depth", [1, 2, 3, 6, 10])
def test_a_tent_map_of_depth_l_has_2_to_the_l_pieces_of_equal_width(depth: int) -> None:
    tent = [linear([[1.0], [1.0]], [0.0, -0.5]), nn.ReLU(), linear([[2.0, -4.0]], [0.0])]
    found = unit(traced(*tent * depth))
    assert found.linear_counts.tolist() == [2**depth]
    assert np.allclose(found.of(0), np.linspace(0, 1, 2**depth + 1), rtol=0, atol=1e-14)
    assert found.lengths.tolist() == pytest.approx([2**depth])  # slopes are +-2^L


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_folding_with_abs_doubles_the_pieces(depth: int) -> None:
    fold = [linear([[2.0]], [-1.0]), torch.abs]
    found = unit(traced(*fold * depth))
    assert found.counts.tolist() == found.linear_counts.tolist() == [2**depth]


@pytest.mark.parametrize(("n", "depth"), [(3, 1), (3, 3), (4, 3), (5, 4)])
def test_a_zigzag_of_n_teeth_has_n_to_the_l_pieces(n: int, depth: int) -> None:
    slopes = [float(n), *(2.0 * n * (-1) ** i for i in range(1, n))]
    zigzag = [linear([[1.0]] * n, [-i / n for i in range(n)]), nn.ReLU(), linear([slopes], [0.0])]
    found = unit(traced(*zigzag * depth))
    assert found.linear_counts.tolist() == [n**depth]
    assert np.allclose(found.of(0), np.linspace(0, 1, n**depth + 1), rtol=0, atol=1e-12)


def test_relu_minus_itself_is_two_cells_of_one_affine_map() -> None:
    graph = traced(lambda x: torch.relu(x - 0.5) - torch.relu(x - 0.5))
    found = unit(graph)
    assert found.counts.tolist() == [2]
    assert found.linear_counts.tolist() == [1]
    assert found.lengths.tolist() == [0.0]


def test_a_staircase_has_flat_pieces_that_a_jump_tells_apart() -> None:
    found = chords(traced(torch.floor), torch.tensor([[0.5]]), torch.tensor([[3.5]]))
    assert np.allclose(found.of(0), [0, 1 / 6, 1 / 2, 5 / 6, 1])
    assert found.linear_counts.tolist() == [4]
    assert found.lengths.tolist() == [0.0]


# dense sampling, on every kind of operator


@pytest.mark.parametrize("name", FREE)
def test_nothing_is_missed_and_every_code_is_that_of_its_middle(name: str) -> None:
    graph = zoo.graph(name)
    starts, ends = (zoo.inputs(name, 4, seed=s, scale=3.0) for s in (1, 2))
    found = chords(graph, starts, ends)
    agrees(graph, found)
    t = np.linspace(0, 1, 301)
    for i in range(4):
        xs = [between(a[i : i + 1], b[i : i + 1], torch.from_numpy(t)) for a, b in zip(starts, ends, strict=True)]
        inside = np.abs(found.of(i)[None] - t[:, None]).min(1) > 1e-9
        piece = np.searchsorted(found.of(i), t[inside]) - 1
        seen = codes(graph, *(x[torch.from_numpy(inside)] for x in xs)).packed
        assert np.array_equal(seen, found.codes(i).packed[piece])


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual", "two", "groupsort", "rnn", "sign", "clamp", "heads"])
def test_slopes_and_lengths_are_those_of_the_function(name: str) -> None:
    graph = zoo.graph(name)
    starts, ends = (zoo.inputs(name, 3, seed=s, scale=3.0) for s in (3, 4))
    found = chords(graph, starts, ends)
    low, high = ([], [])
    for side, at in ((low, 0.25), (high, 0.75)):
        first = np.arange(len(found.packed)) + found.owner
        t = torch.from_numpy((1 - at) * found.breakpoints[first] + at * found.breakpoints[first + 1])
        owner = torch.from_numpy(found.owner)
        xs = [between(a[owner], b[owner], t) for a, b in zip(starts, ends, strict=True)]
        y = graph(*xs)
        side.append(torch.cat([v.detach().flatten(1) for v in (y if isinstance(y, tuple) else (y,))], 1))
    rise = (high[0] - low[0]) / (0.5 * torch.from_numpy(found.widths)[:, None])
    wide = torch.from_numpy(found.widths) > 1e-5
    assert torch.allclose(rise[wide], found.slopes[wide], rtol=1e-7, atol=1e-8)
    for i in range(3):
        mine = found.owner == i
        assert found.lengths[i] == pytest.approx((found.slopes[mine].norm(dim=1).numpy() * found.widths[mine]).sum())


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual", "two", "groupsort", "single"])
def test_a_batch_is_the_same_as_one_by_one(name: str) -> None:
    graph = zoo.graph(name)
    starts, ends = (zoo.inputs(name, 5, seed=s, scale=2.0) for s in (5, 6))
    found = chords(graph, starts, ends)
    for i in range(5):
        alone = chords(graph, *(tuple(x[i : i + 1] for x in side) for side in (starts, ends)))
        assert np.allclose(alone.of(0), found.of(i), rtol=0, atol=1e-12)
        assert np.array_equal(alone.packed, found.codes(i).packed)


@pytest.mark.parametrize("name", ["mlp", "cnn", "topk", "sign"])
def test_small_chunks_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = zoo.graph(name)
    starts, ends = (zoo.inputs(name, 5, seed=s, scale=40.0) for s in (7, 8))
    whole = chords(graph, starts, ends)
    monkeypatch.setattr(enumeration, "FEWEST", 6)
    monkeypatch.setattr(enumeration, "CHUNK", 6)
    parts = chords(graph, starts, ends)
    assert np.array_equal(whole.offsets, parts.offsets)
    assert np.array_equal(whole.packed, parts.packed)
    assert np.allclose(whole.breakpoints, parts.breakpoints, rtol=0, atol=1e-12)


# degenerate


def test_starting_on_a_breakpoint_crosses_nothing_there() -> None:
    graph = traced(linear([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]), nn.ReLU(), size=2)
    starts = torch.tensor([[0.0, 1.0], [-1.0, 0.0], [0.0, 0.0], [-1.0, -1.0]])
    ends = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    found = chords(graph, starts, ends)
    assert [found.of(i).tolist() for i in range(4)] == [[0, 1], [0, 0.5, 1], [0, 1], [0, 0.5, 1]]
    patterns = [found.codes(i).unpack("relu").tolist() for i in range(4)]
    assert patterns == [[[1, 1]], [[0, 0], [1, 0]], [[0, 1]], [[0, 0], [1, 1]]]


def test_breakpoints_of_a_deeper_layer_on_those_of_the_first_make_one_cell_wall() -> None:
    # relu(x) and relu(relu(x) - relu(-x)) switch at the same place
    graph = traced(linear([[1.0], [-1.0]], [-0.3, 0.3]), nn.ReLU(), linear([[1.0, -1.0]], [0.0]), nn.ReLU())
    found = unit(graph)
    assert found.counts.tolist() == [2]
    assert found.of(0)[1] == pytest.approx(0.3)


def test_dead_units_and_tied_candidates_do_not_switch() -> None:
    dead = traced(linear([[1.0], [0.0], [-1.0]], [1.0, 0.0, -2.0]), nn.ReLU(), lambda x: x.amax(-1))
    found = unit(dead)
    assert found.counts.tolist() == [1]
    twins = traced(linear([[1.0], [1.0], [-1.0]], [0.0, 0.0, 1.0]), lambda x: x.amax(-1))
    assert unit(twins).codes(0).unpack("amax").tolist() == [2, 0]


def test_a_sliver_of_a_billionth_is_found() -> None:
    graph = traced(linear([[1.0], [1.0]], [-0.5, -0.5 - 1e-9]), nn.ReLU())
    found = unit(graph)
    assert found.counts.tolist() == [3]
    assert found.widths[1] == pytest.approx(1e-9, rel=1e-6)


def test_candidates_that_meet_in_one_point() -> None:
    # four lines through (1/2, 1/2): only the steepest two are ever on top
    graph = traced(linear([[1.0], [0.5], [-0.5], [-1.0]], [0.0, 0.25, 0.75, 1.0]), lambda x: x.amax(-1))
    found = unit(graph)
    assert found.codes(0).unpack("amax").tolist() == [3, 0]
    assert found.of(0)[1] == pytest.approx(0.5)


def test_a_float32_model_is_the_exact_function_of_its_weights() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 9), nn.ReLU(), nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 1)).eval()
    single = trace(model, torch.zeros(1, 3))
    a, b = torch.randn(2, 6, 3)
    found = chords(single, a, b)
    wide = trace(model.double(), torch.zeros(1, 3, dtype=torch.float64))
    assert np.array_equal(found.breakpoints, chords(wide, a.double(), b.double()).breakpoints)
    agrees(wide, found)


def test_a_limit_stops_in_order_and_says_how_far_it_came() -> None:
    graph = zoo.graph("mlp")
    starts, ends = (zoo.inputs("mlp", 9, seed=s, scale=3.0) for s in (1, 2))
    whole = chords(graph, starts, ends)
    assert whole.complete
    assert whole.reached.tolist() == [1.0] * 9
    limit = int(whole.offsets[3]) + 2
    part = chords(graph, starts, ends, limit=limit)
    assert not part.complete
    assert len(part.packed) == limit
    assert np.array_equal(part.packed, whole.packed[:limit])
    assert part.reached.tolist() == [1, 1, 1, part.of(3)[-1], 0, 0, 0, 0, 0]
    assert part.of(3).tolist() == whole.of(3)[:3].tolist()
    assert part.of(7).tolist() == [0.0]
    assert chords(graph, starts, ends, limit=len(whole.packed)).complete


def test_results_as_plain_values() -> None:
    graph = zoo.graph("two")
    starts, ends = (zoo.inputs("two", 2, seed=s) for s in (1, 2))
    found = chords(graph, starts, ends)
    plain = found.to_dict()
    assert plain["cells"] == found.counts.tolist()
    assert plain["complete"] is True
    assert all(math.isfinite(v) for v in plain["lengths"])
    assert "2 segments" in repr(found)
    points = found.points(1)
    assert [tuple(p.shape) for p in points] == [(len(found.of(1)), *s) for s in graph.input_shapes]
    assert torch.allclose(points[0][-1], ends[0][1])


# a domain with one free coordinate


def test_cells_of_a_box_with_one_free_coordinate() -> None:
    graph = zoo.graph("mlp")
    (shape,) = graph.input_shapes
    lower, upper = torch.full(shape, 0.3).double(), torch.full(shape, 0.3).double()
    lower[0], upper[0] = -4.0, 4.0
    chart = chart_of(graph, Box(lower, upper))
    cells, places, complete = segment_cells(graph, chart)
    assert complete
    assert places[0] == -4
    assert places[-1] == 4
    assert len(cells) == len(places) - 1 > 2
    xs = chart.lift(torch.from_numpy(cells.points))
    assert np.array_equal(codes(graph, *xs).packed, cells.packed)
    assert np.allclose(cells.radii, np.diff(places) / 2)
    head, _, done = segment_cells(graph, chart, limit=2)
    assert not done
    assert np.array_equal(head.packed, cells.packed[:2])


# bad input


@pytest.mark.parametrize(
    ("starts", "ends", "error", "text"),
    [
        (torch.zeros(2, 2), torch.zeros(2, 2), DomainError, "equal at segment 0"),
        (torch.zeros(2, 2), torch.ones(3, 2), ShapeError, "2 starts and 3 ends"),
        (torch.zeros(2, 2), torch.full((2, 2), torch.nan), ShapeError, "NaN"),
        (torch.zeros(2, 3), torch.ones(2, 3), ShapeError, "expected"),
        (torch.zeros(2), torch.ones(2), ShapeError, "batch axis"),
        ((torch.zeros(1, 2),) * 2, torch.ones(1, 2), ShapeError, "takes 1 input"),
        (torch.zeros(0, 2), torch.ones(0, 2), ShapeError, "empty"),
    ],
)
def test_bad_segments_are_refused(starts: Any, ends: Any, error: type[Exception], text: str) -> None:
    graph = traced(nn.ReLU(), size=2)
    with pytest.raises(error, match=text):
        chords(graph, starts, ends)


def test_a_smooth_node_is_named() -> None:
    graph = zoo.graph("gelu")
    ends = zoo.inputs("gelu", 2)
    with pytest.raises(UnsupportedOperatorError, match=r"gelu.*sg\.spline"):
        chords(graph, ends, tuple(-x for x in ends))


def test_an_unbounded_or_wider_domain_is_no_segment() -> None:
    graph = traced(nn.ReLU(), size=1)
    with pytest.raises(DomainError, match="infinity"):
        segment_cells(graph, chart_of(graph, Box(torch.zeros(1), torch.full((1,), torch.inf))))
    plane = traced(nn.ReLU(), size=2)
    with pytest.raises(DomainError, match="2 free"):
        segment_cells(plane, chart_of(plane, Box(torch.zeros(2), torch.ones(2))))
