"""What the graph says of single inputs, and at which depth classes separate."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.errors import SplineGraphError
from tests import zoo


@pytest.fixture(scope="module")
def net() -> sg.SplineGraph:
    """Signs of 2 inputs in the first layer, of their sum and difference in the second."""
    model = nn.Sequential(nn.ReLU(), nn.Linear(2, 2), nn.LeakyReLU()).eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))  # type: ignore[operator]
        model[1].bias.fill_(-1.0)  # type: ignore[operator]
    return sg.trace(model, torch.zeros(1, 2))


def normal(count: int, seed: int, shift: float = 0.0) -> Tensor:
    return torch.randn(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def test_paths_of_known_and_new_inputs(net: sg.SplineGraph) -> None:
    ag = sg.activation_graph(net, torch.tensor([[1.0, 1.0], [2.0, 2.0], [-1.0, 1.0]]), [3, 3, 8])
    assert ag.path(torch.tensor([[5.0, 5.0], [-1.0, -1.0]])).tolist() == [[0, 2], [-1, 3]]
    known, new = ag.describe(torch.tensor([[5.0, 5.0], [3.0, -1.0]]))
    assert (known.known, known.shares.tolist(), known.classes[0]) == (2, [2 / 3, 2 / 3], {"3": 2})
    assert known.rarity == pytest.approx(np.log2([1.5, 1.5]))
    assert (new.known, new.nodes[0], new.shares[0], new.classes[0]) == (0, -1, 0, {})
    assert new.rarity[0] == pytest.approx(np.log2(6))
    assert json.loads(json.dumps(known.to_dict()))["nodes"] == [0, 2]
    assert ag.most_shared(1).tolist() == [0]
    assert ag.most_shared(1, layer="leaky_relu").tolist() == [2]
    assert ag.nodes("leaky_relu") == ag.nodes(-1) == slice(2, 4)


def test_similarity_is_a_weighted_jaccard_index() -> None:
    x = zoo.inputs("cnn", 200)[0]
    ag = sg.activation_graph(zoo.graph("cnn"), x, coarsen="clusters-6")
    found = ag.similarity(x[:20], x[20:45])
    paths = ag.path(x[:45])
    bits = -np.log2(ag.counts / 200)
    for i in range(20):
        for j in range(25):
            mine, theirs = set(paths[i].tolist()), set(paths[20 + j].tolist())
            union = sum(bits[n] for n in mine | theirs)
            assert found.values[i, j] == pytest.approx(sum(bits[n] for n in mine & theirs) / union)
            assert found.shared[i, j].sum() == len(mine & theirs)
    own = ag.similarity(x[:20], x[:20]).values
    assert (own == own.T).all()
    assert (np.diag(own) == 1).all()
    assert json.loads(json.dumps(found.to_dict()))["shared"].keys() == {layer.name for layer in ag.layers}


def test_new_cells_are_compared_too(net: sg.SplineGraph) -> None:
    ag = sg.activation_graph(net, torch.ones(3, 2))
    a, b = torch.tensor([[-1.0, -1.0]]), torch.tensor([[-2.0, -3.0], [-1.0, 5.0]])
    assert ag.similarity(a, b).values.tolist()[0][0] == 1
    assert ag.similarity(a, b).values[0, 1] < 1


def test_p_values_are_valid_and_find_outliers(net: sg.SplineGraph) -> None:
    ag = sg.activation_graph(net, normal(500, 0, 2.0))
    rejected = []
    for seed in range(40):  # fresh held-out data each time, as the guarantee is on average over them
        fresh = ag.outlier_score(normal(40, 2 * seed + 1, 2.0), calibration=normal(99, 2 * seed + 2, 2.0))
        assert fresh.p_values is not None
        rejected.append([(fresh.p_values <= a).mean() for a in (0.02, 0.1, 0.3, 0.7)])
    assert (np.mean(rejected, axis=0) <= np.array([0.02, 0.1, 0.3, 0.7]) + 0.03).all()
    away = ag.outlier_score(normal(50, 7, -3.0), calibration=normal(199, 8, 2.0))
    assert away.p_values is not None
    assert (away.p_values <= 0.05).mean() > 0.9
    assert ag.outlier_score(normal(5, 9)).p_values is None
    assert json.loads(json.dumps(away.to_dict()))["held_out"] == 199


def test_the_p_value_counts_ties_against_the_input(net: sg.SplineGraph) -> None:
    ag = sg.activation_graph(net, torch.ones(4, 2))
    same = ag.outlier_score(torch.ones(2, 2), calibration=torch.ones(9, 2))
    assert same.p_values is not None
    assert same.p_values.tolist() == [1.0, 1.0]
    assert "coarsen them" in repr(same)
    new = ag.outlier_score(-torch.ones(1, 2), calibration=torch.ones(9, 2))
    assert new.p_values is not None
    assert new.p_values.tolist() == [0.1]


class Late(nn.Module):
    """The first layer sees noise, the second one the class."""

    def forward(self, x: Tensor) -> Tensor:
        noise = torch.relu(x[:, :1])
        return torch.relu(x[:, 1:] + 0 * noise)


def test_classes_separate_where_they_do() -> None:
    x = normal(400, 0)
    y = (x[:, 1] > 0).long()
    ag = sg.activation_graph(sg.trace(Late().double().eval(), x[:1]), x, y)
    depth = ag.separation_depth()
    assert (depth.informative, depth.deciding) == (1, 1)
    assert depth.tests[0].p_value > 0.025 >= depth.tests[1].p_value
    assert json.loads(json.dumps(depth.to_dict()))["deciding"] == 1
    noisy = torch.where(torch.rand(400, generator=torch.Generator().manual_seed(1)) < 0.3, 1 - y, y)
    depth = sg.activation_graph(ag.graph, x, noisy).separation_depth()
    assert (depth.informative, depth.deciding) == (1, None)


def test_labels_without_a_meaning_hardly_ever_separate() -> None:
    x = normal(120, 3)
    graph = sg.trace(Late().double().eval(), x[:1])
    found = 0
    for seed in range(40):
        y = torch.randint(0, 2, (120,), generator=torch.Generator().manual_seed(seed))
        ag = sg.activation_graph(graph, x, y, seed=seed)
        found += ag.separation_depth(level=0.1).informative is not None
    assert found <= 11  # 4 expected at most; more than 11 of 40 happen with probability 0.001


def test_bad_questions_are_one_line(net: sg.SplineGraph) -> None:
    plain = sg.activation_graph(net, normal(5, 0))
    with pytest.raises(SplineGraphError, match="no labels"):
        plain.separation_depth()
    with pytest.raises(SplineGraphError, match="one class"):
        sg.activation_graph(net, normal(5, 0), [1] * 5).separation_depth()
    with pytest.raises(SplineGraphError, match="between 0 and 1"):
        plain.separation_depth(level=0)
    with pytest.raises(SplineGraphError, match="there is no layer 'conv'; choose of relu, leaky_relu"):
        plain.nodes("conv")
    with pytest.raises(SplineGraphError, match="there is no layer 2"):
        plain.nodes(2)
    with pytest.raises(SplineGraphError, match="there is no node 99"):
        plain.to_networkx(nodes=[0, 99])
    with pytest.raises(SplineGraphError, match="there is no node 99"):
        plain.class_counts(99)
    with pytest.raises(SplineGraphError, match="k is -1"):
        plain.most_shared(-1)
    with pytest.raises(SplineGraphError, match="at least 4"):
        sg.activation_graph(net, normal(50, 0)).to_networkx(max_nodes=3)
    with pytest.raises(SplineGraphError, match="shape"):
        plain.path(torch.zeros(1, 7))
