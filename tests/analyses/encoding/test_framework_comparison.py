"""The table of frameworks, and the section of reports on encoding."""

from __future__ import annotations

import dataclasses
import io
import json
from importlib import resources

import jsonschema
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.encoding.figures import plot_reconstructions
from splinegraph.analyses.report import encoding
from splinegraph.analyses.report.report import Report, analyze
from splinegraph.cli.render import render
from splinegraph.errors import ShapeError
from tests import zoo


@pytest.fixture
def images() -> Tensor:
    code, parts = torch.rand(40, 3), torch.rand(3, 16)
    return (code @ parts).reshape(40, 1, 4, 4)


def test_the_table_is_on_the_same_samples(images: Tensor) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.ReLU()).eval()
    graph = sg.trace(net, images[:1])
    table = sg.compare_frameworks(images, graph, budgets=(1, 2, 3, 99))
    errors = {row.method: [r.error for r in table if r.method == row.method] for row in table}
    assert errors["pca"] == sorted(errors["pca"], reverse=True)
    assert errors["pca"][2] < 1e-10 < errors["pca"][1]  # three parts make all images
    assert len(errors["pca"]) == 3
    assert all(h <= s + 1e-12 for h, s in zip(errors["hard thresholding"], errors["soft thresholding"], strict=True))
    (solved,), (adjoint,) = errors["network: least squares"], errors["network: adjoint"]
    assert solved <= min(1.0, adjoint)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    inverse = sg.invert(graph, images[order[1::2]], kind="least_squares")
    assert solved == pytest.approx(float(inverse.error.sum() / images[order[1::2]].double().square().sum()))
    assert (table.fitted, table.held_out, table.entries) == (20, 20, 16)
    again = sg.compare_frameworks(images, graph, budgets=(1, 2, 3, 99))
    assert [dataclasses.astuple(row) for row in again] == [dataclasses.astuple(row) for row in table]
    assert json.dumps(table.to_dict(), allow_nan=False)
    assert str(table).count("\n") == len(table)
    assert len(table.plot().get_lines()) == len(errors) + 1


def test_signals_of_any_sign_have_no_nonnegative_factors(images: Tensor) -> None:
    table = sg.compare_frameworks(images.reshape(40, 16) - 0.5, budgets=(2,))
    assert "nmf" not in {row.method for row in table}
    assert "network: adjoint" not in {row.method for row in table}
    for bad in (images[:3], images * 0):
        with pytest.raises(ShapeError, match="at least four"):
            sg.compare_frameworks(bad)


def test_pictures_stand_over_their_reconstructions(images: Tensor) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()
    found = sg.invert(sg.trace(net, images[:1]), images[:2])
    assert len(plot_reconstructions(found).axes) == 4


def shown(report: Report) -> str:
    stream = io.StringIO()
    render(report, console=Console(file=stream, width=100, highlight=False, markup=False, emoji=False, _environ={}))
    return stream.getvalue()


@pytest.mark.parametrize("name", ["mlp", "cnn", "residual", "gelu", "two", "abs", "single"])
def test_the_section_says_what_the_library_says(name: str) -> None:
    graph, x = zoo.graph(name), zoo.inputs(name, 3)
    report = analyze(graph, data=x if len(x) > 1 else x[0], sections=["encoding"])
    found = report["encoding"]
    assert isinstance(found, encoding.EncodingSection)
    schema = json.loads(resources.files("splinegraph").joinpath("analyses/report/schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(json.dumps(report.to_dict(), allow_nan=False)))
    text = shown(report)
    if name == "two":
        assert found.why == "not worked out: 2 inputs and 2 outputs, not one"
        assert found.why in text
        return
    assert "only input" in text
    for i, row in enumerate(found.rows):
        inverse = sg.invert(graph, x[0][i : i + 1])
        assert row.adjoint == pytest.approx(float(inverse.relative))
        if graph.exact:
            known = sg.preimage(graph, x[0][i])
            assert known.numerical_rank is not None
            assert (row.unique, row.free) == (known.unique, known.x.numel() - known.numerical_rank)
        else:
            assert (row.unique, row.free) == (None, None)
    assert len(found.layers) == len(sg.reconstruct_layers(graph, x[0]))


def test_large_maps_are_not_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "ENTRIES", 5)
    found = analyze(zoo.graph("mlp"), data=zoo.inputs("mlp", 3)[0], sections=["encoding"])["encoding"]
    assert found.headline == "not worked out: A[x] has 6 entries; see sg.invert, sg.preimage"


@pytest.mark.parametrize(
    "kind", [encoding.EncodingSection, encoding.EncodedSample, encoding.ReconstructedLayer], ids=lambda k: k.__name__
)
def test_every_field_is_described(kind: type) -> None:
    schema = json.loads(resources.files("splinegraph").joinpath("analyses/report/schema.json").read_text())
    told = schema["$defs"][kind.__name__]
    extra = {"failed", "headline"} if kind is encoding.EncodingSection else set()
    assert {f.name for f in dataclasses.fields(kind)} | extra == set(told["properties"]) == set(told["required"])


def test_samples_that_repeat() -> None:
    """Of fewer distinct samples than atoms the samples are the atoms; of more, no mean needs to have samples."""
    two = torch.rand(2, 6, generator=torch.Generator().manual_seed(0)).repeat_interleave(10, 0)
    found = {row.method: row for row in sg.compare_frameworks(two, budgets=(1,))}
    assert (found["nearest atom"].atoms, found["nearest atom"].error) == (2, 0.0)
    bits = (torch.rand(60, 4, generator=torch.Generator().manual_seed(1)) > 0.5).double()
    for seed in range(5):
        coding = sg.frameworks.nearest_atom(bits, 12, seed=seed)
        assert coding.atoms.shape == (12, 4)
        assert coding.atoms.isfinite().all()


def test_samples_and_atoms_that_cannot_be_compared() -> None:
    with pytest.raises(ShapeError, match="atoms of 5 entries"):
        sg.frameworks.nearest_atom(torch.rand(3, 6), torch.eye(5))
    with pytest.raises(ShapeError, match="samples of 27,648 entries"):
        sg.compare_frameworks(torch.rand(4, 3, 96, 96))
    for scale in (1e-170, 1e170):  # whose squares are 0 and inf
        with pytest.raises(ShapeError, match="sum of the squares"):
            sg.compare_frameworks(torch.rand(8, 6, dtype=torch.float64) * scale)
