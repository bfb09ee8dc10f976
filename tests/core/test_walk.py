"""The walker: order, what it keeps alive, what it says when a rule fails; values pulled back are added up."""

from __future__ import annotations

import itertools
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor

from splinegraph.core.algebra import LinearCombination
from splinegraph.core.graph import Input, Node, SplineGraph
from splinegraph.core.operator import Operator
from splinegraph.core.walk import evaluate, walk, walk_back
from splinegraph.errors import ShapeError, UnsupportedOperatorError
from splinegraph.operators.elementwise import Abs, LeakyReLU, ReLU


def graph_of(*rows: tuple[str, Operator, tuple[str, ...]], outputs: tuple[str, ...], **options: Any) -> SplineGraph:
    """Return a graph over one input x of three entries."""
    nodes = [Node(name, op, args, (1, 3), module="m." + name, source="net.py:1") for name, op, args in rows]
    return SplineGraph((Node("x", Input(), shape=(1, 3)), *nodes), ("x",), outputs, **options)


def chain(length: int) -> SplineGraph:
    names = ["x", *(f"n{i}" for i in range(length))]
    rows = [(name, ReLU(), (before,)) for before, name in itertools.pairwise(names)]
    return graph_of(*rows, outputs=(names[-1],))


DIAMOND = graph_of(
    ("a", ReLU(), ("x",)), ("b", Abs(), ("x",)), ("sum", LinearCombination((1.0, 1.0)), ("a", "b")),
    ("twice", LinearCombination((2.0, -1.0)), ("sum", "sum")), outputs=("twice", "a"),
)  # fmt: skip


class Thing:
    """A value that can be watched."""


def test_rules_see_nodes_in_order_with_their_arguments() -> None:
    seen: list[tuple[str, str, tuple[str, ...]]] = []

    def rule(node: Node, operator: Operator, args: tuple[str, ...]) -> str:
        seen.append((node.name, operator.label, args))
        return node.name

    outputs, kept = walk(DIAMOND, ["x"], rule)
    assert outputs == ("twice", "a")
    assert kept == {}
    assert [s[0] for s in seen] == ["a", "b", "sum", "twice"]
    assert seen[2] == ("sum", "Add", ("a", "b"))
    assert seen[3][2] == ("sum", "sum")


def test_values_are_freed_after_their_last_use() -> None:
    alive: weakref.WeakSet[Thing] = weakref.WeakSet()
    most = 0

    def rule(node: Node, operator: Operator, args: tuple[Thing, ...]) -> Thing:
        nonlocal most
        alive.add(result := Thing())
        most = max(most, len(alive))
        return result

    (last,), _ = walk(chain(20), [Thing()], rule)
    assert most == 2
    assert list(alive) == [last]


def test_values_that_nobody_reads_are_freed_too() -> None:
    graph = graph_of(("a", ReLU(), ("x",)), ("b", ReLU(), ("x",)), outputs=("b",))
    alive: weakref.WeakSet[Thing] = weakref.WeakSet()

    def rule(node: Node, operator: Operator, args: tuple[Thing, ...]) -> Thing:
        alive.add(result := Thing())
        return result

    walk(graph, [Thing()], rule)
    assert not alive


def test_some_values_can_be_kept() -> None:
    x = torch.tensor([[-1.0, 0.0, 2.0]])
    (twice, a), kept = walk(DIAMOND, [x], lambda _, op, xs: op.forward(*xs), keep=("x", "b", "twice"))
    assert set(kept) == {"x", "b", "twice"}
    assert kept["x"] is x
    assert kept["twice"] is twice
    assert torch.equal(kept["b"], x.abs())
    assert torch.equal(twice, x.relu() + x.abs())
    assert torch.equal(a, x.relu())
    with pytest.raises(KeyError, match="nowhere"):
        walk(DIAMOND, [x], lambda _, op, xs: op.forward(*xs), keep=("nowhere",))


def test_other_operators_can_take_the_nodes_place() -> None:
    x = torch.tensor([[-1.0, 0.0, 2.0]])
    graph = chain(1)
    (y,), _ = walk(graph, [x], lambda _, op, xs: op.forward(*xs), operators={"n0": LeakyReLU(-1.0)})
    assert torch.equal(y, x.abs())


def test_the_number_of_inputs_must_fit() -> None:
    with pytest.raises(ValueError, match="zip"):
        walk(DIAMOND, [], lambda node, op, xs: node.name)


# errors say where


def test_our_errors_get_the_node_where_they_have_none() -> None:
    def rule(node: Node, operator: Operator, args: tuple[Any, ...]) -> None:
        if node.name == "sum":
            raise UnsupportedOperatorError("no answer", why="because", remedy="do this")

    with pytest.raises(UnsupportedOperatorError) as caught:
        walk(DIAMOND, [None], rule)
    assert str(caught.value) == "no answer at node 'sum', module 'm.sum', net.py:1: because; do this"
    assert "\n" not in str(caught.value)


def test_our_errors_keep_their_own_place() -> None:
    def rule(node: Node, operator: Operator, args: tuple[Any, ...]) -> None:
        raise ShapeError("wrong", where="elsewhere")

    with pytest.raises(ShapeError, match=r"^wrong at elsewhere$"):
        walk(DIAMOND, [None], rule)


def test_other_errors_get_a_note() -> None:
    def rule(node: Node, operator: Operator, args: tuple[Any, ...]) -> None:
        raise ZeroDivisionError("oh")

    with pytest.raises(ZeroDivisionError, match="oh") as caught:
        walk(DIAMOND, [None], rule)
    assert caught.value.__notes__ == ["in node 'a', module 'm.a', net.py:1 (ReLU)"]


# backward


def count(node: Node, value: float) -> tuple[float, ...]:
    return tuple(value for _ in node.args)


def test_pulled_back_values_are_added_over_all_paths() -> None:
    """With rules that pass a value on, what arrives is the number of paths."""
    assert walk_back(DIAMOND, (1.0, None), count, add=float.__add__) == (4.0,)
    assert walk_back(DIAMOND, (None, 1.0), count, add=float.__add__) == (1.0,)
    assert walk_back(DIAMOND, (1.0, 10.0), count, add=float.__add__) == (14.0,)


def test_nothing_comes_back_from_nothing() -> None:
    def never(node: Node, value: float) -> tuple[float, ...]:
        raise AssertionError

    assert walk_back(DIAMOND, (None, None), never, add=float.__add__) == (None,)
    stopped = walk_back(DIAMOND, (1.0, None), lambda node, v: (None,) * len(node.args), add=float.__add__)
    assert stopped == (None,)


def test_an_input_that_is_an_output_gets_its_own_value() -> None:
    graph = graph_of(("a", ReLU(), ("x",)), outputs=("x", "a"))
    assert walk_back(graph, (5.0, 1.0), count, add=float.__add__) == (6.0,)


# evaluation


def test_evaluation_follows_the_inputs_type() -> None:
    x = torch.randn(4, 3)
    twice, a = evaluate(DIAMOND, (x,))
    assert twice.dtype == a.dtype == torch.float32
    assert torch.equal(evaluate(DIAMOND, (x,), dtype=torch.float64)[0], x.double().relu() + x.double().abs())


def test_graphs_without_a_batch_axis_run_sample_by_sample() -> None:
    sizes = []

    class Spy(ReLU):
        def forward(self, *xs: Tensor) -> Tensor:
            sizes.append(len(xs[0]))
            return torch.relu(xs[0])

    x = torch.randn(3, 3)
    for batched, expected in ((False, [1, 1, 1]), (True, [3])):
        sizes.clear()
        (y,) = evaluate(graph_of(("a", Spy(), ("x",)), outputs=("a",), batched=batched), (x,))
        assert torch.equal(y, x.relu())
        assert sizes == expected
