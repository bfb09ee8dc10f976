"""Token ids as --data of every command that looks at samples."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result

WORDS = """
import torch
from torch import nn
class Words(nn.Module):
    masked = False
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.head = nn.Embedding(20, 4).double(), nn.Linear(4, 3).double()
    def forward(self, ids):
        x = torch.relu(self.embedding(ids) + 0.1)
        return self.head((x * (ids != 0)[..., None] if self.masked else x).mean(1))
class Masked(Words):
    masked = True
"""

COMMANDS = {
    "templates": ("--json", "-"),
    "export": ("--graph", "activation", "--labels", "y", "--out", "activation.json"),
    "regions": ("--segment", "0,1", "--json", "-"),
    "lipschitz": ("--json", "-"),
    "convexity": ("--segment", "0,1", "--json", "-"),
}
IDS = np.random.default_rng(0).integers(1, 20, (9, 5))


@pytest.fixture
def net(splinegraph: Callable[..., Result]) -> Any:
    Path("words.py").write_text(WORDS)
    np.savez("ids.npz", x=IDS, y=np.arange(9) % 3)
    held: dict[str, Any] = {}
    exec(WORDS, held)
    return held["Words"]()


def _asked(splinegraph: Callable[..., Result], command: str) -> Any:
    found = splinegraph(command, "words.py:Words", "--data", "ids.npz", *COMMANDS[command])
    assert "error" not in found.stderr
    return json.loads(found.stdout if "-" in COMMANDS[command] else Path("activation.json").read_text())


def test_templates_are_those_of_the_embeddings(splinegraph: Callable[..., Result], net: Any) -> None:
    told = _asked(splinegraph, "templates")
    assert np.add(told["values"], told["biases"]) == pytest.approx(net(torch.tensor(IDS[:6])).detach().numpy())


def test_the_activation_graph_has_one_node_per_cell(splinegraph: Callable[..., Result], net: Any) -> None:
    told = _asked(splinegraph, "export")
    cells = np.unique((net.embedding(torch.tensor(IDS)) + 0.1 > 0).flatten(1).numpy(), axis=0)
    assert sum(node["count"] for node in told["nodes"]) == len(IDS)
    assert len(told["nodes"]) == len(cells)


@pytest.mark.parametrize("command", ["regions", "convexity"])
def test_a_segment_joins_embeddings(splinegraph: Callable[..., Result], net: Any, command: str) -> None:
    told = _asked(splinegraph, command)
    first, second = net.embedding(torch.tensor(IDS[:2])).detach()
    domain = told["domain"]["value"] if command == "regions" else told["verdicts"]["domain"]
    assert f"length {(second - first).norm():.6g}" in domain


def test_lipschitz_starts_at_embeddings(splinegraph: Callable[..., Result], net: Any) -> None:
    told = _asked(splinegraph, "lipschitz")
    assert 0 < told["lower"] <= told["upper"] < np.inf


@pytest.mark.parametrize("command", COMMANDS)
def test_ids_that_the_network_reads_elsewhere_are_refused(
    splinegraph: Callable[..., Result], net: Any, command: str
) -> None:
    found = splinegraph(command, "words.py:Masked", "--data", "ids.npz", *COMMANDS[command])
    assert found.exit_code == 2
    assert "depends on the ids of the example" in found.stderr


@pytest.mark.parametrize("command", ["regions", "convexity"])
def test_ids_are_an_example_where_no_sample_is_asked_for(
    splinegraph: Callable[..., Result], net: Any, command: str
) -> None:
    low, high = np.zeros((2, 5, 4))
    low[0, :2], high[0, :2] = -1, 1
    np.save("low.npy", low)
    np.save("high.npy", high)
    box = ("--box", "low.npy", "high.npy")
    found = splinegraph(command, "words.py:Masked", "--data", "ids.npz", *box, "--json", "-")
    assert "error" not in found.stderr
    assert json.loads(found.stdout)["name"] == "Masked"


def test_a_network_with_a_mask_is_bounded_at_one_example(splinegraph: Callable[..., Result], net: Any) -> None:
    np.save("one.npy", np.array([[3, 0, 5, 7, 0]]))
    found = splinegraph("lipschitz", "words.py:Masked", "--input", "one.npy", "--json", "-")
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    # the mean of five tokens, of which the mask leaves three: all of them with all units on, at the most
    largest = (3**0.5 / 5) * float(torch.linalg.matrix_norm(net.head.weight.detach(), 2))
    assert told["lower"] == pytest.approx(largest, rel=0.02)
    assert largest <= told["upper"] * (1 + 1e-9)
