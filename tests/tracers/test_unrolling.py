"""Calls that are taken apart, sizes that constants decide, and when a program is decomposed as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn import functional as F

import splinegraph as sg
from splinegraph.tracers.catalogue import load_all
from splinegraph.tracers.exporting import decompose, writes_into_view
from splinegraph.tracers.unrolling import unroll
from tests.tracers.models import Call

load_all()


def export(model: nn.Module, x: Tensor) -> ExportedProgram:
    return torch.export.export(model, (x,), dynamic_shapes={"args": ({0: Dim.AUTO},)}, strict=False)


@pytest.mark.parametrize(
    ("cell", "target"),
    [(nn.GRUCell(3, 2), "gru_cell"), (nn.LSTMCell(3, 2), "lstm_cell"), (nn.RNNCell(3, 2), "rnn_tanh_cell")],
)
def test_a_cell_is_taken_apart_and_leaves_the_batch_free(cell: nn.Module, target: str) -> None:
    program = export(Call(lambda x, c: c(x), cell), torch.randn(2, 3))
    (node,) = (n for n in program.graph.nodes if target in str(n.target))
    found = unroll(node)
    assert found is not None
    module, reads = found
    names = {str(n.target) for n in module.graph.nodes}
    assert "aten.linear.default" in names
    assert str(node.target) not in names
    (entry,) = (n for n in program.graph.nodes if n.op == "placeholder" and n.name.startswith("args"))
    assert entry in reads
    assert isinstance(entry.meta["val"].shape[0], torch.SymInt)  # not pinned to the 2 of the example


def test_an_elementary_call_is_not_taken_apart() -> None:
    program = export(Call(torch.relu), torch.randn(2, 3))
    assert all(unroll(n) is None for n in program.graph.nodes if n.op == "call_function")


def test_a_cell_computes_what_torch_does() -> None:
    for cell in (nn.GRUCell(3, 2), nn.LSTMCell(3, 2, bias=False), nn.RNNCell(3, 2, nonlinearity="relu")):
        model = Call(lambda x, c: c(x), cell)
        graph = sg.trace(model, torch.randn(1, 3))
        x = torch.randn(5, 3)
        expected = model(x)
        torch.testing.assert_close(graph(x), expected)


# in-place calls


def _dropped(x: Tensor) -> Tensor:
    return F.dropout(x.flatten(1), 0.5, False, inplace=True) * 2


def _view_used_again(x: Tensor) -> Tensor:
    y = x * 2
    y.view(-1)[:].relu_()
    return y


def _view_taken_before(x: Tensor) -> Tensor:
    y = x * 2
    z = y.view(-1, 6)
    y.relu_()
    return z + 1


def _base_forgotten(x: Tensor) -> Tensor:
    return (x * 2).view(-1, 6).relu_() + 1


@pytest.mark.parametrize(
    ("function", "writes"),
    [(_dropped, True), (_view_used_again, True), (_view_taken_before, True), (_base_forgotten, False)],
)
def test_in_place_calls_on_views(function: Callable[[Tensor], Tensor], writes: bool) -> None:
    model, x = Call(function), torch.randn(2, 2, 3)
    program = export(model, x)
    found = any(writes_into_view(n) for n in program.graph.nodes)
    assert found == writes
    assert (decompose(program) is program) == (not writes)
    torch.testing.assert_close(sg.trace(model, x)(x), model(x.clone()))


def test_dropout_of_a_computed_value_costs_no_decomposition() -> None:
    program = export(Call(lambda x: _dropped(x * 2)), torch.randn(2, 2, 3))
    assert not any(writes_into_view(n) for n in program.graph.nodes)


# sizes


class Masked(nn.Module):
    """Columns chosen by a mask that is computed from a buffer."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.register_buffer("edges", torch.tensor([[0, 1, 2, 3], [1, 1, 0, 2]]))

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, self.edges)


def _without_loops(x: Tensor, edges: Tensor) -> Tensor:
    kept = edges[:, edges[0] != edges[1]]
    summed = torch.zeros_like(x).index_add(1, kept[1], x[:, kept[0]])
    return summed + x.new_ones(kept.shape[1] + 1).sum()


def _listed(x: Tensor, edges: Tensor) -> Tensor:
    first, last = edges[0, :2].tolist()
    return x[:, first : last + 2].relu()


@pytest.mark.parametrize("function", [_without_loops, _listed])
def test_sizes_that_constants_decide(function: Callable[[Tensor, Tensor], Tensor]) -> None:
    model, x = Masked(function).eval(), torch.randn(3, 4)
    graph = sg.trace(model, x[:1])
    assert graph.batched
    assert graph.exact
    torch.testing.assert_close(graph(x), model(x))


def test_a_size_that_the_input_decides_is_refused() -> None:
    with pytest.raises(sg.errors.TraceError):
        sg.trace(Call(lambda x: x[:, x[0] > 0]), torch.randn(1, 4))


# inputs and complex values


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_bags_of_embeddings_become_inputs(mode: str) -> None:
    model = Call(lambda ids, bag, out: out(bag(ids)), nn.EmbeddingBag(7, 3, mode=mode), nn.Linear(3, 2))
    ids = torch.tensor([[1, 2, 6], [0, 0, 3]])
    graph = sg.trace(model, ids[:1])
    assert graph.input_shapes == ((3,),)
    torch.testing.assert_close(graph(model.parts[0](ids)), model(ids))


def test_opaque_complex_values_have_tangents(generator: torch.Generator) -> None:
    def function(x: Tensor) -> Tensor:
        return torch.view_as_real(torch.complex(x, 2 * x).exp()).flatten(1)

    x = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    graph = sg.trace(Call(function), x.float())
    local = sg.affine_map(graph, x)
    for i in range(2):
        expected: Any = torch.autograd.functional.jacobian(lambda row: function(row[None])[0], x[i])
        torch.testing.assert_close(local.dense().A[i], expected)
