"""`splinegraph regions`, as a user meets it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import networkx as nx
import numpy as np
import pytest
import torch
from click.testing import Result

import splinegraph as sg
from splinegraph.analyses.regions import enumerate as enumerating
from splinegraph.analyses.regions import finding
from splinegraph.analyses.regions.partition.partition import Partition
from splinegraph.analyses.regions.scale import session, streaming
from splinegraph.analyses.regions.scale.distribute import Tick, distribute

Run = Callable[..., Result]

ROOT = Path(__file__).resolve().parents[2]

SCHEMA: dict[str, Any] = json.loads(
    resources.files("splinegraph").joinpath("analyses/regions/schema.json").read_text(encoding="utf-8")
)

PLANE = """
import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
"""

TANH = PLANE.replace("ReLU", "Tanh")


def told(path: Path) -> dict[str, Any]:
    held: dict[str, Any] = json.loads((path / "regions.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(SCHEMA).validate(held)
    return held


def test_the_schema_is_a_schema_and_describes_every_key() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == set(SCHEMA["required"])
    assert all(held.get("description") for held in SCHEMA["properties"].values())


def test_a_plane(splinegraph: Run) -> None:
    Path("flat.py").write_text(PLANE)
    result = splinegraph("regions", "flat.py", "--box", "-1", "1", "--out", "out", "--verify", "full")
    assert result.exit_code == 0, result.output
    held = told(Path("out"))
    graph = sg.trace(sg.load("flat.py").model, torch.zeros(1, 2))
    exact = sg.enumerate_regions(graph, sg.Box(torch.full((2,), -1.0), torch.full((2,), 1.0)))
    assert held["activation_cells"] == exact.count
    assert held["maximal_linear_regions"] == exact.maximal_count
    assert held["complete"]
    assert sum(held["classes"].values()) == exact.count
    assert held["verified"]["ok"]
    assert f"{exact.count} activation cells, {exact.maximal_count} maximal linear regions" in result.stdout
    assert "checks passed" in result.stdout
    names = set(os.listdir("out"))
    assert {"regions.json", "regions.parquet", "dual.gexf", "dual.graphml", "dual.json"} <= names
    assert {"slice-class.svg", "slice-class.png", "slice-norm.svg", "slice-region.svg", "histograms.png"} <= names
    assert set(held["files"].values()) | {"regions.json"} == names
    dual = nx.read_graphml("out/dual.graphml")
    assert len(dual) == exact.count
    assert len(dual.edges) == len(exact.adjacency)
    assert nx.is_connected(dual)
    saved = Partition.load("out/regions.parquet", graph)
    assert np.array_equal(saved.packed, exact.packed)


def test_the_summary_alone(splinegraph: Run) -> None:
    result = splinegraph("regions", "net.py", "--box", "-1,-1,0", "1,1,0", "--json", "-", "--verify", "none")
    assert result.exit_code == 0, result.output
    held = json.loads(result.stdout)
    jsonschema.Draft202012Validator(SCHEMA).validate(held)
    assert (held["domain"]["dim"], held["verified"], held["files"]) == (2, None, {})
    assert set(os.listdir(".")) <= {"net.py", "__pycache__"}


@pytest.mark.slow
def test_slices_and_segments(splinegraph: Run) -> None:
    rows = np.random.default_rng(0).normal(size=(5, 3))
    np.savez("data.npz", x=rows, y=[0, 1, 0, 1, 1])
    np.save("points.npy", rows[:3])
    np.save("ends.npy", rows[:2])
    np.save("x.npy", rows[0])
    np.savez("plane.npz", origin=rows[0], u=rows[1] - rows[0], v=rows[2] - rows[0], extent=[[-1, 2], [-1, 1]])
    counts = []
    for arguments in (
        ["--data", "data.npz", "--through", "0,1,2"], ["--slice", "points.npy"], ["--slice", "plane.npz"],
        ["--segment", "ends.npy"], ["--data", "data.npz", "--segment", "0,1"], ["--box-around", "x.npy", "0.5"],
    ):  # fmt: skip
        result = splinegraph("regions", "net.py", *arguments, "--json", "-")
        assert result.exit_code == 0, result.output
        held = json.loads(result.stdout)
        counts.append((held["domain"]["dim"], held["activation_cells"]))
    zoomed = json.loads(splinegraph("regions", "net.py", "--slice", "points.npy", "--zoom", "50", "--json", "-").stdout)
    assert zoomed["activation_cells"] < counts[1][1]
    assert "zoomed 50 times" in zoomed["domain"]["text"]
    assert counts[0] == counts[1]
    assert counts[3] == counts[4]
    assert [dim for dim, _ in counts] == [2, 2, 2, 1, 1, 3]
    result = splinegraph("regions", "net.py", "--data", "data.npz", "--segment", "0,1", "--out", "line")
    assert {"segment.svg", "segment.png"} <= set(os.listdir("line"))
    assert "segment from sample 0 to 1" in result.stdout


@pytest.mark.slow
def test_a_limit_is_gone_on_from(splinegraph: Run) -> None:
    whole = splinegraph("regions", "net.py", "--box", "-2", "2", "--out", "whole")
    assert whole.exit_code == 0, whole.output
    some = splinegraph("regions", "net.py", "--box", "-2", "2", "--limit", "5", "--out", "some")
    assert some.exit_code == 1
    assert "so far" in some.stdout
    assert "--resume some" in some.stderr
    held = told(Path("some"))
    assert (held["activation_cells"], held["complete"]) == (5, False)
    assert 0 < held["covered"]["fraction"] < 1
    over = splinegraph("regions", "net.py", "--box", "-2", "2", "--out", "some")
    assert (over.exit_code, "not finished" in over.stderr) == (2, True)
    other = splinegraph("regions", "net.py", "--box", "-2", "3", "--resume", "some")
    assert (other.exit_code, "another domain" in other.stderr) == (2, True)
    rest = splinegraph("regions", "net.py", "--box", "-2", "2", "--resume", "some", "--workers", "2")
    assert rest.exit_code == 0, rest.output
    assert told(Path("some"))["activation_cells"] == told(Path("whole"))["activation_cells"]
    assert "regions.parquet.parts" not in os.listdir("some")
    again = splinegraph("regions", "net.py", "--box", "-2", "2", "--resume", "some")
    assert (again.exit_code, "holds nothing to go on from" in again.stderr) == (2, True)


def test_an_interrupt_keeps_what_was_found(splinegraph: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(tick: Tick) -> None:
        raise KeyboardInterrupt

    def slow(runner: Any, **how: Any) -> Any:
        return distribute(runner, **{**how, "progress": stop, "full": 3})

    monkeypatch.setattr(session, "distribute", slow)
    result = splinegraph("regions", "net.py", "--box", "-2", "2", "--out", "out")
    assert result.exit_code == 1
    assert "interrupted" in result.stdout
    held = told(Path("out"))
    assert held["interrupted"]
    assert held["activation_cells"] == 3
    assert (Path("out") / "regions.parquet.parts").exists()


@pytest.mark.slow
def test_a_kill_and_a_resume(tmp_path: Path) -> None:
    wide = PLANE.replace("2, 8", "4, 48").replace("8, 3", "48, 48), nn.ReLU(), nn.Linear(48, 3")
    (tmp_path / "net.py").write_text(wide)
    command = [sys.executable, "-c", "from splinegraph.cli.main import main; main()", "regions", "net.py"]
    command += ["--box", "-1", "1", "--limit", "2000000", "--no-graph", "--no-figures", "--verify", "none"]
    with subprocess.Popen([*command, "--out", "out"], cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        snapshot = tmp_path / "out" / "regions.parquet.parts" / "frontier.json"
        while process.poll() is None and not snapshot.exists():
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    before = json.loads(snapshot.read_text())
    assert any(count < 0 for _, _, count, *_ in before["tasks"])
    result = subprocess.run([*command, "--resume", "out"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    held = told(tmp_path / "out")
    graph = sg.trace(sg.load(str(tmp_path / "net.py")).model, torch.zeros(1, 4))
    whole = sg.enumerate_regions(graph, sg.Box(-torch.ones(4), torch.ones(4)), verify=False)
    assert held["activation_cells"] == whole.count > 100_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no domain"),
        (["--box", "-1", "1", "--through", "0,1,2"], "more than one domain"),
        (["--box", "-1", "x"], "no bound"),
        (["--box", "-1,0", "1"], "has 2 numbers"),
        (["--box", "1", "-1"], "lower > upper"),
        (["--box", "-inf", "inf"], "unbounded"),
        (["--box", "nan", "1"], "NaN"),
        (["--through", "0,1,2"], "give --data"),
        (["--through", "0,1"], "no list of 3 samples"),
        (["--through", "0,1,9", "--data", "data.npz"], "has no sample 9"),
        (["--slice", "missing.npy"], "no file missing.npy"),
        (["--slice", "short.npy"], "has shape"),
        (["--slice", "line.npy"], "line"),
        (["--slice", "net.py"], "cannot read"),
        (["--segment", "point.npy"], ""),
        (["--box-around", "x.npy", "-1"], "no radius"),
        (["--box", "-1", "1", "--resume", "missing"], "holds nothing to go on from"),
        (["--box", "-1", "1", "--resume", "a", "--out", "b"], "leave out --out"),
        (["--box", "-1", "1", "--out", "net.py"], "is a file"),
    ],
)
def test_bad_input(splinegraph: Run, arguments: list[str], message: str) -> None:
    rows = np.random.default_rng(0).normal(size=(3, 3))
    np.savez("data.npz", x=rows)
    np.save("short.npy", rows[:2])
    np.save("line.npy", np.outer([0.0, 1.0, 2.0], rows[0]))
    np.save("point.npy", rows[[0, 0]])
    np.save("x.npy", rows[0])
    result = splinegraph("regions", "net.py", *arguments)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_a_smooth_network_is_refused_by_name(splinegraph: Run) -> None:
    Path("tanh.py").write_text(TANH)
    result = splinegraph("regions", "tanh.py", "--box", "-1", "1")
    assert result.exit_code == 2
    assert "tanh" in result.stderr.lower()
    assert "sg.spline" in result.stderr


@pytest.mark.slow
def test_a_stream_is_gone_on_from(splinegraph: Run) -> None:
    Path("net.py").write_text(PLANE)
    whole = splinegraph("regions", "net.py", "--box", "-2", "2", "--out", "whole")
    assert whole.exit_code == 0, whole.output
    some = splinegraph("regions", "net.py", "--box", "-2", "2", "--method", "stream", "--limit", "5", "--out", "some")
    assert some.exit_code == 1
    assert "--resume some" in some.stderr
    assert (told(Path("some"))["activation_cells"], told(Path("some"))["method"]) == (5, "stream")
    more = splinegraph("regions", "net.py", "--box", "-2", "2", "--limit", "9", "--resume", "some")
    assert (more.exit_code, told(Path("some"))["activation_cells"]) == (1, 9)
    rest = splinegraph("regions", "net.py", "--box", "-2", "2", "--resume", "some")
    assert rest.exit_code == 0, rest.output
    held = told(Path("some"))
    assert held["activation_cells"] == told(Path("whole"))["activation_cells"]
    assert (held["method"], held["complete"]) == ("stream", True)
    assert not any("%" in note or "missing" in note for note in held["notes"])
    assert "regions.parquet.parts" not in os.listdir("some")


STREAM = ("regions", "net.py", "--box", "-2", "2", "--method", "stream", "--out", "out")


@pytest.mark.slow
def test_a_result_with_flaws_is_final_once_nothing_is_left(splinegraph: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("net.py").write_text(PLANE)
    with monkeypatch.context() as patch:
        patch.setattr(finding, "_flaws", lambda found: (finding.UNPLACED,))
        assert splinegraph(*STREAM, "--limit", "5").exit_code == 1
    assert "regions.parquet.parts" in os.listdir("out")
    rest = splinegraph("regions", "net.py", "--box", "-2", "2", "--resume", "out")
    assert rest.exit_code == 1
    assert "--resume" not in rest.stderr
    held = told(Path("out"))
    assert not held["complete"]
    assert finding.UNPLACED in held["notes"]
    assert "regions.parquet.parts" not in os.listdir("out")
    assert splinegraph(*STREAM).exit_code == 0
    assert told(Path("out"))["activation_cells"] == held["activation_cells"]


@pytest.mark.slow
def test_a_second_interrupt_of_a_stream_says_what_is_kept(splinegraph: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("net.py").write_text(PLANE)
    watch = streaming._Watch.__call__

    def stop(self: streaming._Watch, count: int, so_far: Any) -> bool:
        watch(self, count, so_far)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(streaming, "EVERY", 0.0)
        patch.setattr(streaming._Watch, "__call__", stop)
        result = splinegraph(*STREAM)
    assert result.exit_code == 1
    assert "the last snapshot is kept: --resume out" in " ".join(result.stderr.split())
    again = splinegraph("regions", "net.py", "--box", "-2", "2", "--resume", "out")
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize("out", [[], ["--out", "out"]])
def test_an_interrupt_of_a_check_says_where_the_cells_are(
    splinegraph: Run, monkeypatch: pytest.MonkeyPatch, out: list[str]
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(enumerating, "checked", stop)
        result = splinegraph("regions", "net.py", "--box", "-2", "2", *out)
    assert result.exit_code == 1
    assert "interrupted while the cells were checked" in result.stderr
    if out:
        assert "--resume out" in " ".join(result.stderr.split())
        again = splinegraph("regions", "net.py", "--box", "-2", "2", "--resume", "out")
        assert again.exit_code == 0, again.output


def test_an_interrupt_of_a_mesh_is_told(splinegraph: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    Path("flat.py").write_text(PLANE)
    monkeypatch.setattr("splinegraph.analyses.regions.mesh.mesh.mesh", stop)
    result = splinegraph("regions", "flat.py", "--box", "-1", "1", "--out", "out")
    assert result.exit_code == 1
    assert "before any cell was kept" in result.stderr
    assert "--method" in result.stderr
