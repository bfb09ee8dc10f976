"""What a run takes back when a step fails, and what it warns of."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from splinegraph.errors import DataError, ShapeError, SplineGraphError
from splinegraph.training.engine.advice import one_class, swamped, undivided
from splinegraph.training.engine.randomness import random_state
from splinegraph.training.engine.run import Run
from splinegraph.training.engine.trainer import Trainer
from splinegraph.training.engine.undoing import Before
from splinegraph.training.objective import Objective, SemiSupervisedLoss
from splinegraph.training.objective.schedules import Linear
from splinegraph.training.objective.terms import shifted
from tests.training.engine_runs import conv_net, settings, small_net, stripes


def _same(found: Any, expected: Any) -> bool:
    if isinstance(found, Tensor):
        return torch.equal(found, expected)
    if isinstance(found, dict):
        return found.keys() == expected.keys() and all(_same(found[key], expected[key]) for key in found)
    if isinstance(found, (list, tuple)):
        return len(found) == len(expected) and all(map(_same, found, expected))
    return bool(found == expected)


@pytest.mark.parametrize("late", [False, True])
def test_a_step_without_memory_leaves_the_run_as_it_was(monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
    trainer = Trainer(conv_net(), stripes(), settings(average=0.9, validation=3, tune=0.01 if late else None))
    run, whole, after = trainer.run, SemiSupervisedLoss.forward, Run.rows
    torch.manual_seed(3)
    run.advance()

    def limited(loss: SemiSupervisedLoss, x: Tensor, y: Tensor, others: Tensor, **more: Any) -> Any:
        found = whole(loss, x, y, others, **more)  # statistics and random state have moved by then
        if len(others) > 5 and not late:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return found

    def limited_after(run: Run, rows: Tensor) -> Any:  # the tuner measures when the weights have changed
        if rows is run.draw.validation and len(run.optimizer.state) and run.loss.training:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return after(run, rows)

    monkeypatch.setattr(SemiSupervisedLoss, "forward", limited)
    if late:
        monkeypatch.setattr(Run, "rows", limited_after)
    state, random = copy.deepcopy(run.state_dict()), random_state()
    with pytest.raises(SplineGraphError, match="out of memory"):
        trainer._advance()
    assert _same(run.state_dict(), state)
    assert _same(random_state(), random)


class Probabilities(nn.Sequential):
    """A classifier with a softmax at its end."""

    def __init__(self) -> None:
        super().__init__(small_net(), nn.Softmax(1))


def test_probabilities_in_place_of_logits_are_noticed() -> None:
    with pytest.warns(UserWarning, match="the outputs look like probabilities.*remove the softmax"):
        trainer = Trainer(Probabilities(), stripes(), settings(steps=1, preset="supervised"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert "probabilities" in trainer.fit().to_dict()["notes"][0]
    assert not Trainer(small_net(), stripes(), settings()).closing.notes


def test_an_error_that_swamps_the_loss_is_told_at_the_first_step() -> None:
    model = small_net()
    with torch.no_grad():
        model[1].weight.mul_(50)
    chosen = settings(steps=1, preset="paper")
    with pytest.warns(UserWarning, match=r"reconstruction error is .* may vanish.*form='cosine'.*smaller beta"):
        notes = Trainer(copy.deepcopy(model), stripes(), chosen).fit().notes
    assert len(notes) == 1
    cosine = settings(steps=1, preset="paper", objective={"form": "cosine"})
    assert not Trainer(model, stripes(), cosine).fit().notes
    x = torch.ones(2, 1, 3, 3)
    assert not swamped(9.0, 0.1, x, Objective())
    assert swamped(11.0, 0.1, x, Objective())
    assert not swamped(11.0, 0.1, x, Objective(reduction="sum"))
    assert not swamped(11.0, 0.0, x, Objective())


class Constant(nn.Module):
    """Logits that no input changes."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        return 0 * x.flatten(1)[:, :3] + self.bias


def test_a_network_that_tells_nothing_apart_is_told_at_the_end() -> None:
    with pytest.warns(UserWarning, match=r"all 60 test samples are put into class \d: the network tells nothing apart"):
        found = Trainer(Constant(), stripes(), settings(steps=2, preset="supervised")).fit()
    assert "nothing apart" in found.to_dict()["notes"][0]
    one = torch.zeros(4, dtype=torch.int64)
    assert not undivided(one, one)
    assert not undivided(torch.tensor([0, 1]), torch.tensor([1, 1]))


def test_accuracies_that_say_nothing_are_told() -> None:
    data = stripes()
    assert not one_class(data)
    tested = dataclasses.replace(data, y_test=torch.ones_like(data.y_test))
    with pytest.warns(UserWarning, match=r"all 60 test samples of stripes are of class 1: .* nothing of the 2 others"):
        Trainer(small_net(), tested, settings())
    zeros = torch.zeros_like(data.y_train)
    alone = dataclasses.replace(data, y_train=zeros, y_test=torch.zeros_like(data.y_test), classes=1)
    assert one_class(alone).startswith("stripes has one class: every network has it right")


def test_what_was_before_a_step_comes_back_in_its_place() -> None:
    run = Trainer(conv_net(), stripes(), settings(average=0.9, validation=3, tune=0.01)).run
    run.advance()
    state, norm = copy.deepcopy(run.state_dict()), run.model.get_submodule("1")
    for weights in (False, True):
        before, held = Before(run, weights=weights), norm.running_mean
        norm.running_mean = torch.full((4,), 7.0)  # as models that write z = z + 1 do
        if weights:
            labelled, unlabelled = run.batches.next()
            run.attempt(run.loss, labelled, unlabelled)
        before.restore()
        assert norm.running_mean is held
        assert _same(run.state_dict(), state)


def test_a_training_set_that_is_all_labelled() -> None:
    with pytest.raises(DataError, match=r"no unlabelled samples: all .* 60; ask for fewer labels.*preset='supervised'"):
        Trainer(small_net(), stripes(), settings(labels=60))
    Trainer(small_net(), stripes(), settings(labels=60, preset="supervised", steps=1))


def test_objectives_without_a_term() -> None:
    for given in ({"alpha": 0.0, "beta": 1.0, "gamma": 0.0}, {"alpha": 0.0, "beta": 0.0, "ramp": 0.0}):
        with pytest.raises(SplineGraphError, match="all weights of the objective are zero; give an alpha above 0"):
            Objective(**given)
    later = Objective(alpha=0.0, beta=0.0, ramp=Linear(0.0, 1.0, steps=4))
    loss = SemiSupervisedLoss(small_net(), torch.zeros(1, 1, 6, 6), later)
    with pytest.raises(SplineGraphError, match="all weights of the objective are zero at step 0"):
        loss(None, None, torch.zeros(2, 1, 6, 6), step=0)


def test_shifts_fit_the_images() -> None:
    image = torch.arange(64.0).reshape(1, 1, 8, 8).expand(200, 1, 8, 8)
    moved = shifted(image) - image  # of the middle: at the border entries are repeated
    assert set((moved[:, 0, 4, 4]).tolist()) == {float(8 * i + j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    large = torch.arange(28.0).expand(200, 1, 28, 28)
    assert set((shifted(large) - large)[:, 0, 14, 14].tolist()) == {-2.0, -1.0, 0.0, 1.0, 2.0}
    with pytest.raises(ShapeError, match=r"shift=8 for images of 8x8: nothing of an image would be left; .* at most 7"):
        shifted(image, 8)
    with pytest.raises(ShapeError, match="set consistency=0"):
        shifted(torch.zeros(2, 9), 0)


@pytest.mark.parametrize("model", [small_net, conv_net])
def test_rows_that_need_no_way_back_change_no_number(model: Any) -> None:
    torch.manual_seed(0)
    net = model().eval() if model is small_net else nn.Sequential(*[m for m in model() if type(m) is not nn.Dropout])
    data = stripes()
    loss = SemiSupervisedLoss(net, data.x_train[:2], alpha=0.5, beta=0.5, rows="unlabelled")
    x, y, u = data.x_train[:6], data.y_train[:6], data.x_train[6:16]
    found = loss(x, y, u)
    encoded = loss.network(torch.cat([x, u]))
    error = (encoded.reconstruction[6:] - u).square().mean()
    assert torch.allclose(found.parts["reconstruction"], error, atol=1e-6)
    assert torch.allclose(found.parts["cross_entropy"], nn.functional.cross_entropy(encoded.logits[:6], y), atol=1e-6)
    assert loss.network.divisible == (model is small_net)
