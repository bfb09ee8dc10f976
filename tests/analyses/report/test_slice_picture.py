"""The picture of a slice: its pieces tile it, its maps are the network's, and its boundary is where outputs tie."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.report import regions
from splinegraph.analyses.report.report import analyze


def net(*widths: int, balanced: Tensor | None = None) -> sg.SplineGraph:
    """Return a network; balanced on data, so that no output is the largest everywhere."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    model = nn.Sequential(*layers[:-1]).double().eval()
    if balanced is not None:
        with torch.no_grad():
            model[-1].bias -= model(balanced).mean(0)
    return sg.trace(model, torch.zeros(1, widths[0], dtype=torch.float64))


def points(count: int, width: int) -> Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def told(graph: sg.SplineGraph, data: Tensor, labels: Tensor | None = None) -> dict[str, Any]:
    report = analyze(graph, data=data, labels=labels, sections=["regions"])
    found: dict[str, Any] = json.loads(json.dumps(report.to_dict(), allow_nan=False))["sections"]["regions"]
    assert not found["failed"]
    return found


def lifted(picture: dict[str, Any], data: Tensor, at: Any) -> Tensor:
    """Return the inputs at coordinates: in a plane, through the barycentric ones among its three samples."""
    at = np.asarray(at).reshape(-1, 2)
    if picture["kind"] == "box":
        return torch.from_numpy(at)
    corners = np.array([[*point["at"], 1.0] for point in picture["points"]])
    weights = np.column_stack([at, np.ones(len(at))]) @ np.linalg.inv(corners)
    return torch.from_numpy(weights) @ data[[point["sample"] for point in picture["points"]]]


def area(corners: Any) -> float:
    x, y = (np.asarray(corners) - corners[0]).T
    return float(0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1)))


NETS = {
    "plane": ((5, 10, 8, 3), 20, None),
    "window": ((5, 16, 12, 3), 20, 60),
    "box": ((2, 9, 7, 1), 40, None),
    "part of a box": ((2, 16, 12, 4), 40, 40),
    "many outputs": ((5, 10, 12), 20, None),
    "one number": ((4, 12, 1), 20, None),
}


@pytest.fixture(params=NETS)
def case(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[sg.SplineGraph, Tensor, Any]:
    widths, count, most = NETS[request.param]
    if most is not None:
        monkeypatch.setattr(regions, "CELLS", most)
    data = points(count, widths[0])
    graph = net(*widths, balanced=data)
    return graph, data, told(graph, data)


def test_pictures_are_what_the_network_is(case: tuple[sg.SplineGraph, Tensor, Any]) -> None:
    graph, data, section = case
    picture = section["picture"]
    (s0, s1), (t0, t1) = picture["extent"]
    vertices, whole = np.array(picture["vertices"]), (s1 - s0) * (t1 - t0)
    polygons = [vertices[cell] for cell in picture["cells"]]
    assert len(polygons) == section["cells"] == len(picture["maps"]) == len(picture["norms"]) == len(picture["codes"])
    _tiled(picture, polygons, whole)
    _mapped(graph, data, picture, polygons)
    _bounded(graph, data, picture)
    assert len(set(picture["regions"])) == section["linear_regions"]
    assert all(check["passed"] is not False for check in section["checks"])
    assert sum(check["passed"] is True for check in section["checks"]) > 5


def _tiled(picture: dict[str, Any], polygons: list[Any], whole: float) -> None:
    assert sum(map(area, polygons)) == pytest.approx(whole, rel=1e-5)
    by_cell = np.zeros(len(polygons))
    for piece in picture["pieces"]:
        by_cell[piece["cell"]] += area(piece["corners"])
    np.testing.assert_allclose(by_cell, [area(corners) for corners in polygons], atol=1e-5 * whole)


def _mapped(graph: sg.SplineGraph, data: Tensor, picture: dict[str, Any], polygons: list[Any]) -> None:
    rng = np.random.default_rng(0)
    mixed = [rng.dirichlet(np.ones(len(corners))) @ corners for corners in polygons]
    outputs = graph(lifted(picture, data, mixed)).detach().reshape(len(mixed), -1)
    for at, values, maps in zip(mixed, outputs, picture["maps"], strict=True):
        expected = [values[o] for o, *_ in maps]
        np.testing.assert_allclose(
            [ds * at[0] + dt * at[1] + c for _, ds, dt, c in maps], expected, atol=1e-5 * float(outputs.abs().max())
        )
    few = min(picture["outputs"], 3 if picture["outputs"] > 10 else 10)
    assert {len(maps) for maps in picture["maps"]} == {few}
    if picture["outputs"] <= 10:
        slopes = [[row[1:3] for row in maps] for maps in picture["maps"]]
        np.testing.assert_allclose(np.linalg.svd(slopes, compute_uv=False)[:, 0], picture["norms"], rtol=1e-3)


def _bounded(graph: sg.SplineGraph, data: Tensor, picture: dict[str, Any]) -> None:
    def scores(at: Any) -> Tensor:
        found = graph(lifted(picture, data, at)).detach().reshape(-1, picture["outputs"])
        return torch.cat([found, torch.zeros_like(found)], 1) if picture["outputs"] == 1 else found

    inside = scores([np.mean(piece["corners"], axis=0) for piece in picture["pieces"]])
    expected = [piece["output"] % inside.shape[1] for piece in picture["pieces"]]
    assert inside.argmax(1).tolist() == expected  # of one number, -1 is the zero beside it
    assert picture["boundary"]
    tied = scores(picture["boundary"]).topk(2).values
    assert float((tied[:, 0] - tied[:, 1]).max()) < 1e-4 * float(inside.abs().max())


def test_codes_are_those_of_the_cells() -> None:
    graph, data = net(5, 10, 8, 3), points(20, 5)
    picture = told(graph, data)["picture"]
    vertices = np.array(picture["vertices"])
    found = sg.codes(graph, lifted(picture, data, [vertices[cell].mean(0) for cell in picture["cells"]]))
    rows = [found.unpack(layer.name).tolist() for layer in found.layers]
    spelled = [" ".join("".join(map(str, part)) for part in row) for row in zip(*rows, strict=True)]
    assert picture["codes"] == spelled
    wide = net(5, 70, 3)
    for text in told(wide, data)["picture"]["codes"]:
        digest, counts = text.split()
        assert len(digest) == 10
        assert sum(map(int, counts.split("/"))) == 70


def test_a_smaller_slice_lies_where_the_class_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "CELLS", 60)
    data = points(20, 5)
    section = told(net(5, 16, 12, 3, balanced=data), data)
    assert section["scale"] < 1
    assert section["cells"] <= 60
    assert len(section["center"]) == 2
    assert len({piece["output"] for piece in section["picture"]["pieces"]}) > 1
    assert "largest output changes" in section["headline"]
    assert [point["sample"] for point in section["picture"]["points"]] == section["samples"]
    at = [point["at"] for point in section["picture"]["points"]]
    known = data[section["samples"]]
    distances = [float((known[i] - known[j]).norm()) for i, j in ((0, 1), (0, 2), (1, 2))]
    drawn = [float(np.linalg.norm(np.subtract(at[i], at[j]))) for i, j in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(drawn, distances, rtol=1e-5)


def test_where_no_class_changes_it_lies_around_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 2)).double().eval()
    with torch.no_grad():
        model[-1].bias += torch.tensor([0.0, 1000.0])
    graph = sg.trace(model, torch.zeros(1, 5, dtype=torch.float64))
    monkeypatch.setattr(regions, "CELLS", 40)
    section = told(graph, points(20, 5), torch.tensor([0, 1] * 10))
    assert section["center"] == [0]
    assert section["picture"]["points"][0] == {"sample": 0, "label": 0, "at": [0.0, 0.0]}
    assert section["picture"]["boundary"] == []
    assert {piece["output"] for piece in section["picture"]["pieces"]} == {1}


def test_in_a_box_the_first_samples_are_shown() -> None:
    data, labels = points(200, 2), torch.arange(200) % 3
    shown = told(net(2, 8, 3), data, labels)["picture"]["points"]
    assert [point["sample"] for point in shown] == list(range(128))
    assert [point["label"] for point in shown] == labels[:128].tolist()
    np.testing.assert_allclose([point["at"] for point in shown], data[:128], atol=1e-5)


def test_without_a_slice_there_is_no_picture() -> None:
    section = told(sg.trace(nn.Sequential(nn.Linear(3, 3), nn.Tanh()).eval(), torch.zeros(1, 3)), points(5, 3))
    assert (section["picture"], section["checks"]) == (None, [])
    assert "not piecewise affine" in section["why"]


def test_slopes_are_told_where_they_hardly_matter() -> None:
    graph, data = net(2, 6, 3), 1e-8 * points(20, 2)
    picture = told(graph, data)["picture"]
    for cell, norm in zip(picture["maps"], picture["norms"], strict=True):
        assert np.linalg.norm([row[1:3] for row in cell], 2) == pytest.approx(norm, rel=1e-4)
