"""`splinegraph export`."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import pytest

from splinegraph.tracers.loading import load
from splinegraph.tracers.tracing import trace
from tests.cli.conftest import Run


def test_networkx_reads_what_was_written(splinegraph: Run) -> None:
    import torch

    model = load("net.py").model
    assert isinstance(model, torch.nn.Module)
    graph = trace(model, torch.zeros(1, 3))
    found = {}
    for form, read in (("gexf", nx.read_gexf), ("graphml", nx.read_graphml)):
        result = splinegraph("export", "net.py", "--out", f"g.{form}")
        assert result.exit_code == 0, result.output
        assert result.stdout == f"wrote g.{form}: 4 nodes of Sequential\n"
        found[form] = read(f"g.{form}")
    assert splinegraph("export", "net.py", "--out", "g.json").exit_code == 0
    found["json"] = nx.node_link_graph(json.loads(Path("g.json").read_text()), edges="edges")
    for read_back in found.values():
        assert read_back.is_directed()
        assert set(read_back) == {node.name for node in graph.nodes}
        assert set(read_back.edges()) == {(arg, node.name) for node in graph.nodes for arg in node.args}


@pytest.mark.parametrize(("form", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_figures(splinegraph: Run, form: str, start: bytes) -> None:
    result = splinegraph("export", "net.py", "--format", form, "--out", "figure")
    assert result.exit_code == 0, result.output
    assert Path("figure").read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ([], "--out"),
        (["--out", "g.xyz"], "give --format, one of gexf"),
        (["--out", "."], "is a folder"),
        (["--out", "nowhere/g.gexf"], "cannot write nowhere/g.gexf"),
    ],
)
def test_bad_input(splinegraph: Run, arguments: list[str], match: str) -> None:
    result = splinegraph("export", "net.py", *arguments)
    assert result.exit_code == 2
    assert match in result.stderr
