"""Two reports side by side."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest
import torch
from torch import nn

import splinegraph as sg
from splinegraph.analyses.report.compare import compare
from splinegraph.analyses.report.report import analyze
from splinegraph.errors import DataError


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3)).eval()
    held: dict[str, Any] = analyze(sg.trace(net, torch.zeros(1, 2)), request={"target": "a.py"}).to_dict()
    picture = held["sections"]["regions"]["picture"]
    held["sections"]["regions"]["picture"] = {k: v[:2] if isinstance(v, list) else v for k, v in picture.items()}
    return held


DRAWN = ("picture", "browser", "gallery")


def _leaves(value: Any) -> int:
    if isinstance(value, dict):
        skipped = ("headline", "notes", "source", "detail")
        return sum(1 if k in DRAWN else _leaves(v) for k, v in value.items() if k not in skipped)
    return sum(map(_leaves, value)) if isinstance(value, list) else 1


def test_a_report_is_the_same_as_itself_read_back(told: dict[str, Any]) -> None:
    found = compare(told, json.loads(json.dumps(told)))
    assert found.same
    assert found.rows == ()
    assert found.compared == _leaves({k: told[k] for k in ("name", "complete", "sections")})
    assert repr(found).startswith(f"<Comparison: the same: {found.compared} values within 1e-06")


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Any:
    if isinstance(value, dict | list) and value:
        for key, held in value.items() if isinstance(value, dict) else enumerate(value):
            if key != "headline":
                yield from _paths(held, (*path, key))
    else:
        yield path, value


def _changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value * 1.001 + (0.01 if isinstance(value, float) else 1)
    return "other" if isinstance(value, str) else ["other"]


def test_every_change_is_found_and_nothing_else(told: dict[str, Any]) -> None:
    drawn = [p for p in _paths(told) if set(p[0]) & set(DRAWN)]
    plain = copy.deepcopy(told)  # drawings are large, and each report below is gone through as a whole
    for section, name in {(p[1], p[2]) for p, _ in drawn}:
        plain["sections"][section][name] = None
    others = [p for p in _paths(told) if not set(p[0]) & set(DRAWN)]
    assert len(others) > 100
    for old, path, value in [*((plain, *p) for p in others), *((told, *p) for p in drawn[:: len(drawn) // 30])]:
        new = copy.deepcopy(old)
        held: Any = new
        for key in path[:-1]:
            held = held[key]
        held[path[-1]] = _changed(value)
        if path == ("format",):
            held[path[-1]] = "splinegraph report 2"
        found = compare(old, new)
        (row,) = found.rows
        context = any(key in ("format", "notes", "request", "provenance", "source", "detail") for key in path)
        if path[-1] == "weights_sha256":
            assert row.kind == "weights"
        else:
            assert row.kind == ("context" if context else "value"), path
        assert found.same == (row.kind == "context")
        drawing = next((key for key in path if key in DRAWN), None)
        assert str(path[-1] if drawing is None else drawing) in row.key


IMAGE = {"shape": [1, 1, 2], "low": -1.0, "high": 1.0, "data": base64.b64encode(bytes([7, 200])).decode()}


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"data": base64.b64encode(bytes([8, 199])).decode()}, True),  # one step of 255 may be rounding
        ({"data": base64.b64encode(bytes([9, 200])).decode()}, False),
        ({"data": base64.b64encode(bytes([7])).decode()}, False),
        ({"data": "no base64 at all"}, False),
        ({"high": 1.00001}, True),
        ({"high": 1.01}, False),
        ({"shape": [2]}, False),
        ({"low": "x"}, False),
    ],
)
def test_images_agree_to_a_step_of_their_scale(told: dict[str, Any], change: dict[str, Any], same: bool) -> None:
    old = copy.deepcopy(told)
    old["sections"]["templates"]["gallery"] = {"samples": [{"sample": 0, "x": IMAGE}], "left_out": ""}
    new = copy.deepcopy(old)
    new["sections"]["templates"]["gallery"]["samples"][0]["x"] = {**IMAGE, **change}
    found = compare(old, new)
    assert found.same == same
    assert [row.key for row in found.rows] == ["sections.templates.gallery"] * (not same)


def test_drawn_numbers_agree_to_the_digits_that_are_kept(told: dict[str, Any]) -> None:
    new = copy.deepcopy(told)
    new["sections"]["regions"]["picture"]["vertices"][0][0] *= 1 + 1e-5
    assert compare(told, new).same
    new["sections"]["regions"]["picture"]["vertices"][0][0] *= 1.001
    (row,) = compare(told, new).rows
    assert (row.key, row.kind) == ("sections.regions.picture", "value")
    assert len(str(row)) < 100


def test_an_older_report_is_compared_by_what_it_holds(told: dict[str, Any]) -> None:
    old = copy.deepcopy(told)
    old["format"] = "splinegraph report 2"
    sections = old["sections"]
    del sections["checks"], sections["lipschitz"]["rungs"], sections["regions"]["picture"]
    for node in sections["graph"]["nodes"]:
        del node["curvature"], node["parameters"]
    for found in (compare(old, told), compare(told, old)):
        assert [row.key for row in found.rows] == ["format"]
        assert found.same
    del sections["codes"]["distinct"]  # format 2 had that
    assert [row.key for row in compare(old, told).rows] == ["sections.codes.distinct", "format"]


def test_rounding_of_a_check_is_no_finding_but_a_verdict_is(told: dict[str, Any]) -> None:
    new = copy.deepcopy(told)
    place = next(i for i, r in enumerate(told["sections"]["checks"]["rows"]) if r["tolerance"] == 1e-10)
    row = new["sections"]["checks"]["rows"][place]
    row["difference"] += 5e-11
    row["detail"] = "in other words"
    found = compare(told, new)
    assert found.same
    assert [r.kind for r in found.rows] == ["context"]
    row["passed"] = False
    assert [r.key for r in compare(told, new).rows if r.kind == "value"] == [f"sections.checks.rows[{place}].passed"]


def test_what_is_missing_on_either_side(told: dict[str, Any]) -> None:
    less = copy.deepcopy(told)
    del less["sections"]["codes"], less["sections"]["units"]["dead"]
    gone, come = compare(told, less), compare(less, told)
    assert [row.key for row in gone.rows] == ["sections.units.dead", "sections.codes"]
    assert {row.key for row in come.rows} == {row.key for row in gone.rows}
    assert all(row.new == "(missing)" for row in gone.rows)
    assert "sections.codes: 8 entries -> '(missing)'" in repr(gone)


def test_numbers_within_the_tolerance(told: dict[str, Any]) -> None:
    new = copy.deepcopy(told)
    row = new["sections"]["maps"]["rows"][0]
    row["value"] *= 1 + 1e-4
    assert [r.key for r in compare(told, new).rows] == ["sections.maps.rows[0].value"]
    assert compare(told, new, rtol=1e-3).same
    row["value"] = told["sections"]["maps"]["rows"][0]["value"]
    row["error"] += 1e-9  # rounding is no finding
    row["bias"] += 1e-15
    assert compare(told, new).same
    row["error"] += 1e-3
    assert not compare(told, new).same


def test_the_weights_come_first(told: dict[str, Any]) -> None:
    new = copy.deepcopy(told)
    new["provenance"] |= {"weights_sha256": "0" * 64, "torch": "9.9"}
    new["sections"]["codes"]["distinct"] += 1
    new["notes"] = ["moved"]
    found = compare(told, new)
    assert [row.kind for row in found.rows] == ["weights", "value", "context", "context"]
    assert "not the same: the weights differ, 1 of" in repr(found)
    assert "2 differences in versions" in repr(found)
    assert json.loads(json.dumps(found.to_dict()))["rows"][1]["key"] == "sections.codes.distinct"


def test_an_incomplete_report_is_told_first(told: dict[str, Any]) -> None:
    cut = copy.deepcopy(told)
    cut["complete"] = False
    assert compare(told, cut).headline.startswith("the new report is incomplete; not the same: 1 of")
    assert compare(cut, told).headline.startswith("the old report is incomplete; not the same")
    both = compare(cut, cut)
    assert both.headline.startswith("both reports are incomplete; the same")
    assert both.to_dict()["incomplete"] == ["old", "new"]
    assert compare(told, told).incomplete == ()


def test_a_real_change_of_the_network() -> None:
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3)).eval()
    graph = sg.trace(net, torch.zeros(1, 2))
    before = analyze(graph).to_dict()
    assert compare(before, analyze(graph).to_dict()).rows == ()
    with torch.no_grad():
        net[0].bias.add_(0.5)
    found = compare(before, analyze(graph).to_dict())
    assert found.rows[0].key == "provenance.weights_sha256"
    assert any(row.key.startswith("sections.maps.rows[0].") for row in found.rows)


@pytest.mark.parametrize("bad", [{}, {"format": "other"}, {"format": "splinegraph report 3"}, []])
def test_no_report(told: dict[str, Any], bad: Any) -> None:
    for pair in ((told, bad), (bad, told)):
        with pytest.raises(DataError, match=r"no report of splinegraph|has no sections"):
            compare(*pair)


def test_nodes_may_be_called_like_fields(told: dict[str, Any]) -> None:
    for name in ("detail", "headline", "difference", "picture", "error"):
        old = copy.deepcopy(told)
        old["sections"]["lipschitz"]["constants"][name] = [1.0, 2.0]
        new = copy.deepcopy(old)
        assert compare(old, new).same
        new["sections"]["lipschitz"]["constants"][name][1] = 3.0
        assert [row.kind for row in compare(old, new).rows] == ["value"], name
