"""Where torch.export fails: what torch.fx rescues, what it loses, and what has to be refused all the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.errors import TraceError, UnsupportedOperatorError
from splinegraph.tracers.capturing import capture
from splinegraph.tracers.exporting import export
from splinegraph.tracers.inputs import Example
from splinegraph.tracers.symbolic import symbolic_trace
from tests.tracers.rescued import BRANCHES, HIDDEN, RESCUED, ByNumpy, Call, Modes, Rectifier, doubled, linear

X = torch.tensor([[1.0, -2.0, 0.5], [-1.0, 3.0, 2.0]])


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated", "ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("name", RESCUED)
def test_rescued(name: str) -> None:
    build, batched, lost = RESCUED[name]
    model = build().eval()
    example = Example.of(X, None, 0)
    with pytest.raises(TraceError):  # otherwise there is nothing to rescue
        export(model, *example.at(1), ((-1,), {}))
    graph = sg.trace(model, X)
    assert graph.batched is batched
    assert "torch.export failed" in graph.notes[-1]
    assert lost in graph.notes[-1]
    assert str(graph).endswith(f"note: {graph.notes[-1]}")
    x = torch.randn(5, 3)
    with torch.no_grad():
        torch.testing.assert_close(graph(x), model(x), rtol=1e-5, atol=1e-5)
    if "copy" not in name:
        mine = {id(p) for p in model.parameters()}
        assert mine == {id(p) for p in graph.parameters() if id(p) in mine}


@pytest.mark.slow
def test_tangents_of_rescued_models() -> None:
    for name in ("the gradient of a potential", "torch.func.grad", "checks of the data"):
        graph = sg.trace(RESCUED[name][0]().eval(), X)
        assert sg.affine_map(graph, X).verify() < 1e-10


def test_opaque_calls_are_named_with_module_and_line() -> None:
    class Inner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return doubled(x).relu()

    graph = sg.trace(nn.Sequential(linear(), Inner()).eval(), X)
    node = next(n for n in graph.operators if n.op.family == "opaque")
    assert "splinegraph_tests.doubled" in node.op.label
    assert node.module == "1"
    assert node.source.startswith("test_symbolic.py:")
    assert sg.codes(graph, X).units == 3
    with pytest.raises(UnsupportedOperatorError, match=r"splinegraph_tests\.doubled"):
        sg.affine_map(graph, X).dense()


def test_steps_of_a_recurrent_module() -> None:
    graph = sg.trace(RESCUED["recurrence"][0]().eval(), X)
    assert {n.step for n in graph.operators} >= {0, 1, 2, 3}


def test_inputs_in_containers_and_names() -> None:
    def function(x: Tensor, others: dict[str, list[Tensor]], *rest: Tensor, scale: float, late: Tensor) -> Tensor:
        return doubled(x) + others["a"][0] * scale - rest[0].abs() + late

    class Model(nn.Module):
        forward = staticmethod(function)

    args, kwargs = (X, {"a": [X + 1]}, X - 1), {"scale": 2.0, "late": X * 3}
    graph = sg.trace(Model().eval(), args, kwargs)
    assert graph.inputs == ("x", "others_a_0", "rest_0", "late")
    torch.testing.assert_close(graph(X, X + 1, X - 1, X * 3), function(*args, **kwargs))  # type: ignore[arg-type]
    one = sg.trace(Model().eval(), args, kwargs, inputs=["late"])
    torch.testing.assert_close(one(X[:1]), function(X[:1], {"a": [X[:1] + 1]}, X[:1] - 1, scale=2.0, late=X[:1]))


def test_training_through_a_rescued_graph() -> None:
    model = Call(lambda x, m: torch.func.vmap(torch.func.grad(lambda r: m(r).square().sum()))(x), linear())
    graph = sg.trace(model, X)
    with torch.no_grad():
        model.parts[0].weight.mul_(-2)
        model.parts[0].bias.fill_(1.5)
        torch.testing.assert_close(graph(X), model(X))


# torch.fx graphs as models


def test_a_leaf_module_that_torch_cannot_see_through() -> None:
    class Tracer(torch.fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return isinstance(m, Rectifier) or super().is_leaf_module(m, module_qualified_name)

    for kind, opaque in ((Rectifier, False), (ByNumpy, True)):
        model = nn.Sequential(linear(), kind(), nn.ReLU()).eval()
        module = torch.fx.GraphModule(model, Tracer().trace(model)).eval()
        graph = sg.trace(module, X)
        torch.testing.assert_close(graph(X), model(X))
        assert any(n.op.family == "opaque" for n in graph.operators) is opaque
        assert any(p is model[1].shift for p in graph.parameters())
        if opaque:
            assert kind.__qualname__ in graph.notes[-1]
            with torch.no_grad():
                model[1].shift.mul_(3)
                torch.testing.assert_close(graph(X), model(X))


def test_a_graph_module_keeps_module_paths() -> None:
    model = nn.Sequential(nn.Sequential(linear(), nn.ReLU()), nn.Linear(3, 2)).eval()
    graph = sg.trace(torch.fx.symbolic_trace(model), X)
    assert [n.module for n in graph.operators] == ["0.0", "0.1", "1"]
    assert graph.notes == ()


# what must not pass


@pytest.mark.parametrize("name", HIDDEN)
def test_what_depends_on_the_data_is_refused(name: str) -> None:
    with pytest.raises(TraceError) as caught:
        capture(Call(HIDDEN[name]), Example.of(X, None, 0))
    assert "rescued.py:" in str(caught.value)


def test_what_depends_on_the_data_is_refused_after_an_opaque_call() -> None:
    for name in ("mask", "numpy"):
        with pytest.raises(TraceError):
            sg.trace(Call(lambda x, name=name: HIDDEN[name](doubled(x))), X, check=False)


@pytest.mark.parametrize("function", BRANCHES, ids=[f.__name__ for f in BRANCHES])
def test_conditions_that_are_no_checks(function: Any) -> None:
    with pytest.raises(TraceError, match=r"rescued\.py:\d+.*control flow depends"):
        symbolic_trace(Call(function), Example.of(X, None, 0))
    with pytest.raises(TraceError):
        sg.trace(Call(function), X, check=False)


def test_code_that_asks_for_tensors() -> None:
    with pytest.raises(TraceError, match="computes something else"):
        symbolic_trace(Call(lambda x: x.relu() if isinstance(x, Tensor) else x), Example.of(X, None, 0))


def test_arguments_that_are_no_tensors_are_fixed() -> None:
    model = Modes().eval()
    for kwargs in ({}, {"mode": "abs"}, {"mode": "abs", "factor": 2.0}):
        torch.testing.assert_close(sg.trace(model, X, kwargs)(X), model(X, **kwargs))


def test_constants_may_leave_torch() -> None:
    weights = torch.tensor([1.0, -2.0, 3.0])
    model = Call(lambda x: doubled(x) * weights.tolist()[1] + torch.from_numpy(weights.numpy() + 1))
    graph = sg.trace(model, X)
    torch.testing.assert_close(graph(X), model(X))


def test_a_random_call_is_refused() -> None:
    with pytest.raises(TraceError):
        sg.trace(Call(lambda x: doubled(x) + torch.rand_like(x)), X)
