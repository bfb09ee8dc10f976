"""What the tracer says when it cannot go on: one line with the place, the cause and the remedy."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import splinegraph as sg
from splinegraph.errors import (
    BatchError,
    EquivalenceError,
    ParameterError,
    ShapeError,
    SplineGraphError,
    TraceError,
    TrainingModeError,
    UnsupportedOperatorError,
)
from tests.tracers.models import Call

X = torch.ones(2, 3)


def line_of(function: Callable[..., Any], text: str) -> str:
    """Return 'file.py:line' of the first line of a function that holds `text`."""
    lines, start = inspect.getsourcelines(function)
    return f"test_errors.py:{start + next(i for i, line in enumerate(lines) if text in line)}"


def refused(kind: type[SplineGraphError], model: Any, *args: Any, **kwargs: Any) -> str:
    """Return the message with which a trace is refused."""
    with pytest.raises(kind) as caught:
        sg.trace(model, *args, **kwargs)
    message = str(caught.value)
    assert type(caught.value) is kind
    assert "\n" not in message
    assert len(message) < 600
    return message


# models that no graph can stand for


def branches(x: Tensor) -> Tensor:
    if x.sum() > 0:
        return x.relu()
    return x


def calls_numpy(x: Tensor) -> Tensor:
    return x * torch.from_numpy(x.detach().numpy()).sum()


def loops(x: Tensor) -> Tensor:
    for _ in range(int(x[0, 0])):
        x = x.relu()
    return x


@pytest.mark.parametrize(
    ("function", "text", "cause", "remedy"),
    [
        (branches, "if x.sum()", "control flow depends on the data", "torch.where"),
        (calls_numpy, ".numpy()", "numpy", "stay in torch"),
        (loops, "range(int", "control flow depends on the data", "torch.where"),
    ],
)
def test_what_export_cannot_follow(function: Any, text: str, cause: str, remedy: str) -> None:
    message = refused(TraceError, Call(function), X)
    assert line_of(function, text) in message
    assert cause in message
    assert remedy in message


def test_a_value_read_out_of_a_tensor() -> None:
    class Scales(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x.max().item()

    message = refused(TraceError, Scales().eval(), X)
    assert line_of(Scales, "x.max().item()") in message
    assert "read out of a tensor" in message


def test_a_size_that_depends_on_the_data() -> None:
    class Positive(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[x > 0].sum()[None]

    message = refused(TraceError, Positive().eval(), X)
    assert line_of(Positive, "x[x > 0]") in message
    assert "depends on the data" in message


def test_a_model_that_mixes_samples() -> None:
    assert "depends on the others" in refused(BatchError, Call(lambda x: x - x.mean(0)), X)
    assert "batch_dim=" in refused(BatchError, Call(lambda x: x.softmax(0)), X)
    assert refused(BatchError, Call(lambda x: x @ x.T @ x), X)
    assert refused(BatchError, Call(lambda x: x.cumsum(0)), X)
    assert refused(BatchError, Call(lambda x: x.flip(0)), X)
    assert refused(BatchError, Call(lambda x: x.sum(0)), X)


def test_a_random_model() -> None:
    message = refused(EquivalenceError, Call(lambda x: x + torch.rand_like(x)), X)
    assert "random" in message
    assert refused(EquivalenceError, Call(lambda x: nn.functional.dropout(x, 0.5, training=True)), X)


def test_a_model_that_changes_itself() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return x * self.calls

    assert "change itself" in refused(EquivalenceError, Counts().eval(), X)


class Closed:
    def __init__(self, x: Tensor) -> None:
        self.x = x


def test_tensors_where_nobody_looks_for_them() -> None:
    message = refused(TraceError, Call(Closed), X)
    assert "returns a Closed" in message
    assert "dataclasses" in message
    message = refused(ShapeError, Call(lambda c: c.x), (Closed(X),))
    assert "an argument is a Closed" in message
    assert "register_dataclass" in message


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated", "ignore:.*torch.jit.*:DeprecationWarning")
def test_a_scripted_model() -> None:
    message = refused(TraceError, torch.jit.script(nn.Sequential(nn.Linear(3, 3), nn.ReLU()).eval()), X)
    assert "TorchScript" in message
    assert "made from" in message


def test_neither_export_nor_fx() -> None:
    class Sorts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            first = x if torch.equal(x, x.relu()) else -x
            return x + torch.from_numpy(first.detach().numpy())

    message = refused(TraceError, Sorts().eval(), X)
    assert message.index("torch.export") < message.index("torch.fx")
    assert line_of(Sorts, "torch.equal") in message
    assert "torch.fx fails too" in message or "torch.fx cannot either" in message


def test_a_model_that_fails_when_it_runs_again() -> None:
    calls: list[int] = []

    class Tires(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            calls.append(1)
            if len(calls) > 3:
                raise ValueError("no more calls")
            return x.relu()

    message = refused(TraceError, Tires().eval(), X)
    assert "fails when it runs again" in message
    assert "no more calls" in message
    assert line_of(Tires, "raise ValueError") in message


# what is refused before


def test_training_mode() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Dropout())).eval()
    model[1][0].train()
    message = refused(TrainingModeError, model, X)
    assert "'1.0'" in message
    assert "model.eval()" in message


@pytest.mark.parametrize(("value", "kind"), [(float("nan"), "NaN"), (float("inf"), "infinite")])
def test_weights_that_are_not_finite(value: float, kind: str) -> None:
    model = nn.Sequential(nn.Linear(3, 3)).eval()
    with torch.no_grad():
        model[0].weight[0, 0] = value
    message = refused(ParameterError, model, X)
    assert "'0.weight'" in message
    assert kind in message


def test_infinite_buffers_are_masks() -> None:
    model = Call(lambda x, m: x + m.weight[0].clamp(min=-1.0), nn.Linear(3, 3))
    model.register_buffer("mask", torch.full((3, 3), -torch.inf).triu(1))
    assert sg.trace(model, X).exact


def test_inputs_that_do_not_fit() -> None:
    linear = nn.Linear(3, 3).eval()
    message = refused(ShapeError, linear, torch.ones(2, 4))
    assert "(2, 4) torch.float32" in message
    assert "mat1 and mat2" in message
    assert "float64" in refused(ShapeError, linear, X.double())
    assert "empty" in refused(ShapeError, linear, torch.ones(0, 3))
    assert "NaN" in refused(ShapeError, linear, X * float("nan"))
    assert "batch" in refused(ShapeError, linear, torch.tensor(1.0))
    assert "example input" in refused(ShapeError, linear, ())
    assert "no input 'y'" in refused(ShapeError, linear, X, inputs=["y"])
    assert "choose among [0]" in refused(ShapeError, linear, X, outputs=[1])
    assert "cannot be differentiated" in refused(
        ShapeError, Call(lambda x, i: x[:, 0] + i), (X, torch.ones(2, dtype=torch.int64)), inputs=[1]
    )


def test_what_is_no_model() -> None:
    for thing in (lambda x: x, "model.py", {"weight": X}):
        assert "torch.nn.Module" in refused(TraceError, thing, X)


def test_an_output_that_depends_on_nothing() -> None:
    assert "no output" in refused(TraceError, Call(lambda x: torch.ones(2)), X)
    assert "integers" in refused(TraceError, Call(lambda x: x.argmax(1)), X)


# graphs


def test_inputs_that_do_not_fit_a_graph() -> None:
    graph = sg.trace(nn.Linear(3, 3).eval(), X)
    for bad, text in [
        (torch.ones(2, 4), "expected (B, 3)"),
        (torch.ones(3), "add a batch axis"),
        (torch.ones(2, 3, dtype=torch.int64), "floating point"),
        (torch.ones(0, 3), "empty"),
        ([1.0, 2.0, 3.0], "torch.Tensor"),
    ]:
        with pytest.raises(ShapeError) as caught:
            graph(bad)
        assert text in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(ShapeError, match="takes 1 input"):
        graph(X, X)


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> Tensor:
        return u * 7


def test_custom_backward_is_lost_with_a_warning() -> None:
    model = Call(lambda x, m: Doubled.apply(m(x)), nn.Linear(3, 3))
    with pytest.warns(UserWarning, match=r"custom autograd functions \(Doubled\) lose their own backward") as caught:
        graph = sg.trace(model, X)
    assert len(caught) == 1
    assert sg.affine_map(graph, X).verify() < 1e-12


class Bessel(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x)


def test_a_call_without_derivative_is_named() -> None:
    graph = sg.trace(nn.Sequential(nn.Linear(3, 3), Bessel()).eval(), X)
    assert sg.codes(graph, X).units == 0
    with pytest.raises(UnsupportedOperatorError) as caught:
        sg.affine_map(graph, X)
    message = str(caught.value)
    assert "bessel_j0" in message
    assert "module '1'" in message
    assert line_of(Bessel, "bessel_j0(x)") in message
    assert "\n" not in message


def test_two_inputs_that_are_no_tuple_are_refused_with_the_way_to_give_them() -> None:
    model, x = nn.Bilinear(2, 2, 2).eval(), torch.zeros(1, 2)
    with pytest.raises(ShapeError, match=r"give several inputs as one tuple: trace\(model, \(a, b\)\)"):
        sg.trace(model, x, x)
    assert len(sg.trace(model, (x, x)).inputs) == 2
