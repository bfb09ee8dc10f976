"""What is done where checks fail, and where a mesh goes beyond its limit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import splinegraph as sg
from splinegraph.analyses.regions import finding
from splinegraph.analyses.regions.cells import Cells
from splinegraph.analyses.regions.scale.session import Sharing
from tests.analyses.regions.mending.faults import keys
from tests.analyses.regions.nets import family, mlp

BOX = sg.Box(-torch.ones(2), torch.ones(2))


@pytest.fixture(scope="module")
def graph() -> sg.SplineGraph:
    return sg.trace(mlp(2, 8, 8, 1, seed=0), torch.zeros(1, 2, dtype=torch.float64))


def wrong(monkeypatch: pytest.MonkeyPatch, *methods: str) -> None:
    """Let methods give a cell the code of another."""
    for method in methods:
        right = getattr(finding, f"_{method}")

        def faulty(*args: Any, right: Any = right) -> finding.Found:
            found: finding.Found = right(*args)
            packed = found.cells.packed.copy()
            packed[1:2, 0] ^= 0x40
            return dataclasses.replace(found, cells=Cells(packed, found.cells.points, found.cells.radii))

        monkeypatch.setattr(finding, f"_{method}", faulty)


@pytest.mark.parametrize(("method", "other"), [("stream", "search"), ("search", "stream")])
def test_a_method_that_fails_its_checks_is_replaced_by_another(
    graph: sg.SplineGraph, method: Any, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = sg.enumerate_regions(graph, BOX)
    wrong(monkeypatch, method)
    found = sg.enumerate_regions(graph, BOX, method=method)
    assert keys(found) == keys(right)
    assert found.method == other
    assert f"the {method} failed its checks" in found.notes[-1]
    assert found.verified, found.verified


def test_if_nothing_passes_the_result_says_so(graph: sg.SplineGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong(monkeypatch, "stream", "search")
    found = sg.enumerate_regions(graph, BOX, method="search")
    assert not found.verified
    assert found.verified is not None
    assert found.verified.failed
    assert found.method == "search"


def test_a_search_of_an_earlier_session_is_not_begun_anew(
    graph: sg.SplineGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sg.enumerate_regions(graph, BOX, method="search", limit=7, sharing=Sharing(folder=tmp_path))
    wrong(monkeypatch, "search")
    found = sg.enumerate_regions(graph, BOX, method="search", sharing=Sharing(folder=tmp_path, resume=True))
    assert (found.method, found.complete, bool(found.verified)) == ("search", True, False)


def test_what_was_carried_on_is_not_begun_anew(graph: sg.SplineGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    part = sg.enumerate_regions(graph, BOX, method="search", limit=7)
    wrong(monkeypatch, "search")
    found = sg.enumerate_regions(graph, BOX, resume=part)
    assert (found.method, found.complete, bool(found.verified)) == ("search", True, False)


def test_in_space_there_is_no_other_method(monkeypatch: pytest.MonkeyPatch) -> None:
    cube = sg.Box(-torch.ones(3), torch.ones(3))
    solid = sg.trace(mlp(3, 6, 1, seed=0), torch.zeros(1, 3, dtype=torch.float64))
    wrong(monkeypatch, "search")
    assert not sg.enumerate_regions(solid, cube).verified


@pytest.mark.parametrize("asked", ["auto", "mesh"])
@pytest.mark.parametrize(("width", "method"), [(2**11, "search"), (8, "stream")])
def test_beyond_the_limit_of_a_mesh_goes_what_is_faster(
    asked: Any, width: int, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = sg.trace(family("pooled", 2, 16), torch.zeros(1, 2, dtype=torch.float64))
    whole = sg.enumerate_regions(graph, BOX, verify=False)
    monkeypatch.setattr(finding, "COMPILED", width)
    part = sg.enumerate_regions(graph, BOX, method=asked, limit=20)
    assert (part.method, len(part), part.complete) == (method, 20, False)
    assert part.left
    rest = sg.enumerate_regions(graph, BOX, resume=part)
    assert rest.complete
    assert keys(rest) == keys(whole)


def test_the_share_that_is_missing_is_told_without_a_check(graph: sg.SplineGraph) -> None:
    part = sg.enumerate_regions(graph, BOX, method="search", limit=7)
    assert part.verified is not None
    check = part.verified["random points of the domain"]
    assert check.status == "not run"
    assert 0 < check.figures["missed"] < check.figures["points"]
    assert np.isfinite(check.figures["missed_volume_at_most"])
