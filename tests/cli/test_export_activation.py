"""`splinegraph export --graph activation`, and the section of `splinegraph analyze`."""

from __future__ import annotations

import json
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from tests.cli.conftest import Run


@pytest.fixture
def command(splinegraph: Run) -> Run:
    """Return the command in a folder that holds data with two kinds of labels."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype("f4")
    np.savez("data.npz", x=x, y=(x[:, 0] > 0).astype("i8"), other=np.full(200, 7))
    np.savez("wide.npz", x=rng.normal(size=(5, 4)).astype("f4"))
    return splinegraph


def test_a_graph_for_gephi(command: Run) -> None:
    result = command("export", "net.py", "--graph", "activation", "--data", "data.npz", "--out", "g.gexf")
    assert result.exit_code == 0, result.output
    graph = nx.read_gexf("g.gexf")
    assert result.stdout.startswith(f"wrote g.gexf: {len(graph)} nodes and 0 edges of the activation graph\n")
    assert sum(data["count"] for _, data in graph.nodes(data=True)) == 200
    assert {data["class"] for _, data in graph.nodes(data=True)} == {"0", "1"}


def test_options_reach_the_graph(command: Run) -> None:
    common = ("export", "net.py", "--graph", "activation", "--data", "data.npz", "--out", "g.json")
    asked = ("--coarsen", "top-1", "--limit", 50, "--labels", "other", "--dtype", "float32")
    result = command(*common, *asked)
    assert result.exit_code == 0, result.output
    nodes = json.loads(Path("g.json").read_text())["nodes"]
    assert len(nodes) == 2
    assert sum(node["count"] for node in nodes) == 50
    assert {node["class"] for node in nodes} == {"7"}
    assert "unions of cells (top-1" in result.stdout
    assert "all labels are of one class" in result.stdout
    assert command(*common, "--max-nodes", 3).exit_code == 0
    assert len(json.loads(Path("g.json").read_text())["nodes"]) <= 3
    assert command(*common[:-1], "g.png").exit_code == 0
    assert Path("g.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--graph", "activation"], "--graph activation needs --data"),
        (["--coarsen", "top-3"], "--coarsen is for --graph activation"),
        (["--graph", "activation", "--data", "data.npz", "--labels", "z"], "no array 'z'"),
        (["--graph", "activation", "--data", "data.npz", "--coarsen", "tops"], "there is no coarsening 'tops'"),
        (["--graph", "activation", "--data", "wide.npz", "--input-shape", "4"], "shape|mat"),
    ],
)
def test_bad_input_is_one_line(command: Run, arguments: list[str], match: str) -> None:
    import re

    result = command("export", "net.py", *arguments, "--out", "g.gexf")
    assert result.exit_code == 2
    assert re.search(match, result.stderr)
    assert "Traceback" not in result.output
    assert not Path("g.gexf").exists()


def test_a_section_of_the_report(command: Run) -> None:
    result = command("analyze", "net.py", "--data", "data.npz", "--only", "activation", "--json", "r.json")
    assert result.exit_code == 0, result.output
    assert "agreeing" in result.stdout
    section = json.loads(Path("r.json").read_text())["sections"]["activation"]
    (layer,) = section["layers"]
    assert section["cells"] == layer["cells"] <= 16
    assert section["samples"] == 200
    assert layer["purity"] > layer["baseline"]
