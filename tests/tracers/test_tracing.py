"""`splinegraph.trace` on whole models, and what can be done with the graph."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import splinegraph as sg
from splinegraph.core.graph import SplineGraph
from splinegraph.errors import TrainingModeError
from splinegraph.tracers.checking import check_samples
from tests.tracers.models import Call, Mixed, Recurrent, Tokens, randomize, resnet

DOUBLE = torch.float64


def agrees(graph: SplineGraph, model: nn.Module, *xs: Tensor) -> None:
    """Check that graph and model compute the same in the model's own dtype."""
    with torch.no_grad():
        torch.testing.assert_close(graph(*xs), model(*xs), rtol=1e-5, atol=1e-5)


# architectures


def test_mixed_network_is_one_affine_map_per_cell() -> None:
    model = randomize(Mixed())
    x = torch.randn(4, 2, 9, 9)
    graph = sg.trace(model, x)
    assert graph.exact
    assert graph.continuous
    assert all(node.op.piecewise_affine for node in graph.operators)
    assert graph.batched
    assert graph.notes == ()
    agrees(graph, model, x)
    local = sg.affine_map(graph, x)
    assert local.kind == "exact"
    A, b = local.dense()
    f = torch.einsum("boijk,bijk->bo", A, x.double()) + b
    assert (f - graph(x.double())).abs().max() <= 1e-10 * f.abs().max()
    assert sg.codes(graph, x).units == 8 * 9 * 9 + 8 * 5 * 5 + 12 * 3 * 3 * 2


def test_resnet_18() -> None:
    model = resnet()
    graph = sg.trace(model, torch.zeros(1, 3, 64, 64), check=False)
    x = torch.randn(2, 3, 64, 64)
    assert graph.exact
    assert sum(node.op.family == "affine" and node.op.label == "Conv2d" for node in graph.operators) <= 20
    assert sum(p.numel() for p in graph.parameters() if isinstance(p, nn.Parameter)) == sum(
        p.numel() for p in model.parameters()
    )
    agrees(graph, model, x)
    assert sg.affine_map(graph, x[:1]).verify() < 1e-10
    assert graph["add_2"].module == "5.0"


def test_small_resnet_is_checked_in_float64() -> None:
    graph = sg.trace(resnet((4, 6)), torch.zeros(1, 3, 16, 16))
    assert sg.affine_map(graph, torch.randn(2, 3, 16, 16)).verify() < 1e-10


RECURRENT = {
    "GRU": (nn.GRU(3, 4, 2, batch_first=True), False),
    "LSTM with projections": (nn.LSTM(3, 5, proj_size=2, batch_first=True), False),
    "RNN, ReLU, both ways": (nn.RNN(3, 4, 2, nonlinearity="relu", bidirectional=True, batch_first=True), True),
}


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent(name: str) -> None:
    cell, exact = RECURRENT[name]
    model = Recurrent(cell).eval()
    x = torch.randn(2, 4, 3)
    graph = sg.trace(model, x)
    agrees(graph, model, x)
    local = sg.affine_map(graph, x)
    assert graph.exact is exact
    assert local.kind == ("exact" if exact else "tangent")
    assert local.verify() < 1e-10
    assert {node.step for node in graph.operators} >= {0, 1, 2, 3}
    assert all(node.module == "cell" for node in graph.operators)


def test_transformer_encoder() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True, activation="gelu")
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    x = torch.randn(2, 5, 8)
    graph = sg.trace(model, x)
    agrees(graph, model, x)
    assert not graph.exact
    assert not any(node.op.family == "opaque" for node in graph.operators)
    local = sg.affine_map(graph, x)
    assert local.kind == "tangent"
    assert local.verify() < 1e-10


def test_token_model_starts_at_its_embedding() -> None:
    model = Tokens().eval()
    ids = torch.randint(0, 11, (2, 5))
    graph = sg.trace(model, ids)
    assert graph.input_shapes == ((5, 8),)
    with torch.no_grad():
        expected = model(ids)
        torch.testing.assert_close(graph(model.embedding(ids)), expected, rtol=1e-5, atol=1e-5)
    tied = [p for p in graph.parameters() if p is model.embedding.weight]
    assert len(tied) == 1


# where nodes come from


def test_nodes_know_module_source_and_call() -> None:
    graph = sg.trace(randomize(Mixed()), torch.zeros(1, 2, 9, 9))
    node = next(n for n in graph.operators if n.op.label.startswith("BatchNorm"))
    assert node.module == "norm"
    assert node.source.startswith("models.py:")
    assert node.target == "aten.batch_norm.default"
    assert graph["hardtanh"].module == ""
    assert "module 'norm'" in node.where


# inputs and outputs


def test_batch_dim() -> None:
    model = Recurrent(nn.RNN(3, 4, nonlinearity="relu")).eval()
    x = torch.randn(5, 2, 3)
    graph = sg.trace(model, x, batch_dim=1)
    assert (graph.input_shapes, graph.output_shapes) == (((5, 3),), ((5, 4),))
    with torch.no_grad():
        torch.testing.assert_close(graph(x.transpose(0, 1)), model(x).transpose(0, 1))
    assert sg.affine_map(graph, x.transpose(0, 1)).verify() < 1e-10


def test_outputs_in_containers_and_their_choice() -> None:
    def several(x: Tensor) -> Any:
        return {"a": x.relu(), "rest": (None, x.sum(1), x > 0, 3), "const": torch.ones(2)}

    x = torch.randn(2, 4)
    graph = sg.trace(Call(several), x)
    assert graph.output_shapes == ((4,), ())
    a, total = graph(x)
    torch.testing.assert_close((a, total), (x.relu(), x.sum(1)))
    (only,) = sg.trace(Call(several), x, outputs=[1]).output_shapes
    assert only == ()


def test_several_inputs_and_their_choice() -> None:
    model = Call(lambda x, y, scale, linear: linear(x) * scale + y, nn.Linear(3, 3))
    x, y = torch.randn(2, 3), torch.randn(2, 3)
    graph = sg.trace(model, (x, y, 2.0))
    assert graph.input_shapes == ((3,), (3,))
    torch.testing.assert_close(graph(x, y), model(x, y, 2.0))
    A, B = sg.affine_map(graph, x, y).dense().A
    torch.testing.assert_close(B, torch.eye(3, dtype=DOUBLE).expand(2, 3, 3))
    assert A.shape == (2, 3, 3)
    one = sg.trace(model, (x, y, 2.0), inputs=[0])
    assert one.input_shapes == ((3,),)
    torch.testing.assert_close(one(x), model(x, y[:1], 2.0))  # y stays at the first sample's value


def test_keyword_arguments() -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor, *, shift: Tensor, mode: str = "relu") -> Tensor:
            return torch.relu(x + shift) if mode == "relu" else x

    x, shift = torch.randn(2, 3), torch.randn(2, 3)
    graph = sg.trace(Model().eval(), x, {"shift": shift, "mode": "relu"})
    assert len(graph.inputs) == 2
    torch.testing.assert_close(graph(x, shift), torch.relu(x + shift))
    named = sg.trace(Model().eval(), x, {"shift": shift}, inputs=["shift"])
    torch.testing.assert_close(named(shift), torch.relu(x[:1] + shift))


def test_inputs_that_never_meet() -> None:
    graph = sg.trace(Call(lambda x, y: (x.relu(), y.abs())), (torch.randn(2, 3), torch.randn(2, 4)))
    assert graph.batched
    assert graph.output_shapes == ((3,), (4,))


def test_fixed_batch_size_is_traced_per_sample() -> None:
    model = Call(lambda x: x.reshape(1, 4).relu().sum(1, keepdim=True))
    graph = sg.trace(model, torch.randn(1, 4))
    assert not graph.batched
    assert any("one sample" in note for note in graph.notes)
    x = torch.randn(3, 4)
    torch.testing.assert_close(graph(x), x.relu().sum(1, keepdim=True))
    local = sg.affine_map(graph, x)
    assert local.verify() < 1e-10
    assert local.dense().A.shape == (3, 1, 4)
    assert len(sg.codes(graph, x)) == 3


# parameters stay the user's own


def parametrized(kind: str) -> nn.Module:
    linear = nn.Linear(3, 3)
    if kind == "weight norm":
        parametrizations.weight_norm(linear)
    elif kind == "spectral norm":
        parametrizations.spectral_norm(linear)
    elif kind == "orthogonal":
        parametrizations.orthogonal(linear, use_trivialization=False)
    elif kind == "tied":
        return nn.Sequential(linear, nn.ReLU(), linear)
    return nn.Sequential(linear, nn.ReLU())


@pytest.mark.parametrize("kind", ["plain", "tied", "weight norm", "spectral norm", "orthogonal"])
def test_training_through_the_graph_moves_the_model(kind: str) -> None:
    model = parametrized(kind).eval()
    x = torch.randn(5, 3)
    graph = sg.trace(model, x)
    agrees(graph, model, x)
    mine = list(model.parameters())
    assert {id(p) for p in graph.parameters() if p.requires_grad} == {id(p) for p in mine}
    expected = torch.autograd.grad(model(x).square().sum(), mine)
    found = torch.autograd.grad(graph(x).square().sum(), mine)
    torch.testing.assert_close(found, expected)
    before = sg.affine_map(graph, x).dense().A
    with torch.no_grad():
        for p in mine:
            p.add_(0.1 * torch.randn_like(p))
    agrees(graph, model, x)
    assert not torch.allclose(sg.affine_map(graph, x).dense().A, before)


def test_nothing_stale_after_a_change_in_place() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.ReLU()).eval()
    graph = sg.trace(model, torch.zeros(1, 2))
    x = torch.randn(6, 2)
    with torch.no_grad():
        codes, value = sg.codes(graph, x), graph(x)
        model[0].weight.neg_()
        model[0].bias.neg_()
        changed = sg.codes(graph, x)
        assert (codes.unpack("relu") + changed.unpack("relu") == 1).all()
        assert not torch.equal(graph(x), value)
        model[1].running_mean.fill_(-100.0)  # a buffer
        assert bool(sg.codes(graph, x).unpack("relu").all())
        agrees(graph, model, x)
        model[0].weight.data = torch.zeros(3, 2)  # another storage behind the same object
        agrees(graph, model, x)


def test_float64_model() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh()).double().eval()
    graph = sg.trace(model, torch.zeros(1, 2, dtype=DOUBLE))
    assert graph.dtype == DOUBLE
    assert graph(torch.zeros(1, 2, dtype=DOUBLE)).dtype == DOUBLE


# how models are written


def _in_place(x: Tensor) -> Tensor:
    y = x * 2
    y += 1
    z = y.relu_()
    z[:, 0] = 0.5
    z[:, 1:].mul_(3)
    return y - z.view(-1, 2, 2).sum(2, keepdim=True).flatten(1).repeat(1, 2)


def _no_grad(x: Tensor) -> Tensor:
    with torch.no_grad():
        scale = torch.ones(4) * 3
    return x.relu() * scale


def _autocast(x: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return x.relu() * 2


def _assertions(x: Tensor) -> Tensor:
    assert x.shape[1] == 4
    torch._assert(x.ndim == 2, "two axes")
    return x.abs()


def _dropout(x: Tensor) -> Tensor:
    return nn.functional.dropout(x, 0.5, training=False).relu()


def _item(x: Tensor) -> Tensor:
    scale = torch.full((), 3.0)
    return (x * scale.item()).abs() + 2 * scale.item()


WAYS = [_in_place, _no_grad, _autocast, _assertions, _dropout, _item]


@pytest.mark.parametrize("function", WAYS, ids=[f.__name__[1:] for f in WAYS])
def test_ways_to_write_a_model(function: Any) -> None:
    x = torch.randn(3, 4)
    graph = sg.trace(Call(function), x)
    torch.testing.assert_close(graph(x), function(x))
    assert graph.exact
    assert sg.affine_map(graph, x).verify() < 1e-10


def test_exported_programs_and_graph_modules() -> None:
    model, x = nn.Sequential(nn.Linear(2, 3), nn.ReLU()).eval(), torch.randn(4, 2)
    dynamic = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(model, (x,), dynamic_shapes=dynamic)
    for given in (program, torch.fx.symbolic_trace(model)):
        graph = sg.trace(given, x)
        assert [node.operator.label for node in graph.operators] == ["Linear", "ReLU"]
        assert graph.batched
        agrees(graph, model, x)


def test_vmap() -> None:
    model = Call(lambda x, m: torch.vmap(lambda row: m(row).relu())(x), nn.Linear(3, 3))
    x = torch.randn(4, 3)
    graph = sg.trace(model, x)
    assert graph.batched
    assert graph.exact
    agrees(graph, model, x)
    assert sg.affine_map(graph, x).verify() < 1e-10


def test_containers_of_a_graph_module_have_no_mode() -> None:
    inner = nn.Sequential(nn.Linear(2, 3), nn.Dropout())
    module = torch.fx.symbolic_trace(nn.Sequential(inner, nn.ReLU()).eval())
    assert module.get_submodule("0").training  # which torch.fx puts there
    assert sg.trace(module, torch.zeros(1, 2)).exact
    module.get_submodule("0.1").train()
    with pytest.raises(TrainingModeError, match=r"'0\.1'"):
        sg.trace(module, torch.zeros(1, 2))


# the graph as a value


@pytest.fixture
def model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3)).eval()


def test_outputs_parts_and_sums(model: nn.Sequential) -> None:
    graph, x = sg.trace(model, torch.zeros(1, 2)), torch.randn(5, 2)
    y = model(x)
    torch.testing.assert_close(graph.output(1)(x), y[:, 1])
    head = graph.between("relu", graph.outputs[0])
    torch.testing.assert_close(head(model[:2](x)), y)
    torch.testing.assert_close(graph.between("1", "2")(model[:2](x)), y)
    torch.testing.assert_close((graph + graph)(x), 2 * y)
    assert (graph - graph)(x).abs().max() == 0
    other = sg.trace(nn.Sequential(nn.Linear(3, 2)).eval(), torch.zeros(1, 3))
    torch.testing.assert_close(other.compose(graph)(x), other(y))
    assert graph.compose(other).exact


def test_graph_module_runs_and_trains(model: nn.Sequential) -> None:
    graph, x = sg.trace(model, torch.zeros(1, 2)), torch.randn(5, 2)
    module = graph.module()
    assert isinstance(module, torch.fx.GraphModule)
    assert {id(p) for p in module.parameters()} == {id(p) for p in model.parameters()}
    torch.testing.assert_close(module(x), model(x))
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    before = module(x).square().sum()
    before.backward()
    optimizer.step()
    assert model(x).square().sum() < before
    again = sg.trace(module.eval(), x)
    torch.testing.assert_close(again(x), model(x))


def test_graph_for_people_and_for_networkx(model: nn.Sequential) -> None:
    graph = sg.trace(model, torch.zeros(1, 2))
    text = str(graph)
    assert text.startswith("Sequential: 3 operators, exactly piecewise affine")
    assert len(text.splitlines()) == 2 + len(graph)
    assert "B×4" in text
    network = graph.to_networkx()
    assert nx.is_directed_acyclic_graph(network)
    assert set(network) == {node.name for node in graph}
    for attributes in network.nodes.values():
        assert all(isinstance(value, str | int | bool) for value in attributes.values())


def test_rounding_in_a_short_type_is_no_mixing_of_samples() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    graph = sg.trace(net, torch.zeros(1, 3))
    check_samples(graph, [torch.randn(3, 3)], tolerance=-1.0)  # as if float32 had failed: float64 decides
    with pytest.raises(sg.SplineGraphError, match="depends on the others"):
        check_samples(graph, [torch.randn(3, 3, dtype=torch.float64)], tolerance=-1.0)
