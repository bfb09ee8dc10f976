"""`splinegraph rank` from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from splinegraph.analyses.templates.scores import SCORES
from splinegraph.cli.rank import SHOWN

Run = Callable[..., Result]

FIXED = """
import torch
from torch import nn
net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
net[1].weight.data.zero_()
"""


def test_ranking_of_a_topology_and_a_network_without_a_score(splinegraph: Run) -> None:
    Path("zero.py").write_text(FIXED)
    result = splinegraph(
        "rank", "zero.py:net", "small-cnn-max", "--seeds", 2, "--samples", 20, "--by", "scale", "--out", "out",
        "--json", "-",
    )  # fmt: skip
    assert result.exit_code == 1, result.output  # one has no score
    told = json.loads(result.stdout)
    assert [network["name"] for network in told["networks"]] == ["small-cnn-max", "zero.py:net"]
    assert len(told["networks"][0]["values"]) == 2
    assert told["networks"][1]["mean"] is None
    assert any("zero.py:net has the same weights" in note for note in told["notes"])
    assert not any("small-cnn-max has the same weights" in note for note in told["notes"])
    assert {path.name for path in Path("out").iterdir()} == {"rank.json", "rank.svg", "rank.png"}


def test_a_seed_gives_the_same_scores(splinegraph: Run) -> None:
    asked = ("rank", "small-cnn-strided", "--seeds", 1, "--samples", 10, "--by", "alignment", "--json", "-")
    one, two, other = (splinegraph(*asked, "--seed", seed) for seed in (3, 3, 4))
    assert one.stdout == two.stdout
    assert json.loads(one.stdout)["networks"] != json.loads(other.stdout)["networks"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("smal-cnn-max",), "did you mean small-cnn-max"),
        (("small-cnn-max", "small-cnn-max"), "named twice"),
        (("small-cnn-max", "--by", "accuracy"), "Invalid value for '--by'"),
        (("large-cnn-max",), "cannot take images of 8x8"),
        (("net.py:net",), "input"),
        ((), "Missing argument"),
    ],
)
def test_bad_input(splinegraph: Run, arguments: tuple[str, ...], told: str) -> None:
    result = splinegraph("rank", *arguments, "--seeds", 1)
    assert result.exit_code == 2, result.output
    assert told in result.output


def test_scores_are_those_of_the_library() -> None:
    assert tuple(SCORES) == SHOWN
