"""The terms of the objective against other formulas for them, and their gradients."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

from splinegraph.errors import ShapeError
from splinegraph.training.objective import terms


def _double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def test_entropy_is_that_of_torch_distributions() -> None:
    logits = 3 * _double(7, 5)
    assert torch.allclose(terms.entropy(logits), Categorical(logits=logits).entropy().mean(), rtol=1e-13, atol=0)


@pytest.mark.parametrize("low", [-1e4, -math.inf])
def test_an_impossible_class_adds_no_entropy_and_no_nan(low: float) -> None:
    logits = torch.tensor([[0.0, 0.0, low], [5.0, 5.0, low]], dtype=torch.float64, requires_grad=True)
    value = terms.entropy(logits)
    (value + terms.class_balance(logits)).backward()
    assert value.item() == pytest.approx(math.log(2), abs=1e-15)
    assert terms.class_balance(logits).item() == pytest.approx(math.log(3) - math.log(2), abs=1e-15)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_entropy_of_nan_is_nan() -> None:
    assert terms.entropy(torch.tensor([[0.0, math.nan]])).isnan()


def test_class_balance_is_a_divergence_from_uniform() -> None:
    logits = 3 * _double(7, 5)
    mean = Categorical(probs=logits.softmax(1).mean(0))
    uniform = Categorical(probs=torch.ones(5, dtype=torch.float64))
    assert terms.class_balance(logits).item() == pytest.approx(kl_divergence(mean, uniform).item(), abs=1e-14)


def test_class_balance_from_zero_to_log_classes() -> None:
    spread, gathered = 1e4 * torch.eye(5, dtype=torch.float64), torch.zeros(4, 5, dtype=torch.float64)
    gathered[:, 2] = 1e4
    gathered.requires_grad_()
    worst = terms.class_balance(gathered)
    worst.backward()
    assert terms.class_balance(spread).item() == pytest.approx(0, abs=1e-15)
    assert worst.item() == pytest.approx(math.log(5), abs=1e-15)
    assert gathered.grad is not None
    assert torch.isfinite(gathered.grad).all()


def test_class_balance_of_two_processes_is_that_of_their_batches_together(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = _double(6, 3)
    whole = terms.class_balance(logits)
    (expected,) = torch.autograd.grad(whole, logits)
    halves = [half.detach().requires_grad_() for half in logits.chunk(2)]
    means = [half.softmax(1).mean(0).log().detach() for half in halves]

    def all_gather(into: list[Tensor], own: Tensor) -> None:
        assert any(torch.allclose(own, mean) for mean in means)
        for place, mean in zip(into, means, strict=True):
            place.copy_(mean)

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_gather", all_gather)
    values = [terms.class_balance(half) for half in halves]
    averaged = [torch.autograd.grad(value, half)[0] / 2 for value, half in zip(values, halves, strict=True)]
    assert [v.item() for v in values] == pytest.approx([whole.item()] * 2, abs=1e-15)
    assert torch.allclose(torch.cat(averaged), expected, rtol=1e-12, atol=1e-16)


def test_reconstruction_error_as_printed_and_averaged() -> None:
    r, x = _double(4, 2, 3, 3), _double(4, 2, 3, 3)
    norms = np.linalg.norm((r - x).detach().numpy().reshape(4, -1), axis=1)
    printed = terms.reconstruction_error(r, x, reduction="sum").item()
    assert printed == pytest.approx((norms**2).mean(), rel=1e-14)
    assert terms.reconstruction_error(r, x).item() == pytest.approx(printed / 18, rel=1e-14)


def test_cosine_reconstruction_does_not_depend_on_lengths() -> None:
    x = _double(4, 9)
    assert terms.reconstruction_error(5 * x, x, form="cosine").item() == pytest.approx(0, abs=1e-15)
    assert terms.reconstruction_error(-x, x, form="cosine").item() == pytest.approx(2, abs=1e-15)
    assert terms.reconstruction_error(torch.zeros_like(x), x, form="cosine").item() == 1


def test_a_detached_target_gets_no_gradient() -> None:
    r, z = _double(4, 5), _double(4, 5)
    terms.layer_error(r, z).backward()
    assert r.grad is not None
    assert z.grad is None


def test_a_layer_that_vanishes_wins_as_printed_and_not_when_normalized() -> None:
    r, z = _double(4, 5), _double(4, 5)
    full = terms.layer_error(r, z, target="normalized")
    small = terms.layer_error(1e-6 * r, 1e-6 * z, target="normalized")
    assert small.item() == pytest.approx(full.item(), rel=1e-12)
    assert terms.reconstruction_error(1e-6 * r, 1e-6 * z) < 1e-9
    dead = torch.zeros(4, 5, dtype=torch.float64, requires_grad=True)
    zero = terms.layer_error(0 * dead, dead, target="normalized")
    zero.backward()
    assert dead.grad is not None
    assert torch.isfinite(dead.grad).all()


def test_consistency_learns_from_confident_rows_alone() -> None:
    logits = torch.tensor([[9.0, 0.0], [0.1, 0.0]], dtype=torch.float64, requires_grad=True)
    moved = _double(2, 2)
    value = terms.consistency(logits, moved)
    value.backward()
    assert value.item() == pytest.approx(-moved[0].log_softmax(0)[0].item() / 2, rel=1e-14)
    assert logits.grad is None
    assert moved.grad is not None
    assert (moved.grad[1] == 0).all()


def test_shifts_are_whole_pixels_with_the_border_repeated() -> None:
    x = torch.randn(40, 2, 4, 5)
    moved = terms.shifted(x, 2).numpy()
    seen = set()
    for row, image in zip(moved, x.numpy(), strict=True):
        wide = np.pad(image, ((0, 0), (2, 2), (2, 2)), mode="edge")
        found = [
            (i, j) for i, j in itertools.product(range(5), range(5)) if (row == wide[:, i : i + 4, j : j + 5]).all()
        ]
        assert len(found) == 1
        seen.add(found[0])
    assert {i for i, _ in seen} == {j for _, j in seen} == set(range(5))
    torch.manual_seed(3)
    first = terms.shifted(x, 2)
    torch.manual_seed(3)
    assert torch.equal(first, terms.shifted(x, 2))
    assert torch.equal(terms.shifted(x, 0), x)


def test_signals_shift_and_vectors_do_not() -> None:
    assert terms.shifted(torch.randn(3, 1, 8), 1).shape == (3, 1, 8)
    with pytest.raises(ShapeError, match=r"inputs of shape \(8,\) cannot be shifted"):
        terms.shifted(torch.randn(3, 8), 1)


def test_half_precision_is_summed_in_single() -> None:
    r, x = torch.randn(64, 900).bfloat16(), torch.randn(64, 900).bfloat16()
    error = terms.reconstruction_error(r, x)
    assert error.dtype == torch.float32
    assert error.item() == pytest.approx((r.double() - x.double()).square().mean().item(), rel=1e-5)
    assert terms.entropy(r[:, :5]).dtype == terms.class_balance(r[:, :5]).dtype == torch.float32


GRADIENTS: dict[str, tuple[Callable[..., Tensor], int]] = {
    "entropy": (terms.entropy, 1),
    "balance": (terms.class_balance, 1),
    "consistency": (lambda moved: terms.consistency(5 * torch.eye(4, 6, dtype=torch.float64), moved), 1),
    "mean": (terms.reconstruction_error, 2),
    "sum": (lambda r, x: terms.reconstruction_error(r, x, reduction="sum"), 2),
    "cosine": (lambda r, x: terms.reconstruction_error(r, x, form="cosine"), 2),
    "normalized": (lambda r, z: terms.layer_error(r, z, target="normalized"), 2),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    term, count = GRADIENTS[name]
    assert torch.autograd.gradcheck(term, tuple(_double(4, 6) for _ in range(count)))
