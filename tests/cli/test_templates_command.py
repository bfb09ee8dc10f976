"""`splinegraph templates` from the command line, and its section of `analyze`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from tests.cli.conftest import write_nets

Run = Callable[..., Result]


@pytest.fixture
def data(splinegraph: Run) -> str:
    rng = np.random.default_rng(0)
    np.savez("data.npz", x=rng.normal(size=(7, 3)).astype(np.float32), y=np.arange(7) % 2)
    return "data.npz"


def test_table_files_and_json(splinegraph: Run, data: str) -> None:
    result = splinegraph("templates", "net.py", "--data", data, "--at", "4,0", "--out", "out", "--json", "-")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["at"] == [4, 0]
    assert told["labels"] == [0, 0]
    assert {path.name for path in Path("out").iterdir()} == {"templates.json", "index.json", *told_files()}
    sums = np.array(told["values"]) + np.array(told["biases"])
    rows, x = np.load("out/templates.npy"), np.load("out/inputs.npy")
    np.testing.assert_allclose(np.einsum("bkd,bd->bk", rows, x) + np.load("out/biases.npy"), sums)
    table = splinegraph("templates", "net.py", "--data", data, "--at", "4", "--classes", "1")
    assert f"{sums[0, 1]:.2f}" in table.stdout
    assert "<A, x>" in table.stdout


def told_files() -> set[str]:
    return {"templates.npy", "inputs.npy", "values.npy", "biases.npy", "templates.svg", "templates.png"}


def test_a_folder_with_templates_is_kept_unless_forced(splinegraph: Run, data: str) -> None:
    arguments = ("templates", "net.py", "--data", data, "--out", "out", "--no-figures", "-q")
    assert splinegraph(*arguments).exit_code == 0
    again = splinegraph(*arguments)
    assert again.exit_code == 2
    assert "--force" in again.output
    assert splinegraph(*arguments, "--force").exit_code == 0


def test_files_of_the_user_are_kept_unless_forced(splinegraph: Run, data: str) -> None:
    Path("mine").mkdir()
    Path("mine/inputs.npy").write_bytes(b"my own")
    result = splinegraph("templates", "net.py", "--data", data, "--out", "mine", "--no-figures", "-q")
    assert result.exit_code == 2
    assert "inputs.npy" in result.output
    assert Path("mine/inputs.npy").read_bytes() == b"my own"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give --data"),
        (("--data", "data.npz", "--classes", "0,5"), "there is no class 5"),
        (("--data", "data.npz", "--classes", "a"), "no list of whole numbers"),
        (("--data", "data.npz", "--at", "9"), "9"),
    ],
)
def test_bad_input(splinegraph: Run, data: str, arguments: tuple[str, ...], told: str) -> None:
    result = splinegraph("templates", "net.py", *arguments)
    assert result.exit_code == 2
    assert told in result.output


def test_a_smooth_network_says_tangent(splinegraph: Run, data: str) -> None:
    write_nets({"smooth.py": "nn.Sequential(nn.Linear(3, 2), nn.Tanh())"})
    result = splinegraph("templates", "smooth.py", "--data", data)
    assert "tangents of a smooth network" in result.stdout


def test_section_of_the_report(splinegraph: Run, data: str) -> None:
    write_nets({"one.py": "nn.Linear(3, 1)"})
    for target, told in (("net.py", "cosine of the class's template to x"), ("one.py", "not applicable")):
        result = splinegraph("analyze", target, "--data", data, "--only", "templates")
        assert result.exit_code == 0, result.output
        assert told in result.stdout
    told = json.loads(splinegraph("analyze", "net.py", "--data", data, "--only", "templates", "--json", "-").stdout)
    section = told["sections"]["templates"]
    assert section["samples"] == 7
    assert [m["optimum"] for m in section["measures"]] == [1, -1, 1, 1]
    # of two classes the centred templates are opposite
    assert section["measures"][1]["mean"] == pytest.approx(-1)
    assert section["measures"][3]["mean"] == pytest.approx(1)
