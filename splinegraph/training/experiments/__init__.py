"""Experiments: several ways to train, each on the same draws of labels, and what the difference is worth."""

from splinegraph.training.experiments.findings import Failure, Findings, Key, Trial
from splinegraph.training.experiments.running import Arm, study
from splinegraph.training.experiments.statistics import Estimate, estimate, paired
from splinegraph.training.experiments.table4 import TABLE4

__all__ = ["TABLE4", "Arm", "Estimate", "Failure", "Findings", "Key", "Trial", "estimate", "paired", "study"]
