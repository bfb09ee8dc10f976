"""Open a PyTorch network as a composition of linear spline operators.

    graph = splinegraph.trace(model, example)         # a graph of operators, checked against the model
    splinegraph.codes(graph, X)                       # which piece every unit is on
    splinegraph.affine_map(graph, X)                  # f(x) = A[x] x + b[x]
"""

from splinegraph.analyses.affine_map import AffineMap, affine_map
from splinegraph.analyses.codes import ActivationPattern, codes
from splinegraph.analyses.factors import Factors, conv_matrix, factors
from splinegraph.analyses.summary import Report, analyze
from splinegraph.core.graph import Node, SplineGraph
from splinegraph.core.values import Box, Curvature, Monotonicity
from splinegraph.errors import SplineGraphError
from splinegraph.tracers.tracing import trace

__all__ = [
    "ActivationPattern",
    "AffineMap",
    "Box",
    "Curvature",
    "Factors",
    "Monotonicity",
    "Node",
    "Report",
    "SplineGraph",
    "SplineGraphError",
    "affine_map",
    "analyze",
    "codes",
    "conv_matrix",
    "factors",
    "trace",
]

__version__ = "0.1.0"
