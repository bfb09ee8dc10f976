"""The benchmark of the topology criterion: what is ranked, and what its saved run holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import rank_topologies
from splinegraph.training import load_data

pytestmark = pytest.mark.slow

RESULTS = sorted((Path(rank_topologies.__file__).parent / "results").glob("rank_topologies_*.json"))


def test_networks_take_the_samples_and_starts_are_scaled() -> None:
    data = load_data("digits")
    networks = rank_topologies.networks(data)
    assert len(networks) >= 20
    for name in ("mlp-0x0", "mlp-4x64", "small-cnn-max"):
        assert networks[name]()(data.x_test[:2]).shape == (2, 10)
    torch.manual_seed(0)
    plain = networks["small-cnn-mean"]()
    torch.manual_seed(0)
    scaled = networks["small-cnn-mean weights x3"]()
    for p, q in zip(plain.parameters(), scaled.parameters(), strict=True):
        torch.testing.assert_close(3 * p, q)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_saved_figures_are_those_of_the_trials(path: Path) -> None:
    saved = json.loads(path.read_text())
    assert len(saved["trials"]) >= 20
    for group, members in rank_topologies.groups(saved["trials"]).items():
        found = rank_topologies.agreements(members)
        for name, said in saved["agreement"][group].items():
            assert found[name].tau == pytest.approx(said["tau"])
            assert found[name].low == pytest.approx(said["low"])
            assert said["networks"] == len(members)
