"""Doubtful faces are done again by themselves: the exact cells come out, whatever the faces were."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import splinegraph as sg
from splinegraph.analyses.regions.mending.mending import mend
from splinegraph.analyses.regions.mesh.mesh import MeshResult
from splinegraph.analyses.regions.stream import stream as streaming
from splinegraph.analyses.regions.verify.verify import verify
from tests.analyses.regions.mending.faults import doubted, keys, planted, some_parent
from tests.analyses.regions.mesh.test_mesh_refusals import drop_a_face, flip_a_bit, forget_a_cut, move_a_vertex
from tests.analyses.regions.nets import FAMILIES, degenerate, family

BOX = sg.Box(-torch.ones(2), torch.ones(2))


def graph_of(name: str, width: int = 12, kind: str | None = None) -> sg.SplineGraph:
    net = family(name, 2, width)
    return sg.trace(net if kind is None else degenerate(net, kind), torch.zeros(1, 2, dtype=torch.float64))


def twice(result: MeshResult) -> MeshResult:
    packed = result.cells.packed.copy()
    packed[5] = packed[9]
    return dataclasses.replace(result, cells=dataclasses.replace(result.cells, packed=packed))


def no_number(result: MeshResult) -> MeshResult:
    vertices = result.mesh.vertices.copy()
    vertices[np.flatnonzero((np.abs(vertices) < 0.9).all(1))[0]] = np.nan
    return dataclasses.replace(result, mesh=dataclasses.replace(result.mesh, vertices=vertices))


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("fault", [forget_a_cut, flip_a_bit, move_a_vertex, twice])
def test_faces_that_fail_checks_are_done_again(
    name: str, fault: Callable[[MeshResult], MeshResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = graph_of(name)
    right = sg.enumerate_regions(graph, BOX, method="search", verify=False)
    planted(monkeypatch, fault)
    found = sg.enumerate_regions(graph, BOX)
    assert keys(found) == keys(right)
    assert (found.method, found.complete) == ("mesh", True)
    assert found.verified, found.verified
    assert found.verified["faces done again"].figures["faces"] <= 12
    (note,) = found.notes
    assert "done again" in note
    assert "failed: " in note
    assert found.mesh is not None
    if fault is forget_a_cut:
        full = verify(found, level="full")
        assert full.ok, full.failure


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("kind", "checks"), [(None, False), ("twins", "cheap")])
def test_what_an_odd_face_became_is_done_again(
    name: str, kind: str | None, checks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = graph_of(name, kind=kind)
    right = sg.enumerate_regions(graph, BOX)
    first = right.layers[0].stop
    planted(monkeypatch, lambda result: doubted(result, some_parent(result, first)))
    found = sg.enumerate_regions(graph, BOX, verify=checks)
    assert keys(found) == keys(right)
    assert found.complete
    assert len(found.notes) == 1
    if found.method == "mesh" and found.mesh is not None:
        assert found.mesh.euler == 1
        assert found.maximal_count == right.maximal_count


@pytest.mark.parametrize("fault", [drop_a_face, no_number])
def test_all_is_done_again_where_no_face_can_be_named(
    fault: Callable[[MeshResult], MeshResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = graph_of("relu")
    right = sg.enumerate_regions(graph, BOX)
    planted(monkeypatch, fault)
    found = sg.enumerate_regions(graph, BOX)
    assert keys(found) == keys(right)
    assert found.method == "search"
    assert "the mesh failed its checks" in found.notes[0]
    assert found.verified, found.verified


def test_all_is_done_again_where_most_is_doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of("relu")
    right = sg.enumerate_regions(graph, BOX)
    planted(monkeypatch, lambda result: doubted(result, np.arange(len(result.mesh) - 2)))
    found = sg.enumerate_regions(graph, BOX)
    assert keys(found) == keys(right)
    assert found.method == "search"
    assert "odd when they were cut" in found.notes[0]


def test_doubtful_faces_that_there_is_no_time_for_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from splinegraph.analyses.regions import checking

    graph = graph_of("relu")
    planted(monkeypatch, lambda result: doubted(result, np.arange(len(result.mesh) - 2)))
    monkeypatch.setattr(checking, "anew", lambda *_: None)
    found = sg.enumerate_regions(graph, BOX, verify=False)
    assert not found.complete
    assert "odd when they were cut" in found.notes[0]
    assert not sg.enumerate_regions(graph, BOX).verified


def test_the_work_is_in_proportion_to_the_doubtful_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of("relu", 48)
    found = sg.enumerate_regions(graph, BOX)
    cells: list[int] = []
    stream = streaming.stream

    def counted(*args: object, **more: object) -> streaming.StreamResult:
        result = stream(*args, **more)  # type: ignore[arg-type]
        cells.append(len(result))
        return result

    monkeypatch.setattr("splinegraph.analyses.regions.mending.mending.stream", counted)
    for count in (1, 10, 100):
        rows = np.random.default_rng(0).choice(len(found), count, replace=False)
        mended = mend(found, np.split(rows, count))
        assert mended is not None
        assert keys(mended.partition) == keys(found)
        assert mended.partition.mesh is not None
    assert cells == [1, 10, 100]


def test_kept_faces_come_first_and_unchanged() -> None:
    found = sg.enumerate_regions(graph_of("residual"), BOX)
    mended = mend(found, [np.array([3, 4])])
    assert mended is not None
    kept = len(found) - mended.check.figures["faces"]
    assert 0 < kept < len(found) - 1
    rows = found.index.find(mended.partition.packed[:kept])
    assert (np.diff(rows) > 0).all()
    assert not {3, 4} & set(rows.tolist())
    assert (mended.partition.points[:kept] == found.points[rows]).all()
    assert mended.partition.mesh is not None
    assert found.mesh is not None
    assert np.allclose(mended.partition.mesh.areas()[:kept], found.mesh.areas()[rows], rtol=1e-12)


def test_a_hole_that_is_not_filled_is_no_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    found = sg.enumerate_regions(graph_of("relu"), BOX)
    stream = streaming.stream

    def forgetful(*args: object, **more: object) -> streaming.StreamResult:
        result = stream(*args, **more)  # type: ignore[arg-type]
        return dataclasses.replace(result, cells=result.cells[1:])

    monkeypatch.setattr("splinegraph.analyses.regions.mending.mending.stream", forgetful)
    assert mend(found, [np.array([3]), np.array([5])]) is None


def test_kept_faces_are_checked_where_there_is_no_mesh_to_check_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two faces made one: the smaller of the two, a part of 1e-10 of the domain, does not show in areas."""
    graph = graph_of("relu", 48)
    right = sg.enumerate_regions(graph, BOX)

    def forget_the_smallest(result: MeshResult) -> MeshResult:
        mesh = result.mesh
        second = np.where((mesh.edge_faces >= 0).all(axis=1), mesh.edge_faces[:, 1], -1)
        edge = np.where(second >= 0, mesh.areas()[second], np.inf).argmin()
        order = np.append(edge, np.delete(np.arange(len(mesh.edges)), edge))
        mesh = dataclasses.replace(mesh, edges=mesh.edges[order], edge_faces=mesh.edge_faces[order])
        less = forget_a_cut(dataclasses.replace(result, mesh=mesh))
        return doubted(less, np.array([len(less.mesh) - 1]))

    planted(monkeypatch, forget_the_smallest)
    monkeypatch.setattr("splinegraph.analyses.regions.mending.mending.splice", lambda *_: None)
    found = sg.enumerate_regions(graph, BOX)
    assert found.method == "search"
    assert keys(found) == keys(right)
