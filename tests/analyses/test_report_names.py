"""Names of files and modules cannot break a report."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.report.graph import describe_graph
from splinegraph.analyses.report.names import shown_names
from splinegraph.analyses.report.report import analyze
from splinegraph.core.graph import SplineGraph


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"a\x1b[31m": nn.Linear(2, 2), "b\nc\u202e": nn.Linear(2, 2)})

    def forward(self, x: Tensor) -> Tensor:
        for module in self.inner.values():
            x = torch.relu(module(x))
        return x


def _odd() -> SplineGraph:
    graph = sg.trace(Odd().eval(), torch.zeros(1, 2))
    suffix = dict(zip([node.name for node in graph], ["\x1b[1m", "a\n", "a\r", "a ", "\x07"], strict=True))
    new = {name: f"{'n' if end[0] == 'a' else name}{end}" for name, end in suffix.items()}
    nodes = tuple(
        dataclasses.replace(node, name=new[node.name], args=tuple(new[a] for a in node.args), source="a\tb.py:1")
        for node in graph
    )
    return SplineGraph(
        nodes, tuple(map(new.__getitem__, graph.inputs)), tuple(map(new.__getitem__, graph.outputs)),
        name="evil\x1b]0;title\x07\nname", notes=("a note\x1b[2J",),
    )  # fmt: skip


def _texts(value: Any) -> Any:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, held in value.items():
            yield key
            yield from _texts(held)
    elif isinstance(value, list):
        for held in value:
            yield from _texts(held)


def test_a_report_holds_no_control_characters() -> None:
    report = analyze(_odd(), data=torch.zeros(2, 2), notes=["from\x1b[0m"])
    assert report.complete
    told = json.loads(json.dumps(report.to_dict()))
    texts = list(_texts(told))
    assert len(texts) > 100
    assert [text for text in texts if not text.isprintable()] == []
    assert report.name == r"evil\x1b]0;title\x07 name"
    assert str(report).splitlines()[0] == report.name


def test_names_stay_unique_and_agree_between_sections() -> None:
    graph = _odd()
    names = shown_names(graph)
    assert len(set(names.values())) == len(graph)
    with torch.no_grad():  # at zero every ReLU ties
        for tensor in graph.parameters():
            tensor.zero_() if tensor.dim() == 1 else tensor.fill_(1.0)
    report = analyze(graph, data=torch.zeros(2, 2))
    rows = {row.name: row for row in report["graph"].nodes}
    assert list(rows) == list(names.values())
    assert all(name in rows for row in rows.values() for name in row.reads)
    assert {layer.name for layer in report["units"].layers} | set(report["boundary"].by_node) < set(rows)
    assert report["boundary"].by_node
    assert report["maps"].output in rows
    assert set(report["graph"].outputs) | set(report["graph"].inputs) < set(rows)


def test_plain_names_stay_as_they_are() -> None:
    graph = sg.trace(nn.Sequential(nn.Linear(2, 2), nn.ReLU()).eval(), torch.zeros(1, 2))
    assert [row.name for row in describe_graph(graph).nodes] == [node.name for node in graph]
    assert describe_graph(graph).nodes[1].module == graph.nodes[1].module
