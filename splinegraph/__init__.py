"""Open a PyTorch network as a composition of linear spline operators.

`trace` turns a model into a graph of operators, `codes` says which piece every unit is on and `affine_map`
which affine map f(x) = A[x] x + b[x] the network applies.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from splinegraph.analyses.activation.activation_graph import activation_graph
    from splinegraph.analyses.activation.result import ActivationGraph
    from splinegraph.analyses.affine_map import AffineMap, affine_map
    from splinegraph.analyses.codes import ActivationPattern, codes
    from splinegraph.analyses.convexity.checklist import Checklist, checklist
    from splinegraph.analyses.convexity.convexity import convexity
    from splinegraph.analyses.convexity.inference import Inference, inference
    from splinegraph.analyses.convexity.verdict import Status, Verdict, Verdicts
    from splinegraph.analyses.convexity.witness import Witness
    from splinegraph.analyses.encoding.comparison import FrameworkTable, compare_frameworks
    from splinegraph.analyses.encoding.encoding import Encoding, encode
    from splinegraph.analyses.encoding.inverse import Inverse, invert
    from splinegraph.analyses.encoding.layers import LayerReconstruction, reconstruct_layers
    from splinegraph.analyses.encoding.preimage import Preimage, preimage
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
    from splinegraph.analyses.paths.decomposition import PathDecomposition
    from splinegraph.analyses.paths.paths import paths
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
    from splinegraph.analyses.report.reading import read_report
    from splinegraph.analyses.report.report import Report, analyze
    from splinegraph.analyses.robustness.adversarial import AdversarialDistance, min_adversarial
    from splinegraph.analyses.robustness.penalty import ContractionPenalty, contraction_penalty
    from splinegraph.analyses.robustness.radius import CertifiedRadius, certified_radius
    from splinegraph.analyses.robustness.softmax import softmax_constant, softmax_lipschitz
    from splinegraph.analyses.robustness.step import Sensitivity, adversarial_step, sensitivity_ratio
    from splinegraph.analyses.separation.groups import rotations, translations
    from splinegraph.analyses.separation.linear import (
        LinearSeparability,
        SeparableLayers,
        linear_separable,
        separable_layers,
    )
    from splinegraph.analyses.separation.orbit import Orbit, orbit
    from splinegraph.analyses.separation.result import Separation, SeparationComparison
    from splinegraph.analyses.separation.separation import separation
    from splinegraph.analyses.separation.sweep import SeparationSweep, separation_sweep
    from splinegraph.analyses.templates.dynamics import TemplateDynamics, template_dynamics
    from splinegraph.analyses.templates.memory import Memorization, UpdateBalance, memorization, update_balance
    from splinegraph.analyses.templates.optimal import OptimalTemplates, optimal_templates
    from splinegraph.analyses.templates.ranking import TemplateRanking, template_ranking
    from splinegraph.analyses.templates.scores import TemplateScores, template_scores
    from splinegraph.analyses.templates.templates import Templates, templates
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
    from splinegraph.export.files import save_report
    from splinegraph.export.graphs.figure import plot_graph, save_figure
    from splinegraph.export.graphs.gexf import write_gexf
    from splinegraph.export.graphs.graphml import write_graphml
    from splinegraph.export.graphs.node_link import write_json
    from splinegraph.export.html.page import write_html
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
    "ActivationGraph",
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
    "Encoding",
    "Factors",
    "FrameworkTable",
    "GeneralizationGap",
    "Inference",
    "Inverse",
    "LayerReconstruction",
    "LinearSeparability",
    "LipschitzBound",
    "LocalRegion",
    "MaxAffineFit",
    "MaxAffineForm",
    "Memorization",
    "Monotonicity",
    "Neighborhood",
    "Node",
    "OptimalTemplates",
    "Orbit",
    "Partition",
    "PathDecomposition",
    "Plane",
    "Polytope",
    "Preimage",
    "RegionSample",
    "Relaxation",
    "Report",
    "Segment",
    "Sensitivity",
    "SeparableLayers",
    "Separation",
    "SeparationComparison",
    "SeparationSweep",
    "Sharpness",
    "Smoothness",
    "Spline1d",
    "SplineGraph",
    "SplineGraphError",
    "SplineNode",
    "SplineSpace",
    "SplineSubstitution",
    "Status",
    "TemplateDynamics",
    "TemplateRanking",
    "TemplateScores",
    "Templates",
    "TopologySelection",
    "UpdateBalance",
    "Verdict",
    "Verdicts",
    "Verification",
    "Witness",
    "activation_graph",
    "activity",
    "adversarial_step",
    "affine_map",
    "analyze",
    "certified_radius",
    "checklist",
    "chords",
    "codes",
    "compare",
    "compare_frameworks",
    "contraction_penalty",
    "conv_matrix",
    "convexity",
    "count_bound",
    "difference_of_convex",
    "encode",
    "enumerate_regions",
    "factors",
    "generalization_gap",
    "inference",
    "invert",
    "latex",
    "linear_separable",
    "lipschitz",
    "load",
    "load_certificate",
    "local_region",
    "logits",
    "max_affine",
    "max_affine_fit",
    "memorization",
    "min_adversarial",
    "neighborhood",
    "normalized",
    "optimal_templates",
    "orbit",
    "paths",
    "plot_graph",
    "preimage",
    "read_data",
    "read_onnx",
    "read_report",
    "reconstruct_layers",
    "rotations",
    "sample_regions",
    "save_figure",
    "save_report",
    "sensitivity_ratio",
    "separable_layers",
    "separation",
    "separation_sweep",
    "sharpness",
    "smoothness",
    "softmax_constant",
    "softmax_lipschitz",
    "spline",
    "template_dynamics",
    "template_ranking",
    "template_scores",
    "templates",
    "topology_selection",
    "trace",
    "translations",
    "update_balance",
    "write_gexf",
    "write_graphml",
    "write_html",
    "write_json",
]

__version__ = "0.1.0"

# torch takes a second to import: `splinegraph --help` need not wait for it
_WHERE = {
    "analyses.activation.activation_graph": ("activation_graph",),
    "analyses.activation.result": ("ActivationGraph",),
    "analyses.affine_map": ("AffineMap", "affine_map"),
    "analyses.codes": ("ActivationPattern", "codes"),
    "analyses.factors": ("Factors", "conv_matrix", "factors"),
    "analyses.convexity.checklist": ("Checklist", "checklist"),
    "analyses.convexity.convexity": ("convexity",),
    "analyses.convexity.inference": ("Inference", "inference"),
    "analyses.convexity.verdict": ("Status", "Verdict", "Verdicts"),
    "analyses.convexity.witness": ("Witness",),
    "analyses.encoding.comparison": ("FrameworkTable", "compare_frameworks"),
    "analyses.encoding.encoding": ("Encoding", "encode"),
    "analyses.encoding.inverse": ("Inverse", "invert"),
    "analyses.encoding.layers": ("LayerReconstruction", "reconstruct_layers"),
    "analyses.encoding.preimage": ("Preimage", "preimage"),
    "analyses.lipschitz.bound": ("LipschitzBound",),
    "analyses.lipschitz.certificate": ("Certificate", "load_certificate"),
    "analyses.lipschitz.lipschitz": ("lipschitz",),
    "analyses.measures.activity": ("Activity", "activity"),
    "analyses.measures.gap": ("GeneralizationGap", "TopologySelection", "generalization_gap", "topology_selection"),
    "analyses.measures.sharpness": ("Sharpness", "sharpness"),
    "analyses.measures.smoothness": ("Smoothness", "smoothness"),
    "analyses.paths.decomposition": ("PathDecomposition",),
    "analyses.paths.paths": ("paths",),
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
    "analyses.report.reading": ("read_report",),
    "analyses.report.report": ("Report", "analyze"),
    "analyses.robustness.adversarial": ("AdversarialDistance", "min_adversarial"),
    "analyses.robustness.penalty": ("ContractionPenalty", "contraction_penalty"),
    "analyses.robustness.radius": ("CertifiedRadius", "certified_radius"),
    "analyses.robustness.softmax": ("softmax_constant", "softmax_lipschitz"),
    "analyses.robustness.step": ("Sensitivity", "adversarial_step", "sensitivity_ratio"),
    "analyses.separation.groups": ("rotations", "translations"),
    "analyses.separation.linear": ("LinearSeparability", "SeparableLayers", "linear_separable", "separable_layers"),
    "analyses.separation.orbit": ("Orbit", "orbit"),
    "analyses.separation.result": ("Separation", "SeparationComparison"),
    "analyses.separation.separation": ("separation",),
    "analyses.separation.sweep": ("SeparationSweep", "separation_sweep"),
    "analyses.templates.dynamics": ("TemplateDynamics", "template_dynamics"),
    "analyses.templates.memory": ("Memorization", "UpdateBalance", "memorization", "update_balance"),
    "analyses.templates.optimal": ("OptimalTemplates", "optimal_templates"),
    "analyses.templates.ranking": ("TemplateRanking", "template_ranking"),
    "analyses.templates.scores": ("TemplateScores", "template_scores"),
    "analyses.templates.templates": ("Templates", "templates"),
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
    "export.files": ("save_report",),
    "export.graphs": ("plot_graph", "save_figure", "write_gexf", "write_graphml", "write_json"),
    "export.html.page": ("write_html",),
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


_PACKAGES = {name: f"splinegraph.{name}" for name in ("nn", "splines", "testing", "training")} | {
    "frameworks": "splinegraph.analyses.encoding.frameworks"
}
"""Open with the package: ``sg.nn.ConvexLinear``."""


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(_PACKAGES[name])
    if name not in _MODULES:
        raise AttributeError(f"module 'splinegraph' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
