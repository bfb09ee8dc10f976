"""Graph files: what networkx reads back, what the formats allow, what is never lost."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from splinegraph.errors import DataError
from splinegraph.export import files
from splinegraph.export.graphs import node_link, operator_graph, write_gexf, write_graphml, write_json
from splinegraph.export.graphs.cleaning import clean
from tests import zoo
from tests.export.graphs.gexf_rules import check_gexf
from tests.export.graphs.nasty import friendly_graphs, nasty_graphs

Write = Callable[[Any, Path], Path]
DRAWN = {"viz"}, {"x", "y", "size", "color"}, {"color", "thickness", "key"}


def read_json(path: Path) -> nx.Graph[Any]:
    return nx.node_link_graph(json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail), edges="edges")


FORMATS: dict[str, tuple[Write, Callable[[Path], nx.Graph[Any]]]] = {
    "gexf": (write_gexf, nx.read_gexf),
    "graphml": (write_graphml, nx.read_graphml),
    "json": (write_json, read_json),
}
every_format = pytest.mark.parametrize("form", FORMATS)
fuzz = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def written(graph: object, form: str) -> tuple[bytes, nx.Graph[Any]]:
    write, read = FORMATS[form]
    with tempfile.TemporaryDirectory() as folder:
        path = write(graph, Path(folder) / f"g.{form}")
        if form == "gexf":
            check_gexf(path)
        return path.read_bytes(), read(path)


def facts(graph: nx.Graph[Any], names: Any) -> tuple[Any, Any]:
    """Return nodes and edges with the attributes in `names` and their types, comparable whatever the order."""

    def typed(data: dict[str, Any], kept: Any) -> list[tuple[str, str, Any]]:
        return sorted((k, type(v).__name__, repr(v)) for k, v in data.items() if k in kept)

    nodes = {node: typed(data, names[0]) for node, data in graph.nodes(data=True)}
    edges = []
    for u, v, data in graph.edges(data=True):
        ends = (u, v) if graph.is_directed() else tuple(sorted((u, v)))
        edges.append((ends, typed(data, names[1])))
    return nodes, sorted(edges, key=repr)


def own_names(graph: nx.Graph[Any]) -> tuple[set[str], set[str]]:
    return {k for _, d in graph.nodes(data=True) for k in d}, {k for *_, d in graph.edges(data=True) for k in d}


@every_format
@fuzz
@given(graph=friendly_graphs())
def test_what_fits_comes_back_as_it_is(form: str, graph: nx.Graph[Any]) -> None:
    _, back = written(graph, form)
    assert back.is_directed() == graph.is_directed()
    names = own_names(graph)
    assert facts(back, names) == facts(graph, names)
    drawn = {"gexf": ({"label", "viz"}, set())}.get(form, ({"label", *DRAWN[1]}, DRAWN[2]))
    found = own_names(back)
    assert found[0] <= names[0] | drawn[0]
    assert found[1] <= names[1] | drawn[1]
    if back.is_multigraph():
        assert {*map(repr, back.edges(keys=True))} == {*map(repr, graph.edges(keys=True))} or not graph.is_directed()


@every_format
@fuzz
@given(graph=nasty_graphs())
def test_whatever_is_in_it_the_file_is_sound(form: str, graph: nx.Graph[Any]) -> None:
    content, back = written(graph, form)
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", content.decode("utf-8"))
    cleaned = clean(graph).graph
    names = own_names(cleaned)
    assert facts(back, names) == facts(cleaned, names)
    assert len(back) == len(graph)
    assert back.number_of_edges() == graph.number_of_edges()
    for rows in ([d for _, d in cleaned.nodes(data=True)], [d for *_, d in cleaned.edges(data=True)]):
        for name in {key for data in rows for key in data}:
            kinds = {type(data[name]) for data in rows if name in data}
            assert len(kinds) == 1
            assert kinds <= {bool, int, float, str}
            assert all(math.isfinite(data[name]) for data in rows if isinstance(data.get(name), float))


@every_format
@fuzz
@given(graph=nasty_graphs())
def test_writing_what_was_read_gives_the_same_file(form: str, graph: nx.Graph[Any]) -> None:
    first, back = written(clean(graph).graph, form)
    if graph.is_multigraph():  # readers make simple graphs of those without parallel edges
        return
    again, _ = written(back, form)
    if form == "json":  # one value a line, whatever its length
        first, again = (json.dumps(json.loads(c), indent=2, ensure_ascii=False).encode() for c in (first, again))
    notes = re.compile(rb'<description>.*?</description>|"notes": \[.*?\]|<desc>.*?</desc>', re.DOTALL)
    lines = [sorted(line.rstrip(b",") for line in notes.sub(b"", c).splitlines()) for c in (first, again)]
    assert lines[0] == lines[1]


@every_format
def test_names_of_the_arguments_of_networkx_can_be_read(form: str) -> None:
    graph: nx.Graph[Any] = nx.Graph()
    graph.add_edge("a", "b")
    graph.nodes["a"].update({"self": 1, "node_for_adding": 2})
    graph.edges["a", "b"].update({"self": 1, "u_of_edge": 2, "v_for_edge": 3})
    _, back = written(clean(graph).graph, form)
    assert back.nodes["a"]["self_"] == 1
    assert {back.edges["a", "b"][name] for name in ("self_", "u_of_edge_", "v_for_edge_")} == {1, 2, 3}


@fuzz
@given(graph=nasty_graphs())
def test_cleaning_twice_is_cleaning_once(graph: nx.Graph[Any]) -> None:
    once = clean(graph).graph
    twice = clean(once)
    assert nx.utils.graphs_equal(once, twice.graph)
    # the types too, which graphs_equal does not tell apart; in whatever order the attributes are
    rows = [
        sorted(repr((ends, sorted((k, repr(v)) for k, v in data.items()))) for *ends, data in g.edges(data=True))
        for g in (once, twice.graph)
    ]
    assert rows[0] == rows[1]
    assert twice.notes == ()


@pytest.mark.parametrize("name", zoo.ZOO)
def test_operator_graphs_come_back_equal(name: str) -> None:
    graph = operator_graph(zoo.graph(name))
    assert clean(graph).notes == ()
    names = own_names(graph)
    for form in FORMATS:
        content, back = written(zoo.graph(name), form)
        assert facts(back, names) == facts(graph, names)
        assert content == written(zoo.graph(name), form)[0]


def test_operator_graphs_say_what_the_network_says() -> None:
    graph, network = zoo.graph("residual"), operator_graph(zoo.graph("residual"))
    assert sum(d["parameters"] for _, d in network.nodes(data=True)) == sum(p.numel() for p in graph.parameters())
    for node in graph.nodes:
        data = network.nodes[node.name]
        assert data["units"] == math.prod(node.shape)
    depths = nx.get_node_attributes(network, "depth")
    assert max(depths.values()) == nx.dag_longest_path_length(network, weight="")
    assert {n for n, d in network.nodes(data=True) if d["output"]} == set(graph.outputs)


def test_names_that_become_equal_stay_apart() -> None:
    graph = nx.DiGraph([(1, "1"), ("1", 1.0), (np_one := "1_2", 1)])
    _, back = written(graph, "gexf")
    assert sorted(back) == ["1", "1_2", "1_3"]
    assert np_one in back
    assert back.number_of_edges() == 3


def test_reserved_names_get_a_suffix_and_a_note() -> None:
    graph = nx.DiGraph()
    graph.add_node("a", id="mine", id_=1, start=2, label="A", weight=3, type="t", x=1.0)
    graph.add_edge("a", "b", type="directed?", source=1, weight=2, label="e", key="k")
    cleaned = clean(graph)
    assert cleaned.graph.nodes["a"] == {
        "id__": "mine", "id_": 1, "start_": 2, "label": "A", "weight": 3, "type": "t", "x_": 1.0,
    }  # fmt: skip
    assert cleaned.graph.edges["a", "b"] == {
        "type_": "directed?",
        "source_": 1,
        "weight": 2.0,
        "label": "e",
        "key_": "k",
    }
    assert "node attribute 'id' renamed 'id__'" in cleaned.notes
    assert "renamed 'id__'" in written(graph, "gexf")[0].decode()


def test_drawing_instructions_of_the_user_count() -> None:
    graph = nx.Graph()
    graph.add_node(0, x=1, y=2.5, size=3, color="#010203")
    graph.add_node(1, x=4, y=-1, size=0.5, color="#ABCDEF")
    viz = [data["viz"] for _, data in written(graph, "gexf")[1].nodes(data=True)]
    assert [v["position"] for v in viz] == [{"x": 1.0, "y": 2.5, "z": 0.0}, {"x": 4.0, "y": -1.0, "z": 0.0}]
    assert [v["size"] for v in viz] == [3.0, 0.5]
    assert viz[0]["color"] == {"r": 1, "g": 2, "b": 3, "a": 1.0}
    graph.nodes[1]["x"] = "east"  # then the layout decides, and x is text
    assert {"x_", "y_"} <= set(written(graph, "graphml")[1].nodes["0"])


@pytest.mark.parametrize("kind", [nx.MultiGraph, nx.MultiDiGraph])
@pytest.mark.parametrize("keys", [(0, 1, 5), ("p", "q", "r"), (0, "0", (1, 2))])
@every_format
def test_parallel_edges_keep_their_keys(form: str, kind: Any, keys: tuple[Any, ...]) -> None:
    graph = kind()
    for key in keys:
        graph.add_edge("a", "b", key, note=str(key))
    graph.add_edge("a", "a", 7)
    content, back = written(graph, form)
    expected = {"0", "0_2", "[1, 2]"} if (1, 2) in keys else set(keys)
    assert {key for u, v, key in back.edges(keys=True) if u != v} == expected
    if form == "gexf":  # Gephi merges parallel edges of one kind
        assert len(re.findall(rb' kind="', content)) == 2


@every_format
@pytest.mark.parametrize("graph", [nx.Graph(), nx.MultiDiGraph(), nx.path_graph(1)])
def test_small_graphs(form: str, graph: nx.Graph[Any]) -> None:
    assert len(written(graph, form)[1]) == len(graph)


def test_json_has_a_format_and_takes_results_too(tmp_path: Path) -> None:
    class Result:
        def to_dict(self) -> dict[str, int]:
            return {"a": 1}

    data = json.loads(write_json(nx.path_graph(2), tmp_path / "g.json").read_text())
    assert data["format"] == "splinegraph graph 1"
    assert data == json.loads(json.dumps(node_link(nx.path_graph(2))))
    assert json.loads(write_json(Result(), tmp_path / "r.json").read_text()) == {"a": 1}


@pytest.mark.parametrize("write", [write_gexf, write_graphml, write_json])
def test_what_cannot_be_written(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = nx.path_graph(3)
    with pytest.raises(DataError, match="a list is not a graph; give a SplineGraph"):
        write([1, 2], tmp_path / "g")
    with pytest.raises(DataError, match=r"cannot write .*missing"):
        write(graph, tmp_path / "missing" / "g")
    with pytest.raises(DataError, match="cannot write"):
        write(graph, tmp_path)
    old = write(nx.path_graph(2), tmp_path / "g").read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(DataError, match="No space left on device; free some space"):
        write(graph, tmp_path / "g")
    assert (tmp_path / "g").read_bytes() == old
    assert os.listdir(tmp_path) == ["g"]


def test_the_original_is_left_alone() -> None:
    graph = nx.DiGraph(name="n", id=3)
    graph.add_edge(1, 2, viz={"thickness": 1})
    before = repr((graph.graph, list(graph.nodes(data=True)), list(graph.edges(data=True))))
    for form in FORMATS:
        written(graph, form)
    assert repr((graph.graph, list(graph.nodes(data=True)), list(graph.edges(data=True)))) == before


@given(st.lists(st.sampled_from(['id="a"', 'r="256"', 'value="disk"', 'for="zz"']), min_size=1, max_size=1))
@settings(max_examples=4, deadline=None)
def test_the_checker_bites(fault: list[str]) -> None:
    swaps = {'id="a"': 'id="b"', 'r="256"': 'r="\\d+"', 'value="disk"': 'value="disc"', 'for="zz"': 'for="n0"'}
    with tempfile.TemporaryDirectory() as folder:
        graph = nx.Graph([("a", "b")])
        graph.nodes["a"]["extra"] = 1
        path = write_gexf(graph, Path(folder) / "g.gexf")
        check_gexf(path)
        broken = re.sub(swaps[fault[0]], fault[0], path.read_text())
        assert broken != path.read_text()
        path.write_text(broken)
        with pytest.raises((AssertionError, KeyError)):
            check_gexf(path)
