"""The recipe in CONTRIBUTING.md works as it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.operators.base import ElementwiseSpline
from splinegraph.operators.registry import LOWERINGS, lowers
from splinegraph.testing import Sample, check_operator

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")


@torch.library.custom_op("mylib::hat", mutates_args=())
def hat(x: Tensor, width: float) -> Tensor:
    return torch.relu(1 - x.abs() / width)


@hat.register_fake
def _(x: Tensor, width: float) -> Tensor:
    return torch.empty_like(x)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mylib.hat(self.linear(x), 0.5)


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the blocks of the recipe, and take their registration back afterwards."""
    operator, row = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[:2]
    assert len(operator.strip().splitlines()) < 10, "the recipe promises under ten lines"
    scope: dict[str, Any] = {
        "lowers": lowers, "dataclass": dataclass, "ElementwiseSpline": ElementwiseSpline, "torch": torch,
        "Sample": Sample, "__name__": __name__,
    }  # fmt: skip
    for name in list(LOWERINGS):
        if name.startswith("mylib."):
            monkeypatch.delitem(LOWERINGS, name)
    exec(operator, scope)
    monkeypatch.setitem(globals(), "Hat", scope["Hat"])  # where pickle looks for it
    yield scope | {"sample": eval(row, scope)}
    LOWERINGS.pop("mylib.hat.default", None)


def test_the_recipe_passes_every_law(recipe: dict[str, Any]) -> None:
    check_operator(recipe["sample"])


def test_the_recipe_traces(recipe: dict[str, Any]) -> None:
    graph = sg.trace(Net().eval(), torch.randn(1, 3))
    assert [node.op.label for node in graph.operators] == ["Linear", "Hat"]
    assert graph.exact
    assert sg.affine_map(graph, torch.randn(5, 3)).verify() < 1e-12
