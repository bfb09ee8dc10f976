"""Layouts: what every drawing must keep to, and drawings whose best form is known."""

from __future__ import annotations

import itertools
import random
import time
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splinegraph.export.graphs.folding import BOX, fold
from splinegraph.export.graphs.layered import Layered, arrange, layers
from splinegraph.export.graphs.layout import GAP, edge_numbers, layered_layout, layout
from splinegraph.export.graphs.operators import operator_graph
from tests import zoo

fuzz = settings(max_examples=60, deadline=None)
acyclic = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda e: e[0] < e[1]), unique=True)
        if n > 1
        else st.just([]),
    )
)


def crossings(drawing: Layered, edges: list[tuple[int, int]]) -> int:
    """Count the crossings of all distinct pieces of edges, pair by pair."""
    ordered = [sorted(edge, key=lambda node: drawing.layer[node]) for edge in edges]
    pieces = {pair for u, v in ordered for pair in itertools.pairwise(drawing.route(u, v))}
    return sum(
        a[0] == c[0] and (a[1] - c[1]) * (b[1] - d[1]) < 0 for (a, b), (c, d) in itertools.combinations(pieces, 2)
    )


@fuzz
@given(graph=acyclic)
def test_layers_rise_and_nothing_overlaps(graph: tuple[int, list[tuple[int, int]]]) -> None:
    count, edges = graph
    layer = layers(count, edges)
    assert min(layer) == 0
    assert all(layer[u] < layer[v] for u, v in edges)
    longest = nx.dag_longest_path_length(nx.DiGraph(edges)) if edges else 0
    assert max(layer) == longest
    drawing = arrange(layer, edges)
    places: dict[int, set[float]] = {}
    for at, lane in zip(drawing.layer, drawing.lane, strict=True):
        assert all(abs(lane - other) > 0.999 for other in places.setdefault(at, set()))
        places[at].add(lane)
    assert drawing.crossings == crossings(drawing, edges)
    for u, v in edges:
        assert [at for at, _ in drawing.route(u, v)] == list(range(layer[u], layer[v] + 1))
        assert drawing.route(v, u) == drawing.route(u, v)[::-1]


@fuzz
@given(st.lists(st.integers(0, 20), min_size=1, max_size=15))
def test_trees_are_drawn_without_crossings(parents: list[int]) -> None:
    edges = [(parent % (child + 1), child + 1) for child, parent in enumerate(parents)]
    assert arrange(layers(len(parents) + 1, edges), edges).crossings == 0


def test_a_chain_is_a_straight_line() -> None:
    points = layout(nx.path_graph(5, create_using=nx.DiGraph))
    assert points.tolist() == [[GAP * i, 0.0] for i in range(5)]


def test_a_skip_connection_goes_around() -> None:
    edges = [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)]
    drawing = arrange(layers(5, edges), edges)
    assert len({drawing.lane[i] for i in (1, 2, 3)}) == 1, "the block is straight"
    (bend,) = {lane for _, lane in drawing.route(0, 4)[1:-1]}
    assert abs(bend - drawing.lane[1]) >= 1
    assert drawing.lane[0] == drawing.lane[4]


def test_inputs_of_time_steps_are_next_to_their_steps() -> None:
    """x feeds a_t, a_t feeds h_t, h_t feeds h_t+1."""
    edges = [(0, 1 + t) for t in range(5)] + [(1 + t, 6 + t) for t in range(5)] + [(6 + t, 7 + t) for t in range(4)]
    layer = layers(11, edges)
    assert [layer[6 + t] - layer[1 + t] for t in range(5)] == [1] * 5


@pytest.mark.parametrize("name", ["residual", "rnn", "heads", "transformer", "concat"])
def test_operator_graphs_have_few_crossings(name: str) -> None:
    graph = operator_graph(zoo.graph(name))
    drawing = layered_layout(graph)
    assert drawing is not None
    assert drawing.crossings <= 0.1 * graph.number_of_edges()
    assert np.array_equal(layout(graph), layout(graph))


def test_the_attribute_layer_makes_layers() -> None:
    graph = nx.complete_bipartite_graph(2, 3)
    for node, data in graph.nodes(data=True):
        data["layer"] = 7 if node < 2 else 9
    assert set(layout(graph)[:, 0]) == {0.0, GAP}
    graph.nodes[2]["layer"] = 7  # edges within a layer: no layers
    assert len(set(layout(graph)[:, 0])) > 2


@pytest.mark.parametrize(
    "graph",
    [
        nx.cycle_graph(6), nx.grid_2d_graph(4, 5), nx.star_graph(8), nx.complete_graph(9), nx.grid_2d_graph(9, 9),
        nx.star_graph(600), nx.empty_graph(7), nx.disjoint_union(nx.cycle_graph(5), nx.path_graph(3)),
        nx.DiGraph([(0, 1), (1, 2), (2, 0)]), nx.MultiGraph([(0, 1), (0, 1), (1, 1)]), nx.Graph(),
    ],
    ids=str,
)  # fmt: skip
def test_other_graphs_are_spread(graph: nx.Graph[Any]) -> None:
    points = layout(graph)
    assert points.shape == (len(graph), 2)
    assert np.isfinite(points).all()
    assert np.array_equal(points, layout(graph))
    if 1 < len(graph) <= 400:
        distances = np.linalg.norm(points[:, None] - points[None], axis=-1) + 1e9 * np.eye(len(points))
        assert distances.min() > 0.05 * GAP


def test_a_large_grid_is_seen_to_be_one() -> None:
    graph = nx.grid_2d_graph(30, 30)
    points = layout(graph)
    near = np.array([np.linalg.norm(points[u] - points[v]) for u, v in edge_numbers(graph)])
    corners = [list(graph).index(c) for c in ((0, 0), (0, 29), (29, 29), (29, 0))]
    assert near.max() < 0.2 * min(
        np.linalg.norm(points[a] - points[b]) for a, b in itertools.pairwise([*corners, corners[0]])
    )


@pytest.mark.slow
def test_ten_thousand_nodes_take_seconds() -> None:
    source = random.Random(0)
    graph = nx.DiGraph()
    for node in range(1, 10_000):
        for _ in range(source.randint(1, 2)):
            graph.add_edge(max(0, node - source.randint(1, 30)), node)
    start = time.process_time()
    layout(graph)
    assert time.process_time() - start < 6  # 1.5 s where nothing else runs


def test_a_page_keeps_boxes_apart_and_starts_each_column_at_the_top() -> None:
    graph = operator_graph(zoo.graph("rnn"))
    drawing = layered_layout(graph, bend=0.3)
    assert drawing is not None
    edges = edge_numbers(graph)
    page = fold(drawing, edges)
    assert len(page.columns) > 1
    tops = {page.tops[first] for first, *_ in page.columns}
    assert len(tops) == 1
    for a, b in itertools.combinations(page.centers, 2):
        assert abs(a[0] - b[0]) > BOX[0] or abs(a[1] - b[1]) > BOX[1]
    assert all(0 <= x <= page.width and 0 <= y <= page.height for route in page.routes for x, y in route)
    for (u, v), route in zip(edges, page.routes, strict=True):
        assert route[0] == pytest.approx((page.centers[u][0], page.centers[u][1] - BOX[1] / 2))
        assert route[-1] == pytest.approx((page.centers[v][0], page.centers[v][1] + BOX[1] / 2))
