"""Accuracy while training, of all arms: Fig 13 of the paper."""

from __future__ import annotations

from pathlib import Path

from splinegraph.export.graphs import save_figure
from splinegraph.training.engine.figures import plot_accuracies
from splinegraph.training.experiments.findings import Findings

__all__ = ["draw"]

KINDS = ("svg", "png")


def draw(found: Findings, folder: Path) -> list[Path]:
    """Draw one figure per network and number of labels, a color per way to train; returns the files."""
    files: list[Path] = []
    for network, labels in dict.fromkeys((key.network, key.labels) for key in found.keys):
        curves = {
            key.way: [
                ([point["step"] for point in curve], [point["accuracy"] for point in curve])
                for trial in found.of(key).values()
                if (curve := trial.report.get("curve"))
            ]
            for key in found.keys
            if (key.network, key.labels) == (network, labels)
        }
        axes = plot_accuracies(curves)
        axes.set_title(f"{network}, {labels} labels", fontsize=9)
        paths = [folder / network / f"{labels}-labels" / f"accuracy.{kind}" for kind in KINDS]
        files += [save_figure(axes, path) for path in paths]
    return files
