"""`splinegraph convexity`, as a user meets it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import splinegraph as sg
from splinegraph.cli import convexity_work
from tests.cli.conftest import Run, write_nets

NETS = {
    "free.py": "nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))",
    "convex.py": "nn.Sequential(nn.Linear(2, 6), nn.ReLU(), positive(nn.Linear(6, 2)))",
    "step.py": "Apply(torch.sign)",
    "nan.py": "spoiled(nn.Linear(2, 1))",
}


@pytest.fixture
def run(splinegraph: Run) -> Run:
    write_nets(NETS)

    def convexity(target: str, *arguments: object) -> Any:
        return splinegraph("convexity", target, "--input-shape", "2", *arguments)

    return convexity


def test_a_convex_network_is_proved_so(run: Run) -> None:
    result = run("convex.py", "--json", "-")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["format"], told["domain"]) == (convexity_work.FORMAT, "all of space")
    assert told["verdicts"]["counts"] == {"convex": 2}
    assert told["maximum"] == told["dominated"] == [True, True]
    assert told["checklist"]["holds"] == [True, True]


def test_out_holds_everything_and_witnesses_can_be_checked(run: Run) -> None:
    result = run("free.py", "--box", -1, 1, "--out", "out")
    assert result.exit_code == 0, result.output
    for text in ("3 outputs: 3 neither", "not convex", "weights >= 0", "slopes of outputs fall most"):
        assert text in result.stdout
    files = {path.name for path in Path("out").iterdir()}
    assert files == {"convexity.json", "convexity.svg", "convexity.png", "layers.csv", "witnesses.npz"}
    rows = list(csv.DictReader(Path("out/layers.csv").read_text().splitlines()))
    assert [row["node"] for row in rows if row["holds"] == "False"] == ["linear_1", "linear_2"]
    told = json.loads(Path("out/convexity.json").read_text())
    graph = sg.trace(sg.load("free.py:net").model, torch.zeros(1, 2))
    assert told["cells"] == sg.enumerate_regions(graph, sg.Box(-torch.ones(2), torch.ones(2))).count
    with np.load("out/witnesses.npz") as file:
        kept = dict(file)
    x, y, w = (torch.from_numpy(kept[name]).double() for name in ("x", "y", "weight"))
    between = w[:, None] * x + (1 - w[:, None]) * y
    value = [graph(z, dtype=torch.float64)[range(len(x)), kept["output"][:, 0]].detach() for z in (between, x, y)]
    np.testing.assert_allclose(value[0] - w * value[1] - (1 - w) * value[2], kept["gap"], atol=1e-6)
    run("free.py", "--box", -1, 1, "--out", "out", "--no-figures", "--quiet")
    assert not Path("out/convexity.png").exists()


def test_one_entry_on_every_kind_of_domain(run: Run) -> None:
    np.save("x.npy", np.zeros(2))
    np.save("three.npy", np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    np.save("two.npy", np.array([[0.0, 0.0], [1.0, 0.5]]))
    for domain in ("--global", "--box-around x.npy 0.5", "--ball x.npy 0.5", "--slice three.npy", "--segment two.npy"):
        result = run("convex.py", *domain.split(), "--only", "1")
        assert result.exit_code == 0, result.output
        assert "1 output: 1 convex" in result.stdout or "1 output: 1 affine" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("free.py", "--only", "3"), "there is no such entry"),
        (("free.py", "--only", "x"), "give an index"),
        (("free.py", "--box", -1, 1, "--global"), "more than one domain"),
        (("free.py", "--box", 1, -1), "empty"),
        (("free.py", "--budget", 0), "--budget"),
        (("nan.py",), "NaN"),
        (("missing.py",), "missing.py"),
    ],
)
def test_bad_input_is_one_line(run: Run, arguments: tuple[Any, ...], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.output
    assert "Traceback" not in result.output


def test_undecided_outputs_are_told_by_the_exit_code(run: Run) -> None:
    result = run("step.py")
    assert result.exit_code in (0, 1)
    assert ("undecided" in result.stdout) == (result.exit_code == 1)
