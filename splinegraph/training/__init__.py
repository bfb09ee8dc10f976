"""Train a traced network with few labels: cross entropy, reconstruction through its own inverse, entropy."""

from __future__ import annotations

from splinegraph.training.datasets import (
    DATASETS,
    NORMALISATIONS,
    IndexBatches,
    LabelDraw,
    Loaders,
    TrainingData,
    draw_labels,
    load_data,
    loaders,
    normalise,
)
from splinegraph.training.engine import (
    Progress,
    RegionTracker,
    Settings,
    Snapshot,
    Trainer,
    TrainingResult,
    plot_accuracies,
    plot_confusion,
    plot_reconstructions,
)
from splinegraph.training.experiments import TABLE4, Arm, Estimate, Findings, paired, study
from splinegraph.training.network import Encoded, SplineNetwork
from splinegraph.training.objective import (
    PRESETS,
    Losses,
    Objective,
    SemiSupervisedLoss,
    WeightTuner,
    hypergradient,
    preset,
    schedules,
)
from splinegraph.training.topologies import TOPOLOGIES, topology

__all__ = [
    "DATASETS",
    "NORMALISATIONS",
    "PRESETS",
    "TABLE4",
    "TOPOLOGIES",
    "Arm",
    "Encoded",
    "Estimate",
    "Findings",
    "IndexBatches",
    "LabelDraw",
    "Loaders",
    "Losses",
    "Objective",
    "Progress",
    "RegionTracker",
    "SemiSupervisedLoss",
    "Settings",
    "Snapshot",
    "SplineNetwork",
    "Trainer",
    "TrainingData",
    "TrainingResult",
    "WeightTuner",
    "draw_labels",
    "hypergradient",
    "load_data",
    "loaders",
    "normalise",
    "paired",
    "plot_accuracies",
    "plot_confusion",
    "plot_reconstructions",
    "preset",
    "schedules",
    "study",
    "topology",
]
