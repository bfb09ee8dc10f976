"""`splinegraph analyze`, as a user meets it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from splinegraph.analyses.report import registry
from splinegraph.analyses.report.report import chosen
from splinegraph.cli.main import main

ROOT = Path(__file__).resolve().parents[2]

NET = """
import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
"""

MODULE = """import torch
class M(torch.nn.Module):
    def forward(self, {arguments}):
        return {value}
model = M()
"""

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in an empty folder, 80 columns wide."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, columns: int = 80) -> Result:
        return CliRunner(env={"COLUMNS": str(columns)}).invoke(
            main, ["analyze", *map(str, arguments)], prog_name="splinegraph"
        )

    return run


def write(text: str, name: str = "file.py") -> str:
    Path(name).write_text(text)
    return name


def error(result: Result) -> str:
    """Return the one line of an error that was our own."""
    assert result.exit_code == 2, result.output
    line = result.stderr.splitlines()[-1]
    assert line.startswith("splinegraph: error: ")
    return line


@pytest.mark.parametrize(
    ("model", "units", "right", "columns"),
    [pytest.param("DigitsCNN", 1824, 358, 80, marks=pytest.mark.slow), ("DigitsMLP", 64, 352, 120)],
)
def test_the_examples(run: Run, model: str, units: int, right: int, columns: int) -> None:
    name = model.replace("Digits", "digits_").lower()
    data = ROOT / "examples" / "digits.npz"
    result = run(ROOT / "examples" / f"{name}.py", "--data", data, "--out", "out", columns=columns)
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines())) <= max(columns, 20 + len(str(data)))
    for text in (
        "exactly piecewise affine",
        f"{100 * right / 360:.2f} %",
        "dead",
        "distinct patterns",
        "boundary",
        "f(x) = A[x] x + b[x]",
    ):
        assert text in result.stdout
    told = json.loads(Path("out/report.json").read_text(encoding="utf-8"))
    assert told["name"] == model
    assert told["complete"]
    assert told["sections"]["units"]["units"] == units
    assert told["sections"]["inputs"]["accuracy"] == pytest.approx(right / 360)


def test_random_inputs_and_eval_mode_are_said(run: Run) -> None:
    result = run(write(NET), "--input-shape", "3")
    assert result.exit_code == 0, result.output
    assert "put in eval mode" in result.stdout
    assert "random standard normal inputs, not data" in result.stdout


def test_data_are_cast_and_cut_and_it_is_said(run: Run) -> None:
    np.savez("d.npz", x=np.arange(12, dtype=np.uint8).reshape(4, 3), y=np.array([0, 1, 0, 1]))
    result = run(
        write(NET), "--data", "d.npz", "--limit", 3, "--at", "2", "--out", "o", "--dtype", "float32", "--seed", 7
    )
    assert result.exit_code == 0, result.output
    told = json.loads(Path("o/report.json").read_text(encoding="utf-8"))
    assert any("uint8 and were cast to float as they are, from 0 to 8" in note for note in told["notes"])
    assert any("first 3 of 4 samples" in note for note in told["notes"])
    assert told["sections"]["inputs"]["samples"] == 3
    assert told["sections"]["inputs"]["highest"] == 8.0
    assert [row["sample"] for row in told["sections"]["maps"]["rows"]] == [2]
    assert (told["provenance"]["dtype"], told["provenance"]["seed"]) == ("float32", 7)


def test_warnings_of_the_file_are_shown(run: Run) -> None:
    result = run(write(NET + "import warnings\nwarnings.warn('weights are missing')"), "--input-shape", "3")
    assert "warning: weights are missing" in result.stdout


def test_what_is_not_piecewise_affine_is_named(run: Run) -> None:
    text = MODULE.format(arguments="x", value="torch.tanh(x)")
    result = run(write(text), "--input-shape", "2", columns=200)
    assert result.exit_code == 0, result.output
    assert "not piecewise affine, because of Tanh (smooth) at file.py:4" in result.stdout
    assert "tangents" in result.stdout


def test_two_inputs(run: Run) -> None:
    text = MODULE.format(arguments="x, y", value="torch.relu(x + y)")
    assert run(write(text), "--input-shape", "2", "--input-shape", "2").exit_code == 0


def test_a_long_graph_is_cut_in_the_middle(run: Run) -> None:
    text = "from torch import nn\nmodel = nn.Sequential(*[nn.ReLU() for _ in range(60)])\n"
    result = run(write(text), "--input-shape", "2", "--only", "graph")
    assert "… 22 more" in result.stdout
    assert "report.json" in result.stdout
    assert "relu_59" in result.stdout
    assert "relu_30" not in result.stdout


def test_a_failed_section_is_shown_and_the_exit_code_is_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("out of [red]luck[/red]")

    kind = registry.SECTIONS["boundary"]
    monkeypatch.setitem(registry.SECTIONS, "boundary", dataclasses.replace(kind, make=fail))
    result = run(write(NET), "--input-shape", "3", "--out", "o")
    assert result.exit_code == 1
    assert "boundary  failed: out of [red]luck[/red]" in result.stdout
    assert "f(x) = A[x] x + b[x]" in result.stdout
    assert not json.loads(Path("o/report.json").read_text(encoding="utf-8"))["complete"]


# bad input: one line each, exit code 2


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a = 1", "holds no model"),
        (NET.replace("net =", "a = nn.ReLU()\nb ="), "splinegraph analyze file.py:a"),
        ("def f(:", "does not parse at file.py:1"),
        ("1 / 0", "fails when it is executed at file.py:1: ZeroDivisionError"),
        (NET + "net[0].weight.data[0, 0] = float('nan')", "'0.weight' holds NaN"),
        (NET + "net[0].bias.data[0] = float('inf')", "'0.bias' holds infinite values"),
        (NET.replace("(3, 4)", "(5, 4)"), "the model fails on the example input of shape (1, 3)"),
        (NET + "net.double()\nnet[2].float()", "the model fails on the example input"),
    ],
)
def test_bad_model(run: Run, text: str, match: str) -> None:
    assert match in error(run(write(text), "--input-shape", "3"))


def test_control_flow_that_depends_on_the_data(run: Run) -> None:
    text = (
        "import torch\nclass M(torch.nn.Module):\n    def forward(self, x):\n"
        "        if x.sum() > 0:\n            return 2 * x\n        return x\nmodel = M()\n"
    )
    line = error(run(write(text), "--input-shape", "2"))
    assert "at file.py:4: the control flow depends on the data" in line
    assert "torch.where" in line


def test_the_input_shape_must_be_known(run: Run) -> None:
    text = NET.replace("nn.Linear(3, 4)", "nn.Conv2d(3, 4, 1)")
    assert "takes 3 channels, which leaves the height and width open; give --input-shape" in error(run(write(text)))


@pytest.mark.parametrize("given", ["a,b", "0,3", "1.5", "-3", ""])
def test_bad_shape_on_the_command_line(run: Run, given: str) -> None:
    result = run(write(NET), "--input-shape", given)
    assert result.exit_code == 2
    assert "such as 1,28,28" in result.stderr


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"x": np.zeros((0, 3))}, "the batch is empty"),
        ({"x": np.array([[0.0, 1.0, 2.0], [0.0, np.nan, 1.0]])}, "sample 1 of 'x' in d.npz holds NaN"),
        ({"x": np.zeros((2, 5))}, "--input-shape is (3,)"),
        ({"x": np.zeros((2, 3), dtype=complex)}, "dtype complex128"),
        ({"x": np.array(["a", "b"])}, "dtype <U1"),
        ({"x": np.array([{}], dtype=object)}, "holds Python objects"),
        ({"x": np.array(1.0)}, "samples first"),
        ({"y": np.zeros(3, dtype=int)}, "holds no inputs: it has y"),
        ({}, "a zip file without arrays"),
        ({"x": np.zeros((2, 3)), "y": np.zeros(3, dtype=int)}, "'y' in d.npz has 3 entries for 2 samples"),
    ],
)
def test_bad_data(run: Run, arrays: dict[str, np.ndarray], match: str) -> None:
    np.savez("d.npz", **arrays)
    assert match in error(run(write(NET), "--data", "d.npz", "--input-shape", "3"))


def test_the_file_says_which_shape_the_data_must_have(run: Run) -> None:
    np.savez("d.npz", x=np.zeros((2, 5)))
    assert "the model says shape (3,)" in error(run(write(NET + "input_shape = 3"), "--data", "d.npz"))


def test_files_that_are_no_data(run: Run) -> None:
    target = write(NET)
    assert "there is no file none.npz" in error(run(target, "--data", "none.npz"))
    assert "cannot read junk.npz" in error(run(target, "--data", write("junk", "junk.npz")))
    np.savez("cut.npz", x=np.zeros((200, 3)))
    Path("cut.npz").write_bytes(Path("cut.npz").read_bytes()[:2000])
    assert "cannot read cut.npz" in error(run(target, "--data", "cut.npz"))


def test_a_sample_that_is_not_there(run: Run) -> None:
    np.savez("d.npz", x=np.zeros((2, 3)))
    assert "no sample 5; choose from 0 to 1" in error(run(write(NET), "--data", "d.npz", "--at", "5"))


def test_an_unwritable_folder_is_told_before_the_work(run: Run) -> None:
    target = write(NET + "raise RuntimeError('too late')")
    assert "cannot make the folder file.py" in error(run(target, "--input-shape", "3", "--out", "file.py"))


# the command itself


@pytest.mark.slow
def test_the_installed_command(tmp_path: Path) -> None:
    """Run it once in a process of its own, where nothing can show more than ASCII."""
    (tmp_path / "file.py").write_text(NET + "input_shape = (3,)")
    command = [sys.executable, "-c", "from splinegraph.cli.main import main; main()", "analyze", "file.py"]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii", "PATH": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "Sequential: exactly piecewise affine" in done.stdout


def test_help_and_version() -> None:
    runner = CliRunner()
    assert "analyze" in runner.invoke(main, ["--help"]).output
    told = runner.invoke(main, ["analyze", "--help"]).output
    assert "EXECUTED" in told
    named = told.partition("Sections:")[2].partition(".")[0].replace(",", " ").split()
    assert named == list(chosen(None, ()))
    assert runner.invoke(main, ["--version"]).output.startswith("splinegraph, version ")
    assert runner.invoke(main, ["analyze"]).exit_code == 2
    assert runner.invoke(main, ["frobnicate"]).exit_code == 2


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, splinegraph.cli.main; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"
