"""Open a PyTorch network as a composition of linear spline operators.

`trace` turns a model into a graph of operators, `codes` says which piece every unit is on and `affine_map`
which affine map f(x) = A[x] x + b[x] the network applies.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from splinegraph.analyses.affine_map import AffineMap, affine_map
    from splinegraph.analyses.codes import ActivationPattern, codes
    from splinegraph.analyses.convexity.checklist import Checklist, checklist
    from splinegraph.analyses.convexity.convexity import convexity
    from splinegraph.analyses.convexity.inference import Inference, inference
    from splinegraph.analyses.convexity.verdict import Status, Verdict, Verdicts
    from splinegraph.analyses.convexity.witness import Witness
    from splinegraph.analyses.factors import Factors, conv_matrix, factors
    from splinegraph.analyses.lipschitz.bound import LipschitzBound
    from splinegraph.analyses.lipschitz.certificate import Certificate, load_certificate
    from splinegraph.analyses.lipschitz.lipschitz import lipschitz
    from splinegraph.analyses.measures.activity import Activity, activity
    from splinegraph.analyses.measures.gap import (
        GeneralizationGap,
        TopologySelection,
        generalization_gap,
        topology_selection,
    )
    from splinegraph.analyses.measures.sharpness import Sharpness, sharpness
    from splinegraph.analyses.measures.smoothness import Smoothness, smoothness
    from splinegraph.analyses.regions.chords.chords import Chords, chords
    from splinegraph.analyses.regions.counting import count_bound
    from splinegraph.analyses.regions.enumerate import enumerate_regions
    from splinegraph.analyses.regions.local.region import LocalRegion, local_region
    from splinegraph.analyses.regions.neighborhood.neighborhood import neighborhood
    from splinegraph.analyses.regions.neighborhood.result import Neighborhood
    from splinegraph.analyses.regions.partition.cell import Cell
    from splinegraph.analyses.regions.partition.partition import Partition
    from splinegraph.analyses.regions.sampling.sample import RegionSample, sample_regions
    from splinegraph.analyses.regions.verify.verification import Verification
    from splinegraph.analyses.report.compare import Comparison, compare
    from splinegraph.analyses.report.report import Report, analyze
    from splinegraph.analyses.robustness.adversarial import AdversarialDistance, min_adversarial
    from splinegraph.analyses.robustness.penalty import ContractionPenalty, contraction_penalty
    from splinegraph.analyses.robustness.radius import CertifiedRadius, certified_radius
    from splinegraph.analyses.robustness.softmax import softmax_constant, softmax_lipschitz
    from splinegraph.analyses.robustness.step import Sensitivity, adversarial_step, sensitivity_ratio
    from splinegraph.core.bound import Bound
    from splinegraph.core.domains.ball import Ball
    from splinegraph.core.domains.plane import Plane
    from splinegraph.core.domains.polytope import Polytope
    from splinegraph.core.domains.segment import Segment
    from splinegraph.core.exact import latex
    from splinegraph.core.graph import Node, SplineGraph
    from splinegraph.core.values import Box, Curvature, Monotonicity
    from splinegraph.data.reading import read_data
    from splinegraph.data.source import DataSource
    from splinegraph.errors import SplineGraphError
    from splinegraph.export.graphs.figure import plot_graph, save_figure
    from splinegraph.export.graphs.gexf import write_gexf
    from splinegraph.export.graphs.graphml import write_graphml
    from splinegraph.export.graphs.node_link import write_json
    from splinegraph.splines import AffineSpline, Spline1d, SplineSpace
    from splinegraph.tracers.loading.preprocessing import logits, normalized
    from splinegraph.tracers.loading.target import load
    from splinegraph.tracers.onnx.reading import read_onnx
    from splinegraph.tracers.tracing import trace
    from splinegraph.transforms.difference.difference import Difference, difference_of_convex
    from splinegraph.transforms.difference.relaxing import Relaxation
    from splinegraph.transforms.max_affine import MaxAffineForm, max_affine
    from splinegraph.transforms.max_affine_fit import MaxAffineFit, max_affine_fit
    from splinegraph.transforms.spline.spline import spline
    from splinegraph.transforms.spline.substitution import SplineNode, SplineSubstitution

__all__ = [
    "ActivationPattern",
    "Activity",
    "AdversarialDistance",
    "AffineMap",
    "AffineSpline",
    "Ball",
    "Bound",
    "Box",
    "Cell",
    "Certificate",
    "CertifiedRadius",
    "Checklist",
    "Chords",
    "Comparison",
    "ContractionPenalty",
    "Curvature",
    "DataSource",
    "Difference",
    "Factors",
    "GeneralizationGap",
    "Inference",
    "LipschitzBound",
    "LocalRegion",
    "MaxAffineFit",
    "MaxAffineForm",
    "Monotonicity",
    "Neighborhood",
    "Node",
    "Partition",
    "Plane",
    "Polytope",
    "RegionSample",
    "Relaxation",
    "Report",
    "Segment",
    "Sensitivity",
    "Sharpness",
    "Smoothness",
    "Spline1d",
    "SplineGraph",
    "SplineGraphError",
    "SplineNode",
    "SplineSpace",
    "SplineSubstitution",
    "Status",
    "TopologySelection",
    "Verdict",
    "Verdicts",
    "Verification",
    "Witness",
    "activity",
    "adversarial_step",
    "affine_map",
    "analyze",
    "certified_radius",
    "checklist",
    "chords",
    "codes",
    "compare",
    "contraction_penalty",
    "conv_matrix",
    "convexity",
    "count_bound",
    "difference_of_convex",
    "enumerate_regions",
    "factors",
    "generalization_gap",
    "inference",
    "latex",
    "lipschitz",
    "load",
    "load_certificate",
    "local_region",
    "logits",
    "max_affine",
    "max_affine_fit",
    "min_adversarial",
    "neighborhood",
    "normalized",
    "plot_graph",
    "read_data",
    "read_onnx",
    "sample_regions",
    "save_figure",
    "sensitivity_ratio",
    "sharpness",
    "smoothness",
    "softmax_constant",
    "softmax_lipschitz",
    "spline",
    "topology_selection",
    "trace",
    "write_gexf",
    "write_graphml",
    "write_json",
]

__version__ = "0.1.0"

# torch takes a second to import: `splinegraph --help` need not wait for it
_WHERE = {
    "analyses.affine_map": ("AffineMap", "affine_map"),
    "analyses.codes": ("ActivationPattern", "codes"),
    "analyses.factors": ("Factors", "conv_matrix", "factors"),
    "analyses.convexity.checklist": ("Checklist", "checklist"),
    "analyses.convexity.convexity": ("convexity",),
    "analyses.convexity.inference": ("Inference", "inference"),
    "analyses.convexity.verdict": ("Status", "Verdict", "Verdicts"),
    "analyses.convexity.witness": ("Witness",),
    "analyses.lipschitz.bound": ("LipschitzBound",),
    "analyses.lipschitz.certificate": ("Certificate", "load_certificate"),
    "analyses.lipschitz.lipschitz": ("lipschitz",),
    "analyses.measures.activity": ("Activity", "activity"),
    "analyses.measures.gap": ("GeneralizationGap", "TopologySelection", "generalization_gap", "topology_selection"),
    "analyses.measures.sharpness": ("Sharpness", "sharpness"),
    "analyses.measures.smoothness": ("Smoothness", "smoothness"),
    "analyses.regions.chords.chords": ("Chords", "chords"),
    "analyses.regions.counting": ("count_bound",),
    "analyses.regions.enumerate": ("enumerate_regions",),
    "analyses.regions.local.region": ("LocalRegion", "local_region"),
    "analyses.regions.neighborhood.neighborhood": ("neighborhood",),
    "analyses.regions.neighborhood.result": ("Neighborhood",),
    "analyses.regions.partition.cell": ("Cell",),
    "analyses.regions.partition.partition": ("Partition",),
    "analyses.regions.sampling.sample": ("RegionSample", "sample_regions"),
    "analyses.regions.verify.verification": ("Verification",),
    "analyses.report.compare": ("Comparison", "compare"),
    "analyses.report.report": ("Report", "analyze"),
    "analyses.robustness.adversarial": ("AdversarialDistance", "min_adversarial"),
    "analyses.robustness.penalty": ("ContractionPenalty", "contraction_penalty"),
    "analyses.robustness.radius": ("CertifiedRadius", "certified_radius"),
    "analyses.robustness.softmax": ("softmax_constant", "softmax_lipschitz"),
    "analyses.robustness.step": ("Sensitivity", "adversarial_step", "sensitivity_ratio"),
    "core.bound": ("Bound",),
    "core.domains.ball": ("Ball",),
    "core.domains.plane": ("Plane",),
    "core.domains.polytope": ("Polytope",),
    "core.domains.segment": ("Segment",),
    "core.exact": ("latex",),
    "core.graph": ("Node", "SplineGraph"),
    "core.values": ("Box", "Curvature", "Monotonicity"),
    "data.reading": ("read_data",),
    "data.source": ("DataSource",),
    "errors": ("SplineGraphError",),
    "export.graphs": ("plot_graph", "save_figure", "write_gexf", "write_graphml", "write_json"),
    "splines": ("AffineSpline", "Spline1d", "SplineSpace"),
    "tracers.loading.preprocessing": ("logits", "normalized"),
    "tracers.loading.target": ("load",),
    "tracers.onnx.reading": ("read_onnx",),
    "tracers.tracing": ("trace",),
    "transforms.max_affine": ("MaxAffineForm", "max_affine"),
    "transforms.max_affine_fit": ("MaxAffineFit", "max_affine_fit"),
    "transforms.spline.spline": ("spline",),
    "transforms.spline.substitution": ("SplineNode", "SplineSubstitution"),
    "transforms.difference.difference": ("Difference", "difference_of_convex"),
    "transforms.difference.relaxing": ("Relaxation",),
}
_MODULES = {name: f"splinegraph.{module}" for module, names in _WHERE.items() for name in names}


_PACKAGES = ("nn", "splines", "testing", "training")
"""Open with the package: ``sg.nn.ConvexLinear``."""


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"splinegraph.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module 'splinegraph' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
