"""The networks of the paper's Tables 6 and 7, with mean or max pooling or strides, and their convex versions."""

from splinegraph.training.topologies.catalogue import TOPOLOGIES, topology

__all__ = ["TOPOLOGIES", "topology"]
