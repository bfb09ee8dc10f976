"""Normalizing flows: nflows, normflows, zuko, FrEIA, torchdiffeq."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.coverage_models.entry import Built, Entry, table, wrapped

__all__ = ["ENTRIES"]


def _relu_net(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 16), nn.ReLU(), nn.Linear(16, outputs))


def _nflows(name: str) -> Built:
    from nflows import transforms
    from nflows.nn.nets import ResidualNet

    mask = torch.tensor([1, -1, 1, -1])

    def net(inputs: int, outputs: int) -> nn.Module:
        conditioner: nn.Module = ResidualNet(inputs, outputs, hidden_features=16)
        return conditioner

    made: dict[str, Any] = {
        "realnvp": lambda: transforms.AffineCouplingTransform(mask, net),
        "nice": lambda: transforms.AdditiveCouplingTransform(mask, net),
        "maf": lambda: transforms.MaskedAffineAutoregressiveTransform(4, 16),
        "lu": lambda: transforms.LULinear(4),
        "rq_spline": lambda: transforms.PiecewiseRationalQuadraticCouplingTransform(
            mask, net, tails="linear", tail_bound=3.0
        ),
        "linear_spline": lambda: transforms.PiecewiseLinearCouplingTransform(mask, net, tails="linear"),
        "permuted": lambda: transforms.CompositeTransform([
            transforms.RandomPermutation(4), transforms.AdditiveCouplingTransform(mask, net),
        ]),
    }  # fmt: skip
    return wrapped(made[name.removeprefix("nflows_")](), lambda m, x: m(x)), (torch.randn(2, 4),)


def _normflows(name: str) -> Built:
    import normflows

    made: dict[str, Any] = {
        "planar": lambda: normflows.flows.Planar((4,)), "radial": lambda: normflows.flows.Radial((4,)),
        "realnvp": lambda: normflows.flows.AffineCouplingBlock(normflows.nets.MLP([2, 16, 4], init_zeros=False)),
        "masked": lambda: normflows.flows.MaskedAffineFlow(
            torch.tensor([1.0, 0, 1, 0]), normflows.nets.MLP([4, 8, 4]), normflows.nets.MLP([4, 8, 4])
        ),
        "act_norm": lambda: normflows.flows.AffineConstFlow((4,)),
        "residual": lambda: normflows.flows.Residual(normflows.nets.LipschitzMLP([4, 8, 4]), reduce_memory=False),
    }  # fmt: skip
    return wrapped(made[name.removeprefix("normflows_")](), lambda m, x: m(x)[0]), (torch.randn(2, 4),)


def _zuko(name: str) -> Built:
    import zuko

    flow = getattr(zuko.flows, name.removeprefix("zuko_"))(4, transforms=2, hidden_features=(16, 16))
    return wrapped(flow, lambda m, x: m().log_prob(x)), (torch.randn(2, 4),)


def _freia(name: str) -> Built:
    from FrEIA import framework, modules

    chain = framework.SequenceINN(4)
    for _ in range(2):
        if name.endswith("nice"):
            chain.append(modules.NICECouplingBlock, subnet_constructor=_relu_net)
        elif name.endswith("glow"):
            chain.append(modules.GLOWCouplingBlock, subnet_constructor=_relu_net)
        else:
            chain.append(modules.AllInOneBlock, subnet_constructor=_relu_net)
    return wrapped(chain, lambda m, x: m(x)[0]), (torch.randn(2, 4),)


class _Field(nn.Module):
    """A ReLU vector field."""

    def __init__(self) -> None:
        super().__init__()
        self.net = _relu_net(3, 3)

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        return self.net(x)  # type: ignore[no-any-return]


def _ode(name: str) -> Built:
    import torchdiffeq

    times = torch.tensor([0.0, 0.5, 1.0])

    def solve(m: nn.Module, x: Tensor) -> Tensor:
        y: Tensor = torchdiffeq.odeint(m, x, times, method=name.removeprefix("ode_"))[-1]
        return y

    return wrapped(_Field(), solve), (torch.randn(2, 3),)


ENTRIES: tuple[Entry, ...] = (
    *table("flows", _nflows, (
        ("nflows_realnvp", False), ("nflows_nice", True), ("nflows_maf", False), ("nflows_lu", True),
        ("nflows_rq_spline", False), ("nflows_linear_spline", None), ("nflows_permuted", True),
    ), "nflows"),
    *table("flows", _normflows, (
        ("normflows_planar", False), ("normflows_radial", False), ("normflows_realnvp", False),
        ("normflows_masked", False), ("normflows_act_norm", True), ("normflows_residual", None),
    ), "normflows"),
    *table("flows", _zuko, (("zuko_NICE", False), ("zuko_MAF", False), ("zuko_NSF", False)), "zuko"),
    *table("flows", _freia, (("freia_nice", True), ("freia_glow", False), ("freia_all_in_one", False)), "FrEIA"),
    *table("flows", _ode, (("ode_euler", True), ("ode_rk4", True)), "torchdiffeq"),
)  # fmt: skip
