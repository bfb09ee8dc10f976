"""Models that torch.export cannot follow; apart from the tests, in whose code pytest changes what `assert` does."""

from __future__ import annotations

import copy
import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


@torch.library.custom_op("splinegraph_tests::doubled", mutates_args=())
def doubled(x: Tensor) -> Tensor:
    """An operator of which torch knows no more than how to run it."""
    return x * 2 + 1


@torch.fx.wrap
def sorted_by_numpy(x: Tensor) -> Tensor:
    return torch.from_numpy(np.sort(x.detach().numpy(), axis=-1))


@torch.fx.wrap
def parts_by_numpy(x: Tensor) -> tuple[Tensor, Tensor]:
    values = x.detach().numpy()
    return torch.from_numpy(np.maximum(values, 0)), torch.from_numpy(np.minimum(values, 0))


class Call(nn.Module):
    """A function of one tensor and perhaps a module; torch.fx does not follow *args."""

    def __init__(self, function: Any, *parts: nn.Module) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.function(x, *self.parts)
        return result


class Rectifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor([0.5, -0.5, 0.25]))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.shift)


class ByNumpy(Rectifier):
    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(np.abs(x.detach().numpy())) * self.shift


def linear() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 3)


def potential(x: Tensor, m: nn.Module) -> Tensor:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return torch.autograd.grad(m(x).tanh().sum(), x)[0]


def gradient(x: Tensor, m: nn.Module) -> Tensor:
    return torch.func.vmap(torch.func.grad(lambda row: m(row).tanh().sum()))(x)


def copied(x: Tensor, m: nn.Module) -> Tensor:
    return copy.deepcopy(m)(x).relu()


def checked(x: Tensor, m: nn.Module) -> Tensor:
    if torch.isnan(x).any() or (x.abs() > 1e6).any():
        raise ValueError("not a number, or too large")
    assert torch.all(x == x), f"{x}"
    assert not torch.isinf(x).any()
    return m(x).relu()


def writes(x: Tensor, m: nn.Module) -> Tensor:
    y = doubled(m(x))
    y[:, 0] = 0.5
    y[:, 1:].mul_(3)
    return y.view(-1, 3).relu_()


def two_parts(x: Tensor, m: nn.Module) -> Tensor:
    above, below = parts_by_numpy(m(x))
    return above - below


def recurrent(x: Tensor, m: nn.Module) -> Tensor:
    out: Tensor = m(x[:, None].expand(-1, 4, -1))[0]
    return doubled(out[:, -1])


class Modes(nn.Module):
    def forward(self, x: Tensor, mode: str = "relu", factor: float | None = None) -> Tensor:
        assert not torch.isnan(x).any()
        y = x.relu() if mode == "relu" else x.abs()
        return y if factor is None else y * factor


RESCUED: dict[str, tuple[Callable[[], nn.Module], bool, str]] = {
    "an operator without a fake": (lambda: Call(lambda x, m: doubled(m(x)).relu(), linear()), False, "fake impl"),
    "the gradient of a potential": (lambda: Call(potential, linear()), False, "one sample"),
    "torch.func.grad": (lambda: Call(gradient, linear()), False, "one sample"),
    "a scripted module": (lambda: nn.Sequential(linear(), torch.jit.script(Rectifier().eval())), False, "one sample"),
    "a copy of a module": (lambda: Call(copied, linear()), False, "parameters that the model makes"),
    "checks of the data": (lambda: Call(checked, linear()), True, "checks of its data are not in the graph"),
    "writes into views": (lambda: Call(writes, linear()), False, "one sample"),
    "recurrence": (lambda: Call(recurrent, nn.LSTM(3, 3, batch_first=True)), False, "one sample"),
    "a wrapped function": (lambda: Call(lambda x, m: sorted_by_numpy(m(x)).relu(), linear()), False, "sorted_by_numpy"),
    "a wrapped function of two results": (lambda: Call(two_parts, linear()), False, "parts_by_numpy"),
}  # fmt: skip


def address(x: Tensor) -> Tensor:
    numbers = (ctypes.c_float * x.numel()).from_address(x.detach().data_ptr())
    return torch.tensor(list(numbers)).reshape(x.shape)


def swallowed(x: Tensor) -> Tensor:
    try:
        return x * x.max().item()
    except RuntimeError:
        return x


HIDDEN: dict[str, Callable[[Tensor], Tensor]] = {
    "if": lambda x: x.relu() if x.sum() > 0 else x,
    "item": lambda x: x * x.max().item(),
    "int": lambda x: x * int(x[0, 0]),
    "item, swallowed": swallowed,
    "numpy": lambda x: x + torch.from_numpy(x.detach().numpy() + 1),
    "asarray": lambda x: x + torch.as_tensor(np.asarray(x.detach()) + 1),
    "tolist": lambda x: x * sum(x.tolist()[0]),
    "equal": lambda x: x if torch.equal(x, x.relu()) else -x,
    "mask": lambda x: x[x > 0].sum()[None] + x[:, 0],
    "nonzero": lambda x: x.nonzero().sum() + x[:, 0],
    "its address": lambda x: x + address(x),
    "an index": lambda x: x[:, [i for i in range(3) if float(address(x)[0, i]) > 0]].sum(1),
}


def returns_early(x: Tensor) -> Tensor:
    if x.sum() > 0:
        return x
    return x.relu()


def one_branch(x: Tensor) -> Tensor:
    if x.sum() > 0:
        x = x.relu()
    return x


def loop(x: Tensor) -> Tensor:
    while x.sum() > 100:
        x = x / 2
    return x


def branch_before_raise(x: Tensor) -> Tensor:
    if x.sum() > 0:
        if x.max() > 5:
            raise ValueError
        return x.relu()
    return x


def caught(x: Tensor) -> Tensor:
    try:
        if x.sum() > 0:
            raise ValueError
    except ValueError:
        return x.relu()
    return x


BRANCHES = [returns_early, one_branch, loop, branch_before_raise, caught]
