from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch

from splinegraph.core.parameters import BATCH, Context, Expression, depends_on_batch, leaves


@dataclass(frozen=True, eq=False)
class Holder:
    value: Any
    other: Any = None


W = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
MASK = torch.tensor([True, False])


def double(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


def test_nothing_is_copied_that_fits() -> None:
    holder = Holder(W, (1, "a", None))
    assert Context().resolve(holder) is holder
    assert Context(torch.float32, torch.device("cpu"), 3).resolve(holder) is holder


def test_casts_leave_the_users_tensor_alone() -> None:
    found = Context(torch.float64).resolve(Holder(W))
    assert found.value.dtype == torch.float64
    assert W.dtype == torch.float32
    found.value.sum().backward()  # a cast parameter still trains
    assert W.grad is not None
    assert W.grad.tolist() == [1, 1]
    W.grad = None


def test_masks_and_indices_keep_their_type() -> None:
    found = Context(torch.float64).resolve(Holder(MASK, torch.tensor([3])))
    assert found.value is MASK
    assert found.other.dtype == torch.int64


def test_expressions_are_evaluated_in_the_context() -> None:
    inner = Expression(double, (W,))
    found = Context(torch.float64).resolve(Holder(Expression(torch.add, (inner, 1.0))))
    assert found.value.dtype == torch.float64
    assert found.value.tolist() == [3, 5]


def test_shared_expressions_are_evaluated_once() -> None:
    calls = []

    def count(x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return x

    shared = Expression(count, (W,))
    found = Context().resolve(Holder(shared, [shared]))
    assert found.value is found.other[0]
    assert len(calls) == 1


def test_factories_follow_dtype_but_integers_stay() -> None:
    zeros = Expression(torch.zeros, (2,), {"dtype": torch.float32, "device": torch.device("cpu")})
    index = Expression(torch.arange, (2,), {"dtype": torch.int64})
    found = Context(torch.float64, torch.device("cpu")).resolve(Holder(zeros, index))
    assert found.value.dtype == torch.float64
    assert found.other.dtype == torch.int64


def test_batch_size_is_filled_in() -> None:
    token = Holder(Expression(torch.Tensor.expand, (W, BATCH, 2)))
    assert Context(batch=5).resolve(token).value.shape == (5, 2)
    with pytest.raises(ValueError, match="needs the batch size"):
        Context().resolve(token)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (BATCH, True),
        (W, False),
        ((1, [BATCH]), True),
        ({"a": BATCH}, True),
        (Expression(torch.zeros, (), {"size": (BATCH, 2)}), True),
        (Holder(None, Expression(double, (W,))), False),
        (Holder(Holder(BATCH)), True),
    ],
)
def test_depends_on_batch(value: Any, expected: bool) -> None:
    assert depends_on_batch(value) is expected


def test_nested_containers_and_operators_are_resolved() -> None:
    holder = Holder({"a": [W, (W,)]}, Holder(W))
    found = Context(torch.float64).resolve(holder)
    assert found.value["a"][1][0].dtype == torch.float64
    assert found.other.value.dtype == torch.float64
    assert Context(torch.float32).resolve(holder) is holder


def test_leaves_are_found_wherever_they_are() -> None:
    expression = Expression(torch.add, (W, Expression(double, (MASK,))), {"alpha": 2})
    holder = Holder((W, [expression]), {"x": Holder(MASK)})
    assert [id(t) for t in leaves(holder)] == [id(W), id(W), id(MASK), id(MASK)]
    assert list(leaves("text")) == []


def test_expressions_are_read_by_people() -> None:
    assert repr(Expression(torch.zeros, (BATCH, 2))) == "zeros(B, 2)"
    assert "tensor(2,)" in repr(Expression(double, (W,)))
