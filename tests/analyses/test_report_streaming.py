"""How a report comes about: one pass over any source, in bounded memory, whatever fails or interrupts it."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import splinegraph as sg
from splinegraph.analyses.report import labels, maps, registry, study
from splinegraph.analyses.report.patterns import Patterns
from splinegraph.analyses.report.registry import chosen
from splinegraph.analyses.report.report import Report, analyze
from splinegraph.analyses.report.study import Collector, Part
from splinegraph.analyses.report.values import Failed
from splinegraph.core.graph import SplineGraph
from splinegraph.data.reading import read_data
from splinegraph.errors import DataError

COUNT = 40
NAMES = list(chosen(None, ()))
FEW = ["graph", "inputs", "units", "codes", "boundary", "maps", "activation", "separation"]
"""Every way to look at samples, and nothing that takes long."""

generator = torch.Generator().manual_seed(0)
X = torch.randn(COUNT, 1, 4, 4, generator=generator)
X[7] = X[5]
Y = torch.arange(COUNT) % 3


@pytest.fixture(scope="module")
def graph() -> SplineGraph:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 2), nn.ReLU(), nn.MaxPool2d(2, 1), nn.Flatten(), nn.Linear(12, 3))
    return sg.trace(net.eval(), torch.zeros(1, 1, 4, 4))


@pytest.fixture(scope="module")
def whole(graph: SplineGraph) -> dict[str, Any]:
    return cast("dict[str, Any]", _findings(analyze(graph, data=X)))


class Items(Dataset[Any]):
    def __init__(self) -> None:
        self.read: list[int] = []

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> Any:
        self.read.append(index)
        return {"pixel_values": X[index], "label": int(Y[index])}


class Flow(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return zip(X, Y, strict=True)


def _findings(report: Report) -> Any:
    return report.to_dict()["sections"]


@pytest.mark.parametrize("kind", ["npz", "compressed", "dataset", "loader", "shuffled", "iterable", "source", "tuple"])
def test_every_source_gives_the_same_findings(
    graph: SplineGraph, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _findings(analyze(graph, data=X, labels=Y, at=[3, 0], sections=FEW))
    (np.savez if kind == "npz" else np.savez_compressed)(tmp_path / "d.npz", x=X.numpy(), y=Y.numpy())
    pairs = TensorDataset(X, Y)
    data: Any = {
        "npz": tmp_path / "d.npz", "compressed": str(tmp_path / "d.npz"), "dataset": Items(),
        "loader": DataLoader(pairs, 7), "shuffled": DataLoader(pairs, 7, shuffle=True), "iterable": Flow(),
        "source": read_data(X, Y), "tuple": (X,),
    }[kind]  # fmt: skip
    monkeypatch.setattr(study, "PART", 9)
    found = analyze(graph, data=data, labels=Y if kind == "tuple" else None, at=[3, 0], sections=FEW)
    assert _findings(found) == expected
    assert found.complete
    assert found.provenance.to_dict()["samples"] == COUNT


def test_each_sample_is_read_once(graph: SplineGraph) -> None:
    items = Items()
    source = read_data(items)
    items.read.clear()
    assert analyze(graph, data=source, at=[30, 2]).complete
    assert items.read == list(range(COUNT))
    items.read.clear()
    assert list(analyze(graph, data=source, sections=["graph"]).sections) == ["graph"]
    assert items.read == []


def test_codes_are_those_of_the_whole_batch(graph: SplineGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "PART", 7)
    found, unique = analyze(graph, data=X), sg.codes(graph, X).unique()
    assert found["codes"].distinct == len(unique.counts) < COUNT
    assert found["codes"].most_common[0] == (2, 5)
    assert found["codes"].alone == int((unique.counts == 1).sum())


def test_samples_on_a_boundary_are_found_in_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "PART", 8)
    x = torch.ones(COUNT, 2)
    x[[3, 17, 18, 39], 0] = 0.0
    found = analyze(sg.trace(nn.Sequential(nn.ReLU()).eval(), torch.zeros(1, 2)), data=x)["boundary"]
    assert (found.on_boundary, found.indices, found.by_node) == (4, (3, 17, 18, 39), {"relu": 4})
    monkeypatch.setattr("splinegraph.analyses.report.maps.LISTED", 3)
    cut = analyze(sg.trace(nn.Sequential(nn.ReLU()).eval(), torch.zeros(1, 2)), data=x)["boundary"]
    assert (cut.on_boundary, cut.indices) == (4, (3, 17, 18))


def test_only_the_first_samples(graph: SplineGraph) -> None:
    found = analyze(graph, data=Flow(), limit=11)
    assert found["inputs"].samples == found["codes"].samples == 11
    assert _findings(found) == _findings(analyze(graph, data=X[:11], labels=Y[:11]))
    assert any("at most the first 11" in note for note in found.notes)


def test_integers_are_cast_and_their_range_is_told(graph: SplineGraph) -> None:
    pixels = (X.abs() * 40).to(torch.uint8)
    found = analyze(graph, data=pixels)
    assert found.notes[-1].endswith(f"uint8 and were cast to float as they are, from 0 to {int(pixels.max())}")
    assert _findings(found) == _findings(analyze(graph, data=pixels.double()))


def test_a_folder_of_images(graph: SplineGraph, tmp_path: Path) -> None:
    for i in range(6):
        (tmp_path / "abc"[i % 3]).mkdir(exist_ok=True)
        Image.fromarray((X[i, 0].sigmoid() * 255).byte().numpy()).save(tmp_path / "abc"[i % 3] / f"{i}.png")
    found = analyze(graph, data=tmp_path)
    assert found["inputs"].labels
    assert found["inputs"].accuracy is not None
    assert [row.label for row in found["maps"].rows] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("labels", [Y + 1, Y - 1])
def test_labels_that_are_no_classes_of_the_output_give_no_accuracy(graph: SplineGraph, labels: torch.Tensor) -> None:
    assert analyze(graph, data=X, labels=Y)["inputs"].accuracy is not None
    assert analyze(graph, data=X, labels=labels)["inputs"].accuracy is None


def test_what_is_wrong_with_the_data_is_told_when_met(graph: SplineGraph) -> None:
    bad = X.clone()
    bad[33, 0, 1, 1] = torch.nan
    with pytest.raises(DataError, match="sample 33 of"):
        analyze(graph, data=bad)
    assert analyze(graph, data=bad, limit=33).complete
    with pytest.raises(DataError, match="no sample 40; choose from 0 to 39"):
        analyze(graph, data=Flow(), at=[40])
    assert analyze(graph, data=bad, sections=["graph"]).complete


@pytest.mark.parametrize(("data", "total"), [(X, COUNT), (Flow(), None)])
def test_progress_has_stable_stages(
    graph: SplineGraph, data: Any, total: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "PART", 16)
    seen: list[Any] = []
    analyze(graph, data=data, progress=lambda *step: seen.append(step))
    assert [s for s in seen if s[0] == "data"] == [("data", n, total) for n in (0, 16, 32, 40)]
    assert list(dict.fromkeys(s[0] for s in seen)) == ["graph", "data", *NAMES[1:]]
    assert all((name, 0, None) in seen and (name, 1, 1) in seen for name in NAMES)


def test_sections_are_chosen_by_name(graph: SplineGraph, whole: dict[str, Any]) -> None:
    some = analyze(graph, data=X, sections=["maps", "codes"])
    assert _findings(some) == {name: whole[name] for name in ("codes", "maps")}
    assert list(analyze(graph, data=X, skip=["units", "maps"]).sections) == [
        name for name in NAMES if name not in ("units", "maps")
    ]


class Sum(Collector):
    total = 0.0

    def add(self, part: Part) -> None:
        self.total += float(part.inputs[0].sum())


def test_a_new_section_joins(graph: SplineGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "SECTIONS", dict(registry.SECTIONS))

    @registry.section("total", needs=(Sum,))
    def total(study: study.Study) -> Failed:
        return Failed("None", f"{study[Sum].total:.6f}")

    found = analyze(graph, data=X)
    assert list(found.sections) == [*NAMES, "total"]
    assert float(found["total"].message) == pytest.approx(float(X.double().sum()))
    with pytest.raises(ValueError, match="two sections 'total'"):
        registry.section("total")(total)


@pytest.mark.parametrize("name", NAMES)
def test_a_section_that_fails_loses_nothing(
    graph: SplineGraph, whole: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> Failed:
        raise RuntimeError("two\nlines")

    kind = registry.SECTIONS[name]
    monkeypatch.setitem(registry.SECTIONS, name, registry.SectionKind(fail, kind.needs, kind.order))
    found = analyze(graph, data=X, sections=[*FEW, name])
    assert not found.complete
    assert (found[name].error, found[name].headline) == ("RuntimeError", "failed: two lines")
    told = _findings(found)
    assert told.pop(name)["failed"]
    assert told == {other: held for other, held in whole.items() if other in FEW and other != name}


@pytest.mark.parametrize(("broken", "lost"), [("ties", ["boundary"]), ("codes", ["units", "codes", "activation"])])
def test_what_fails_in_the_pass_fails_only_where_it_is_needed(
    graph: SplineGraph, broken: str, lost: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def fail(*_: object, **__: object) -> None:
        calls.append(1)
        raise RuntimeError("out of luck")

    monkeypatch.setattr(study, "PART", 8)
    where = {"ties": "maps", "codes": "patterns"}[broken]
    monkeypatch.setattr(f"splinegraph.analyses.report.{where}.{broken}", fail)
    found = analyze(graph, data=X, sections=FEW)
    assert [name for name in FEW if isinstance(found[name], Failed)] == lost
    assert found[lost[0]].message == "out of luck"
    assert len(calls) == {"ties": 1, "codes": 2}[broken]  # once for each collector that asks, and not part by part


@pytest.mark.parametrize("name", FEW)
def test_an_interrupt_keeps_what_is_done(graph: SplineGraph, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: object) -> Failed:
        raise KeyboardInterrupt

    kind = registry.SECTIONS[name]
    monkeypatch.setitem(registry.SECTIONS, name, registry.SectionKind(interrupt, kind.needs, kind.order))
    found = analyze(graph, data=X, sections=FEW)
    done = FEW[: FEW.index(name)]
    assert list(found.sections) == FEW
    assert [n for n in FEW if not isinstance(found[n], Failed)] == done
    assert {found[n].message for n in FEW if n not in done} == {"interrupted"}
    assert not found.complete
    json.dumps(found.to_dict())


def test_an_interrupt_before_the_first_sample_keeps_the_graph(graph: SplineGraph) -> None:
    def stop(stage: str, done: int, total: int | None) -> None:
        if stage == "data":
            raise KeyboardInterrupt

    found = analyze(graph, data=X, progress=stop)
    assert [name for name in NAMES if isinstance(found[name], Failed)] == NAMES[1:]
    assert found.notes[-1] == f"interrupted after 0 of {COUNT} samples"
    assert not found.complete


@pytest.mark.parametrize("where", ["progress", "reading", "codes", "ties", "labels"])
@pytest.mark.parametrize("known", [True, False])
def test_an_interrupt_in_the_pass_leaves_a_report_on_what_was_seen(
    graph: SplineGraph, where: str, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _findings(analyze(graph, data=X[:16], labels=Y[:16], at=[9, 3], sections=FEW))
    monkeypatch.setattr(study, "PART", 8)
    calls = []

    def third(function: Any) -> Any:
        def run(*arguments: Any, **named: Any) -> Any:
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return function(*arguments, **named)

        return run

    class Cut(Flow):
        def __iter__(self) -> Iterator[Any]:
            for i, pair in enumerate(zip(X, Y, strict=True)):
                if i == 20 and calls:
                    raise KeyboardInterrupt
                yield pair
            calls.append(1)

    def tell(stage: str, done: int, total: int | None) -> None:
        if where == "progress" and stage == "data" and done == 16:
            raise KeyboardInterrupt

    if where == "reading":
        calls.append(1)
        source = read_data(Cut())
        if known:
            source.length = COUNT
    else:
        source = read_data(X, Y) if known else read_data(Flow())
        report = "splinegraph.analyses.report"
        name = {"codes": "patterns.codes", "ties": "maps.ties", "labels": "labels.Labels.add"}.get(where)
        if name:
            held = {"codes": sg.codes, "ties": maps.ties, "labels": labels.Labels.add}[where]
            monkeypatch.setattr(f"{report}.{name}", third(held))
    found = analyze(graph, data=source, at=[9, 3, 39], progress=tell, sections=FEW)
    assert not found.complete
    assert found.to_dict()["complete"] is False
    assert found.notes[-1] == f"interrupted after 16 of {COUNT if known else 'an unknown number of'} samples"
    assert found.provenance.to_dict()["samples"] == 16
    assert _findings(found) == whole


def test_a_collector_that_was_interrupted_forgets_the_part_it_was_in(graph: SplineGraph) -> None:
    made = study.prepare(graph, X, Y, None, None, torch.float64, 0)
    whole = Patterns(made)
    for part in made.parts():
        before = copy.copy(whole)
        whole.add(part)
    before.add(part)  # again, on what the first try left behind
    assert before.distinct()[1].sum() == COUNT
    assert all(torch.equal(a.counts, b.counts) for a, b in zip(before.tallies, whole.tallies, strict=True))


def test_the_same_request_gives_the_same_bytes(graph: SplineGraph, tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "d.npz", x=X.numpy(), y=Y.numpy())

    def text() -> str:
        report = analyze(graph, data=tmp_path / "d.npz", limit=30, request={"target": "a.py", "at": (1, 2)})
        return json.dumps(report.to_dict(), allow_nan=False)

    assert text() == text()
    assert json.loads(text())["request"] == {"target": "a.py", "at": [1, 2]}


_SCRIPT = """
import resource, sys, torch, splinegraph as sg
torch.set_num_threads(1)
net = torch.nn.Sequential(torch.nn.Linear(1024, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)).eval()
graph = sg.trace(net, torch.zeros(1, 1024))
sg.analyze(graph, data=sys.argv[1], limit=512)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = sg.analyze(graph, data=sys.argv[1])
print(report["codes"].samples, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", np.zeros((16 * 1024, 1024), dtype=np.float32))  # 64 MiB, 128 in float64
    command = [sys.executable, "-c", _SCRIPT, tmp_path / "d.npy"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    samples, rise = map(int, result.stdout.split())
    assert samples == 16 * 1024
    assert rise < 24 * 1024  # KiB
