"""Activation graphs as files: what networkx reads back, GEXF's rules, names that mean something to a format."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import torch
from torch import nn

import splinegraph as sg
from tests import zoo
from tests.export.graphs.gexf_rules import check_gexf

READERS: dict[str, Callable[[Path], nx.Graph[Any]]] = {
    "gexf": nx.read_gexf,
    "graphml": nx.read_graphml,
    "json": lambda path: nx.node_link_graph(json.loads(path.read_text(encoding="utf-8")), edges="edges"),
}
WRITERS = {"gexf": sg.write_gexf, "graphml": sg.write_graphml, "json": sg.write_json}
NASTY = ["<&\">'", "]]>", "a\r\nb\x00", "\ud800 \u2028", "\x1b[31m", "id", " "]


def made(count: int = 60, names: Any = None, **options: Any) -> sg.ActivationGraph:
    x = zoo.inputs("cnn", count)[0]
    return sg.activation_graph(zoo.graph("cnn"), x, torch.arange(count) % 7, class_names=names, **options)


def nasty_module() -> sg.ActivationGraph:
    module = nn.Module()
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.ReLU())
    module.add_module("<&\">']]>", model)
    module.forward = lambda x: model(x)
    graph = sg.trace(module.eval(), torch.zeros(1, 2))
    return sg.activation_graph(graph, torch.randn(30, 2), torch.arange(30) % 7, class_names=NASTY)


@pytest.mark.parametrize("form", READERS)
@pytest.mark.parametrize("kind", ["cells", "clusters", "merged", "nasty", "partition"])
def test_what_is_written_is_read_back(kind: str, form: str, tmp_path: Path) -> None:
    if kind == "nasty":
        graph = nasty_module().to_networkx()
    elif kind == "partition":
        box = sg.Box(torch.full((2,), -0.5), torch.full((2,), 0.5))
        partition = sg.enumerate_regions(zoo.graph("plane"), box)
        graph = sg.activation_graph(zoo.graph("plane"), partition, partition.classes()).to_networkx()
    else:
        ag = made(coarsen="clusters-4" if kind == "clusters" else None)
        graph = ag.to_networkx(max_nodes=12 if kind == "merged" else None)
    path = WRITERS[form](graph, tmp_path / f"g.{form}")
    if form == "gexf":
        check_gexf(path)
    back = READERS[form](path)
    assert back.is_directed()
    assert nx.is_bipartite(back)
    assert set(back) == set(graph)
    assert set(back.edges) == set(graph.edges)
    for name, data in graph.nodes(data=True):
        for key in ("count", "share", "layer", "bipartite", "cells", "merged", "first", "purity"):
            assert back.nodes[name].get(key) == data.get(key), key
    for a, b, data in graph.edges(data=True):
        assert back.edges[a, b]["count"] == data["count"]
        assert back.edges[a, b]["weight"] == data["weight"]


def test_gephi_finds_layers_sizes_and_colors(tmp_path: Path) -> None:
    ag = made(coarsen="clusters-4")
    back = nx.read_gexf(sg.write_gexf(ag, tmp_path / "g.gexf"))
    assert len(back) == len(ag)
    drawn = {name: data["viz"] for name, data in back.nodes(data=True)}
    xs = sorted({viz["position"]["x"] for viz in drawn.values()})
    assert len(xs) == len(ag.layers)
    for name, data in back.nodes(data=True):
        assert drawn[name]["position"]["x"] == xs[data["layer"]]
    for layer in range(len(ag.layers)):
        column = [n for n, data in back.nodes(data=True) if data["layer"] == layer]
        ranked = sorted(column, key=lambda n: back.nodes[n]["count"])
        sizes = [drawn[n]["size"] for n in ranked]
        assert sizes == sorted(sizes)
        places = sorted((drawn[n]["position"]["y"], drawn[n]["size"]) for n in column)
        for (y, size), (above, other) in itertools.pairwise(places):
            assert above - y > (size + other) / 2  # discs do not overlap
    for a in back:
        for b in back:
            same = back.nodes[a]["class"] == back.nodes[b]["class"]
            assert (drawn[a]["color"] == drawn[b]["color"]) == same


def test_what_is_left_out_is_merged_and_nothing_is_lost() -> None:
    ag = made()
    full, cut = ag.to_networkx(max_nodes=None), ag.to_networkx(max_nodes=14)
    assert len(cut) <= 14 < len(full)
    for layer in range(len(ag.layers)):
        for key in ("count", "cells"):
            sums = [sum(d[key] for _, d in g.nodes(data=True) if d["layer"] == layer) for g in (full, cut)]
            assert sums[0] == sums[1]
        merged = [d for _, d in cut.nodes(data=True) if d["layer"] == layer and d["merged"]]
        kept = [d for _, d in cut.nodes(data=True) if d["layer"] == layer and not d["merged"]]
        assert len(merged) <= 1 <= len(kept)
    assert sum(d["count"] for *_, d in cut.edges(data=True)) == sum(d["count"] for *_, d in full.edges(data=True))
    assert "merged" in cut.graph["notes"]
    # each layer keeps its largest node, whatever the others have
    for layer in range(len(ag.layers)):
        top = int(ag.most_shared(1, layer=layer)[0]) - int(ag.start[layer])
        assert f"{layer}/{top}" in cut


def test_the_writers_take_the_result_itself(tmp_path: Path) -> None:
    ag = made()
    for write, name in ((sg.write_gexf, "gexf"), (sg.write_graphml, "graphml"), (sg.write_json, "json")):
        one = write(ag, tmp_path / f"a.{name}").read_bytes()
        assert one == write(ag.to_networkx(), tmp_path / f"b.{name}").read_bytes()
