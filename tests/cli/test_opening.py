"""Options that say which model and which data, on every command that opens one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result

from tests.cli.conftest import NET, Run

ROOT = Path(__file__).resolve().parents[2]

PROBABILITIES = """
import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), nn.Softmax(-1)).eval()
data = torch.utils.data.TensorDataset(torch.eye(3), torch.tensor([0, 1, 1]))
print("loading")
"""


def told(result: Result) -> dict[str, Any]:
    """Return the report that was printed, and nothing else was."""
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_json_on_stdout_is_all_there_is(splinegraph: Run) -> None:
    Path("loud.py").write_text(PROBABILITIES)  # what the file prints goes elsewhere
    result = splinegraph("analyze", "loud.py", "--json", "-")
    assert told(result)["sections"]["graph"]["exact"]
    assert "loading" in result.stderr


def test_the_same_request_gives_the_same_bytes(splinegraph: Run) -> None:
    texts = {splinegraph("analyze", "net.py", "--json", "-").stdout for _ in range(2)}
    assert len(texts) == 1


def test_random_weights_are_those_of_the_seed(splinegraph: Run) -> None:
    Path("r.py").write_text("from torch import nn\nnet = nn.Linear(2, 2).eval()\n")
    hashes = [
        told(splinegraph("analyze", "r.py", "--seed", seed, "--json", "-"))["provenance"]["weights_sha256"]
        for seed in (0, 0, 1)
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_json_to_a_file_and_quiet(splinegraph: Run) -> None:
    result = splinegraph("analyze", "net.py", "--json", "r.json", "--quiet")
    assert result.exit_code == 0
    assert result.stdout == "wrote r.json\n"
    assert json.loads(Path("r.json").read_text())["complete"]


def test_a_trailing_softmax_is_split_off_unless_asked_for(splinegraph: Run) -> None:
    Path("p.py").write_text(PROBABILITIES)
    report = told(splinegraph("analyze", "p.py", "--json", "-"))
    assert report["sections"]["graph"]["exact"]
    assert any("softmax" in note.lower() for note in [*report["notes"], *report["sections"]["graph"]["notes"]])
    report = told(splinegraph("analyze", "p.py", "--output", "probabilities", "--json", "-"))
    assert not report["sections"]["graph"]["exact"]
    assert [n["operator"] for n in report["sections"]["graph"]["nodes"]][-1].startswith("Softmax")


def test_mean_and_std_are_one_affine_node_in_front(splinegraph: Run) -> None:
    np.savez("raw.npz", x=np.random.default_rng(0).normal(size=(5, 3)) * 2 + 1)
    mean, std = np.array([1.0, 0.0, 2.0]), np.array([2.0, 1.0, 0.5])
    np.savez("scaled.npz", x=(np.load("raw.npz")["x"] - mean) / std)
    raw = told(
        splinegraph("analyze", "net.py", "--data", "raw.npz", "--mean", "1,0,2", "--std", "2,1,.5", "--json", "-")
    )
    scaled = told(splinegraph("analyze", "net.py", "--data", "scaled.npz", "--json", "-"))
    assert [n["operator"] for n in raw["sections"]["graph"]["nodes"]][:3] == ["Input", "Normalize", "Linear"]
    values = [[row["value"] for row in r["sections"]["maps"]["rows"]] for r in (raw, scaled)]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-6)


def test_weights_from_a_state_dict(splinegraph: Run) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    save_file(net.state_dict(), "w.safetensors")
    torch.save(net.state_dict(), "w.pt")
    hashes = {
        told(splinegraph("analyze", "net.py", *more, "--json", "-"))["provenance"]["weights_sha256"]
        for more in ([], ["--weights", "w.pt"], ["--weights", "w.safetensors"])
    }
    assert len(hashes) == 2


def test_data_of_a_python_file(splinegraph: Run) -> None:
    Path("p.py").write_text(PROBABILITIES)
    report = told(splinegraph("analyze", "p.py", "--data", "p.py:data", "--json", "-"))
    assert report["sections"]["inputs"]["samples"] == 3
    assert report["sections"]["inputs"]["labels"]
    assert set(report["request"]["files"]) == {"p.py"}


def test_a_folder_of_images_is_scaled(splinegraph: Run) -> None:
    from PIL import Image

    Path("cnn.py").write_text("from torch import nn\nnet = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()).eval()\n")
    for name, size in (("cat", (6, 5)), ("dog", (8, 8))):
        Path("photos", name).mkdir(parents=True)
        Image.new("RGB", size, (200, 10, 0)).save(Path("photos", name, "0.png"))
    result = splinegraph("analyze", "cnn.py", "--data", "photos")
    assert result.exit_code == 2
    assert "0.png" in result.stderr
    assert "--image-size" in result.stderr
    report = told(splinegraph("analyze", "cnn.py", "--data", "photos", "--image-size", "7,6", "--json", "-"))
    assert report["sections"]["graph"]["inputs"] == {"input": [3, 7, 6]}


def test_an_example_input_from_a_file(splinegraph: Run) -> None:
    np.save("x.npy", np.zeros((1, 3), dtype=np.float32))
    result = splinegraph("trace", "net.py", "--input", "x.npy")
    assert result.exit_code == 0
    assert "example input: x.npy" in result.stdout


@pytest.mark.parametrize("command", ["analyze", "trace", "export"])
def test_a_program_that_can_execute_code_needs_trust(splinegraph: Run, command: str) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 2)).eval()
    torch.export.save(torch.export.export(net, (torch.zeros(1, 3),)), "net.pt2")
    out = ["--out", "o.json"] if command == "export" else []
    result = splinegraph(command, "net.pt2", *out)
    assert result.exit_code == 2
    assert f"splinegraph {command} net.pt2 --trust" in result.stderr
    assert splinegraph(command, "net.pt2", "--trust", *out).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--mean", "a"], "no list of numbers"),
        (["--std", "0"], "give positive numbers"),
        (["--mean", "1,2"], "mean has 2 numbers for 3"),
        (["--only", "untis"], "did you mean 'units'"),
        (["--data", "ent.npz"], "did you mean"),
        (["--data", "net.py:nte"], "net.py:net"),
        (["--data", "net.py:net"], "cannot read data from net.py:net, a Sequential"),
        (["--json", "nowhere/r.json"], "cannot write nowhere/r.json"),
        (["--json", "."], "it is a folder"),
        (["--image-size", "big"], "such as 224"),
        (["--data", "net.npz", "--image-size", "5"], "is no folder of images"),
        (["--seed", "-1"], "is not in the range"),
        (["--out", "net.py/o"], "net.py is a file"),
        (["--json", "nowhere/r.json"], "make its folder first"),
    ],
)
def test_bad_options(splinegraph: Run, arguments: list[str], match: str) -> None:
    np.savez("net.npz", x=np.zeros((2, 3)))
    result = splinegraph("analyze", "net.py", *arguments)
    assert result.exit_code == 2, result.output
    assert match in result.stderr


def test_nothing_is_left_of_a_report_that_cannot_be_written(splinegraph: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill the disk at the last moment: the old report is still there, and nothing else."""
    import errno

    assert splinegraph("analyze", "net.py", "--out", "o").exit_code == 0
    before = Path("o/report.json").read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    result = splinegraph("analyze", "net.py", "--out", "o", "--seed", "1")
    assert result.exit_code == 2
    assert "free some space" in result.stderr
    assert Path("o/report.json").read_bytes() == before
    assert sorted(p.name for p in Path("o").iterdir()) == ["report.html", "report.json"]


def test_markup_and_control_characters_in_a_name(splinegraph: Run) -> None:
    name = "a[bold]\x1b[31m\n.py"
    Path(name).write_text(NET)
    result = splinegraph("analyze", name)
    assert result.exit_code == 0, result.output
    assert "a[bold]" in result.stdout
    assert "\x1b" not in result.stdout
    missing = splinegraph("analyze", "no\x1b[31m\nne.py")
    assert missing.exit_code == 2
    assert "\x1b" not in missing.stderr
    assert len(missing.stderr.splitlines()) == 1


LOUD = """
import os, atexit, torch
from torch import nn
class Loud(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, i):
        print("reading", i)
        os.system("echo from a subprocess")
        return torch.ones(3) * i
net = nn.Linear(3, 2).eval()
data = Loud()
atexit.register(print, "the end")
"""


def start(*arguments: str, stdout: Any = subprocess.PIPE) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from splinegraph.cli.main import main; main()", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.mark.slow
def test_nothing_else_reaches_stdout(splinegraph: Run) -> None:
    Path("loud.py").write_text(LOUD)
    out, err = start("analyze", "loud.py", "--data", "loud.py:data", "--json", "-").communicate(timeout=120)
    assert json.loads(out)["complete"], err
    for text in ("reading 3", "from a subprocess", "the end"):
        assert text in err


@pytest.mark.slow
def test_a_report_is_kept_though_nobody_reads_on(splinegraph: Run) -> None:
    with start("analyze", "net.py", "--out", "o") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert json.loads(Path("o/report.json").read_text())["complete"]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_stdout_is_one_line(splinegraph: Run) -> None:
    with Path("/dev/full").open("w") as full:
        process = start("analyze", "net.py", "--out", "o", stdout=full)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 2
    assert err == "splinegraph: error: cannot print: No space left on device\n"
    assert Path("o/report.json").exists()


def test_nothing_is_made_for_bad_input(splinegraph: Run) -> None:
    assert splinegraph("analyze", "none.py", "--out", "a/b").exit_code == 2
    assert not Path("a").exists()


def test_an_interrupt_leaves_nothing_behind(splinegraph: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    result = splinegraph("analyze", "net.py", "--out", "o")
    assert result.exit_code == 1
    assert list(Path("o").iterdir()) == []


def test_the_same_network_in_three_files_has_the_same_facts(splinegraph: Run) -> None:
    torch.manual_seed(3)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, 2)
    ).eval()
    x = torch.randn(2, 1, 6, 6)
    torch.save(net.state_dict(), "w.pt")
    Path("cnn.py").write_text(
        "from torch import nn\n"
        "net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 2)).eval()\n"
    )
    batch = {0: torch.export.Dim("batch")}
    program = torch.export.export(net, (x,), dynamic_shapes=(batch,))
    torch.export.save(program, "cnn.pt2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (x,), "cnn.onnx", dynamo=True, dynamic_shapes=(batch,), verbose=False)
    np.savez("d.npz", x=torch.randn(50, 1, 6, 6).numpy(), y=np.arange(50) % 2)
    found = []
    compared = [part for name in ("graph", "inputs", "codes", "units", "maps") for part in ("--only", name)]
    for target in (["cnn.py", "--weights", "w.pt"], ["cnn.onnx"], ["cnn.pt2", "--trust"]):
        sections = told(splinegraph("analyze", *target, "--data", "d.npz", "--json", "-", *compared))["sections"]
        facts = [sections["graph"][key] for key in ("exact", "continuous", "batched", "parameters", "jumps")]
        facts += [sections["inputs"]["accuracy"], sections["codes"]["distinct"], sections["codes"]["samples"]]
        facts += [[layer[key] for key in ("units", "pieces", "dead")] for layer in sections["units"]["layers"]]
        numbers = [[row[k] for k in ("value", "matching", "bias", "norm")] for row in sections["maps"]["rows"]]
        found.append((facts, numbers))
    assert found[0][0] == found[1][0] == found[2][0]
    np.testing.assert_allclose([numbers for _, numbers in found[1:]], [found[0][1]] * 2, rtol=1e-6)
