"""`splinegraph lipschitz`, as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Run

NET = """
import torch
from torch import nn
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
"""

STEP = """
import torch
from torch import nn
class Step(nn.Module):
    def forward(self, x):
        return torch.sign(x)
net = Step().eval()
"""


def test_both_ends_on_all_of_space(splinegraph: Run) -> None:
    Path("net.py").write_text(NET)
    result = splinegraph("lipschitz", "net.py", "--input-shape", 2, "--budget", 5, "--json", "-")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert 0 < found["lower"] <= found["upper"] <= found["lower"] * 1.001
    assert [rung["method"] for rung in found["rungs"]][:3] == ["product", "points", "semidefinite"]


def test_a_box_says_less_than_all_of_space(splinegraph: Run) -> None:
    Path("net.py").write_text(NET)
    ends = []
    for domain in ((), ("--box", 0, 0.01)):
        result = splinegraph("lipschitz", "net.py", "--input-shape", 2, *domain, "--json", "out.json")
        assert result.exit_code == 0, result.output
        assert "Lipschitz constant in l2" in result.stdout
        ends.append(json.loads(Path("out.json").read_text())["upper"])
    assert ends[1] < ends[0]


def test_a_jump_has_no_constant(splinegraph: Run) -> None:
    Path("step.py").write_text(STEP)
    result = splinegraph("lipschitz", "step.py", "--input-shape", 2)
    assert result.exit_code == 1
    assert "Sign" in result.stdout


def test_refuses_a_domain_that_does_not_fit(splinegraph: Run) -> None:
    Path("net.py").write_text(NET)
    result = splinegraph("lipschitz", "net.py", "--input-shape", 2, "--box", 1, 0)
    assert result.exit_code == 2
    assert "the box is empty" in result.stderr
