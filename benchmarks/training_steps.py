"""One training step three ways: supervised, with R by the explicit inverse, with R by a double backward."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from splinegraph.training.network import SplineNetwork
from splinegraph.training.topologies import topology

__all__ = ["WAYS", "Case", "measure", "steps"]

WAYS = ("supervised", "explicit", "double backward")


@dataclass(frozen=True)
class Case:
    """What is trained, and how.

    Parameters
    ----------
    network : str
        A name of `splinegraph.training.topologies`, of images 28x28.
    batch : int
    device : str
    channels_last, bf16, compiled : bool
    """

    network: str
    batch: int = 64
    device: str = "cpu"
    channels_last: bool = False
    bf16: bool = False
    compiled: bool = False

    @property
    def label(self) -> str:
        """The settings, for people."""
        parts = [
            "channels_last" if self.channels_last else "contiguous", "bf16" if self.bf16 else "fp32",
            "compiled" if self.compiled else "eager",
        ]  # fmt: skip
        return ", ".join(parts)


class Doubled(nn.Module):
    """A model whose reconstruction autograd makes, as one would write it without this package."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        leaf = x.detach().requires_grad_()
        logits = self.model(leaf)
        (back,) = torch.autograd.grad(logits, leaf, logits, create_graph=True)
        return logits, back


def steps(case: Case) -> dict[str, Callable[[], float]]:
    """Return a training step of each way: forward, loss, backward, Adam; each returns the loss.

    Every way has its own copy of the network, with the same weights, and the same batch.
    """
    torch.manual_seed(0)
    order = torch.channels_last if case.channels_last else torch.contiguous_format
    x = torch.randn(case.batch, 1, 28, 28, device=case.device).to(memory_format=order)
    y = torch.randint(0, 10, (case.batch,), device=case.device)
    made = {}
    for way in WAYS:
        torch.manual_seed(1)
        model = topology(case.network).to(case.device, memory_format=order)
        network: nn.Module = model
        if way == "explicit":
            network = SplineNetwork(model, x)
        elif way == "double backward":
            network = Doubled(model)
        made[way] = _step(network, x, y, case)
    return made


def _step(network: nn.Module, x: Tensor, y: Tensor, case: Case) -> Callable[[], float]:
    run = torch.compile(network) if case.compiled else network
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast(case.device, torch.bfloat16) if case.bf16 else contextlib.nullcontext():
            found = run(x)
        logits, *back = (found,) if isinstance(found, Tensor) else found[:2]
        loss = F.cross_entropy(logits.float(), y)
        for r in back:
            loss = loss + (r.float() - x).square().mean()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def measure(case: Case, repeat: int) -> dict[str, float | str]:
    """Return seconds per step of each way, the least of the turns that they take; or why there are none.

    On CPU seconds of the processor, which other users of the machine disturb less; else on the clock.
    """
    clock = time.process_time if case.device == "cpu" else time.perf_counter
    made, failed = steps(case), {}
    losses = {}
    for way in WAYS:
        try:
            losses[way] = made[way]()
            made[way]()
        except Exception as error:  # noqa: BLE001  # torch.compile refuses a double backward
            failed[way] = f"refused ({type(error).__name__})"
    if "double backward" in losses:
        gap = abs(losses["explicit"] - losses["double backward"])
        assert gap <= (0.05 if case.bf16 else 1e-4) * abs(losses["explicit"]), "the two ways disagree"
    best = dict.fromkeys(losses, float("inf"))
    for _ in range(repeat):
        for way in best:
            start = clock()
            made[way]()  # reads the loss, so that the device has finished
            best[way] = min(best[way], clock() - start)
    return {**best, **failed}
