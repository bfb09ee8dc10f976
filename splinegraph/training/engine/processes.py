"""Several processes that train one model, each on its share of every batch (torchrun)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from splinegraph.errors import SplineGraphError

__all__ = ["Processes", "device_for", "join", "joined", "rank", "several"]


@dataclass(frozen=True)
class Processes:
    """One of the processes of a run, and how many there are.

    Parameters
    ----------
    rank, count : int
    device : torch.device
        Of this process.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def share(self, rows: Tensor) -> Tensor:
        """Return this process's rows of a batch that all of them know."""
        return rows[self.rank :: self.count]

    def check(self, **sizes: int) -> None:
        """Refuse batches that cannot be shared equally, which would weigh some rows more than others."""
        for name, size in sizes.items():
            if size % self.count:
                low = max(size - size % self.count, self.count)
                raise SplineGraphError(
                    f"{name} of {size} rows for {self.count} processes",
                    why="each takes the same number of rows",
                    remedy=f"give a multiple of {self.count}, such as {low}",
                )

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return a module whose gradients are averaged over the processes."""
        if self.count == 1:
            return module
        return nn.parallel.DistributedDataParallel(module)

    def any(self, flag: bool) -> bool:
        """Return whether it holds in any process."""
        if self.count == 1:
            return flag
        total = torch.tensor(float(flag), device=self.device)
        torch.distributed.all_reduce(total)
        return bool(total > 0)

    def gathered(self, value: Any) -> list[Any]:
        """Return each process's value, in the order of their ranks; everybody has to ask."""
        if self.count == 1:
            return [value]
        found: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(found, value)
        return found

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over the processes."""
        if self.count == 1:
            return values
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total / self.count


def join(device: str) -> Processes:
    """Return the processes that torchrun started, or the one that there is.

    The group is made unless it is there. On CUDA each process takes the device of its local rank.

    Raises
    ------
    SplineGraphError
        If there is no such device.
    """
    wanted = device_for(device)
    if not torch.distributed.is_available():
        return Processes(0, 1, wanted)
    if not _in_group():
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return Processes(0, 1, wanted)
        torch.distributed.init_process_group("nccl" if wanted.type == "cuda" else "gloo")
    if wanted.type == "cuda":
        wanted = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(wanted)
    return Processes(torch.distributed.get_rank(), torch.distributed.get_world_size(), wanted)


def rank() -> int:
    """Return which of the processes of torchrun this is; also before they have joined."""
    return int(os.environ.get("RANK", "0"))


def several() -> bool:
    """Return whether processes have joined that wait for each other."""
    return _in_group() and torch.distributed.get_world_size() > 1


@contextmanager
def joined() -> Iterator[None]:
    """Leave at the end of the block the group of processes that was made in it, if any."""
    before = _in_group()
    try:
        yield
    finally:
        if _in_group() and not before:
            torch.distributed.destroy_process_group()


def _in_group() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def device_for(device: str) -> torch.device:
    """Return a device, or refuse one that is not there."""
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise SplineGraphError(f"no device {device!r}", remedy="give 'cpu' or 'cuda'") from error
    if found.type not in ("cpu", "cuda"):
        why = "training runs on CPUs and CUDA devices"
        raise SplineGraphError(f"no training on {device!r}", why=why, remedy="give 'cpu' or 'cuda'")
    there = torch.cuda.device_count() if found.type == "cuda" else 1
    if found.type == "cuda" and (found.index or 0) >= there:
        why = f"torch {torch.__version__} sees {there} CUDA devices"
        raise SplineGraphError(f"no device {device!r}", why=why, remedy="use device='cpu', or a torch with CUDA")
    return found
