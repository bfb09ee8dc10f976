"""The graph as a value: looking up, checking inputs, cached parameters, cutting and joining."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from splinegraph.core.graph import Input, Node, SplineGraph
from splinegraph.core.layout import BatchLayout
from splinegraph.errors import ShapeError, SplineGraphError
from splinegraph.operators.bilinear import Product
from splinegraph.operators.elementwise import Abs, ReLU
from splinegraph.operators.linear import Linear
from splinegraph.operators.smooth_functions import Tanh


def weight(rows: int, columns: int, dtype: torch.dtype = torch.float32) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows), dtype=dtype))


def mlp(first: Tensor | None = None, **options: Any) -> SplineGraph:
    """Return relu(W x), then V, with a name and a place for each node."""
    first = weight(4, 3) if first is None else first
    return SplineGraph(
        (
            Node("x", Input(), shape=(1, 3)),
            Node("inner", Linear(first), ("x",), (1, 4), module="body.0", source="net.py:7"),
            Node("relu", ReLU(), ("inner",), (1, 4), module="body.1"),
            Node("outer", Linear(weight(2, 4)), ("relu",), (1, 2), module="head"),
        ),
        ("x",), ("outer",), **options,
    )  # fmt: skip


# looking up


def test_nodes_are_found_by_name() -> None:
    graph = mlp()
    assert graph["relu"].op.label == "ReLU"
    assert [node.name for node in graph] == ["x", "inner", "relu", "outer"]
    assert [node.name for node in graph.operators] == ["inner", "relu", "outer"]
    assert len(graph) == 4
    with pytest.raises(KeyError, match=r"no node 'missing' in model; print\(graph\) lists them"):
        graph["missing"]


def test_an_input_has_no_operator() -> None:
    node = mlp()["x"]
    assert node.is_input
    with pytest.raises(TypeError, match="x is an input of the graph"):
        _ = node.op


def test_nodes_say_where_they_are() -> None:
    assert mlp()["inner"].where == "node 'inner', module 'body.0', net.py:7"
    assert mlp()["x"].where == "node 'x'"
    step = dataclasses.replace(mlp()["inner"], step=3)
    assert step.where == "node 'inner', module 'body.0' step 3, net.py:7"


def test_shapes_are_those_of_one_sample() -> None:
    assert mlp().input_shapes == ((3,),)
    assert mlp().output_shapes == ((2,),)


def test_graphs_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        mlp().name = "other"  # type: ignore[misc]
    graph = mlp()
    assert graph.rename("other").name == "other"
    assert graph.name == "model"


def test_graphs_know_what_they_are() -> None:
    graph = mlp()
    assert graph.exact
    assert graph.continuous
    assert graph.obstacles == ()
    node = Node("tanh", Tanh(), ("outer",), (1, 2))
    smooth = dataclasses.replace(graph, nodes=(*graph.nodes, node), outputs=("tanh",), _cache={})
    assert not smooth.exact
    assert smooth.obstacles == (node,)
    assert repr(graph) == "<SplineGraph model: 3 operators, exactly piecewise affine>"
    assert repr(smooth) == "<SplineGraph model: 4 operators, 1 nodes not piecewise affine>"


def test_graphs_print_one_line_per_node() -> None:
    first, _, *rows = str(mlp()).splitlines()
    assert first == "model: 3 operators, exactly piecewise affine"
    assert [row.split()[0] for row in rows] == ["x", "inner", "relu", "outer"]
    assert "B×4" in rows[1]
    assert "body.0" in rows[1]


def test_graphs_become_networkx_graphs() -> None:
    product = Node("square", Product(), ("relu", "relu"), (1, 4), BatchLayout(0, 2, 3), step=1)
    graph = dataclasses.replace(mlp(), nodes=(*mlp().nodes[:3], product), outputs=("square",), _cache={})
    found = graph.to_networkx()
    assert list(found.edges) == [("x", "inner"), ("inner", "relu"), ("relu", "square")]
    assert found.edges["relu", "square"] == {"argument": 0, "times": 2}
    assert found.nodes["square"]["output"] is True
    assert found.nodes["square"]["exact"] is False
    assert found.nodes["square"]["step"] == 1
    assert found.nodes["square"]["shape"] == "2·B·3×4"
    assert found.nodes["x"]["family"] == "input"
    for _, data in found.nodes(data=True):
        assert all(isinstance(value, str | int | bool) for value in data.values())


def test_parameters_are_the_users_own_each_once() -> None:
    w = weight(3, 3)
    nodes = (
        Node("x", Input(), shape=(1, 3)),
        Node("a", Linear(w), ("x",), (1, 3)),
        Node("b", Linear(w), ("a",), (1, 3)),
    )
    found = list(SplineGraph(nodes, ("x",), ("b",)).parameters())
    assert len(found) == 1
    assert found[0] is w


# inputs

BAD: list[tuple[tuple[Any, ...], str]] = [
    ((), r"takes 1 input\(s\), got 0; give one tensor per input, in this order: x"),
    ((torch.zeros(1, 3), torch.zeros(1, 3)), r"takes 1 input\(s\), got 2"),
    ((torch.zeros(3),), r"input 'x' has shape \(3,\), expected \(B, 3\); add a batch axis"),
    ((torch.zeros(2, 4),), r"has shape \(2, 4\), expected \(B, 3\); give shape \(B, 3\)"),
    ((torch.tensor(0.0),), r"has shape \(\), expected \(B, 3\)"),
    ((torch.zeros(2, 3, dtype=torch.int64),), r"has dtype torch.int64; give floating point: x.float\(\)"),
    (([[0.0, 0.0, 0.0]],), r"input 'x' is a list; give a torch.Tensor"),
    ((torch.zeros(0, 3),), "the batch is empty; give at least one sample"),
]


@pytest.mark.parametrize(("inputs", "words"), BAD)
def test_inputs_that_do_not_fit_are_refused_in_one_line(inputs: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ShapeError, match=words) as caught:
        mlp()(*inputs)
    assert "\n" not in str(caught.value)


def test_inputs_must_have_one_batch_size() -> None:
    nodes = (Node("x", Input(), shape=(1, 3)), Node("y", Input(), shape=(1, 3)))
    graph = SplineGraph((*nodes, Node("p", Product(), ("x", "y"), (1, 3))), ("x", "y"), ("p",))
    with pytest.raises(ShapeError, match=r"different batch sizes \[2, 3\]"):
        graph(torch.zeros(2, 3), torch.zeros(3, 3))
    assert graph.check_inputs((torch.zeros(2, 3), torch.zeros(2, 3))) == 2


def test_a_graph_can_be_called() -> None:
    w = weight(4, 3)
    x = torch.randn(5, 3)
    expected = torch.relu(x @ w.T) @ weight(2, 4).T
    assert torch.allclose(mlp(w)(x), expected)
    assert mlp(w)(x.double()).dtype == torch.float64
    assert mlp(w)(x, dtype=torch.float64).dtype == torch.float64


# parameters in another type


def test_parameters_are_read_anew_in_every_call() -> None:
    """Also after writes that no version counter sees, such as those of fused optimizers."""
    w = weight(4, 3)
    graph, x = mlp(w), torch.randn(2, 3)
    with torch.no_grad():
        assert graph.resolved(torch.float32, None, 1)["inner"].weight is w  # type: ignore[attr-defined]
        before = graph(x, dtype=torch.float64)
        w.mul_(2)
        assert torch.allclose(graph(x, dtype=torch.float64), 2 * before)
        w.data.mul_(2)
        assert torch.allclose(graph(x, dtype=torch.float64), 4 * before)
        w.data = w.data / 4
        assert torch.allclose(graph(x, dtype=torch.float64), before)


def test_nothing_is_kept_per_batch_size() -> None:
    graph, x = mlp(weight(4, 3)), torch.randn(8, 3)
    graph(x[:1], dtype=torch.float64)
    before = set(graph._cache)
    for n in range(2, 8):
        graph(x[:n], dtype=torch.float64)
    assert set(graph._cache) == before


def test_sums_and_multiples() -> None:
    graph, x = mlp(weight(4, 3)), torch.randn(2, 3)
    assert torch.allclose(sum([graph, graph])(x), (2 * graph)(x))  # type: ignore[operator]
    assert torch.allclose((-graph)(x), -graph(x))


def test_casts_do_not_cut_gradients() -> None:
    """An analysis without gradients (a trace, codes) comes first; then someone trains."""
    w = weight(4, 3)
    graph, x = mlp(w), torch.randn(2, 3)
    with torch.no_grad():
        graph(x, dtype=torch.float64)
    graph(x, dtype=torch.float64).sum().backward()
    first = w.grad
    assert first is not None
    w.grad = None
    graph(x, dtype=torch.float64).sum().backward()  # and again: no graph is freed twice
    assert torch.equal(w.grad, first)
    with torch.no_grad():
        assert not graph(x, dtype=torch.float64).requires_grad


def test_nothing_is_copied_in_the_models_own_type() -> None:
    graph = mlp()
    for node in graph.operators:
        assert graph.resolved(torch.float32, None, 3)[node.name] is node.op


# cutting and joining


def test_parts_of_a_graph() -> None:
    graph, x = mlp(), torch.randn(5, 3)
    head, tail = graph.between("x", "relu"), graph.between("relu", "outer")
    assert torch.equal(tail(head(x)), graph(x))
    assert torch.equal(tail.compose(head)(x), graph(x))
    assert torch.equal(graph.between("body", "head")(head(x)), graph(x))
    assert graph.output(1)(x).shape == (5,)
    assert torch.equal(graph.output(1)(x), graph(x)[:, 1])
    assert torch.equal((graph - graph)(x), torch.zeros(5, 2))


def two_inputs() -> SplineGraph:
    return SplineGraph(
        (
            Node("x", Input(), shape=(1, 3)), Node("y", Input(), shape=(1, 3)), Node("a", ReLU(), ("x",), (1, 3)),
            Node("b", Abs(), ("y",), (1, 3)), Node("p", Product(), ("a", "b"), (1, 3)),
        ),
        ("x", "y"), ("p", "a"),
    )  # fmt: skip


def test_cuts_that_are_impossible_say_why() -> None:
    graph = mlp()
    with pytest.raises(SplineGraphError, match=r"no node or module 'nowhere' in model; choose.*modules body.0, body.1"):
        graph.between("nowhere", "relu")
    with pytest.raises(SplineGraphError, match="'inner' does not depend on 'relu'"):
        graph.between("relu", "inner")
    with pytest.raises(SplineGraphError, match=r"'p' also depends on input 'y' by a path around 'a'.*every path"):
        two_inputs().between("a", "p")
    folded = dataclasses.replace(graph["relu"], layout=BatchLayout(0, 1, 2))
    cut = dataclasses.replace(graph, nodes=(*graph.nodes[:2], folded, graph.nodes[3]), _cache={})
    with pytest.raises(SplineGraphError, match=r"at node 'relu'.*batch axis is folded into another axis"):
        cut.between("relu", "outer")


def test_joins_that_do_not_fit_say_why() -> None:
    graph, other = mlp(), two_inputs()
    with pytest.raises(ShapeError, match=r"outputs of model have shapes \(\(2,\),\), the inputs of model \(\(3,\),\)"):
        graph.compose(graph)
    for operation in (graph.__add__, graph.__sub__):
        with pytest.raises(ShapeError, match="cannot combine model and model: shapes"):
            operation(other)
    with pytest.raises(TypeError, match="unsupported operand"):
        graph + 1


def test_outputs_are_chosen_by_index() -> None:
    graph, x, y = two_inputs(), torch.randn(4, 3), torch.randn(4, 3)
    product, a = graph(x, y)
    assert torch.equal(graph.output(0)(x, y), product)
    assert torch.equal(graph.output(-1, 2)(x, y), a[:, 2])
    with pytest.raises(ShapeError, match=r"model has 2 outputs; choose one: output\(i\)"):
        graph.output()
    with pytest.raises(ShapeError, match="model has 2 outputs"):
        graph.output(2)
    for index in ((3,), (-4,), (0, 0)):
        with pytest.raises(ShapeError, match=r"does not fit an output of shape \(B, 3\)"):
            graph.output(0, *index)


def test_names_stay_unique_when_graphs_are_joined() -> None:
    graph = mlp()
    names = [node.name for node in graph + graph]
    assert len(names) == len(set(names))
    assert (graph + graph).inputs == ("x",)


# as a torch module


def test_graphs_become_modules_that_share_the_weights() -> None:
    w = weight(4, 3)
    graph, x = mlp(w), torch.randn(2, 3)
    module = graph.module()
    assert torch.equal(module(x), graph(x))
    assert not module.training
    assert any(p is w for p in module.parameters())
    with torch.no_grad():
        w.mul_(3)
    assert torch.equal(module(x), graph(x))
    assert [name for name, _ in module.named_children()] == ["inner", "relu", "outer"]
