"""Data to train on: known image sets and a user's own, label draws, and batches with and without labels."""

from splinegraph.training.datasets.batches import IndexBatches, Loaders, loaders
from splinegraph.training.datasets.data import TrainingData
from splinegraph.training.datasets.labels import LabelDraw, draw_labels
from splinegraph.training.datasets.loading import DATASETS, load_data
from splinegraph.training.datasets.normalising import NORMALISATIONS, normalise

__all__ = [
    "DATASETS",
    "NORMALISATIONS",
    "IndexBatches",
    "LabelDraw",
    "Loaders",
    "TrainingData",
    "draw_labels",
    "load_data",
    "loaders",
    "normalise",
]
