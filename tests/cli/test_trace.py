"""`splinegraph trace`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run

LONG = "from torch import nn\nmodel = nn.Sequential(*[nn.ReLU() for _ in range(60)]).eval()\n"

NESTED = """
from torch import nn
class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 3))
    def forward(self, x):
        return x + self.inner(x).relu()
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = Block(), Block()
    def forward(self, x):
        return self.second(self.first(x)).tanh()
input_shape = 3
"""


def test_the_table_holds_every_operator(splinegraph: Run) -> None:
    Path("long.py").write_text(LONG)
    result = splinegraph("trace", "long.py", "--input-shape", 2)
    assert result.exit_code == 0, result.output
    assert sum("ReLU" in line for line in result.stdout.splitlines()) == 60
    assert "more" not in result.stdout


def test_the_tree_nests_by_module(splinegraph: Run) -> None:
    Path("nested.py").write_text(NESTED)
    result = splinegraph("trace", "nested.py:Net", "--tree")
    assert result.exit_code == 0, result.output
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert lines.count("├── first") == lines.count("├── second") == 1
    assert sum("│   ├── inner.0  Linear" in line for line in lines) == 2
    assert lines[-1].startswith("└── Tanh")
    assert lines[-1].endswith("smooth")
    assert "not piecewise affine, because of Tanh (smooth)" in result.stdout


def test_bad_input_is_one_line(splinegraph: Run) -> None:
    result = splinegraph("trace", "ent.py")
    assert result.exit_code == 2
    assert result.stderr == "splinegraph: error: there is no file ent.py; did you mean net.py?\n"
