"""Scores of untrained networks: against definitions in plain loops, theorems on linear networks, and rankings."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.analyses.templates.ranking import DRAWS, rank_agreement
from splinegraph.analyses.templates.scores import SCORES, TemplateScores
from splinegraph.errors import DataError, ShapeError, SplineGraphError


def deep(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 3)).double().eval()


def samples(count: int = 9) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(count, 8, dtype=torch.float64, generator=generator), torch.arange(count) % 3


def test_scores_against_their_definitions() -> None:
    (x, y), model = samples(), deep()
    found = sg.template_scores(sg.trace(model, x), x, y).values
    raw = np.stack([torch.autograd.functional.jacobian(model, v).numpy() for v in x])
    rows = raw - raw.mean(1, keepdims=True)
    p = x.numpy()
    cosine = lambda a, b: float(a.ravel() @ b.ravel() / np.linalg.norm(a) / np.linalg.norm(b))  # noqa: E731
    spans = [np.linalg.pinv(a) @ a @ v for a, v in zip(rows, p, strict=True)]
    assert found["alignment"] == pytest.approx(np.mean([cosine(v, s) for v, s in zip(p, spans, strict=True)]))
    back = [cosine(a.T @ a @ v, v) for a, v in zip(rows, p, strict=True)]
    assert found["reconstruction"] == pytest.approx(np.mean(back))
    grams = [a @ a.T for a in rows]
    assert found["rank"] == pytest.approx(np.mean([np.trace(g) ** 2 / np.sum(g**2) for g in grams]) / 2)
    pairs = [(i, j) for i in range(9) for j in range(9) if i != j]
    assert found["diversity"] == pytest.approx(1 - np.mean([cosine(rows[i], rows[j]) for i, j in pairs]))
    within = np.mean([cosine(rows[i], rows[j]) for i, j in pairs if y[i] == y[j]])
    between = np.mean([cosine(rows[i], rows[j]) for i, j in pairs if y[i] != y[j]])
    assert found["separation"] == pytest.approx((within - between) / (1 - between))
    sizes = [np.linalg.norm(a @ v) / np.linalg.norm(v) for a, v in zip(rows, p, strict=True)]
    assert found["scale"] == pytest.approx(-abs(np.log10(np.mean(sizes))))
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(raw.sum(1)[:4])) + 1e-5
    assert found["covariance"] == pytest.approx(-np.mean(np.log(eigenvalues) + 1 / eigenvalues))
    values = np.einsum("bcd,bd->bc", rows, p)
    right = 0
    for i in range(9):
        others = [j for j in range(9) if j != i]
        means = [values[[j for j in others if y[j] == c]].mean(0) for c in range(3)]
        right += int(np.argmin([np.linalg.norm(values[i] - m) for m in means])) == int(y[i])
    assert found["matching"] == pytest.approx(right / 9)


def test_a_linear_network_has_one_map() -> None:
    x, y = samples()
    torch.manual_seed(0)
    found = sg.template_scores(sg.trace(nn.Linear(8, 3).double().eval(), x), x, y).values
    assert found["diversity"] == pytest.approx(0.0, abs=1e-12)
    assert found["separation"] == 0.0


def test_scores_but_scale_ignore_the_size_of_the_last_layer() -> None:
    (x, y), model = samples(), deep()
    before = sg.template_scores(sg.trace(model, x), x, y).values
    with torch.no_grad():
        model[-1].weight.mul_(1e-3)  # type: ignore[index]
    after = sg.template_scores(sg.trace(model, x), x, y).values
    assert after.pop("scale") < before.pop("scale")  # type: ignore[operator]
    assert after == pytest.approx(before)


def test_degenerate_networks_have_no_scores_and_rank_last() -> None:
    (x, y), dead = samples(), deep()
    for p in dead.parameters():
        nn.init.zeros_(p)
    none = sg.template_scores(sg.trace(dead, x), x, y)
    assert none.values["covariance"] is None
    assert none.values["scale"] is None
    assert none.values["alignment"] == 0.0
    some = sg.template_scores(sg.trace(deep(), x), x, y)
    ranking = sg.template_ranking({"dead": [none], "deep": [some]}, by="scale")
    assert [n.name for n in ranking.networks] == ["deep", "dead"]
    assert ranking.networks[1].missing == 1
    json.dumps(ranking.to_dict(), allow_nan=False)
    unlabelled = sg.template_scores(sg.trace(deep(), x), x)
    assert {name for name, value in unlabelled.values.items() if value is None} == {
        name for name, score in SCORES.items() if score.labels
    }


def _scores(*values: float) -> list[TemplateScores]:
    return [TemplateScores({"rank": v}, 5, "exact") for v in values]


def test_ranking_and_agreement() -> None:
    ranking = sg.template_ranking({"a": _scores(0.1, 0.3), "b": _scores(0.5, 0.7), "c": _scores(0.4, 0.4)}, by="rank")
    assert [n.name for n in ranking.networks] == ["b", "c", "a"]
    assert ranking.networks[0].deviation == pytest.approx(0.2 / np.sqrt(2))
    assert ranking.agreement({"a": 1, "c": 2, "b": 3}).tau == pytest.approx(1.0)
    assert len(ranking.plot().get_yticks()) == 3
    with pytest.raises(DataError, match="no outcome of 'c'"):
        ranking.agreement({"a": 1, "b": 2})
    with pytest.raises(SplineGraphError, match="did you mean rank"):
        sg.template_ranking({"a": _scores(1)}, by="rankk")
    with pytest.raises(DataError, match="no networks"):
        sg.template_ranking({})
    with pytest.raises(ShapeError, match="1 inputs"):
        sg.template_scores(sg.trace(deep(), samples()[0]), samples()[0][:1])


def test_tau_and_its_interval() -> None:
    x = np.arange(30.0)
    same = rank_agreement(x.tolist(), (x**3).tolist())
    assert same.tau == pytest.approx(1.0)
    assert same.low is same.high is None  # all resamples of a perfect order are perfect: no certainty, no interval
    assert "no interval" in repr(same)
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(20):  # of independent lists about 19 intervals hold 0
        found = rank_agreement(rng.normal(size=30).tolist(), rng.normal(size=30).tolist(), seed=trial)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0 <= found.high
    assert held >= 16
    constant = rank_agreement([1.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0])
    assert constant.tau is None
    for scores, outcomes in (([1.0, 2.0, 3.0], [1.0, 2.0]), ([1.0, float("nan"), 3.0], [1.0, 2.0, 3.0])):
        with pytest.raises(DataError, match="as many finite numbers"):
            rank_agreement(scores, outcomes)
    with pytest.raises(SplineGraphError, match="level is 2"):
        rank_agreement([1.0, 2.0, 3.0], [1.0, 3.0, 2.0], level=2)
    assert "not defined" in repr(constant)


def test_resamples_against_scipy_where_one_list_has_ties() -> None:
    x, y = np.array([0.0, 0, 0, 1, 1, 2, 2, 2]), np.array([3.0, 1, 2, 5, 4, 8, 0, 7])
    times = np.random.default_rng(5).multinomial(8, np.full(8, 1 / 8), DRAWS)
    taus = [kendalltau(np.repeat(x, t), np.repeat(y, t)).statistic for t in times]
    found = rank_agreement(x.tolist(), y.tolist(), seed=5)
    assert (found.low, found.high) == pytest.approx(tuple(np.nanquantile(taus, [0.025, 0.975])))
