"""Open a PyTorch network as a composition of linear spline operators."""

from splinegraph.analyses.affine_map import AffineMap, affine_map
from splinegraph.analyses.codes import ActivationPattern, codes
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.tracers.tracing import trace

__all__ = [
    "ActivationPattern",
    "AffineMap",
    "Box",
    "Curvature",
    "Monotonicity",
    "Node",
    "SplineGraph",
    "affine_map",
    "codes",
    "trace",
]

__version__ = "0.1.0"
