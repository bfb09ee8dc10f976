"""A command line in an empty folder, and files to give it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from splinegraph.cli.main import main

Run = Callable[..., Result]

NET = """
import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
"""

HEAD = """
import torch
from torch import nn
torch.manual_seed(0)
class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
    def forward(self, x):
        return self.function(x)
class Two(nn.Module):
    def forward(self, x, y):
        return torch.relu(x - y)
def positive(layer):
    layer.weight.data.abs_()
    return layer
def spoiled(layer):
    layer.weight.data[0, 0] = float("nan")
    return layer
"""


def write_nets(nets: Mapping[str, str]) -> None:
    """Write one file per network, which holds it as `net`."""
    for name, net in nets.items():
        Path(name).write_text(f"{HEAD}\nnet = {net}.eval()\n")


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out a report's figures, which take seconds; tests/cli/test_report_command.py draws them."""
    monkeypatch.setattr("splinegraph.export.files.save_figures", lambda report, folder: [])


@pytest.fixture
def splinegraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in an empty folder, where `net.py` holds a small network, 100 columns wide."""
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)

    def run(*arguments: object) -> Result:
        command = ["splinegraph", *map(str, arguments)]
        return CliRunner(env={"COLUMNS": "100"}).invoke(main, command[1:], prog_name=command[0])

    return run
