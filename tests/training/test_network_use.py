"""`SplineNetwork` as it is used: compiled, in short types, checkpointed, distributed, and given what it cannot take."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed
import torch.multiprocessing
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from splinegraph.errors import (
    BatchError,
    ParameterError,
    ShapeError,
    SplineGraphError,
    TraceError,
    TrainingModeError,
    UnsupportedOperatorError,
)
from splinegraph.training.network import Encoded, SplineNetwork


def _model(*, random: bool = True) -> nn.Sequential:
    layers = [nn.BatchNorm2d(4), nn.Dropout2d(0.2)] if random else []
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), *layers, nn.LeakyReLU(0.1), nn.MaxPool2d(2), nn.Conv2d(4, 5, 3), nn.ReLU(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(5, 3),
    )  # fmt: skip


X = torch.randn(6, 2, 8, 8, generator=torch.Generator().manual_seed(1))


def _loss(found: Encoded, x: Tensor) -> Tensor:
    return (found.reconstruction - x).square().mean() + found.logits.logsumexp(1).mean()


def _step(network: nn.Module, forward: Callable[[Tensor], Encoded], x: Tensor = X) -> list[Tensor]:
    """Return logits, reconstruction and gradients of one step."""
    torch.manual_seed(5)
    network.zero_grad()
    found = forward(x)
    _loss(found, x).backward()
    return [*found[:2], *(p.grad.clone() for p in network.parameters() if p.grad is not None)]


def _gap(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    scale = max(float(e.detach().abs().max()) for e in expected)
    pairs = zip(found, expected, strict=True)
    return max(float((f.detach().to(e.dtype) - e.detach()).abs().max()) for f, e in pairs) / scale


@pytest.mark.slow
def test_compiled_in_one_piece_it_gives_the_same() -> None:
    network = SplineNetwork(_model(), X, layers=("3",))
    expected = _step(network, network)
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert _gap(_step(network, compiled), expected) < 1e-6
        network.eval()
        network(X)
        assert _gap(compiled(X)[:2], network(X)[:2]) < 1e-6


def test_bf16_autocast_gives_the_same_to_its_precision_and_the_reconstruction_in_the_input_type() -> None:
    network = SplineNetwork(_model(), X)
    network.eval()
    expected = _step(network, network)
    with torch.autocast("cpu", torch.bfloat16):
        found = _step(network, network)
    assert found[0].dtype == torch.bfloat16
    assert found[1].dtype == torch.float32
    assert _gap(found, expected) < 0.05
    network.train()
    with torch.autocast("cpu", torch.bfloat16):
        assert all(bool(t.isfinite().all()) for t in _step(network, network))


def test_recomputed_by_a_checkpoint_it_gives_the_same() -> None:
    network = SplineNetwork(_model(), X)
    expected = _step(network, network)

    def again(x: Tensor) -> Encoded:
        found: Encoded = checkpoint(network, x, use_reentrant=False)
        return found

    assert _gap(_step(network, again), expected) == 0.0


def test_channels_last_is_kept_through_the_whole_pass() -> None:
    x = X.to(memory_format=torch.channels_last)
    model = _model().to(memory_format=torch.channels_last)
    network = SplineNetwork(model, x)
    found = network(x)
    assert found.reconstruction.stride() == x.stride()
    torch.manual_seed(0)
    first = network.logits(x)
    torch.manual_seed(0)
    assert _gap([network(x).logits], [first]) < 1e-6


def test_no_gradient_is_kept_where_none_is_wanted() -> None:
    for inverse in ("explicit", "autograd"):
        network = SplineNetwork(_model(), X, inverse=inverse)
        with torch.no_grad():
            found = network(X)
        assert not found.logits.requires_grad
        assert not found.reconstruction.requires_grad


def _distributed_step(rank: int, meeting: str, path: str, state: dict[str, Tensor]) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    network = SplineNetwork(_model(random=False), X[:1])
    network.load_state_dict(state)
    shared = DistributedDataParallel(network)
    found = _step(network, shared, X.chunk(2)[rank])
    if rank == 0:
        torch.save(found[2:], path)
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_have_the_gradient_of_one(tmp_path: Path) -> None:
    network = SplineNetwork(_model(random=False), X[:1])
    expected = _step(network, network)[2:]
    state = {k: v.detach() for k, v in network.state_dict().items()}
    path = str(tmp_path / "gradients.pt")
    given = (str(tmp_path / "meeting"), path, state)
    both = torch.multiprocessing.spawn(_distributed_step, given, nprocs=2, join=False, daemon=True)
    assert any(both.join(timeout=60) for _ in range(4)), "the two processes wait for each other"
    assert _gap(torch.load(path), expected) < 1e-6


# where there is no graph, or no operator


class Through(nn.Module):
    """A linear layer, a function, a linear layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function, self.a, self.b = function, nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.b(self.function(self.a(x)))
        return y


def _on_data(z: Tensor) -> Tensor:
    return torch.relu(z) if z.sum() > -1e9 else z


@pytest.mark.parametrize(
    ("function", "explicit", "said"),
    [
        (_on_data, False, "the control flow depends on the data"),
        (lambda z: z * torch.rand_like(z), False, "is random"),
        (torch.special.i1, True, "autograd inverts what has no operator"),
    ],
)
def test_autograd_steps_in_with_a_warning(function: Callable[[Tensor], Tensor], explicit: bool, said: str) -> None:
    model, x = Through(function).double(), torch.randn(4, 3, dtype=torch.float64)
    with pytest.warns(UserWarning, match=said):
        network = SplineNetwork(model, x)
    (mode,) = network._modes.values()
    assert mode.explicit == explicit
    leaf = x.clone().requires_grad_()
    torch.manual_seed(2)
    logits = model(leaf)
    (back,) = torch.autograd.grad(logits, leaf, logits, create_graph=True)
    expected = torch.autograd.grad(_loss(Encoded(logits, back), x), list(model.parameters()))
    torch.manual_seed(2)
    found = network(x)
    assert _gap(found[:2], (logits, back)) < 1e-10
    assert _gap(torch.autograd.grad(_loss(found, x), list(model.parameters())), expected) < 1e-10


def test_a_call_that_torch_cannot_differentiate_is_named() -> None:
    with pytest.raises(UnsupportedOperatorError, match=r"special_bessel_j0.*no derivative.*replace"):
        SplineNetwork(Through(torch.special.bessel_j0), torch.randn(1, 3))


def test_batch_norm_without_a_graph_is_refused() -> None:
    with pytest.raises(TraceError, match=r"cannot be traced for batches.*eval mode"):
        SplineNetwork(nn.Sequential(Through(_on_data), nn.BatchNorm1d(2)), torch.randn(2, 3))


def test_a_model_that_mixes_samples_is_refused() -> None:
    with pytest.raises(BatchError, match="depends on the others"):
        SplineNetwork(Through(lambda z: z - z.mean(0)).eval(), torch.randn(2, 3))
    with pytest.raises(BatchError, match="depend on the others of its batch"):  # without a graph that would tell
        SplineNetwork(Through(lambda z: z - z.mean(0, keepdim=True)), torch.zeros(2, 3))


# bad input


def test_inputs_of_another_shape_type_or_place_are_refused() -> None:
    network = SplineNetwork(_model(), X)
    for x, said in (
        (torch.zeros(6, 2, 9, 9), r"shape \(6, 2, 9, 9\), expected \(B, 2, 8, 8\)"),
        (torch.zeros(2, 8, 8), "add a batch axis"),
        (torch.zeros(0, 2, 8, 8), "batch is empty"),
        (X.double(), r"float64 on cpu, the model torch.float32 on cpu.*give x.to"),
        (X.to("meta"), "on meta, the model"),
    ):
        with pytest.raises(ShapeError, match=said):
            network(x)


def test_examples_and_options_that_say_nothing_are_refused() -> None:
    with pytest.raises(ShapeError, match="floating point tensor"):
        SplineNetwork(_model(), torch.zeros(1, 2, 8, 8, dtype=torch.int64))
    with pytest.raises(SplineGraphError, match="choose 'explicit' or 'autograd'"):
        SplineNetwork(_model(), X, inverse="exact")
    with pytest.raises(ShapeError, match="the model fails on the example input"):
        SplineNetwork(_model(), torch.zeros(1, 3, 8, 8))


def test_weights_that_are_not_numbers_are_refused() -> None:
    model = _model()
    with torch.no_grad():
        model[0].weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(ParameterError, match=r"'0.weight' holds NaN"):
        SplineNetwork(model, X)


def test_evaluation_mode_of_the_model_alone_is_noticed() -> None:
    model = _model()
    network = SplineNetwork(model, X)
    model.eval()
    with pytest.raises(TrainingModeError, match=r"model.eval\(\) was called.*call train\(\)"):
        network(X)
    network.train()
    network(X)


def test_layers_that_a_path_goes_around_are_refused() -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.b(x + torch.relu(self.a(x)))
            return y

    network = SplineNetwork(Skip(), torch.zeros(1, 3))
    for layer, said in (("a", "by a path around 'linear'"), ("c", "no node or module 'c'"), ("x", "is the input")):
        with pytest.raises(SplineGraphError, match=said):
            network(torch.zeros(2, 3), layers=[layer])
