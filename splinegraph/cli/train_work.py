"""What `splinegraph train` does."""

from __future__ import annotations

import contextlib
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from splinegraph.analyses.provenance import version
from splinegraph.cli.train_files import first_process, keep_request
from splinegraph.cli.train_plan import arms, data_of
from splinegraph.cli.train_progress import shown
from splinegraph.training.datasets import TrainingData
from splinegraph.training.experiments.findings import Findings
from splinegraph.training.experiments.running import study

__all__ = ["FORMAT", "Trained", "work"]

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
    with contextlib.redirect_stdout(sys.stderr):
        data = data_of(asked, command)
        planned = arms(asked, data, command)
        if folder is not None and first_process():
            keep_request(asked, folder)
        with shown(len(planned) * asked["draws"], quiet=quiet or not first_process()) as watch:
            findings = study(planned, data, asked["draws"], out=folder, resume=resume, listener=watch)
    return Trained(findings, (told_of(data), *data.notes), dict(asked), _provenance(asked["device"]))


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
