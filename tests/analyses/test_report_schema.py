"""What report.json holds is what its schema says, and the schema describes all of it."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
from importlib import resources
from typing import Any

import jsonschema
import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.analyses.provenance import Provenance
from splinegraph.analyses.report import checks, convexity, graph, ladders, lipschitz, maps, regions, registry, units
from splinegraph.analyses.report.report import FORMAT, Report, analyze
from splinegraph.analyses.report.values import Check, Failed
from tests.zoo import graph as traced
from tests.zoo import inputs

SCHEMA: dict[str, Any] = json.loads(
    resources.files("splinegraph").joinpath("analyses/report/schema.json").read_text(encoding="utf-8")
)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def _broken(_: object) -> Failed:
    raise RuntimeError("out of luck")


def _check(report: Report) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    VALIDATOR.validate(told)
    return told


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["format"]["const"] == FORMAT == SCHEMA["title"]


@pytest.mark.parametrize("name", ["cnn", "gelu", "heads", "line", "maximum", "sign", "topk", "two"])
def test_reports_of_all_kinds_of_networks(name: str) -> None:
    _check(analyze(traced(name), data=inputs(name, 6)))


def test_a_recurrent_network() -> None:
    told = _check(analyze(traced("rnn"), request={"target": "net.py"}))
    assert {row["step"] for row in told["sections"]["graph"]["nodes"]} >= {0, 1, 2}


def test_failed_missing_and_new_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    net = sg.trace(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).eval(), torch.zeros(1, 2))
    monkeypatch.setitem(registry.SECTIONS, "codes", registry.SectionKind(_broken, (), 30))
    told = _check(analyze(net, data=torch.eye(2), labels=torch.tensor([0, 1])))
    assert told["sections"]["codes"]["failed"]
    _check(analyze(net, sections=["graph"]))
    monkeypatch.setitem(registry.SECTIONS, "mine", registry.SectionKind(graph.graph_section, (), 60))
    assert "mine" in _check(analyze(net))["sections"]


def _spoiled() -> list[tuple[tuple[str | int, ...], Any]]:
    return [
        (("format",), "splinegraph report 1"),
        (("complete",), 1),
        (("sections", "codes", "distinct"), -1),
        (("sections", "codes", "typo"), 1),
        (("sections", "maps", "kind"), "approximate"),
        (("sections", "graph", "nodes", 0, "step"), "first"),
        (("sections", "units", "layers", 0, "share"), {"left": 0.5}),
        (("sections", "units", "failed"), True),
        (("provenance", "weights_sha256"), "abc"),
        (("notes",), "one"),
    ]


@functools.cache
def _small() -> dict[str, Any]:
    return _check(analyze(sg.trace(nn.Sequential(nn.ReLU()).eval(), torch.zeros(1, 2))))


@pytest.mark.parametrize(("key", "value"), _spoiled())
def test_the_schema_refuses(key: tuple[str | int, ...], value: Any) -> None:
    told: Any = copy.deepcopy(_small())
    held = told
    for part in key[:-1]:
        held = held[part]
    held[key[-1]] = value
    assert not VALIDATOR.is_valid(told)


HELD = [
    graph.GraphSection, graph.NodeRow, graph.InputsSection, units.UnitsSection, units.LayerUnits, units.CodesSection,
    maps.BoundarySection, maps.MapsSection, maps.MapRow, regions.RegionsSection, lipschitz.LipschitzSection,
    lipschitz.LayerConstant, convexity.ConvexitySection, convexity.OutputVerdict, convexity.FailingLayer, Failed,
    ladders.RungRow, lipschitz.LocalBound, checks.ChecksSection, Check,
]  # fmt: skip


@pytest.mark.parametrize("kind", HELD, ids=lambda kind: kind.__name__)
def test_every_field_is_described(kind: type[Any]) -> None:
    told = SCHEMA["$defs"][kind.__name__]
    extra = {"failed", "headline"} if kind.__name__.endswith("Section") or kind is Failed else set()
    assert {f.name for f in dataclasses.fields(kind)} | extra == set(told["properties"]) == set(told["required"])


def test_the_top_and_the_provenance_are_described() -> None:
    report = analyze(sg.trace(nn.ReLU().eval(), torch.zeros(1, 2)))
    assert set(SCHEMA["properties"]) == set(SCHEMA["required"]) == set(report.to_dict())
    assert set(SCHEMA["$defs"]["Provenance"]["properties"]) == set(report.provenance.to_dict())
    assert isinstance(report.provenance, Provenance)
    assert set(SCHEMA["properties"]["sections"]["properties"]) == set(registry.SECTIONS)


def _described(schema: Any, where: str = "") -> list[str]:
    """Return the keys without a description."""
    missing = []
    if isinstance(schema, dict):
        for name, held in schema.get("properties", {}).items() if isinstance(schema.get("properties"), dict) else ():
            target = SCHEMA["$defs"].get(held.get("$ref", "").rpartition("/")[2], held)
            if where != "/AnySection" and not (target.get("description") or "oneOf" in held):
                missing.append(f"{where}/{name}")
        for name, held in schema.items():
            missing += _described(held, f"/{name}")
    return missing


def test_every_key_has_a_description() -> None:
    assert _described(SCHEMA) == []
