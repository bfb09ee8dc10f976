"""Sharpness: exact Hessians, the user's weights untouched."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import splinegraph as sg
from splinegraph.errors import DataError, ParameterError, ShapeError


def _data(n: int = 30) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(n, 4, generator=generator, dtype=torch.float64), torch.arange(n) % 3


def _net(kind: nn.Module | None = None) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 5), kind or nn.ReLU(), nn.Linear(5, 3)).double().eval()


def _hessian(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    names = [name for name, _ in net.named_parameters()]
    sizes = [p.numel() for p in net.parameters()]

    def loss(flat: Tensor) -> Tensor:
        parts = [t.reshape(p.shape) for t, p in zip(flat.split(sizes), net.parameters(), strict=True)]
        return F.cross_entropy(torch.func.functional_call(net, dict(zip(names, parts, strict=True)), (x,)), y)

    flat = torch.cat([p.detach().flatten() for p in net.parameters()])
    return torch.autograd.functional.hessian(loss, flat)


@pytest.mark.parametrize("kind", [nn.ReLU(), nn.Tanh(), nn.LeakyReLU(0.1)])
def test_the_curvature_is_the_largest_eigenvalue(kind: nn.Module) -> None:
    x, y = _data()
    net = _net(kind)
    largest = float(torch.linalg.eigvalsh(_hessian(net, x, y))[-1])
    found = sg.sharpness(sg.trace(net, x[:1]), x, y, steps=40, draws=0)
    assert found.curvature == pytest.approx(largest, rel=1e-9)
    assert found.residual is not None
    assert found.residual < 1e-6
    with torch.no_grad():
        assert sg.sharpness(sg.trace(net, x[:1]), x, y, steps=40, draws=0) == found


def test_few_steps_give_a_lower_bound_with_an_honest_residual() -> None:
    x, y = _data()
    net = _net()
    values = torch.linalg.eigvalsh(_hessian(net, x, y))
    for steps in (1, 2, 4):
        found = sg.sharpness(sg.trace(net, x[:1]), x, y, steps=steps, draws=0)
        assert found.curvature is not None
        assert found.residual is not None
        assert found.curvature <= float(values[-1]) + 1e-12
        assert float((values - found.curvature).abs().min()) <= found.residual + 1e-12


def test_rises_are_those_of_filter_normalised_noise() -> None:
    """Recomputed with a copy of the model whose weights are written."""
    x, y = _data()
    net = _net()
    found = sg.sharpness(sg.trace(net, x[:1]), x, y, radius=0.3, draws=2, steps=0, seed=5)
    generator = torch.Generator().manual_seed(5)
    for rise in found.rises:
        copy = _net()
        with torch.no_grad():
            for p in copy.parameters():
                noise = torch.randn(p.shape, generator=generator, dtype=torch.float64)
                if p.dim() > 1:
                    p += 0.3 * noise * (p.norm(dim=1) / noise.norm(dim=1))[:, None]
        assert rise == pytest.approx(float(F.cross_entropy(copy(x), y).detach()) - found.loss, abs=1e-12)
    assert found.loss == pytest.approx(float(F.cross_entropy(net(x), y).detach()), abs=1e-12)
    assert found.largest == max(found.rises)
    assert [bar.get_height() for bar in found.plot().patches] == sorted(found.rises)


def test_rescaled_layers_are_as_sharp() -> None:
    """A rectifier does not notice that one layer is scaled up and the next one down; neither do the rises."""
    x, y = _data()
    net, other = _net(), _net()
    with torch.no_grad():
        other[0].weight *= 8
        other[0].bias *= 8
        other[2].weight /= 8
    found = [sg.sharpness(sg.trace(n, x[:1]), x, y, steps=10, draws=3) for n in (net, other)]
    assert found[0].rises == pytest.approx(found[1].rises, abs=1e-9)
    assert found[0].curvature != pytest.approx(found[1].curvature, rel=0.1)


def test_batches_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    from splinegraph.analyses.measures import sharpness as module

    x, y = _data()
    graph = sg.trace(_net(), x[:1])
    whole = sg.sharpness(graph, x, y, draws=2, steps=5)
    real = module.LossOfWeights
    monkeypatch.setattr(module, "LossOfWeights", lambda *given: real(*given, batch=7))
    parts = sg.sharpness(graph, x, y, draws=2, steps=5)
    assert parts.rises == pytest.approx(whole.rises, abs=1e-12)
    assert parts.curvature == pytest.approx(whole.curvature, rel=1e-9)
    assert parts.gradient == pytest.approx(whole.gradient, rel=1e-9)


def test_the_users_weights_are_only_read() -> None:
    x, y = _data()
    net = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)).eval()
    before = {name: (t.clone(), t._version) for name, t in net.state_dict().items()}
    sg.sharpness(sg.trace(net, torch.zeros(1, 4)), x.float(), y)
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name][0])
        assert tensor._version == before[name][1]
    assert all(p.grad is None for p in net.parameters())


def test_refusals() -> None:
    x, y = _data()
    graph = sg.trace(_net(), x[:1])
    with pytest.raises(DataError, match="no classes"):
        sg.sharpness(graph, x, y + 1)
    with pytest.raises(DataError, match="for 30 samples"):
        sg.sharpness(graph, x, y[:4])
    with pytest.raises(ShapeError, match="radius"):
        sg.sharpness(graph, x, y, radius=math.nan)
    with pytest.raises(ShapeError, match="one score per class"):
        sg.sharpness(sg.trace(nn.Linear(4, 1).double().eval(), x[:1]), x, y)
    with pytest.raises(ParameterError, match="no parameters"):
        sg.sharpness(sg.trace(nn.Sequential(nn.ReLU()).eval(), x[:1]), x, y)


def test_a_loss_of_ones_own_and_a_dead_network() -> None:
    x, y = _data()
    net = _net()
    with torch.no_grad():
        for p in net.parameters():
            p.zero_()
    found = sg.sharpness(sg.trace(net, x[:1]), x, y.double(), loss=lambda f, t: ((f[:, 0] - t) ** 2).mean())
    assert found.rises == (0.0,) * 10
    assert found.curvature == pytest.approx(2.0)  # of the last bias alone
    assert found.to_dict()["curvature_kind"] == "lower"


def test_a_loss_that_is_no_number_is_refused() -> None:
    graph, (x, y) = sg.trace(_net(), torch.zeros(1, 4).double()), _data()
    with pytest.raises(DataError, match="the loss is nan"):
        sg.sharpness(graph, x * math.nan, y)
