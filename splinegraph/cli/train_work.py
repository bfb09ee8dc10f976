"""What `splinegraph train` does."""

from __future__ import annotations

import contextlib
import platform
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from splinegraph.analyses.provenance import version
from splinegraph.cli.train_files import keep_request
from splinegraph.cli.train_plan import arms, data_of
from splinegraph.cli.train_progress import shown
from splinegraph.training.datasets import TrainingData
from splinegraph.training.engine.processes import joined, rank
from splinegraph.training.experiments.findings import SUPERVISED, Findings
from splinegraph.training.experiments.running import Arm, study

__all__ = ["FORMAT", "Trained", "terminated", "work"]

FORMAT = "splinegraph train 1"
"""Name and version of what is written as JSON."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What was trained, and where it comes from.

    Parameters
    ----------
    findings : Findings
    notes : tuple of str
        Where networks and data come from.
    request, provenance : mapping
        What was asked for, and the versions and the machine that the numbers belong to.
    """

    findings: Findings
    notes: tuple[str, ...]
    request: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def table4(self) -> bool:
        """Whether the paper's table was asked for."""
        return bool(self.request["table4"])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "format": FORMAT, **self.findings.to_dict(), "notes": list(self.notes), "request": dict(self.request),
            "provenance": dict(self.provenance),
        }  # fmt: skip


def work(command: str, asked: Mapping[str, Any], folder: Path | None, *, resume: bool, quiet: bool) -> Trained:
    """Train every arm on every draw of the labels."""
    with contextlib.redirect_stdout(sys.stderr), joined():
        data = data_of(asked, command)
        planned = arms(asked, data, command)
        if folder is not None and not rank():
            keep_request(asked, folder)
        with shown(len(planned) * asked["draws"], quiet=quiet or bool(rank())) as watch:
            findings = study(planned, data, asked["draws"], out=folder, resume=resume, listener=watch)
    return Trained(findings, (told_of(data), *data.notes, *_rates(planned)), dict(asked), _provenance(asked["device"]))


@contextlib.contextmanager
def terminated() -> Iterator[None]:
    """Let SIGTERM, of a cluster that takes its machine back, do what Ctrl-C does, where nobody else handles it.

    Those after the first say the same: torchrun and the cluster may both send one, and the second would interrupt the
    saving.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def once(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, once)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _rates(planned: Sequence[Arm]) -> Iterator[str]:
    """Say where the labels alone have a learning rate of their own."""
    rates: dict[bool, set[float]] = {True: set(), False: set()}
    for arm in planned:
        rates[arm.way == SUPERVISED].add(arm.settings.learning_rate)
    if rates[True] and rates[False] and rates[True] != rates[False]:
        own, other = (", ".join(f"{rate:g}" for rate in sorted(rates[alone])) for alone in (True, False))
        yield f"learning rate of the labels alone: {own}, in place of {other}"


def told_of(data: TrainingData) -> str:
    """Return what the data are, in words."""
    sizes = f"{len(data.x_train)} samples to train on, {len(data.x_test)} to test on"
    shape = "×".join(map(str, data.shape))
    return f"data: {data.name}: {sizes}, {shape}, {data.classes} classes, normalisation {data.normalisation}"


def _provenance(device: str) -> dict[str, Any]:
    chosen = torch.device(device)
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else platform.processor() or platform.machine()
    return {
        "splinegraph": version(),
        "torch": torch.__version__,
        "device": name,
        "threads": torch.get_num_threads(),
    }
