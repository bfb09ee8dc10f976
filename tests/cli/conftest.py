"""A command line in an empty folder, and files to give it."""

from __future__ import annotations

from collections.abc import Callable
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


@pytest.fixture
def splinegraph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in an empty folder, where `net.py` holds a small network, 100 columns wide."""
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)

    def run(*arguments: object) -> Result:
        command = ["splinegraph", *map(str, arguments)]
        return CliRunner(env={"COLUMNS": "100"}).invoke(main, command[1:], prog_name=command[0])

    return run
