"""The objective against plain autograd, theorems and closed forms."""

from __future__ import annotations

import functools
import itertools
import json
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import splinegraph as sg
from splinegraph.errors import ShapeError, SplineGraphError
from splinegraph.training.network import SplineNetwork
from splinegraph.training.objective import PRESETS, Losses, Objective, SemiSupervisedLoss
from splinegraph.training.objective.schedules import Linear, Step

CLASSES = 3


def _cnn() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3), nn.LeakyReLU(0.1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, CLASSES),
    ).double()  # fmt: skip


@functools.cache
def _shared() -> nn.Sequential:
    """Return the same for tests that leave its weights alone."""
    return _cnn()


@functools.cache
def _network(model: nn.Module) -> SplineNetwork:
    return SplineNetwork(model, torch.zeros(1, 1, 8, 8).double())


def _batch() -> tuple[Tensor, Tensor, Tensor]:
    x, u = torch.randn(4, 1, 8, 8).double(), torch.randn(6, 1, 8, 8).double()
    return x, torch.tensor([0, 1, 2, 1]), u


def _objective(model: nn.Module, **options: Any) -> SemiSupervisedLoss:
    return SemiSupervisedLoss(_network(model), **options)


def _plain(
    model: nn.Sequential, x: Tensor, y: Tensor, u: Tensor, alpha: float, beta: float, *, rows: str = "all",
    live: bool = True,
) -> Tensor:  # fmt: skip
    """Return Eq 82 by plain autograd, one line per term, with R averaged over pixels."""
    together = torch.cat([x, u]).requires_grad_()
    logits = model(together)
    pulled = logits if live else logits.detach()
    (back,) = torch.autograd.grad(logits, together, pulled, create_graph=True)
    first = 0 if rows == "all" else len(x)
    p = logits[first:].softmax(1)
    cross = -logits[: len(x)].log_softmax(1)[range(len(x)), y].mean()
    r = ((back - together)[first:] ** 2).mean()
    e = -(p * p.log()).sum(1).mean()
    return alpha * cross + (1 - alpha) * (beta * r + (1 - beta) * e)


def _gradients(loss: Tensor, model: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(model.parameters())))


def _near(found: list[Tensor], expected: list[Tensor]) -> bool:
    return all(torch.allclose(f, e, rtol=1e-10, atol=1e-12) for f, e in zip(found, expected, strict=True))


@pytest.mark.parametrize("rows", ["all", "unlabelled"])
@pytest.mark.parametrize(("alpha", "beta"), [(0.7, 0.2), (0.0, 1.0), (0.3, 0.0)])
def test_equation_82_equals_plain_autograd_and_its_gradients(rows: str, alpha: float, beta: float) -> None:
    model, (x, y, u) = _shared(), _batch()
    losses = _objective(model, alpha=alpha, beta=beta, rows=rows)(x, y, u)
    expected = _plain(model, x, y, u, alpha, beta, rows=rows)
    assert losses.total.item() == pytest.approx(expected.item(), rel=1e-12)
    assert _near(_gradients(losses.total, model), _gradients(expected, model))
    assert torch.allclose(losses.logits, model(torch.cat([x, u])))
    assert not losses.logits.requires_grad
    assert not any(term.requires_grad for term in losses.terms.values())


def test_logits_that_are_not_live_would_be_seen() -> None:
    model, (x, y, u) = _shared(), _batch()
    losses = _objective(model, alpha=0.0, beta=1.0)(x, y, u)
    detached = _plain(model, x, y, u, 0.0, 1.0, live=False)
    assert losses.total.item() == pytest.approx(detached.item(), rel=1e-12)
    found = torch.autograd.grad(losses.total, list(model.parameters()), retain_graph=True)
    lost = torch.autograd.grad(detached, list(model.parameters()), allow_unused=True)
    assert not torch.allclose(found[0], lost[0], rtol=0.1)
    assert lost[-1] is None or (lost[-1] == 0).all()  # the biases get no gradient any more
    assert found[-1].abs().max() > 1e-6


def test_alpha_one_is_cross_entropy_bit_for_bit() -> None:
    model, (x, y, u) = _cnn().float(), _batch()
    x, u = x.float(), u.float()
    losses = SemiSupervisedLoss(model, x, alpha=1.0)(x, y, u)
    expected = F.cross_entropy(model(x), y)
    assert torch.equal(losses.total, expected)
    pairs = zip(_gradients(losses.total, model), _gradients(expected, model), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert list(losses.terms) == ["cross_entropy"]


EVERYTHING = {
    "alpha": 0.5, "beta": 0.6, "gamma": {"input": 0.5, "2": 0.3, "4": 0.2}, "balance": 0.3, "consistency": 0.5,
    "confidence": 0.0, "contraction": 0.1, "lipschitz": 0.0, "templates": 0.2, "energy": 0.0,
}  # fmt: skip


@pytest.mark.parametrize("changes", [{}, {"target": "normalized", "form": "cosine"}, {"reduction": "sum"}], ids=str)
def test_every_term_has_the_gradient_of_its_differences(changes: dict[str, Any]) -> None:
    """Differences over 1e-9 along a random direction: R jumps where codes flip, so larger steps may cross a jump."""
    model, (x, y, u) = _cnn(), _batch()
    loss = _objective(model, **(EVERYTHING | changes))
    loss.objective = loss.objective.changed(target="normalized")  # a detached target is no part of the difference
    parameters = list(model.parameters())
    along = [torch.randn_like(p) for p in parameters]

    def parts(move: float) -> Losses:
        torch.manual_seed(5)  # the same shifts
        with torch.no_grad():
            for p, d, start in zip(parameters, along, starts, strict=True):
                p.copy_(start + move * d)
        return loss(x, y, u)

    starts = [p.detach().clone() for p in parameters]
    at = parts(0)
    slopes = {}
    for name, part in at.parts.items():
        found = torch.autograd.grad(part, parameters, retain_graph=True, allow_unused=True)
        slopes[name] = sum(float((g * d).sum()) for g, d in zip(found, along, strict=True) if g is not None)
    ahead, behind = parts(1e-9).terms, parts(-1e-9).terms
    assert len(slopes) == 9
    for name, part in at.terms.items():
        scale = max(1.0, abs(float(part)))  # of the rounding, over 2e-9
        difference = float(ahead[name] - behind[name]) / 2e-9
        assert slopes[name] == pytest.approx(difference, rel=1e-5, abs=2e-6 * scale), name
    total = sum(at.weights[name] * float(part) for name, part in at.terms.items())
    assert float(at.total.detach()) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(("target", "rows"), [("detached", "all"), ("normalized", "unlabelled")])
def test_layers_reconstructions_equal_plain_autograd(target: str, rows: str) -> None:
    model, (x, y, u) = _shared(), _batch()
    gamma = {"input": 0.5, "2": 0.3, "4": 0.2}
    losses = _objective(model, alpha=0.4, beta=0.5, gamma=gamma, target=target, rows=rows)(x, y, u)
    together = torch.cat([x, u]).requires_grad_()
    third = model[:3](together)
    fifth = model[3:5](third)
    logits = model[5:](fifth)
    zs = (together, third, fifth)
    backs = torch.autograd.grad(logits, zs, logits, create_graph=True)
    seen = slice(0 if rows == "all" else len(x), None)
    entropy = torch.distributions.Categorical(logits=logits[seen]).entropy().mean()
    expected = 0.4 * F.cross_entropy(logits[:4], y) + 0.3 * entropy
    for z, back, weight in zip(zs, backs, gamma.values(), strict=True):
        if z is together or target == "detached":
            error = (back - z.detach())[seen].square().mean()
        else:
            error = ((back - z).flatten(1).norm(dim=1) / z.flatten(1).norm(dim=1))[seen].square().mean()
        expected = expected + 0.6 * 0.5 * weight * error
    assert list(losses.terms) == [
        "cross_entropy",
        "reconstruction",
        "reconstruction[2]",
        "reconstruction[4]",
        "entropy",
    ]
    assert losses.total.item() == pytest.approx(expected.item(), rel=1e-12)
    assert _near(_gradients(losses.total, model), _gradients(expected, model))


def test_one_pass_of_the_network_and_none_back_without_reconstruction(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (x, y, u) = _shared(), _batch()
    calls: list[tuple[str, int]] = []
    forward, logits = SplineNetwork.forward, SplineNetwork.logits
    monkeypatch.setattr(
        SplineNetwork, "forward", lambda s, x, **k: calls.append(("both", len(x))) or forward(s, x, **k)
    )
    monkeypatch.setattr(SplineNetwork, "logits", lambda s, x: calls.append(("logits", len(x))) or logits(s, x))
    for beta, alpha in [(0.5, 0.7), (0.0, 0.7), (0.5, 1.0)]:
        _objective(model, alpha=alpha, beta=beta)(x, y, u)
    assert calls == [("both", 10), ("logits", 10), ("logits", 4)]


def test_what_is_optimal_for_reconstruction_alone_is_pca() -> None:
    """For f(x) = W x the smallest R as printed is the energy outside of the first principal directions (Table 3)."""
    x = torch.randn(40, 6).double() * torch.tensor([3.0, 2.0, 1.0, 0.5, 0.3, 0.1]).double()
    model = nn.Linear(6, 2, bias=False).double()
    loss = SemiSupervisedLoss.preset("unsupervised", model, x, reduction="sum")
    steps = torch.optim.LBFGS(model.parameters(), max_iter=200, line_search_fn="strong_wolfe", tolerance_change=1e-14)

    def closure() -> Tensor:
        steps.zero_grad()
        total = loss(None, None, x).total
        total.backward()
        return total

    steps.step(closure)
    tail = torch.linalg.svdvals(x)[2:].square().sum() / len(x)
    assert loss(None, None, x).total.item() == pytest.approx(tail.item(), rel=1e-6)


@pytest.mark.parametrize("K", [1.0, 2.5])
def test_optimal_templates_reconstruct_with_energy_one_alone(K: float) -> None:
    """Theorem 8 corrected: templates of Theorem 5 give A^T A x = K x, exact only for K = 1."""
    x = F.normalize(torch.randn(1, 5).double())
    model = nn.Linear(5, CLASSES, bias=False).double()
    scale = torch.full((CLASSES, 1), -math.sqrt(K / (CLASSES * (CLASSES - 1))), dtype=torch.float64)
    scale[0] = math.sqrt((CLASSES - 1) * K / CLASSES)
    with torch.no_grad():
        model.weight.copy_(scale * x)
    options = {"alpha": 0.0, "beta": 1.0, "reduction": "sum", "templates": 1.0}
    terms = SemiSupervisedLoss(model, x, **options)(None, None, x).terms
    assert terms["reconstruction"].item() == pytest.approx((K - 1) ** 2, abs=1e-14)
    assert terms["templates"].item() == pytest.approx(K - 1, abs=1e-14)


def test_templates_energy_is_that_of_the_affine_map() -> None:
    model, (x, y, u) = _cnn(), _batch()
    A, _ = sg.affine_map(sg.trace(model.eval(), u[:1]), u).dense()
    energies = A.flatten(1).square().sum(1)
    limit = float(energies.median())  # some pass it and some do not
    value = _objective(model, alpha=0.0, templates=1.0, energy=limit, rows="unlabelled")(x, y, u).terms["templates"]
    assert value.item() == pytest.approx((energies - limit).clamp_min(0).mean().item(), rel=1e-12)


def test_contraction_counts_what_passes_the_limit_and_leaves_modes_alone() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Dropout(), nn.ReLU(), nn.Linear(4, 2, bias=False)).double()
    network = SplineNetwork(model, torch.zeros(1, 4).double())
    model[1].eval()
    x = torch.randn(3, 4).double()
    product = math.prod(float(torch.linalg.matrix_norm(model[i].weight.detach(), 2)) for i in (0, 3))
    for limit, expected in [(0.0, product), (0.5 * product, 0.5 * product), (2 * product, 0.0)]:
        loss = SemiSupervisedLoss(network, alpha=0.5, beta=0.0, contraction=1.0, lipschitz=limit)
        assert loss(None, None, x).terms["contraction"].item() == pytest.approx(expected, rel=1e-9)
    assert [part.training for part in model] == [True, False, True, True]


class _Alone(nn.Module):
    """Takes its batch apart, so that it is traced for one sample at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.linear(row) for row in x])


def test_templates_of_a_model_that_takes_samples_one_by_one() -> None:
    model = _Alone().double().eval()
    x = torch.randn(3, 4).double()
    with pytest.warns(UserWarning, match="the inverse comes from autograd"):
        loss = SemiSupervisedLoss(model, x, templates=1.0, energy=0.0)
    value = loss(None, None, x).terms["templates"].item()
    assert value == pytest.approx(model.linear.weight.detach().square().sum().item(), rel=1e-12)


def test_penalties_follow_a_model_that_moves() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    x = torch.randn(6, 4)
    loss = SemiSupervisedLoss(model, x, alpha=0.5, contraction=1.0, lipschitz=0.0, templates=1.0, energy=0.0)
    before = loss(None, None, x).terms
    model.double()
    after = loss(None, None, x.double())
    dense, _ = sg.affine_map(sg.trace(model.eval(), x.double()), x.double()).dense()
    # the first call moved the running statistics, which the second one has to see
    assert after.terms["templates"].item() == pytest.approx(dense.square().sum((1, 2)).mean().item(), rel=1e-9)
    assert after.terms["templates"].item() != pytest.approx(before["templates"].item(), rel=1e-3)
    after.total.backward()


def test_clusters_are_found_without_labels() -> None:
    centers = 4 * torch.eye(3)
    label = torch.arange(90) % 3
    x = centers[label] + 0.3 * torch.randn(90, 3)
    model = nn.Sequential(nn.Linear(3, 16), nn.LeakyReLU(0.1), nn.Linear(16, 3))
    loss = SemiSupervisedLoss.preset("clustering", model, x)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for step in range(150):
        optimizer.zero_grad()
        loss(None, None, x, step=step).total.backward()
        optimizer.step()
    found = model(x).argmax(1)
    agreement = max(float((torch.tensor(p)[found] == label).double().mean()) for p in itertools.permutations(range(3)))
    assert agreement == 1.0


def test_weights_follow_the_step() -> None:
    model, (x, y, u) = _shared(), _batch()
    loss = _objective(model, alpha=Step((1.0, 0.5), at=(10,)), beta=lambda step: 0.25, ramp=Linear(0, 1, 10, after=10))
    assert loss(x, y, u, step=0).weights == {"cross_entropy": 1.0}
    assert loss(x, y, u, step=10).weights == {"cross_entropy": 0.5, "reconstruction": 0.125}
    assert loss(x, y, u, step=15).weights == {"cross_entropy": 0.5, "reconstruction": 0.125, "entropy": 0.1875}
    given = loss(x, y, u, weights={"reconstruction": 2.0, "entropy": 0.0})
    assert given.total.item() == pytest.approx(2 * given.terms["reconstruction"].item(), rel=1e-14)
    assert set(given.parts) == {"reconstruction", "entropy"}  # a weight that may grow again needs its term


def test_rows_there_are_not_leave_their_terms_out() -> None:
    model, (x, y, u) = _shared(), _batch()
    none = x[:0]
    for rows, expected in [("all", ["cross_entropy", "reconstruction", "entropy"]), ("unlabelled", ["cross_entropy"])]:
        loss = _objective(model, rows=rows)
        assert list(loss(x, y).terms) == list(loss(x, y, none).terms) == expected
        assert list(loss(none, y[:0], u).terms) == list(loss(None, None, u).terms) == ["reconstruction", "entropy"]
    supervised = _objective(model, alpha=1.0)
    with pytest.raises(SplineGraphError, match=r"no term of the objective applies .* 0 labelled rows of 6"):
        supervised(None, None, u)
    with pytest.raises(ShapeError, match="a batch without rows"):
        supervised(none, y[:0], none)


def test_the_term_that_is_no_number_is_named_with_the_step() -> None:
    model, (x, y, u) = _shared(), _batch()
    loss = _objective(model, rows="unlabelled")
    loss(x, y, u).check(3)
    u[2, 0, 0, 0] = math.nan
    with pytest.raises(SplineGraphError, match=r"the loss is nan at step 17: reconstruction is nan; entropy is nan;"):
        loss(x, y, u).check(17)
    with pytest.raises(SplineGraphError, match="cross_entropy is nan"):
        loss(u, torch.zeros(6).long(), x).check(0)
    values = loss(x, y, x).values()
    assert list(values) == ["total", "cross_entropy", "reconstruction", "entropy"]
    assert all(isinstance(v, float) for v in values.values())


def test_bad_input_is_one_clear_line() -> None:
    model, (x, y, u) = _shared(), _batch()
    loss = _objective(model)
    for labels, says in [
        (y[:3], r"labels of shape \(3,\) .* for 4 labelled rows"),
        (None, "no labels for 4 labelled rows"),
        (y.double(), "type torch.float64"),
        (y + 1, "labels from 1 to 3 for 3 logits; give labels from 0 to 2"),
        (y - 1, "labels from -1 to 1"),
    ]:
        with pytest.raises(ShapeError, match=says):
            loss(x, labels, u)
    with pytest.raises(
        ShapeError, match=r"labelled inputs of shape \(1, 8, 8\) beside unlabelled ones of shape \(8,\)"
    ):
        loss(x, y, u[:, 0, 0])
    with pytest.raises(SplineGraphError, match="a plain Sequential needs an example"):
        SemiSupervisedLoss(model)
    with pytest.raises(SplineGraphError, match=r"outputs have shape \(10, 5, 1, 1\)"):
        _objective(model[:6])(x, y, u)
    with pytest.raises(SplineGraphError, match="no node or module 'conv9'"):
        SemiSupervisedLoss(model, x, gamma={"conv9": 1.0})
    with pytest.raises(SplineGraphError, match="no term 'entrpy'"):
        loss(x, y, u, weights={"entrpy": 1.0})


@pytest.mark.parametrize("name", PRESETS)
def test_presets_train_and_go_to_files(name: str) -> None:
    model, (x, y, u) = _cnn(), _batch()
    loss = SemiSupervisedLoss.preset(name, model, x, steps=100)
    loss(x, y, u, step=60).total.backward()
    again = Objective(**json.loads(json.dumps(loss.objective.to_dict())))
    assert [again.at(t) for t in (0, 10, 99)] == [loss.objective.at(t) for t in (0, 10, 99)]


def test_parameters_are_the_models_own_and_a_network_is_taken_as_it_is() -> None:
    model, (x, y, u) = _cnn(), _batch()
    network = SplineNetwork(model, x)
    loss = SemiSupervisedLoss(network, alpha=0.5)
    assert loss.network is network
    assert [id(p) for p in loss.parameters()] == [id(p) for p in model.parameters()]
    loss(x, y, u).total.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_half_precision_by_autocast() -> None:
    model, (x, y, u) = _cnn().float(), _batch()
    loss = SemiSupervisedLoss(model, x.float(), **(EVERYTHING | {"contraction": 0.0, "templates": 0.0}))
    exact = loss(x.float(), y, u.float())
    with torch.autocast("cpu", torch.bfloat16):
        losses = loss(x.float(), y, u.float())
    losses.total.backward()
    losses.check(0)
    assert losses.total.dtype == torch.float32
    assert losses.terms["reconstruction"].item() == pytest.approx(exact.terms["reconstruction"].item(), rel=0.03)
