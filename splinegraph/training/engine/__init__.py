"""The engine: a plain PyTorch loop that saves, resumes, measures and reports."""

from splinegraph.training.engine.figures import plot_accuracies, plot_confusion, plot_reconstructions
from splinegraph.training.engine.results import Progress, TrainingResult
from splinegraph.training.engine.settings import Settings
from splinegraph.training.engine.tracker import RegionTracker, Snapshot
from splinegraph.training.engine.trainer import Trainer

__all__ = [
    "Progress",
    "RegionTracker",
    "Settings",
    "Snapshot",
    "Trainer",
    "TrainingResult",
    "plot_accuracies",
    "plot_confusion",
    "plot_reconstructions",
]
