"""The activation graph: against brute force, the paper's statements, and the exact partition."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.errors import SplineGraphError
from tests import zoo

SWITCHING = (
    "mlp",
    "hardtanh",
    "cnn",
    "residual",
    "rnn",
    "heads",
    "maximum",
    "groupsort",
    "two",
    "sign",
    "round",
    "mixed",
)


def data(name: str, count: int) -> Any:
    found = zoo.inputs(name, count)
    return found[0] if len(found) == 1 else found


@pytest.mark.parametrize("name", SWITCHING)
def test_nodes_and_edges_are_those_of_the_codes(name: str) -> None:
    graph, xs = zoo.graph(name), zoo.inputs(name, 40)
    y = torch.tensor([5, 0, 3])[torch.arange(40) % 3]
    ag = sg.activation_graph(graph, xs if len(xs) > 1 else xs[0], y, batch_size=7)
    codes = sg.codes(graph, *xs)
    assert [layer.name for layer in ag.layers] == [layer.name for layer in codes.layers]
    visited = ag.path(*xs)
    assert visited.shape == (40, len(codes.layers))
    for place, layer in enumerate(codes.layers):
        unique = codes.only(layer.name).unique()
        rows = ag.nodes(place)
        assert sorted(ag.counts[rows]) == sorted(unique.counts)
        # two inputs are in one node exactly if their codes are equal
        same = visited[:, place, None] == visited[None, :, place]
        assert (same == (unique.inverse[:, None] == unique.inverse[None])).all()
        for node in range(rows.start, rows.stop):
            members = np.flatnonzero(visited[:, place] == node)
            assert ag.first[node] == members[0]
            assert ag.class_counts(node) == {str(c): n for c, n in Counter(y[members].tolist()).items()}
    steps = Counter((a, b) for row in visited.tolist() for a, b in itertools.pairwise(row))
    assert dict(zip(map(tuple, ag.edges.tolist()), ag.edge_counts.tolist(), strict=True)) == steps


@pytest.mark.parametrize("name", ["mlp", "cnn", "rnn", "two"])
def test_the_graph_is_bipartite_and_the_union_of_paths(name: str) -> None:
    xs = zoo.inputs(name, 30, seed=1)
    ag = sg.activation_graph(zoo.graph(name), data(name, 30))
    graph = ag.to_networkx()
    assert nx.is_bipartite(graph)  # Proposition 4, for (layer, cell) pairs
    assert nx.is_directed_acyclic_graph(graph)
    for a, b in graph.edges:
        assert graph.nodes[b]["layer"] == graph.nodes[a]["layer"] + 1
        assert {graph.nodes[a]["bipartite"], graph.nodes[b]["bipartite"]} == {0, 1}
    union = nx.DiGraph()
    for i in range(30):
        one = ag.subgraph(*(x[i : i + 1] for x in zoo.inputs(name, 30)))
        assert nx.is_path(one, sorted(one, key=lambda n: one.nodes[n]["layer"]))
        union.update(one)
    assert set(union) == set(graph)
    # paths cross, so a subgraph of several inputs has the edges of the graph between its nodes
    assert set(union.edges) == set(graph.edges)
    assert (ag.path(*xs) >= 0).any() or name == "cnn"


def test_equal_partitions_of_two_layers_stay_apart() -> None:
    """As sets the cells of two ReLUs in a row are equal, which would be a loop; as (layer, cell) pairs they are not."""
    graph = sg.trace(nn.Sequential(nn.ReLU(), nn.Identity(), nn.ReLU()).eval(), torch.zeros(1, 1))
    ag = sg.activation_graph(graph, torch.tensor([[1.0], [-1.0], [2.0]]))
    assert ag.counts.tolist() == [2, 1, 2, 1]
    assert sorted(ag.to_networkx().edges) == [("0/0", "1/0"), ("0/1", "1/1")]


@pytest.mark.parametrize("coarsen", [None, "channel-majority", "position-any", "top-3", "informative-3"])
def test_the_batch_size_does_not_matter(coarsen: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splinegraph.analyses.activation.tally.PENDING", 1)  # sorted in as they come
    x, y = zoo.inputs("cnn", 60)[0], torch.tensor([5, 0, 3])[torch.arange(60) % 3]
    found = [sg.activation_graph(zoo.graph("cnn"), x, y, batch_size=b, coarsen=coarsen) for b in (60, 11, 1)]
    for other in found[1:]:
        for name in ("start", "keys", "counts", "first", "edges", "edge_counts"):
            assert (getattr(other, name) == getattr(found[0], name)).all(), name
        assert other.summary == found[0].summary
        assert other.classes == (0, 3, 5)
        assert [other.class_counts(n) for n in range(len(other))] == [
            found[0].class_counts(n) for n in range(len(other))
        ]


def test_the_graph_of_a_partition_is_exact() -> None:
    graph = zoo.graph("plane")
    box = sg.Box(torch.full((2,), -1.0), torch.full((2,), 1.0))
    partition = sg.enumerate_regions(graph, box)
    ag = sg.activation_graph(graph, partition, partition.classes())
    assert ag.volumes is not None
    assert ag.edge_volumes is not None
    for place in range(len(ag.layers)):
        assert ag.volumes[ag.nodes(place)].sum() == pytest.approx(4.0)  # the box, once per layer
    assert ag.edge_volumes.sum() == pytest.approx(4.0)
    assert [s.baseline for s in ag.summary] == [None, None]
    # the first layer is the arrangement of its hyperplanes
    assert len(ag.counts[ag.nodes(0)]) == len(np.unique(partition.codes.only(ag.layers[0].name).packed, axis=0))
    # no input of the domain visits any other node or edge, and shares of samples approach volumes
    x = 2 * torch.rand(20_000, 2, dtype=torch.float64) - 1
    visited = ag.path(x)
    assert (visited >= 0).all()
    edges = set(map(tuple, ag.edges.tolist()))
    assert set(map(tuple, visited.tolist())) <= edges
    share = np.bincount(visited[:, 0], minlength=len(ag))[ag.nodes(0)] / len(x)
    assert share == pytest.approx(ag.volumes[ag.nodes(0)] / 4, abs=0.02)
    assert "volume" in next(iter(ag.to_networkx().nodes.values()))


def test_singletons_are_said_to_say_nothing() -> None:
    torch.manual_seed(0)
    graph = sg.trace(
        nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 2), nn.ReLU()).eval(), torch.zeros(1, 20)
    )
    x = torch.randn(300, 20)
    ag = sg.activation_graph(graph, x, torch.randint(0, 2, (300,)))
    wide, narrow = ag.summary
    assert (wide.alone_inputs, wide.purity, wide.baseline, wide.agreeing, wide.says_nothing) == (1, 1, 1, 0, True)
    assert not narrow.says_nothing
    assert narrow.purity is not None
    assert narrow.baseline == pytest.approx(narrow.purity, abs=0.1)  # the labels are random
    assert "in their cell in relu: purity says nothing there" in repr(ag)


@pytest.mark.parametrize("name", ["mlp", "mixed"])
def test_summaries_are_plain_values_and_figures_are_drawn(name: str) -> None:
    ag = sg.activation_graph(zoo.graph(name), zoo.inputs(name, 50)[0], torch.arange(50) % 2, class_names=["a", "b"])
    found = json.loads(json.dumps(ag.to_dict(), allow_nan=False))
    assert found["classes"] == ["a", "b"]
    assert [layer["cells"] for layer in found["layers"]] == np.diff(ag.start).tolist()
    assert any("not piecewise affine" in note for note in ag.notes) == (name == "mixed")
    ax = ag.plot(max_nodes=8)
    assert len(ax.collections) == 2
    ax.figure.canvas.draw()


def test_one_class_is_nothing_to_agree_on() -> None:
    graph = sg.trace(nn.Sequential(nn.ReLU()).eval(), torch.zeros(1, 2))
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    found = sg.analyze(graph, data=x, labels=[3] * 20, sections=["activation"]).sections["activation"]
    assert found.headline == "4 cells in 1 layer, 0 edges; all labels are of one class"


def test_cells_without_volume_are_no_nodes_of_a_partition() -> None:
    """relu(x) and relu(-x) are both off at 0 alone."""
    linear = nn.Linear(1, 2, bias=False)
    linear.weight.data = torch.tensor([[1.0], [-1.0]])
    graph = sg.trace(nn.Sequential(linear, nn.ReLU()).eval(), torch.zeros(1, 1))
    partition = sg.enumerate_regions(graph, sg.Box(-torch.ones(1), torch.ones(1)))
    ag = sg.activation_graph(graph, partition, [0, 1])
    assert ag.path(torch.tensor([[0.0], [0.5], [-0.5]])).min(1).tolist()[0] == -1
    assert (ag.path(torch.tensor([[0.5], [-0.5]])) >= 0).all()
    assert "all cells are alone in their node in relu: purity" in repr(ag)  # not: inputs


def test_classes_are_drawn_in_their_order() -> None:
    graph = sg.trace(nn.Sequential(nn.ReLU()).eval(), torch.zeros(1, 4))
    x = torch.tensor([[float(2 * (i >> bit & 1) - 1) for bit in range(4)] for i in range(12)])
    rows = sg.activation_graph(graph, x, list(range(12))).to_networkx().nodes.values()
    assert [d["class"] for d in sorted(rows, key=lambda d: -d["y"])] == [str(c) for c in range(12)]  # 10 after 2


def test_classes_of_one_name_stay_apart() -> None:
    names = sg.activation_graph(zoo.graph("mlp"), torch.zeros(3, 3), [0, 1, 2], class_names=["a", "a", "a (1)"])
    assert names.class_names == ("a (0)", "a (1)", "a (1) (2)")
    ag = sg.activation_graph(zoo.graph("mlp"), torch.zeros(6, 3), [0, 0, 1, 2, 2, 2], class_names=["a", "a", "b"])
    assert ag.class_counts(0) == {"b": 3, "a (0)": 2, "a (1)": 1}


def test_the_result_says_when_weights_have_changed() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU()).eval()
    ag = sg.activation_graph(sg.trace(model, torch.zeros(1, 2)), torch.ones(1, 2))
    assert not ag.stale
    with torch.no_grad():
        model[0].weight.zero_()  # type: ignore[operator]
    assert "stale" in repr(ag)


def test_degenerate_networks() -> None:
    dead = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.ReLU()).eval()
    for parameter in dead.parameters():
        nn.init.zeros_(parameter)
    ag = sg.activation_graph(sg.trace(dead, torch.zeros(1, 2)), torch.randn(9, 2), [5] * 9)
    assert ag.counts.tolist() == [9, 9]  # ties go to the left: one cell each
    assert ag.summary[0].entropy == 0
    assert "one class" in ag.notes[0]
    assert ag.similarity(torch.ones(1, 2), torch.zeros(1, 2)).values.tolist() == [[1.0]]
    single = sg.activation_graph(zoo.graph("single"), zoo.inputs("single", 5)[0])  # a graph of one sample at a time
    assert single.samples == 5


def test_float32_codes_are_those_of_the_float32_computation() -> None:
    graph = sg.trace(zoo.ZOO["mlp"].make().eval(), torch.zeros(1, 3))
    x = torch.randn(100, 3)
    ag = sg.activation_graph(graph, x, dtype=None)
    codes = sg.codes(graph, x, dtype=None)
    assert ag.provenance.dtype == "float32"
    assert sorted(ag.counts[ag.nodes(1)]) == sorted(codes.only(codes.layers[1].name).unique().counts)


def test_bytes_are_taken_as_numbers() -> None:
    graph = sg.trace(nn.Sequential(nn.Linear(2, 4), nn.ReLU()).eval(), torch.zeros(1, 2))
    x = torch.randint(0, 256, (20, 2), dtype=torch.uint8)
    assert (sg.activation_graph(graph, x).keys == sg.activation_graph(graph, x.double()).keys).all()
    assert sg.activation_graph(graph, x, dtype=None).provenance.dtype == "float32"


@pytest.mark.parametrize(
    ("arguments", "options", "match"),
    [
        ((torch.zeros(4, 3), [0, 1]), {}, "2 labels|4 samples"),
        ((torch.zeros(4, 3), [0.5] * 4), {}, "integer"),
        ((torch.zeros(0, 3),), {}, "empty"),
        ((torch.zeros(4, 5),), {}, r"expected \(B, 3\)"),
        ((torch.full((4, 3), torch.nan),), {}, "NaN"),
        ((torch.zeros(4, 3),), {"coarsen": "top"}, "there is no coarsening 'top'; choose of channel-any"),
        ((torch.zeros(4, 3),), {"coarsen": "informative-4"}, "needs labels"),
        ((torch.zeros(4, 3),), {"batch_size": 0}, "batch_size is 0"),
        ((torch.zeros(4, 3),), {"limit": 0}, "."),
        (("nowhere.npz",), {}, "there is no file nowhere.npz"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[Any, ...], options: dict[str, Any], match: str) -> None:
    with pytest.raises(SplineGraphError, match=match) as caught:
        sg.activation_graph(zoo.graph("mlp"), *arguments, **options)
    assert "\n" not in str(caught.value)


def test_graphs_without_cells_are_refused() -> None:
    with pytest.raises(SplineGraphError, match=r"no operator of .* switches: .*sg\.spline"):
        sg.activation_graph(zoo.graph("gelu"), zoo.inputs("gelu", 3)[0])
    with pytest.raises(SplineGraphError, match="an affine network is one cell"):
        sg.activation_graph(zoo.graph("affine"), zoo.inputs("affine", 3)[0])


def test_partitions_of_other_graphs_and_other_labels_are_refused() -> None:
    box = sg.Box(torch.full((2,), -1.0), torch.full((2,), 1.0))
    partition = sg.enumerate_regions(zoo.graph("plane"), box)
    with pytest.raises(SplineGraphError, match="another graph"):
        sg.activation_graph(zoo.graph("mlp"), partition)
    for y in ([0], [0.5] * len(partition), "y"):
        with pytest.raises(SplineGraphError, match="label"):
            sg.activation_graph(zoo.graph("plane"), partition, y)
