"""The semi-supervised objective: cross entropy, reconstruction through the network's own spline, entropy, options."""

from splinegraph.training.objective import schedules
from splinegraph.training.objective.loss import SemiSupervisedLoss
from splinegraph.training.objective.losses import Losses
from splinegraph.training.objective.presets import PRESETS, preset
from splinegraph.training.objective.settings import Objective
from splinegraph.training.objective.tuning import WeightTuner, hypergradient, onto_simplex

__all__ = [
    "PRESETS",
    "Losses",
    "Objective",
    "SemiSupervisedLoss",
    "WeightTuner",
    "hypergradient",
    "onto_simplex",
    "preset",
    "schedules",
]
